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
_PIXEL_MM = 1.25
_RESOLVED = (0.30, 0.05)  # of all, and more for each pixel that the lesion is across
_MEDIAN_SIZE = 0.6745  # of a Gaussian of SD 1
_NOISES = 3.0  # that threshold must exceed so many noise SDs, or strands cannot be told from noise


def strands_per_slice(
    hu: np.ndarray, mask: np.ndarray, host: np.ndarray, spacing: np.ndarray, slice_axis: int, noise_sd: float | None
) -> float | None:
    """Mean number of strands in the lesion's main slices; None where contrast is too low to see them.

    Where the border of the lesion is longer than 9 cm, the number is that on 9 cm of it. On pixels of more than 1.25 mm
    neighbouring strands run together, and the number is what finer ones would show.

    A strand is a connected part of the ring from 1 to 3 mm outside the border that is brighter than the median at the
    same distance by 12% of the lesion's contrast and crosses the ring. A wide edge is equally bright all round, so it
    has none; a vessel that meets the lesion counts as one.

    Args:
        hu: (X, Y, Z), a crop that holds the lesion and what is round it.
        mask: (X, Y, Z) boolean, the lesion.
        host: (X, Y, Z) boolean, the organ round it without lesions.
        spacing: mm, (3,).
        slice_axis: across slices.
        noise_sd: of the scanner, HU; None: the organ's own detail stands for it.
    """
    if not host.any():
        return None
    contrast = float(np.median(hu[mask]) - np.median(hu[host]))
    noise_sd = _detail_sd(hu, host, slice_axis) if noise_sd is None else noise_sd
    if contrast <= 0 or _CONTRAST * contrast < _NOISES * noise_sd:
        return None
    pixel = float(np.delete(np.asarray(spacing, float), slice_axis).max())
    hu, mask, host, spacing = _fine(hu, mask, host, np.asarray(spacing, float), slice_axis)
    distance = np.moveaxis(signed_distance(mask, spacing, slice_axis), slice_axis, 0)
    values, around = np.moveaxis(hu, slice_axis, 0), np.moveaxis(host, slice_axis, 0)
    in_plane = np.delete(spacing, slice_axis)
    slices = [i for i in range(len(distance)) if np.isfinite(distance[i]).any()]
    borders = [_border_cm(distance[i], in_plane) for i in slices]
    counts = [
        _in_slice(values[i], distance[i], around[i], contrast) * min(1.0, _BORDER_CM / border)
        for i, border in zip(slices, borders, strict=True)
    ]
    return float(np.mean(counts)) / _resolved(float(np.max(borders)), pixel) if counts else None


def _detail_sd(hu: np.ndarray, host: np.ndarray, slice_axis: int) -> float:
    """HU SD of white noise whose diagonal detail in the slice is the median one of the host; 0 where there is none."""
    values, inside = np.moveaxis(hu, slice_axis, 0), np.moveaxis(host, slice_axis, 0)
    detail = values[:, 1:, 1:] - values[:, :-1, 1:] - values[:, 1:, :-1] + values[:, :-1, :-1]
    inside = inside[:, 1:, 1:] & inside[:, :-1, 1:] & inside[:, 1:, :-1] & inside[:, :-1, :-1]
    return float(np.median(np.abs(detail[inside]))) / _MEDIAN_SIZE / 2.0 if inside.any() else 0.0


def _resolved(border_cm: float, pixel: float) -> float:
    """Share of the strands that coarse pixels keep apart, measured on drawn nodules of 8 to 28 mm at 2 mm."""
    if pixel <= _PIXEL_MM:
        return 1.0
    across = 10 * border_cm / np.pi / pixel
    return min(1.0, _RESOLVED[0] + _RESOLVED[1] * across)


def _fine(
    hu: np.ndarray, mask: np.ndarray, host: np.ndarray, spacing: np.ndarray, slice_axis: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The same with pixels of at most `_PIXEL_MM`: the ring would be one pixel wide."""
    times = np.maximum(np.ceil(spacing / _PIXEL_MM - 1e-6), 1.0)
    times[slice_axis] = 1.0
    if (times == 1).all():
        return hu, mask, host, spacing
    values = ndimage.zoom(hu.astype(np.float32), times, order=1, mode="nearest", grid_mode=True)
    inside = ndimage.zoom(mask.astype(np.float32), times, order=1, mode="nearest", grid_mode=True) > 0.5
    around = ndimage.zoom(host, times, order=0, mode="nearest", grid_mode=True)
    return values, inside, around & ~inside, spacing / times


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
