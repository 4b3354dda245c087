"""Tubes along curves, such as catheters, leads, ducts and bronchi, on a host's grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from synth.report.location import Box
from synth.volumes.geometry import world_of
from synth.volumes.types import Volume


@dataclass(frozen=True)
class Tube:
    """curve: RAS points, mm, (N, 3), about 0.5 mm apart. radius_mm: outer, one number or one a point, (N,)."""

    curve: np.ndarray
    radius_mm: np.ndarray | float


@dataclass(frozen=True)
class Near:
    """Voxels of a crop near some tubes: mm to the nearest curve less what is asked for is left to the caller.

    box: the crop. where: (X, Y, Z) boolean, those that are near. distance, radius: (N,) mm to the nearest curve and the
    tube's radius there. fraction: (N,) how far along its curve.
    """

    box: Box
    where: np.ndarray
    distance: np.ndarray
    radius: np.ndarray
    fraction: np.ndarray

    def cover(self, radius: np.ndarray | float, blur_mm: float) -> np.ndarray:
        """How much of each near voxel lies within a radius of the curve, (N,): a ramp of `blur_mm` at its border."""
        return np.asarray(((radius - self.distance) / blur_mm + 0.5).clip(0, 1))

    def full(self, values: np.ndarray) -> np.ndarray:
        """Values of the near voxels on the crop, (X, Y, Z) float32; 0 elsewhere."""
        out = np.zeros(self.where.shape, np.float32)
        out[self.where] = values
        return out


def near_tubes(host: Volume, tubes: Sequence[Tube], beyond_mm: float) -> Near | None:
    """The voxels within the tubes or up to `beyond_mm` from their surface; None where there are none in the volume."""
    curve = np.concatenate([tube.curve for tube in tubes])
    radius = np.concatenate([np.broadcast_to(np.asarray(t.radius_mm, float), len(t.curve)) for t in tubes])
    fraction = np.concatenate([np.linspace(0, 1, len(t.curve)) for t in tubes])
    most = float(radius.max()) + beyond_mm
    index = (curve - host.affine[:3, 3]) @ np.linalg.inv(host.affine[:3, :3]).T
    low = np.maximum(np.floor(index.min(axis=0) - most / host.spacing).astype(int), 0)
    high = np.minimum(np.ceil(index.max(axis=0) + most / host.spacing).astype(int) + 1, host.hu.shape)
    if (low >= high).any():
        return None
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    where = _dilated(index - low, (high - low).tolist(), most / host.spacing)
    if not where.any():
        return None
    points = world_of(np.argwhere(where) + low, host.affine)
    distance, nearest = cKDTree(curve).query(points, distance_upper_bound=most)
    found = np.isfinite(distance)
    where[where] = found
    at = nearest[found]
    return Near((i, j, k), where, distance[found], radius[at], fraction[at])


def _dilated(index: np.ndarray, shape: Sequence[int], reach: np.ndarray) -> np.ndarray:
    """Voxels in boxes of half width `reach` about points of a curve, (X, Y, Z) boolean."""
    out = np.zeros(shape, bool)
    for point in index[:: max(int(reach.min()), 1)]:
        low = np.maximum(np.floor(point - reach - 1).astype(int), 0)
        high = np.minimum(np.ceil(point + reach + 1).astype(int) + 1, shape)
        if (low < high).all():
            out[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return out
