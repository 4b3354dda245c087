"""The networks: one class of denoiser for `base` and `refine`, and the frozen text encoder."""
