"""Synthetic CT from words: volumes, masks, reports and the plan that reproduces them."""

__version__ = "0.1.0"
