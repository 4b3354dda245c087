"""A case: its plan, its draft, its folder, and the weights that draw it."""
