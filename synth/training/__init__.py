"""One loop, one task object for each network."""
