"""The side that a planning target lies on, as a number and as a word allows it."""

from __future__ import annotations

import numpy as np

from prompts.vocabulary import Side
from synth.regions.words import SIDED


def side_share(target: np.ndarray, x: np.ndarray) -> float:
    """(left - right) / (left + right) of a mask (X, Y, Z) about the anchor's sagittal plane; 0 of an empty one.

    `x`: (X,) mm to the right.
    """
    per_slice = target.sum(axis=(1, 2))
    left, right = float(per_slice[x < 0].sum()), float(per_slice[x > 0].sum())
    return (left - right) / max(left + right, 1.0)


def side_range(side: Side | None) -> tuple[float, float]:
    """What `side_share` may be where a word was said."""
    return {Side.LEFT: (SIDED, 1.0), Side.RIGHT: (-1.0, -SIDED), None: (-1.0, 1.0)}.get(side, (-SIDED, SIDED))
