"""Measure a placed head-and-neck patient: the facts that condition training."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.facts import DOSES_GY, ORGANS

_BODY_HU = -300
_BONE_HU = 250
_VESSEL_HU = (115, 245)  # enhanced blood at the soft-tissue sampling of 4 mm
_BONE_MARGIN_VOXELS = 2
_SHOULDER_ZONE_MM = 48.0  # the lowest part of the field, where shoulders are if they are in it
_EXTENT = (
    "top_mm",
    "bottom_mm",
    "face_top_mm",
    "shoulder_width_mm",
    "front_mm",
    "back_mm",
    "neck_area_cm2",
    "body_ml",
)


def measure(
    hu: np.ndarray, organs: np.ndarray, dose: np.ndarray, annotated: tuple[str, ...], affine: np.ndarray
) -> dict[str, float]:
    """Facts by name of one placed volume.

    Args:
        hu: (X, Y, Z) HU on an isotropic RAS grid with the anchor at the origin.
        organs: (X, Y, Z), 1 + position in facts.ORGANS.
        dose: (X, Y, Z) prescribed dose in Gy, nested, the highest wins.
        annotated: names of the organs that were drawn.
        affine: (4, 4) RAS mm.
    """
    spacing = float(affine[0, 0])
    voxel_ml = spacing**3 / 1000
    facts = _extent(hu, affine, spacing, voxel_ml)
    facts["enhanced_permille"] = _enhancement(hu)
    for level in DOSES_GY:
        facts |= _target(dose, level, affine, voxel_ml)
    for number, name in enumerate(ORGANS, start=1):
        volume = float((organs == number).sum()) * voxel_ml
        if name in annotated and volume > 0:
            facts[f"{name}_ml"] = volume
    return facts


def _extent(hu: np.ndarray, affine: np.ndarray, spacing: float, voxel_ml: float) -> dict[str, float]:
    body = hu > _BODY_HU
    if not body.any():  # a generated volume may have none, and is then rejected by its numbers
        return dict.fromkeys(_EXTENT, 0.0)
    axes = [affine[i, 3] + spacing * np.arange(n) for i, n in enumerate(hu.shape)]
    ys, zs = (axes[i][body.any(axis=others)] for i, others in ((1, (0, 2)), (2, (0, 1))))
    face = body[:, axes[1] > 50.0].any(axis=(0, 1))
    low = body[:, :, (axes[2] >= zs.min()) & (axes[2] < zs.min() + _SHOULDER_ZONE_MM)].any(axis=(1, 2))
    area = body.sum(axis=(0, 1)) * spacing**2 / 100
    return {
        "top_mm": float(zs.max()),
        "bottom_mm": float(-zs.min()),
        "face_top_mm": float(axes[2][face].max()) if face.any() else 0.0,
        "shoulder_width_mm": float(low.sum() * spacing),
        "front_mm": float(ys.max()),
        "back_mm": float(-ys.min()),
        "neck_area_cm2": float(np.median(area[(axes[2] > -90) & (axes[2] < -30)])),
        "body_ml": float(body.sum() * voxel_ml),
    }


def _enhancement(hu: np.ndarray) -> float:
    """Per mille of soft tissue that is as bright as enhanced blood, away from bone."""
    near_bone = ndimage.binary_dilation(hu > _BONE_HU, iterations=_BONE_MARGIN_VOXELS)
    tissue = (hu > -50) & ~near_bone
    bright = tissue & (hu >= _VESSEL_HU[0]) & (hu <= _VESSEL_HU[1])
    return 1000.0 * float(bright.sum()) / max(float(tissue.sum()), 1.0)


def _target(dose: np.ndarray, level: int, affine: np.ndarray, voxel_ml: float) -> dict[str, float]:
    """Volume, and side as (left - right) / (left + right) about the anchor's sagittal plane."""
    inside = dose >= level
    if not (dose == level).any():
        return {f"target_{level}_ml": 0.0}
    x = affine[0, 3] + affine[0, 0] * np.arange(dose.shape[0])
    per_slice = inside.sum(axis=(1, 2))
    left, right = float(per_slice[x < 0].sum()), float(per_slice[x > 0].sum())
    return {
        f"target_{level}_ml": float(inside.sum()) * voxel_ml,
        f"target_{level}_side": (left - right) / max(left + right, 1.0),
    }
