"""Measure a placed head-and-neck patient: the facts that condition training."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.facts import DOSES_GY, ORGANS

_BODY_HU = -300
_BONE_HU = 220
_VESSEL_MM = 4.0  # the sampling at which vessels are measured: coarser ones blur them
_BONE_MARGIN_VOXELS, _SKIN_MARGIN_VOXELS = 2, 3
_SOFT_HU = -20  # darker is fat or air
_DEEP_NECK_MM = ((14.0, 60.0), (-40.0, 60.0), (-100.0, -20.0))  # |x|, y, z: carotids and jugular veins, no airway
_VESSEL_PERCENTILE = 95.0
_FEWEST_VOXELS = 100
_SHOULDER_ZONE_MM = 48.0  # the lowest part of the field, where shoulders are if they are in it
EXTENT = (
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
    facts = extent(hu, affine)
    if (vessels := neck_vessels(hu, affine)) is not None:
        facts["neck_vessels_hu"] = vessels
    for level in DOSES_GY:
        facts |= _target(dose, level, affine, voxel_ml)
    for number, name in enumerate(ORGANS, start=1):
        volume = float((organs == number).sum()) * voxel_ml
        if name in annotated and volume > 0:
            facts[f"{name}_ml"] = volume
    return facts


def extent(hu: np.ndarray, affine: np.ndarray) -> dict[str, float]:
    """The facts of them that are of the field of view and the body's outline."""
    spacing = float(affine[0, 0])
    body = hu > _BODY_HU
    if not body.any():  # a generated volume may have none, and is then rejected by its numbers
        return dict.fromkeys(EXTENT, 0.0)
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
        "body_ml": float(body.sum() * spacing**3 / 1000),
    }


def neck_vessels(hu: np.ndarray, affine: np.ndarray) -> float | None:
    """HU of the brightest twentieth of the deep neck's soft tissue, away from bone: its vessels, if they are enhanced.

    Over 191 patients it has two peaks, at 60 HU and about 110 HU. None where the grid is coarser than 4 mm or hardly
    any neck is in it.
    """
    pooled, affine = _at_vessel_sampling(hu, affine)
    if affine[0, 0] > _VESSEL_MM + 1e-3:
        return None
    axes = [affine[i, 3] + affine[i, i] * np.arange(n) for i, n in enumerate(pooled.shape)]
    x, y, z = np.meshgrid(np.abs(axes[0]), axes[1], axes[2], indexing="ij", sparse=True)
    region = np.ones(pooled.shape, bool)
    for axis, (low, high) in zip((x, y, z), _DEEP_NECK_MM, strict=True):
        region &= (axis > low) & (axis < high)
    near_bone = ndimage.binary_dilation(pooled > _BONE_HU, iterations=_BONE_MARGIN_VOXELS)
    deep = ndimage.binary_erosion(pooled > _BODY_HU, iterations=_SKIN_MARGIN_VOXELS)
    values = pooled[region & deep & ~near_bone & (pooled > _SOFT_HU)]
    return float(np.percentile(values, _VESSEL_PERCENTILE)) if values.size >= _FEWEST_VOXELS else None


def _at_vessel_sampling(hu: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finer grids averaged to 4 mm, as the networks' grids are nested."""
    factor = round(_VESSEL_MM / float(affine[0, 0]))
    if factor < 2:
        return hu, affine
    shape = [n // factor for n in hu.shape]
    cut = hu[tuple(slice(n * factor) for n in shape)].astype(np.float32)
    pooled = cut.reshape([k for n in shape for k in (n, factor)]).mean(axis=(1, 3, 5))
    coarse = affine.copy()
    coarse[:3, :3] *= factor
    coarse[:3, 3] += affine[:3, :3].sum(axis=1) * (factor - 1) / 2
    return pooled, coarse


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
