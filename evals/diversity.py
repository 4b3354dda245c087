"""Is the set varied? Pairs of one set against each other, and how much of the real manifold is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from evals.bootstrap import Interval, mean_interval
from evals.distances import manifold
from evals.resampling import floor
from evals.stamp import Floor
from synth.errors import InputError

MANIFOLD_NAMES = ("precision", "recall", "density", "coverage")
NEIGHBOURS = 5
_PERCENT = ("precision", "recall", "coverage")
_RANGE_HU = 2000.0
_KERNEL, _WEIGHTS = 5, (0.0448, 0.2856, 0.3001)  # Wang's first three scales: five do not fit 64 voxels
_LEAST_VOXELS = _KERNEL * (len(_WEIGHTS) - 1) ** 2  # along each axis, as MONAI has it


def manifold_intervals(real: np.ndarray, synthetic: np.ndarray, seed: int = 0) -> dict[str, Interval]:
    """Precision, recall, density, coverage of (N, d) features; bootstrap over volumes, neighbourhoods kept."""
    found = {}
    for name, values in asdict(manifold(real, synthetic, NEIGHBOURS)).items():
        interval = mean_interval(values * (100.0 if name in _PERCENT else 1.0), seed)
        assert interval is not None
        found[name] = interval
    return found


def manifold_floors(real: np.ndarray, synthetic: np.ndarray, *, splits: int, seed: int = 0) -> dict[str, Floor]:
    """The same between halves of the real volumes; none where a half has too few neighbours."""
    if min(len(real) // 2, len(synthetic)) <= NEIGHBOURS:
        return {}

    def means(other: np.ndarray, r: np.ndarray, s: np.ndarray) -> np.ndarray:
        found = asdict(manifold(real[r > 0], other[s > 0], NEIGHBOURS))
        return np.array([v.mean() * (100.0 if name in _PERCENT else 1.0) for name, v in found.items()])

    floors = floor(
        lambda r, s: means(synthetic, r, s),
        lambda r, s: means(real, r, s),
        len(real),
        len(synthetic),
        splits=splits,
        seed=seed,
    )
    return {name: f for name, f in zip(MANIFOLD_NAMES, floors or [], strict=True) if f is not None}


def pair_similarity(volumes: Sequence[np.ndarray], seed: int = 0) -> Interval:
    """MS-SSIM over a random ring of volumes (X, Y, Z) in HU, so that each is in two pairs; mean and interval.

    MONAI's MultiScaleSSIMMetric in 3D with three scales. Low = varied.
    """
    order = np.random.default_rng(seed).permutation(len(volumes))
    values = [ms_ssim(volumes[a], volumes[b]) for a, b in zip(order, np.roll(order, -1), strict=True)]
    interval = mean_interval(np.array(values), seed)
    assert interval is not None
    return interval


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """MS-SSIM of two volumes (X, Y, Z) in HU, 1 = alike. Raises InputError where they are too small."""
    if min(a.shape) < _LEAST_VOXELS:
        shape = " x ".join(map(str, a.shape))
        raise InputError(
            f"ms_ssim: volumes come to {shape} voxels, which is fewer than {_LEAST_VOXELS} along an axis for its three "
            "scales; give larger volumes, or name the other metrics with --metrics"
        )
    import torch
    from monai.metrics.regression import MultiScaleSSIMMetric

    x, y = (torch.from_numpy((v.astype(np.float32) + 1000.0) / _RANGE_HU)[None, None] for v in (a, b))
    metric = MultiScaleSSIMMetric(spatial_dims=3, data_range=1.0, kernel_size=_KERNEL, weights=_WEIGHTS)
    return float(metric(x, y).mean())
