"""Diameters, surface and sphericity of a mask, in mm.

The points of a mask's surface are the centres of its voxel faces, where a marching-cubes surface of a binary
mask runs too, so that the largest distance is that of PyRadiomics' `Maximum3DDiameter` (van Griethuysen et
al. 2017).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

_SMOOTHING_VOXELS = 0.5
_PADDING_VOXELS = 4
_FEW_POINTS = 300  # so many that all distances cost less than a convex hull
_DIRECTIONS = 16  # in which a slice's width is taken to bound its diameter
_ROUNDING = 1e-9


@dataclass(frozen=True)
class AxialDiameters:
    """The slice with the longest diameter: its index, that diameter and the widest extent across it (RECIST), mm."""

    slice: int
    long_mm: float
    short_mm: float


def surface_points(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Centres of the faces between inside and outside in mm, (N, 3); voxel (0, 0, 0) is centred on the origin."""
    padded = np.pad(mask, 1)
    points = []
    for axis in range(mask.ndim):
        face = np.argwhere(np.diff(padded.astype(np.int8), axis=axis)) - 1.0
        face[:, axis] += 0.5
        points.append(face)
    return np.concatenate(points) * np.asarray(spacing, float)


def _farthest(points: np.ndarray) -> float:
    """Largest distance between any two of the points, (N, D)."""
    if len(points) < 2:
        return 0.0
    if len(points) <= _FEW_POINTS:
        return float(pdist(points).max())
    with suppress(QhullError):  # flat or collinear: few points, all are needed
        points = points[ConvexHull(points).vertices]
    return float(pdist(points).max())


def _outermost(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Points of a slice's surface (X, Y) that hold every corner of its convex hull, (N, 2) mm.

    Those of the first and last voxel of each row: the hull has no corner between them.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    inside = mask[rows]
    first = inside.argmax(axis=1).astype(float)
    last = mask.shape[1] - 1.0 - inside[:, ::-1].argmax(axis=1)
    x, y = np.concatenate([rows, rows]), np.concatenate([first, last])
    out = np.concatenate([first - 0.5, last + 0.5])
    points = np.concatenate([np.stack(pair, axis=1) for pair in ((x, out), (x - 0.5, y), (x + 0.5, y))])
    return points * np.asarray(spacing, float)


def longest_diameter(mask: np.ndarray, spacing: np.ndarray) -> float:
    """Largest distance between two points of the surface of a boolean mask (X, Y, Z), mm; 0 when empty."""
    return _farthest(surface_points(mask, spacing))


def axial_diameters(mask: np.ndarray, spacing: np.ndarray, slice_axis: int) -> AxialDiameters:
    """Longest diameter within any slice across `slice_axis`, and the extent at right angles to it."""
    index, _ = longest_in_slice(mask, spacing, slice_axis)
    if index < 0:
        return AxialDiameters(-1, 0.0, 0.0)
    in_plane = np.delete(np.asarray(spacing, float), slice_axis)
    return AxialDiameters(index, *_long_and_across(surface_points(np.take(mask, index, slice_axis), in_plane)))


def longest_in_slice(mask: np.ndarray, spacing: np.ndarray, slice_axis: int) -> tuple[int, float]:
    """Index of the slice with the longest diameter, and that diameter in mm; (-1, 0) for an empty mask."""
    slices, in_plane = _slices(mask, spacing, slice_axis)
    best, long_mm = -1, 0.0
    diagonals = _diagonals(slices, in_plane)
    low, high = _diameter_bounds(slices, in_plane)
    for index in np.argsort(-diagonals, kind="stable"):
        if diagonals[index] <= long_mm:  # no slice from here on can be longer
            break
        if high[index] < low.max():  # another one is longer
            continue
        if (length := _farthest(_outermost(slices[index], in_plane))) > long_mm:
            best, long_mm = int(index), length
    return best, long_mm


def reaches_in_slice(mask: np.ndarray, spacing: np.ndarray, slice_axis: int, mm: float) -> bool:
    """Whether the longest diameter in any slice is `mm` or more: `longest_in_slice` at less cost."""
    slices, in_plane = _slices(mask, spacing, slice_axis)
    low, high = _diameter_bounds(slices, in_plane)
    if low.max() >= mm:
        return True
    likely = sorted(np.flatnonzero(high >= mm), key=lambda index: -low[index])
    return any(_farthest(_outermost(slices[index], in_plane)) >= mm for index in likely)


def _slices(mask: np.ndarray, spacing: np.ndarray, slice_axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The mask's slices (S, X, Y) and the spacing in them, (2,)."""
    return np.moveaxis(np.asarray(mask, bool), slice_axis, 0), np.delete(np.asarray(spacing, float), slice_axis)


def _diameter_bounds(slices: np.ndarray, in_plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest diameter that each slice can have, (S) mm; 0 for empty ones.

    The width of the surface's points in some directions; the diameter is at most half a step off one of them.
    """
    angle = np.pi / _DIRECTIONS * np.arange(_DIRECTIONS)
    cos, sin = np.cos(angle) * in_plane[0], np.sin(angle) * in_plane[1]
    there = np.asarray(slices.any(axis=2))
    first = slices.argmax(axis=2)[..., None]
    last = slices.shape[2] - 1 - slices[..., ::-1].argmax(axis=2)[..., None]
    x = np.arange(slices.shape[1])[:, None] * cos
    highest = np.where(there[..., None], x + last * sin, -np.inf).max(axis=1)
    lowest = np.where(there[..., None], x + first * sin, np.inf).min(axis=1)
    width = highest - lowest + np.maximum(np.abs(cos), sin)  # faces lie half a voxel outside on either side
    widest = np.where(there.sum(axis=1) > 0, width.max(axis=1), 0.0)
    return widest * (1 - _ROUNDING), widest / np.cos(np.pi / 2 / _DIRECTIONS) * (1 + _ROUNDING)


def _diagonals(slices: np.ndarray, in_plane: np.ndarray) -> np.ndarray:
    """Diagonal of each slice's bounding rectangle in mm, (S); 0 for empty slices."""
    squares = np.zeros(len(slices))
    for axis, spacing in zip((1, 2), in_plane, strict=True):
        there = np.asarray(slices.any(axis=3 - axis))
        first, last = there.argmax(axis=1), there.shape[1] - there[:, ::-1].argmax(axis=1)
        squares += np.where(there.any(axis=1), ((last - first) * spacing) ** 2, 0.0)
    return np.sqrt(squares)


def _long_and_across(points: np.ndarray) -> tuple[float, float]:
    hull = points[ConvexHull(points).vertices]
    difference = hull[:, None] - hull[None]
    length = np.linalg.norm(difference, axis=-1)
    direction = difference.reshape(-1, 2)[length.argmax()] / length.max()
    across = hull @ np.array([-direction[1], direction[0]])
    return float(length.max()), float(np.ptp(across))


def sphericity(mask: np.ndarray, spacing: np.ndarray) -> float:
    """Surface of the ball of equal volume over the surface of the mask (Wadell 1935): 1 for a ball, less otherwise.

    The surface is the total variation of the lightly smoothed mask (coarea formula), which has fewer of the steps
    of a binary mask: right to 2% at isotropic spacing, to 6% where slices are thick.
    """
    if not mask.any():
        return 0.0
    smooth = gaussian_filter(np.pad(mask.astype(np.float32), _PADDING_VOXELS), _SMOOTHING_VOXELS)
    gradient = np.gradient(smooth, *np.asarray(spacing, float))
    area = float(np.sqrt(sum(g**2 for g in gradient)).sum() * np.prod(spacing))
    volume = float(mask.sum() * np.prod(spacing))
    return float(min(np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area, 1.0))
