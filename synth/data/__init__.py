"""From patients on disk to batches: sources, prepare, dataset."""
