"""What the path costs: seconds, memory, FLOP."""
