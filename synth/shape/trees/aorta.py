"""An aorta that is filled: where the scan of its look has a clot, a false lumen or plaques, there is blood.

A drawn patient has what was asked for, and nobody asks for the disease of another. Only the descending aorta, which is
round in axial slices, and only where part of it is dark.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.volumes.geometry import voxel_spacing

_ENHANCED_HU = 100.0  # of blood: below, dark parts are none
_ALONG_MM = 8.0  # over which middle, radius and blood are averaged from slice to slice
_ABOUT_MM = 32.0  # within which a slice is that has the blood of its level
_WALL_MM = 2.0  # at the border that is as it was
_WIDEST_MM, _LEAST_MM2 = 17.0, 60.0  # radius of an aorta that is not wide; least area of one
_DARK, _LUMEN = 0.65, 90.0  # of the blood's HU; percentile of a slice that is blood
_SOME = 0.12  # share of a slice that is dark, from which it is filled
_GRAIN_MM, _GRAIN_HU = 3.0, 25.0


def filled(hu: np.ndarray, affine: np.ndarray, aorta: np.ndarray, front: float, heart_hu: float) -> np.ndarray:
    """HU (X, Y, Z) with the descending aorta filled; as it was where neither heart nor aorta is enhanced.

    Args:
        hu, aorta: (X, Y, Z) HU and mask; affine: (4, 4) RAS mm, axes along the patient's.
        front: RAS y, mm, behind which the aorta descends.
        heart_hu: median of the heart. A slice alone does not tell contrast: bone beside the aorta is as bright.
    """
    if not aorta.any() or max(heart_hu, float(np.median(hu[aorta]))) < _ENHANCED_HU:
        return hu
    spacing = voxel_spacing(affine)
    round_ = _discs(aorta, affine, front)
    if len(round_) < 3:
        return hu
    z, middle, radius = round_[:, 0].astype(int), round_[:, 1:3], round_[:, 3]
    sigma = _ALONG_MM / spacing[2]
    middle, radius = ndimage.gaussian_filter1d(middle, sigma, axis=0), ndimage.gaussian_filter1d(radius, sigma)
    out = np.array(hu, np.float32)
    within = [_distance(hu.shape, affine, m) < r - _WALL_MM for m, r in zip(middle, radius, strict=True)]
    lumen = [np.percentile(hu[..., k][w], _LUMEN) if w.any() else 0.0 for k, w in zip(z, within, strict=True)]
    about = max(1, round(_ABOUT_MM / spacing[2]))
    blood = ndimage.gaussian_filter1d(ndimage.maximum_filter1d(np.array(lumen), about), sigma)
    dark = [(hu[..., k][w] < _DARK * b).sum() > _SOME * w.sum() for k, w, b in zip(z, within, blood, strict=True)]
    much = ndimage.gaussian_filter1d(np.array(dark, float), sigma / 2)
    for k, m, r, b, share in zip(z, middle, radius, blood, much, strict=True):
        if b < _ENHANCED_HU or share < 0.01:
            continue
        here = hu[..., k]
        grain = here - ndimage.gaussian_filter(here, _GRAIN_MM / spacing[:2])
        deep = ((r - _distance(hu.shape, affine, m)) / _WALL_MM).clip(0, 1) * share
        level = b + _GRAIN_HU * np.tanh(grain / (4 * _GRAIN_HU))
        out[..., k] = here + deep * (level - here)
    return out


def _discs(aorta: np.ndarray, affine: np.ndarray, front: float) -> np.ndarray:
    """Slice, middle x and y in mm, and radius in mm of the descending aorta, a row for each slice that shows it."""
    spacing = voxel_spacing(affine)
    rows = []
    for k in np.flatnonzero(aorta.any(axis=(0, 1))):
        pieces, count = ndimage.label(aorta[..., k])
        for number in range(1, count + 1):
            index = np.argwhere(pieces == number)
            area = len(index) * spacing[0] * spacing[1]
            x, y = (index.mean(axis=0) * np.diag(affine)[:2] + affine[:2, 3]).tolist()
            radius = float(np.sqrt(area / np.pi))
            if y < front and area >= _LEAST_MM2 and radius < _WIDEST_MM:
                rows.append((k, x, y, radius))
    best = {row[0]: row for row in sorted(rows, key=lambda row: row[3])}  # the largest of a slice
    return np.array([best[k] for k in sorted(best)]).reshape(-1, 4)


def _distance(shape: tuple[int, ...], affine: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """mm of each voxel of an axial slice from a point (x, y), (X, Y)."""
    x = affine[0, 3] + affine[0, 0] * np.arange(shape[0])
    y = affine[1, 3] + affine[1, 1] * np.arange(shape[1])
    return np.asarray(np.hypot(x[:, None] - middle[0], y[None] - middle[1]))
