"""Checks: numbers measured on a generated case, each with the range that it must lie in."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from prompts.vocabulary import Extent, Side
from synth import priors
from synth.data.measure_facts import measure
from synth.facts import ORGANS
from synth.plan import CasePlan
from synth.provenance import Check
from synth.report.diameters import axial_diameters
from synth.report.location import slice_axis
from synth.types import Case
from synth.wording import SHOULDERS_MM, SIDED

_TARGET_ML = (2.0, 5000.0)
_MAX_WIDTH_MM = 1000.0


def check_generated(case: Case, plan: CasePlan) -> list[Check]:
    """Organ volumes within the 1st to 99th percentile of real patients; extent and targets as asked.

    An organ that most training patients lack a mask of may be missing; where it is drawn it is checked too.
    """
    number = np.zeros(case.organs.ids.shape, np.uint8)
    for i, name in enumerate(ORGANS, start=1):
        number[case.organs.mask(name)] = i
    facts = measure(case.ct.hu, number, np.zeros_like(number), ORGANS, case.ct.affine)
    volumes = {name: facts.get(f"{name}_ml", 0.0) for name in ORGANS}
    checks = [_organ(name, ml) for name, ml in volumes.items() if ml > 0 or _must_be_drawn(name)]
    if (plan.request.extent or Extent.COMPLETE) in (Extent.COMPLETE, Extent.LOWER):
        checks.append(Check("shoulder_width_mm", facts["shoulder_width_mm"], SHOULDERS_MM, _MAX_WIDTH_MM))
    for target in plan.request.targets:
        checks += _target(case, f"planning_target_{int(target.dose_gy)}gy", target.side)
    return [Check(c.name, round(c.value, 3), c.low, c.high) for c in checks]


def _must_be_drawn(organ: str) -> bool:
    return priors.annotated_share(organ) >= 0.5


def _organ(name: str, volume_ml: float) -> Check:
    low, high = priors.organ_range(name)
    return Check(f"{name}_ml", volume_ml, round(low, 2), round(high, 2))


def _target(case: Case, name: str, side: Side | None) -> list[Check]:
    """Volume of a target, and its side as (left - right) / (left + right) about the anchor's sagittal plane."""
    inside = np.zeros(case.lesions.ids.shape, bool)
    for number, other in case.lesions.names.items():
        if other >= name:  # nested: a higher dose lies inside
            inside |= case.lesions.ids == number
    volume = float(inside.sum()) * case.ct.voxel_ml
    checks = [Check(f"{name}_ml", volume, _TARGET_ML[0], _TARGET_ML[1])]
    if side in (Side.LEFT, Side.RIGHT, Side.BILATERAL, Side.MIDLINE):
        x = case.ct.affine[0, 3] + case.ct.affine[0, 0] * np.arange(case.ct.hu.shape[0])
        per_slice = inside.sum(axis=(1, 2))
        left, right = float(per_slice[x < 0].sum()), float(per_slice[x > 0].sum())
        value = (left - right) / max(left + right, 1.0)
        low, high = {Side.LEFT: (SIDED, 1.0), Side.RIGHT: (-1.0, -SIDED)}.get(side, (-SIDED, SIDED))
        checks.append(Check(f"{name}_side", value, low, high))
    return checks


def check_inserted(case: Case, plan: CasePlan) -> list[Check]:
    """Every planned lesion is there, its long axis as planned to one voxel."""
    checks = []
    for lesion in plan.lesions:
        mask = case.lesions.ids == lesion.id
        axis = slice_axis(case.ct.affine)
        tolerance = float(np.delete(case.ct.spacing, axis).max())
        measured = axial_diameters(*_cropped(mask, case), axis).long_mm
        low, high = lesion.size_mm - tolerance, lesion.size_mm + tolerance
        checks.append(Check(f"{lesion.name}_long_axis_mm", round(measured, 2), round(low, 2), round(high, 2)))
    return checks


def _cropped(mask: np.ndarray, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The mask cut to its bounding box, and the spacing."""
    boxes: list[tuple[slice, ...]] = ndimage.find_objects(mask.astype(np.uint8))
    return (mask[boxes[0]] if boxes else mask[:0]), case.ct.spacing
