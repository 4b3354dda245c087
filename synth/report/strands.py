"""Spicules, counted: thin strands that leave a lesion's border in the slice."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.report.margin import signed_distance

_RING_MM = (1.0, 3.0)
_REACH_MM = (1.9, 2.2)  # a strand starts nearer than the first and goes on beyond the second
_BIN_MM = 0.5
_CONTRAST = 0.12  # of the lesion's contrast, above the median at that distance
_BORDER_CM = 9.0  # longer borders meet more vessels: counts are given for this length
_NOISES = 3.0  # that threshold must exceed so many noise SDs, or strands cannot be told from noise


def strands_per_slice(
    hu: np.ndarray, mask: np.ndarray, host: np.ndarray, spacing: np.ndarray, slice_axis: int, noise_sd: float
) -> float | None:
    """Mean number of strands in the lesion's main slices; None where contrast is too low to see them.

    Where the border of the lesion is longer than 9 cm, the number is that on 9 cm of it.

    A strand is a connected part of the ring from 1 to 3 mm outside the border that is brighter than the median at the
    same distance by 12% of the lesion's contrast and crosses the ring. A wide edge is equally bright all round, so it
    has none; a vessel that meets the lesion counts as one.

    Args:
        hu: (X, Y, Z), a crop that holds the lesion and what is round it.
        mask: (X, Y, Z) boolean, the lesion.
        host: (X, Y, Z) boolean, the organ round it without lesions.
        spacing: mm, (3,).
        slice_axis: across slices.
        noise_sd: of the scanner, HU.
    """
    if not host.any():
        return None
    contrast = float(np.median(hu[mask]) - np.median(hu[host]))
    if contrast <= 0 or _CONTRAST * contrast < _NOISES * noise_sd:
        return None
    distance = np.moveaxis(signed_distance(mask, spacing, slice_axis), slice_axis, 0)
    values, around = np.moveaxis(hu, slice_axis, 0), np.moveaxis(host, slice_axis, 0)
    in_plane = np.delete(np.asarray(spacing, float), slice_axis)
    counts = [
        _in_slice(values[i], distance[i], around[i], contrast)
        * min(1.0, _BORDER_CM / _border_cm(distance[i], in_plane))
        for i in range(len(distance))
        if np.isfinite(distance[i]).any()
    ]
    return float(np.mean(counts)) if counts else None


def _border_cm(distance: np.ndarray, in_plane: np.ndarray) -> float:
    """Length of the border in a slice: the area of a band 2 mm wide about it, over its width."""
    return max(float((np.abs(distance) <= 1.0).sum() * np.prod(in_plane)) / 2.0 / 10.0, 0.1)


def _in_slice(hu: np.ndarray, distance: np.ndarray, host: np.ndarray, contrast: float) -> int:
    ring = host & (distance > _RING_MM[0]) & (distance < _RING_MM[1])
    above = np.zeros(hu.shape)
    for low in np.arange(_RING_MM[0] - _BIN_MM, _RING_MM[1], _BIN_MM):
        band = host & (distance >= low) & (distance < low + _BIN_MM)
        if band.any():
            above[band] = (hu[band] - np.median(hu[band])) / contrast
    parts, number = ndimage.label(ring & (above > _CONTRAST), np.ones((3, 3)))
    spans = [distance[parts == i] for i in range(1, number + 1)]
    return sum(bool(s.min() < _REACH_MM[0] and s.max() > _REACH_MM[1]) for s in spans)
