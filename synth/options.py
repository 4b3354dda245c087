"""What the numbers of a command's options may be. Light: no step is imported."""

from __future__ import annotations

import math

import typer

from synth.errors import InputError

MOST_SEED = 2**63 - 1  # what manifests, tables and torch can hold
MOST_CASES = 1_000_000


def finite(parameter: typer.CallbackParam, value: float | None) -> float | None:
    """The value of an option. Refuses nan and inf, which pass every comparison with a limit or none."""
    if value is not None and not math.isfinite(value):
        raise InputError(f"--{str(parameter.name).replace('_', '-')}: {value} is no finite number; write one")
    return value
