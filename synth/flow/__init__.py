"""Conditional flow matching: schedule, losses, guidance, sampler."""
