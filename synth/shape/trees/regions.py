"""Regions: what growth has to know of masks - which region a point lies in, seed points, and where a tree enters."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.shape.trees.growing import Inside
from synth.volumes.geometry import voxel_spacing, world_of


def lookup(regions: np.ndarray, affine: np.ndarray) -> Inside:
    """The number of the nearest voxel of (X, Y, Z) numbers, 0 beyond the grid."""
    back = np.linalg.inv(affine)

    def inside(points: np.ndarray) -> np.ndarray:
        index = np.rint(points @ back[:3, :3].T + back[:3, 3]).astype(int)
        within = ((index >= 0) & (index < regions.shape)).all(axis=1)
        out = np.zeros(len(points), int)
        out[within] = regions[tuple(index[within].T)]
        return out

    return inside


def whole(regions: np.ndarray) -> np.ndarray:
    """The largest piece of each region: islands cannot be reached from it."""
    out = np.zeros_like(regions)
    for number, box in enumerate(ndimage.find_objects(regions), start=1):
        if box is not None:
            pieces, _ = ndimage.label(regions[box] == number)
            sizes = np.bincount(pieces.ravel())
            sizes[0] = 0
            out[box][pieces == sizes.argmax()] = number
    return out


def depths(regions: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(X, Y, Z) float32 mm from each voxel of a region to the nearest voxel of another, or of none."""
    out = np.zeros(regions.shape, np.float32)
    spacing = voxel_spacing(affine)
    for number, box in enumerate(ndimage.find_objects(regions), start=1):
        if box is not None:
            own = np.pad(regions[box] == number, 1)
            found = ndimage.distance_transform_edt(own, sampling=spacing)[1:-1, 1:-1, 1:-1]
            out[box] = np.where(own[1:-1, 1:-1, 1:-1], found, out[box])
    return out


def lattice(
    regions: np.ndarray, depth: np.ndarray, affine: np.ndarray, pitch: float, least_mm: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Jittered lattices for two trees, each between the points of the other.

    Args:
        pitch: mm between points; least_mm: from the border of a region.

    Returns the points (P, 3) mm, the region of each (P,), and to which of the two lattices it belongs (P,) 0 or 1.
    """
    where = np.argwhere(regions)
    corners = world_of(np.stack([where.min(axis=0), where.max(axis=0)]), affine)
    low, high = corners.min(axis=0), corners.max(axis=0)
    axes = [np.arange(lo, hi + pitch, pitch) for lo, hi in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid + rng.uniform(0, pitch, 3)  # one shift for both
    points = np.concatenate([grid, grid + pitch / 2])
    which = np.repeat([0, 1], len(grid))
    points = points + rng.uniform(-0.35, 0.35, points.shape) * pitch
    region = lookup(regions, affine)(points)
    deep = _at(depth, affine, points)
    kept = (region > 0) & (deep >= least_mm)
    return points[kept], region[kept], which[kept]


def _at(volume: np.ndarray, affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    back = np.linalg.inv(affine)
    index = (points @ back[:3, :3].T + back[:3, 3]).T
    return ndimage.map_coordinates(volume, index, order=0, mode="constant")


def entry(
    regions: np.ndarray, depth: np.ndarray, affine: np.ndarray, number: int, target: np.ndarray, mm: float
) -> np.ndarray:
    """(3,) mm: the voxel of a region nearest to a target that lies `mm` deep, or as deep as there are."""
    where = np.argwhere(regions == number)
    deep = depth[tuple(where.T)]
    where = where[deep >= min(mm, float(deep.max()))]
    points = world_of(where, affine)
    return points[np.argmin(((points - target) ** 2).sum(axis=1))]
