"""Scripts of our own studies, outside the wheel."""
