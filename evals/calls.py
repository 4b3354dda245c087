"""`synth.evaluate`: the evaluations as functions that return their figures. See docs/python.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.result import Result
from evals.sets import Options


def fidelity(real: str | Path, synthetic: str | Path, metrics: Sequence[str] = (), **options: Any) -> Result:
    """Is a set of synthetic volumes like a set of real ones, and as varied? FID, KID and more, each with its interval
    and its floor of real against real.

    Args:
        real, synthetic: folders of volumes or cases.
        metrics: names; all that there are where none is given.
        options: as of `evals.sets.Options`.

    Raises InputError for folders that hold nothing to compare.
    """
    from evals import fidelity as of

    return of.evaluate(Path(real), Path(synthetic), list(metrics), Options(**options))[0]


def agreement(cases: str | Path) -> Result:
    """Do cases show what their prompts ask for? Raises InputError."""
    from evals import agreement as of

    return of.evaluate(Path(cases))[0]


def memorization(train: str | Path, synthetic: str | Path, held_out: str | Path, **options: Any) -> Result:
    """Are synthetic volumes nearer to the training set than held-out patients are?

    Args:
        train, synthetic, held_out: folders of volumes or cases.
        options: as of `evals.sets.Options`.

    Raises InputError for folders that hold nothing to compare.
    """
    from evals import memorization as of

    return of.evaluate(Path(train), Path(synthetic), Path(held_out), Options(**options))[0]
