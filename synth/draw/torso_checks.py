"""Checks of a generated torso: organs that its field shows whole have a patient's volume, and each is in its place."""

from __future__ import annotations

import numpy as np

from synth.case.plan import GeneratePlan
from synth.provenance import Check
from synth.torso.atlas import LUNGS
from synth.volumes.geometry import world_of
from synth.volumes.types import Case

# mL of adults, wide: limits of our own about what labelled scans have, not percentiles; fewer than 20 scans have none.
VOLUMES_ML = {
    "lung_right": (900.0, 4800.0),
    "lung_left": (700.0, 4300.0),
    "heart": (300.0, 1300.0),
    "liver": (800.0, 2800.0),
    "spleen": (60.0, 600.0),
    "kidney_right": (70.0, 350.0),
    "kidney_left": (70.0, 350.0),
}
PARTS = {
    "lung_right": tuple(n for n in LUNGS if n.endswith("right")),
    "lung_left": tuple(n for n in LUNGS if n.endswith("left")),
}
SHOWN = {
    "chest": ("lung_right", "lung_left", "heart"),
    "abdomen": ("liver", "spleen", "kidney_right", "kidney_left"),
    "chest_abdomen": tuple(VOLUMES_ML),
}
_FAR_MM = 400.0
_MIDLINE_MM = 35.0


def check_torso(case: Case, plan: GeneratePlan) -> list[Check]:
    """Volume of each organ that the region shows, and sides: RAS x is positive on the patient's right."""
    shown = SHOWN[str(plan.region)]
    masks = {name: case.organs.mask(*PARTS.get(name, (name,))) for name in shown}
    checks = [
        Check(f"{name}_ml", float(mask.sum()) * case.ct.voxel_ml, *VOLUMES_ML[name]) for name, mask in masks.items()
    ]
    spine = case.organs.mask(*(n for n in case.organs.names.values() if n.startswith("vertebrae_")))
    middle = _x(case, spine)
    checks.append(Check("spine_x_mm", middle, -_MIDLINE_MM, _MIDLINE_MM))
    right = ("lung_right", "liver", "kidney_right")
    left = ("lung_left", "spleen", "kidney_left")
    for name, mask in masks.items():
        side = 1.0 if name in right else -1.0 if name in left else 0.0
        if side:
            checks.append(Check(f"{name}_beside_spine_mm", side * (_x(case, mask) - middle), 10.0, _FAR_MM))
    if "heart" in masks:
        low, high = (_x(case, masks[name]) for name in ("lung_left", "lung_right"))
        checks.append(Check("heart_between_lungs_mm", _x(case, masks["heart"]), round(low, 2), round(high, 2)))
    return [Check(c.name, round(c.value, 2), c.low, c.high) for c in checks]


def _x(case: Case, mask: np.ndarray) -> float:
    """RAS x of the middle of a mask in mm; far off where there is none."""
    if not mask.any():
        return 10 * _FAR_MM
    return float(world_of(np.argwhere(mask).mean(axis=0), case.ct.affine)[0])
