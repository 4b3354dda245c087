"""The body of a lesion in the lung as HU show it: what lies above half of its contrast, whatever the outline was.

A reader's outline of a nodule lies outside its border by about a pixel, a drawn mask on it; measures of the border
start from this one. It is where a blurred edge passes half, so a nodule's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import erf

from synth.report.diameters import surface_points

_BLUR_MM = 0.7  # SD: noise would make the border ragged
_DENSE = 90  # percentile of the lesion that is its own attenuation: the outline may hold lung
_GROWN_MM = 1.0  # how far outside the outline the body may reach
_AWAY_MM = 3.0  # from the outline to lung that knows nothing of it
_LEAST_CONTRAST_HU = 60.0
_LEAST_VOXELS = 8
_FINE_MM = 1.0
_PARTIAL_MM = 1.5  # SD of the blur of slices of 1 to 3 mm, by which small lesions lose contrast
_LEAST_KEPT = 0.4  # of the contrast: what is smaller is not told from noise


@dataclass(frozen=True)
class NoduleBody:
    """A lesion in the lung at half contrast.

    mask: (X, Y, Z) boolean, connected. lung_hu, half_hu: median round it, and half way from there to the lesion.
    smooth: (X, Y, Z) float32 HU without most of the noise.
    kept: share of its contrast that a ball of its volume keeps at its centre under the blur of a scan.
    """

    mask: np.ndarray
    lung_hu: float
    half_hu: float
    smooth: np.ndarray
    kept: float

    def restored(self, where: np.ndarray) -> np.ndarray:
        """HU of voxels (N,) as they would be without partial volume."""
        out: np.ndarray = self.lung_hu + (self.smooth[where] - self.lung_hu) / self.kept
        return out

    def dense_hu(self, outline: np.ndarray) -> float:
        """Attenuation of the densest tenth within an outline (X, Y, Z), without partial volume."""
        return float(np.percentile(self.restored(outline), _DENSE))


def half_contrast_body(hu: np.ndarray, mask: np.ndarray, host: np.ndarray, spacing: np.ndarray) -> NoduleBody | None:
    """The largest connected part of what is denser than half way from lung to lesion.

    Args:
        hu: (X, Y, Z), a crop that holds the lesion and some mm round it.
        mask: (X, Y, Z) boolean, the lesion as outlined.
        host: (X, Y, Z) boolean, the lung without lesions.
        spacing: mm, (3,).

    Returns:
        None where the lesion is hardly denser than the lung, or no lung is in the crop.
    """
    spacing = np.asarray(spacing, float)
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
    away = host & (outside > _AWAY_MM)
    if not away.any() or not mask.any():
        return None
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), _BLUR_MM / spacing)
    low, high = float(np.median(hu[away])), float(np.percentile(smooth[mask], _DENSE))
    if high - low < _LEAST_CONTRAST_HU:
        return None
    dense = (smooth > (low + high) / 2) & (mask | (host & (outside <= max(_GROWN_MM, float(spacing.min())))))
    parts, number = ndimage.label(dense)
    size = np.bincount(parts.ravel(), minlength=number + 1)[1:]
    if not number or size.max() < _LEAST_VOXELS:
        return None
    body = np.asarray(parts == 1 + int(size.argmax()))
    kept = _kept((0.75 / np.pi * float(size.max()) * float(np.prod(spacing))) ** (1 / 3))
    return NoduleBody(body, low, (low + high) / 2, smooth, kept)


def _kept(radius_mm: float) -> float:
    """Value at the centre of a ball of 1 that is blurred by a Gaussian of `_PARTIAL_MM`."""
    x = radius_mm / (np.sqrt(2) * _PARTIAL_MM)
    return max(float(erf(x) - 2 / np.sqrt(np.pi) * x * np.exp(-(x**2))), _LEAST_KEPT)


def raggedness(body: NoduleBody, spacing: np.ndarray) -> float:
    """SD of the radius of a body's surface about its spherical harmonics up to the second order, of the mean radius.

    0 for balls and nearly so for ellipsoids. Thick slices are interpolated first, or their steps would count.
    """
    spacing = np.asarray(spacing, float)
    near = ndimage.binary_dilation(body.mask)
    field, fine = np.where(near, body.smooth, body.lung_hu), np.maximum(np.round(spacing / _FINE_MM), 1.0)
    if (fine > 1).any():
        field = ndimage.zoom(field, fine, order=1, mode="nearest", grid_mode=True)
    spacing = spacing / fine
    mask = field > body.half_hu
    offset = surface_points(mask, spacing) - (np.argwhere(mask) * spacing).mean(axis=0)
    radius = np.linalg.norm(offset, axis=1)
    x, y, z = (offset / np.maximum(radius, 1e-6)[:, None]).T
    basis = np.stack([np.ones_like(x), x, y, z, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], axis=1)
    fit = basis @ np.linalg.lstsq(basis, radius, rcond=None)[0]
    return float((radius - fit).std() / max(float(radius.mean()), 1e-6))
