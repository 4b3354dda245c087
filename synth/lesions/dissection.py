"""A dissection of the descending aorta: a flap that winds down the lumen, and the false lumen behind it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.changed import Changed, mixed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import smoothstep
from synth.lesions.lung_space import bounding
from synth.lesions.shape_ways import at_height, descending
from synth.report import location
from synth.report.noise import NoiseModel
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_BLUR_MM = 1.0
_WALL_MM = 1.2  # of the aorta, that is left as it is
_BLOOD_HU = 45.0  # without contrast
_CLOSED = 1.15  # of the radius: where the flap lies against the wall
_AROUND = 1.6  # of the radius: what is of the descending aorta, and not of the arch beside it


def dissection(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """From below the arch down, over the share of the descending aorta that is planned; in enhanced CT alone."""
    aorta = organs.mask("aorta")
    whole = bounding(aorta)
    if whole is None:
        raise InputError("dissection: the label map has no aorta; label it, or leave the finding out")
    if plan.phase == "native":
        raise InputError("dissection: without contrast its flap does not show; ask for a CT with contrast")
    line, radius = descending(aorta, host)
    box = location.grown(whole, host.hu.shape, host.spacing, 4.0)
    inside = aorta[box]
    points = world_of(np.argwhere(inside) + [s.start for s in box], host.affine)
    behind, flap = _behind_flap(plan, points, line, radius)
    depth = ndimage.distance_transform_edt(inside, sampling=host.spacing)[inside]
    lumen = ((depth - _WALL_MM) / _BLUR_MM + 0.5).clip(0, 1)
    n, hu = plan.numbers, np.ascontiguousarray(host.hu[box], np.float32)
    blood = float(np.median(hu[inside]))
    false_hu = _BLOOD_HU + n["enhanced"] * (blood - _BLOOD_HU)
    share, target = (np.zeros(inside.shape, np.float32) for _ in range(2))
    share[inside] = np.maximum(behind, flap) * lumen
    target[inside] = false_hu + flap * (n["flap_hu"] - false_hu)
    if not (share > 0.5).any():
        raise InputError("dissection: the descending aorta of this host is too narrow for its pixels; leave it out")
    return mixed(plan, box, hu, target, share, share > 0.5, noise)


def _behind_flap(
    plan: ExtentPlan, points: np.ndarray, line: np.ndarray, radius: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How much of voxels at RAS points (N, 3) lies in the false lumen, and how much in the flap; (N,) each."""
    n = plan.numbers
    long_mm = plan.amount * float(line[-1, 2] - line[0, 2])
    top = float(line[-1, 2]) - n["below_mm"] * min(1.0, long_mm / 100)
    low = max(top - long_mm, float(line[0, 2]))
    z = points[:, 2]
    wide = np.interp(z, line[:, 2], radius)
    away = points[:, :2] - at_height(line, z)
    angle = np.deg2rad(n["angle_deg"] + n["turn_deg"] * (z - low) / 100)
    across = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    height = (away * across).sum(axis=1)
    along = away[:, 0] * -across[:, 1] + away[:, 1] * across[:, 0]
    to_end = np.minimum(z - low, top - z)
    place = _CLOSED + (n["place"] - _CLOSED) * smoothstep(to_end, 0.0, n["taper_mm"])
    beyond = height - wide * (place + n["bow"] * ((along / wide) ** 2 - 0.5))
    here = (to_end > 0) & (np.linalg.norm(away, axis=1) < _AROUND * wide)
    behind = (beyond / _BLUR_MM + 0.5).clip(0, 1) * here
    flap = ((0.5 * n["thick_mm"] - np.abs(beyond)) / _BLUR_MM + 0.5).clip(0, 1) * here * (place < 1)
    return behind, flap
