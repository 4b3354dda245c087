"""Intervals and the real-against-real floor of a distance between two sets of volumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evals.stamp import Floor

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From how often each real (R,) and each synthetic volume (S,) counts to distances (parts,)."""

_LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A distance with its 95% interval and its floor."""

    value: float
    low: float
    high: float
    floor: Floor | None


def estimate(
    distance: Distance,
    among_real: Distance,
    real: int,
    synthetic: int,
    *,
    resamples: int,
    splits: int,
    seed: int = 0,
    least: float = 0.0,
) -> list[Estimate]:
    """The distances between all volumes, their intervals and floors, one for each part.

    Args:
        distance: real weights (real,), synthetic weights (synthetic,) -> distances (parts,).
        among_real: the same between two disjoint parts of the real volumes, both weights (real,).
        real, synthetic: numbers of volumes.
        resamples: bootstrap samples of whole volumes on both sides.
        splits: splits of the real volumes into halves.
        seed: of the draws; the same seed gives the same interval.
        least: value that the distance cannot go below; -inf for unbiased estimates.

    A bootstrap sample has fewer different volumes than the set, which moves FID and its kin up; so the interval is the
    spread of the samples about their own mean, laid about the value (Efron & Tibshirani 1993, sec. 10.3).
    """
    rng = np.random.default_rng(seed)
    values = distance(np.ones(real), np.ones(synthetic))
    draws = np.stack([distance(_bootstrap(real, rng), _bootstrap(synthetic, rng)) for _ in range(resamples)])
    spread = draws - np.nanmean(draws, axis=0)
    low, high = values + np.nanquantile(spread, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
    low = np.maximum(low, least)
    floors = floor(distance, among_real, real, synthetic, splits=splits, seed=seed + 1)
    return [
        Estimate(float(values[i]), float(low[i]), float(high[i]), floors[i] if floors else None)
        for i in range(len(values))
    ]


def _bootstrap(count: int, rng: np.random.Generator) -> np.ndarray:
    """Weights (count,): how often each volume is drawn, with at least two different ones."""
    while True:
        weight = np.bincount(rng.integers(count, size=count), minlength=count).astype(float)
        if (weight > 0).sum() > 1:
            return weight


def floor(
    distance: Distance, among_real: Distance, real: int, synthetic: int, *, splits: int, seed: int = 0
) -> list[Floor | None] | None:
    """Real against real, one for each part; None where half of the real volumes, or all synthetic ones, are under two.

    A part that has no distance in some split has no floor.

    Arguments as `estimate`.
    """
    rng = np.random.default_rng(seed)
    size = min(real // 2, synthetic)
    if size < 2:
        return None
    apart, matched = [], []
    for _ in range(splits):
        order = rng.permutation(real)
        a, b = (_chosen(order[part], real) for part in (slice(size), slice(size, 2 * size)))
        apart.append(among_real(a, b))
        matched.append(distance(a, _chosen(rng.permutation(synthetic)[:size], synthetic)))
    return [_floor_of(a, m, size) for a, m in zip(np.stack(apart).T, np.stack(matched).T, strict=True)]


def _floor_of(apart: np.ndarray, matched: np.ndarray, size: int) -> Floor | None:
    if not (np.isfinite(apart).all() and np.isfinite(matched).all()):
        return None
    low, high = np.quantile(apart, [0.05, 0.95])
    matched_low, matched_high = np.quantile(matched, [0.05, 0.95])
    return Floor(
        mean=float(apart.mean()),
        low=float(low),
        high=float(high),
        matched=float(matched.mean()),
        matched_low=float(matched_low),
        matched_high=float(matched_high),
        size=size,
    )


def _chosen(numbers: np.ndarray, count: int) -> np.ndarray:
    weight = np.zeros(count)
    weight[numbers] = 1.0
    return weight
