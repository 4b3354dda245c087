"""Synthetic CT from words: volumes, masks, reports and the plan that reproduces them."""

from typing import Any

from synth.environment import name_the_user

__version__ = "0.1.0"

name_the_user()

_LOADERS = ("load_cohort", "CohortDataset", "CohortStream", "ReadCase")


def __getattr__(name: str) -> Any:
    """`synth.load_cohort` and its torch data sets; torch is imported when they are asked for."""
    if name not in _LOADERS:
        raise AttributeError(f"module 'synth' has no attribute '{name}'")
    from synth.cohort import load

    return getattr(load, name)
