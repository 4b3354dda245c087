"""Figures of the nodule studies with 95% intervals: bootstrap over patients (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata, spearmanr

RESAMPLES = 1000


@dataclass(frozen=True)
class Figure:
    """A value with its 95% interval; NaN where there is none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def figure(
    statistic: Callable[[np.ndarray], float], patients: Sequence[str] | np.ndarray, resamples: int = RESAMPLES
) -> Figure:
    """A statistic of rows, given their numbers (N,), and its interval over patients; the same each time."""
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    rows = [np.flatnonzero(owner == i) for i in range(int(owner.max()) + 1)]
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(resamples):
        chosen = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        draws.append(statistic(chosen))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Figure(statistic(np.arange(len(owner))), float(low), float(high))


def auc(score: np.ndarray, yes: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a `yes` (N,) scores (N,) higher; NaN without both classes."""
    positive, negative = int(yes.sum()), int((~yes).sum())
    if not positive or not negative:
        return float("nan")
    return float((rankdata(score)[yes].sum() - positive * (positive + 1) / 2) / (positive * negative))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; NaN where one does not vary."""
    return float(spearmanr(a, b).statistic) if np.ptp(a) > 0 and np.ptp(b) > 0 else float("nan")


def best_limit(score: np.ndarray, yes: np.ndarray) -> float:
    """The limit of Youden's index: `yes` (N,) lies at or above it. Half way between two scores (N,)."""
    values = np.unique(score)
    limits = (values[1:] + values[:-1]) / 2
    index = [float((score[yes] >= limit).mean() - (score[~yes] >= limit).mean()) for limit in limits]
    return float(limits[int(np.argmax(index))])
