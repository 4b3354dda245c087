"""Studies of the scanner."""
