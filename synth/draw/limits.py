"""Checks of a generated case against the limits of its region: organs that its field shows whole have a patient's
volume, each is in its place, and its mask lies on tissue that is believable of it."""

from __future__ import annotations

import numpy as np

from synth.provenance import Check
from synth.regions import Region
from synth.regions.limits import OrganLimits
from synth.torso.fitting import means
from synth.volumes import anatomy
from synth.volumes.geometry import world_of
from synth.volumes.types import Case

# HU of these percentiles of a mask at 4 mm lie within what its median may be (anatomy.csv): so they do in the three
# labelled scans at hand. A mask that lies on its neighbours has air, fat or bone in a twentieth of it.
_PERCENTILES = (5.0, 95.0)
_SEEN_MM = 4.0  # noise is no tissue
_FEWEST = 100  # voxels of that: of a rim nothing is known
_FAR_MM = 400.0
_BESIDE_MM = 10.0
_MIDLINE_MM = 35.0


def check_limits(case: Case, region: Region, shown: str) -> list[Check]:
    """Volume of each organ that a field of view shows whole, sides, and HU; none where the region has no limits for it.

    Sides: RAS x is positive on the patient's right. `shown`: the prompt's word for the region.
    """
    organs = {name: of for name, of in region.limits.organs.items() if shown in of.shown}
    if not organs:
        return []
    masks = {name: case.organs.mask(*region.named_like(*(of.of or (name,)))) for name, of in organs.items()}
    checks = [
        Check(f"{name}_ml", float(mask.sum()) * case.ct.voxel_ml, *organs[name].ml) for name, mask in masks.items()
    ]
    checks += _sides(case, region, organs, masks)
    for name, of in organs.items():
        if of.between and all(other in masks for other in of.between):
            low, high = (_x(case, masks[other]) for other in of.between)
            checks.append(Check(f"{name}_between_mm", _x(case, masks[name]), round(low, 2), round(high, 2)))
    checks += attenuation_checks(case, region.limits.attenuation)
    return [Check(c.name, round(c.value, 2), c.low, c.high) for c in checks]


def _sides(case: Case, region: Region, organs: dict[str, OrganLimits], masks: dict[str, np.ndarray]) -> list[Check]:
    """The midline, and how far to their own side of it organs lie."""
    if region.limits.midline is None:
        return []
    middle = _x(case, case.organs.mask(*region.named_like(region.limits.midline)))
    checks = [Check("midline_x_mm", middle, -_MIDLINE_MM, _MIDLINE_MM)]
    for name, of in organs.items():
        if of.side is not None:
            sign = 1.0 if of.side == "right" else -1.0
            beside = sign * (_x(case, masks[name]) - middle)
            checks.append(Check(f"{name}_beside_midline_mm", beside, _BESIDE_MM, _FAR_MM))
    return checks


def attenuation_checks(case: Case, names: tuple[str, ...]) -> list[Check]:
    """The darker and the brighter end of each organ that there is more than a rim of."""
    factor = max(1, round(_SEEN_MM / float(case.ct.spacing.min())))
    hu, inside = means(case.ct.hu, factor), case.organs.ids[(slice(factor // 2, None, factor),) * 3]
    inside = inside[tuple(slice(n) for n in hu.shape)]
    numbers = {name: number for number, name in case.organs.names.items()}
    checks = []
    for name in names:
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
