"""Compare what was measured on each volume of two sets: HU, gradients, spectra, organs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

import numpy as np
from scipy.stats import wasserstein_distance

from evals.registry import METRICS
from evals.resampling import Estimate, estimate
from evals.statistics import GRADIENT_EDGES, HU_EDGES, Measured

NAMES = ("hu", "organ_hu", "gradient", "power_spectrum", "noise_power", "organ_volume", "organ_gap")
_Part = tuple[str, str]
_Between = Callable[[np.ndarray, np.ndarray], float]


def compare(
    real: Sequence[Measured],
    synthetic: Sequence[Measured],
    *,
    spectra: bool = True,
    resamples: int = 500,
    splits: int = 20,
    seed: int = 0,
) -> dict[_Part, Estimate]:
    """Distances by (metric, part). `spectra`: whether all volumes have one spacing, without which none is compared.

    A part that fewer volumes have than its metric's minimum is left out, and one without a distance: no noise at all.
    """
    found: dict[_Part, Estimate] = {}

    def add(name: str, part: str, a: np.ndarray, b: np.ndarray, between: _Between) -> None:
        if min(len(a), len(b)) >= METRICS[name].minimum:
            estimated = _estimate(a, b, between, resamples, splits, seed)
            if np.isfinite([estimated.value, estimated.low, estimated.high]).all():
                found[name, part] = estimated

    add("hu", "body", *_arrays(real, synthetic, attrgetter("hu")), _histograms(HU_EDGES))
    if spectra:
        add("gradient", "body", *_arrays(real, synthetic, attrgetter("gradient")), _histograms(GRADIENT_EDGES))
        add("power_spectrum", "", *_arrays(real, synthetic, attrgetter("power")), decibels)
        add("noise_power", "", *_arrays(real, synthetic, attrgetter("noise")), decibels)
    organs = sorted({name for m in real for name in m.organ_ml} & {name for m in synthetic for name in m.organ_ml})
    for organ in organs:
        add("organ_hu", organ, *_named(real, synthetic, "organ_hu", organ), _histograms(HU_EDGES))
        add("organ_volume", organ, *_named(real, synthetic, "organ_ml", organ), wasserstein_distance)
    for gap in _gaps(real, organs):
        add("organ_gap", gap, *_named(real, synthetic, "gap_mm", gap), wasserstein_distance)
    return dict(sorted(found.items(), key=lambda item: NAMES.index(item[0][0])))


def _gaps(real: Sequence[Measured], organs: Sequence[str]) -> list[str]:
    """The pair of each organ and the one nearest to it, by the median gap of the real volumes."""
    medians = {
        gap: float(np.median([m.gap_mm[gap] for m in real if gap in m.gap_mm]))
        for gap in sorted({gap for m in real for gap in m.gap_mm})
        if all(name in organs for name in gap.split(" - "))
    }
    nearest = {
        min(mine, key=lambda gap: medians[gap])
        for organ in organs
        if (mine := [gap for gap in medians if organ in gap.split(" - ")])
    }
    return sorted(nearest)


def _named(
    real: Sequence[Measured], synthetic: Sequence[Measured], table: str, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """One entry of a table of each volume."""
    return _arrays(real, synthetic, lambda m: getattr(m, table).get(name))


def _arrays(
    real: Sequence[Measured], synthetic: Sequence[Measured], get: Callable[[Measured], np.ndarray | float | None]
) -> tuple[np.ndarray, np.ndarray]:
    """What each volume that has it has, (volumes, ...) on both sides."""
    sides = []
    for group in (real, synthetic):
        values = [np.asarray(v) for v in map(get, group) if v is not None and not np.isnan(v).all()]
        sides.append(np.stack(values) if values else np.zeros(0))
    return sides[0], sides[1]


def _estimate(a: np.ndarray, b: np.ndarray, between: _Between, resamples: int, splits: int, seed: int) -> Estimate:
    def pick(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.repeat(values, weight.astype(int), axis=0)

    (only,) = estimate(
        lambda r, s: np.array([between(pick(a, r), pick(b, s))]),
        lambda r, s: np.array([between(pick(a, r), pick(a, s))]),
        len(a),
        len(b),
        resamples=resamples,
        splits=splits,
        seed=seed,
    )
    return only


def _histograms(edges: np.ndarray) -> _Between:
    """Wasserstein-1 distance of the mean histograms of two sets (volumes, bins), in the unit of the edges."""
    width = float(edges[1] - edges[0])

    def between(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(np.cumsum(a.mean(axis=0) - b.mean(axis=0))).sum()) * width

    return between


def decibels(a: np.ndarray, b: np.ndarray) -> float:
    """RMS over frequencies of 10 log10 of the ratio of two sets' mean spectra (volumes, frequencies), in dB."""
    known = np.isfinite(a).any(axis=0) & np.isfinite(b).any(axis=0)
    first, second = (np.nanmean(x[:, known], axis=0) for x in (a, b))
    positive = (first > 0) & (second > 0)
    if not positive.any():
        return float("nan")
    return float(np.sqrt(np.mean((10 * np.log10(first[positive] / second[positive])) ** 2)))
