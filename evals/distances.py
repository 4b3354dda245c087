"""Distances between two sets of features. Sets are lists over volumes: slices of one volume are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import svdvals
from scipy.spatial.distance import cdist, pdist

Features = Sequence[np.ndarray]  # (slices, d) of each volume


def frechet(real: Features, synthetic: Features) -> float:
    """Frechet distance of the two Gaussians fitted to all slices (Heusel et al. 2017, eq. 6).

    tr((S1 S2)^1/2) is the sum of the singular values of A B^T, A and B being the centred features over sqrt(N - 1):
    the non-zero eigenvalues of S1 S2 = A^T A B^T B are those of (A B^T)^T (A B^T). Exact also for singular covariances.
    """
    a, b = (np.concatenate(list(side)).astype(np.float64) for side in (real, synthetic))
    if min(len(a), len(b)) < 2:
        raise ValueError(f"{len(a)} and {len(b)} slices have no covariance")
    shift = a.mean(axis=0) - b.mean(axis=0)
    a, b = ((x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (a, b))
    traces = float((a**2).sum() + (b**2).sum())
    singular = svdvals(_short(a) @ _short(b).T, check_finite=False)
    return max(0.0, float(shift @ shift) + traces - 2 * float(singular.sum()))


def _short(x: np.ndarray) -> np.ndarray:
    """At most as many rows as columns, with the same x^T x; (rows, d)."""
    triangle: Any = np.linalg.qr(x, mode="r") if len(x) > x.shape[1] else x
    return np.asarray(triangle)


@dataclass(frozen=True)
class Kernels:
    """Mean kernel value between the slices of two volumes: real-real (R, R), synthetic-synthetic (S, S), (R, S)."""

    real: np.ndarray
    synthetic: np.ndarray
    cross: np.ndarray

    def mmd2(self, real: np.ndarray | None = None, synthetic: np.ndarray | None = None) -> float:
        """Unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3) over volumes; may be negative.

        `real` (R,), `synthetic` (S,): how often each volume counts. Pairs of a volume with itself, and with its copies
        in a bootstrap sample, are left out: they would make a set look nearer to itself than two sets can be.
        """
        r = np.ones(len(self.real)) if real is None else real
        s = np.ones(len(self.synthetic)) if synthetic is None else synthetic
        within = _mean_of_pairs(self.real, r) + _mean_of_pairs(self.synthetic, s)
        return within - 2 * float(r @ self.cross @ s) / float(r.sum() * s.sum())


def _mean_of_pairs(kernel: np.ndarray, weight: np.ndarray) -> float:
    pairs = np.outer(weight, weight)
    np.fill_diagonal(pairs, 0.0)
    if not pairs.any():
        return float("nan")  # one volume only
    return float((kernel * pairs).sum() / pairs.sum())


def polynomial_kernels(real: Features, synthetic: Features) -> Kernels:
    """The kernel of KID, (x.y / d + 1)^3 (Binkowski et al. 2018, sec. 4), averaged over the slices of two volumes."""
    return Kernels(*(_blocks(a, b) for a, b in ((real, real), (synthetic, synthetic), (real, synthetic))))


def _blocks(a: Features, b: Features) -> np.ndarray:
    """(volumes of a, volumes of b): means of the kernel over all pairs of slices."""
    x, y = (np.concatenate(list(side)).astype(np.float64) for side in (a, b))
    kernel = (x @ y.T / x.shape[1] + 1.0) ** 3
    rows, columns = (np.cumsum([0, *map(len, side)])[:-1] for side in (a, b))
    sums = np.add.reduceat(np.add.reduceat(kernel, rows, axis=0), columns, axis=1)
    return sums / np.outer([len(v) for v in a], [len(v) for v in b])


def gaussian_kernels(real: np.ndarray, synthetic: np.ndarray) -> Kernels:
    """exp(-|x - y|^2 / (2 s^2)) of volumes' features (N, d); s is the median distance of real pairs."""
    scale = float(np.median(pdist(real)))
    if scale == 0:
        raise ValueError("the real volumes are all alike")
    return Kernels(
        *(
            np.exp(-(cdist(a, b) ** 2) / (2 * scale**2))
            for a, b in ((real, real), (synthetic, synthetic), (real, synthetic))
        )
    )


@dataclass(frozen=True)
class Manifold:
    """Indicators over volumes; their means are the metrics."""

    precision: np.ndarray
    recall: np.ndarray
    density: np.ndarray
    coverage: np.ndarray


def manifold(real: np.ndarray, synthetic: np.ndarray, k: int = 5) -> Manifold:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020) of (N, d) features."""
    if min(len(real), len(synthetic)) <= k:
        raise ValueError(f"{len(real)} and {len(synthetic)} volumes have no {k} neighbours each")
    cross = cdist(real, synthetic)
    real_radius, synthetic_radius = _radius(real, k), _radius(synthetic, k)
    inside = cross <= real_radius[:, None]
    return Manifold(
        precision=inside.any(axis=0).astype(float),
        recall=(cross <= synthetic_radius).any(axis=1).astype(float),
        density=inside.sum(axis=0) / k,
        coverage=(cross.min(axis=1) <= real_radius).astype(float),
    )


def _radius(points: np.ndarray, k: int) -> np.ndarray:
    """Distance to the k-th nearest other point, (N,)."""
    return np.sort(cdist(points, points), axis=1)[:, k]
