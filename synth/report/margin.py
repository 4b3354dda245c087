"""How sharp the edge of a lesion is: its 10-90% width along the normal, in the slice."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

_BIN_MM = 0.5
_INSIDE_MM = 2.0  # deeper than this is the lesion's plateau, or the deepest third of a small lesion
_OUTSIDE_MM = (4.0, 8.0)  # the host's plateau
_MAIN_SLICES = 0.5  # slices with at least this share of the largest area: the caps are all partial volume
_LEAST_CONTRAST_HU = 10.0
_LEAST_VOXELS = 4


def margin_width(
    hu: np.ndarray, mask: np.ndarray, host: np.ndarray, spacing: np.ndarray, slice_axis: int
) -> float | None:
    """10-90% width of a lesion's edge in mm, from the median profile across its border; None without contrast.

    Args:
        hu: (X, Y, Z), a crop that holds the lesion and `_OUTSIDE_MM` round it.
        mask: (X, Y, Z) boolean, the lesion.
        host: (X, Y, Z) boolean, the host organ's voxels without any lesion.
        spacing: mm, (3,).
        slice_axis: across slices.
    """
    distance = signed_distance(mask, spacing, slice_axis)
    usable = (mask | host) & np.isfinite(distance)
    inside = mask & (distance <= max(-_INSIDE_MM, float(np.quantile(distance[mask], 1 / 3))))
    outside = host & (distance >= _OUTSIDE_MM[0]) & (distance <= _OUTSIDE_MM[1])
    if min(inside.sum(), outside.sum()) < _LEAST_VOXELS:
        return None
    low, high = float(np.median(hu[outside])), float(np.median(hu[inside]))
    if abs(high - low) < _LEAST_CONTRAST_HU:
        return None
    centres, profile = _profile(hu[usable], distance[usable])
    return _crossing_width(centres, (profile - low) / (high - low))


def signed_distance(mask: np.ndarray, spacing: np.ndarray, slice_axis: int) -> np.ndarray:
    """mm to the border within the slice, negative inside; NaN in slices that the lesion barely reaches."""
    slices = np.moveaxis(mask, slice_axis, 0)
    in_plane = np.delete(np.asarray(spacing, float), slice_axis)
    area = slices.sum(axis=(1, 2))
    out = np.full(slices.shape, np.nan)
    for index in np.flatnonzero(area >= max(_MAIN_SLICES * area.max(), 1)):
        outside = distance_transform_edt(~slices[index], sampling=in_plane)
        inside = distance_transform_edt(slices[index], sampling=in_plane)
        half = in_plane.min() / 2  # the border runs between voxel centres
        out[index] = np.where(slices[index], half - inside, outside - half)
    return np.moveaxis(out, 0, slice_axis)


def _profile(hu: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median HU by distance bin: (centres, medians) of the bins that have enough voxels."""
    bins = np.round(distance / _BIN_MM).astype(int)
    chosen = [b for b in np.unique(bins[np.abs(distance) <= _OUTSIDE_MM[1]]) if (bins == b).sum() >= _LEAST_VOXELS]
    return np.array(chosen) * _BIN_MM, np.array([np.median(hu[bins == b]) for b in chosen])


def _crossing_width(centres: np.ndarray, level: np.ndarray) -> float | None:
    """Distance from the last point at 90% to the first at 10%, going outwards, linear between bins."""
    high = np.flatnonzero(level >= 0.9)
    low = np.flatnonzero(level <= 0.1)
    low = low[low > high[-1]] if len(high) else low
    if not len(high) or not len(low):
        return None
    i, j = int(high[-1]), int(low[0])
    start = np.interp(0.9, level[[i + 1, i]], centres[[i + 1, i]])
    end = np.interp(0.1, level[[j, j - 1]], centres[[j, j - 1]])
    return float(max(end - start, 0.0))
