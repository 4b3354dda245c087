"""Bootstrap over cases: how far a mean would move if other cases had been drawn."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

RESAMPLES = 2000
_LEVEL = 0.95


class Interval(BaseModel):
    """A mean over `cases` values and its 95% interval; no interval from fewer than two cases."""

    model_config = ConfigDict(frozen=True)

    mean: float
    low: float | None
    high: float | None
    cases: int


def mean_interval(values: np.ndarray, seed: int = 0) -> Interval | None:
    """Mean and percentile bootstrap interval (Efron 1979) of values (N,); NaN = not measured in this case.

    None where nothing was measured. The seed makes the interval the same each time.
    """
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    mean = float(known.mean())
    if len(known) < 2:
        return Interval(mean=mean, low=None, high=None, cases=len(known))
    picks = np.random.default_rng(seed).integers(len(known), size=(RESAMPLES, len(known)))
    low, high = np.quantile(known[picks].mean(axis=1), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(mean=mean, low=float(low), high=float(high), cases=len(known))


def apart(a: Interval | None, b: Interval | None) -> bool:
    """Whether the two intervals do not meet."""
    if a is None or b is None or a.low is None or b.low is None or a.high is None or b.high is None:
        return False
    return a.high < b.low or b.high < a.low
