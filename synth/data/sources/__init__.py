"""Archives as they lie on disk: what scans there are, how to read each, and what is left out and why."""
