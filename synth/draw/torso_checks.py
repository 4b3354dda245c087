"""Checks of a generated torso: organs that its field shows whole have a patient's volume, each is in its place, and its
mask lies on tissue that is believable of it."""

from __future__ import annotations

import numpy as np

from synth.case.plan import GeneratePlan
from synth.provenance import Check
from synth.torso.atlas import LUNGS
from synth.torso.fitting import means
from synth.volumes import anatomy
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
# HU of the 5th and 95th percentile of a mask at 4 mm lie within what its median may be (anatomy.csv): so they do in the
# three labelled scans at hand. A mask that lies on its neighbours has air, fat or bone in a twentieth of it.
ATTENUATION = (
    "heart",
    "aorta",
    "liver",
    "spleen",
    "kidney_right",
    "kidney_left",
    "autochthon_right",
    "autochthon_left",
)
_PERCENTILES = (5.0, 95.0)
_SEEN_MM = 4.0  # noise is no tissue
_FEWEST = 100  # voxels of that: of a rim nothing is known
_FAR_MM = 400.0
_MIDLINE_MM = 35.0


def check_torso(case: Case, plan: GeneratePlan) -> list[Check]:
    """Volume of each organ that the region shows, and sides: RAS x is positive on the patient's right.

    None of a region that no limits are known of: one of a user's own, without facts.
    """
    shown = SHOWN.get(str(plan.region))
    if shown is None:
        return []
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
    checks += _attenuation(case)
    return [Check(c.name, round(c.value, 2), c.low, c.high) for c in checks]


def _attenuation(case: Case) -> list[Check]:
    """The darker and the brighter end of each organ that there is more than a rim of."""
    factor = max(1, round(_SEEN_MM / float(case.ct.spacing.min())))
    hu, inside = means(case.ct.hu, factor), case.organs.ids[(slice(factor // 2, None, factor),) * 3]
    inside = inside[tuple(slice(n) for n in hu.shape)]
    numbers = {name: number for number, name in case.organs.names.items()}
    checks = []
    for name in ATTENUATION:
        values = hu[inside == numbers[name]] if name in numbers else hu[:0].ravel()
        if len(values) >= _FEWEST:
            low, high = anatomy.table()[name].hu
            dark, bright = np.percentile(values, _PERCENTILES)
            checks.append(Check(f"{name}_hu_5th_percentile", float(dark), low, high))
            checks.append(Check(f"{name}_hu_95th_percentile", float(bright), low, high))
    return checks


def _x(case: Case, mask: np.ndarray) -> float:
    """RAS x of the middle of a mask in mm; far off where there is none."""
    if not mask.any():
        return 10 * _FAR_MM
    return float(world_of(np.argwhere(mask).mean(axis=0), case.ct.affine)[0])
