"""Figures of a nodule in its window that a person could name: what gives drawn ones away, one by one."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from studies.nodules.crops import lung_of
from studies.nodules.drawn import Sample
from synth.report.diameters import sphericity
from synth.report.half_contrast import NoduleBody, half_contrast_body, raggedness
from synth.report.strands import strands_per_slice

_SPACING = np.ones(3)
_SHELLS = ((-3.0, -2.0), (-2.0, -1.0), (-1.0, 0.0), (0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 5.0))
_SCALES_MM = (0.0, 1.0, 2.0)
_VESSEL = 0.3  # of the contrast, above the lung: what touches the nodule from outside
_LEAST = 6  # voxels


def features(sample: Sample) -> dict[str, float]:
    """Name -> figure; NaN where it cannot be measured (a core in a nodule of 5 mm)."""
    hu, outline = sample.hu, ndimage.binary_dilation(sample.body)
    lung = lung_of(hu.astype(np.int16), outline)
    found = half_contrast_body(hu, outline, lung & ~outline, _SPACING)
    if found is None:
        return {"contrast": 0.0}
    inside = ndimage.distance_transform_edt(found.mask)
    signed = np.where(found.mask, 0.5 - inside, ndimage.distance_transform_edt(~found.mask) - 0.5)
    contrast = 2 * (found.half_hu - found.lung_hu)
    out = {"contrast": contrast, "sphericity": sphericity(found.mask, _SPACING)}
    out["raggedness"] = raggedness(found, _SPACING)
    out["spicules"] = strands_per_slice(hu, found.mask, lung & ~found.mask, _SPACING, 2, 0.0) or 0.0
    out |= _profile(hu, signed, lung, found.lung_hu, contrast)
    gradient = np.linalg.norm(np.gradient(ndimage.gaussian_filter(hu, 0.5)), axis=0)
    border = (np.abs(signed) <= 1.0) & lung
    out["edge width, mm"] = contrast / max(float(np.percentile(gradient[border], 75)), 1.0)
    out["evenness of the edge"] = float(gradient[border].std() / max(gradient[border].mean(), 1.0))
    out |= _texture(hu, inside > 1.5)
    return out | _around(hu, signed, lung, found, contrast)


def _profile(hu: np.ndarray, signed: np.ndarray, lung: np.ndarray, low: float, contrast: float) -> dict[str, float]:
    """Median HU by distance from the border, of the contrast."""
    out = {}
    for a, b in _SHELLS:
        shell = hu[(signed > a) & (signed <= b) & lung]
        name = f"profile {a:g} to {b:g} mm"
        out[name] = float((np.median(shell) - low) / contrast) if shell.size >= _LEAST else float("nan")
    return out


def _texture(hu: np.ndarray, core: np.ndarray) -> dict[str, float]:
    """SD of the core by scale: as it is, and less what is smoother."""
    out = {}
    weight = core.astype(np.float32)
    layers = [_smoothed(hu, weight, s) for s in _SCALES_MM]
    for i, scale in enumerate(_SCALES_MM):
        detail = layers[i] - layers[i + 1] if i + 1 < len(layers) else layers[i]
        out[f"texture from {scale:g} mm, HU"] = float(detail[core].std()) if core.sum() >= 2 * _LEAST else float("nan")
    return out


def _smoothed(hu: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    if sigma == 0:
        return hu
    total = np.maximum(ndimage.gaussian_filter(weight, sigma), 1e-3)
    out: np.ndarray = ndimage.gaussian_filter(hu * weight, sigma) / total
    return out


def _around(
    hu: np.ndarray, signed: np.ndarray, lung: np.ndarray, found: NoduleBody, contrast: float
) -> dict[str, float]:
    """What touches the nodule: dense parts of the shell from 1 to 3 mm, and a dark one towards the chest wall."""
    shell = (signed > 1.0) & (signed <= 3.0)
    dense = shell & lung & (hu > found.lung_hu + _VESSEL * contrast)
    _, parts = ndimage.label(dense, np.ones((3, 3, 3)))
    wall = ndimage.binary_dilation(~lung, iterations=2) & lung & (signed > 0) & (signed <= 2.5)
    dark = float(np.median(hu[wall]) - found.lung_hu) if wall.sum() >= _LEAST else float("nan")
    return {
        "share of the shell that is dense": float(dense.sum() / max((shell & lung).sum(), 1)),
        "dense parts in the shell": float(parts),
        "HU between nodule and chest wall": dark,
    }
