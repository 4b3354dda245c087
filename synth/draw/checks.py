"""Checks: numbers measured on a generated case, each with the range that it must lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prompts import CaseRequest
from prompts.vocabulary import Side
from synth.case.plan import CasePlan, GeneratePlan
from synth.draw.limits import check_limits
from synth.lesions.acceptance import attribute_checks
from synth.lesions.extent_acceptance import ML_WITHIN, extent_checks
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.lesion_plan import LesionPlan
from synth.provenance import Check
from synth.regions import Region
from synth.regions.given import Given
from synth.regions.prior import Prior
from synth.regions.sides import side_range, side_share
from synth.regions.words import asked_words
from synth.report.measurements import LesionMeasurement, Measurements
from synth.volumes.types import Case

_TARGET_ML = (2.0, 5000.0)
_OWN_ML = 0.5  # a target that is all of a higher dose is not to be seen
_ANY = 5000.0  # beyond every HU and every cross-section
_SCAFFOLD_MM = 8.0  # where `refine` draws on the scaffold
_SHOWN_DICE = {"brainstem": 0.5, "parotid_gland_right": 0.4, "parotid_gland_left": 0.4, "mandible": 0.5}
_LONG_AXIS_SHARE = 0.05  # tolerance of a long axis, or one voxel where that is more


def check_generated(
    case: Case, plan: GeneratePlan, region: Region, prior: Prior | None, given: Given | None = None
) -> list[Check]:
    """What a drawn case is measured by: the facts of its region, as the patients of `prior` have them, and its limits.

    `region`, `prior`: of the weights; a region without facts has no prior.
    """
    facts = [] if prior is None else _check_facts(case, plan, prior, given)
    return [*facts, *check_limits(case, region, str(plan.region))]


def _check_facts(case: Case, plan: GeneratePlan, prior: Prior, given: Given | None) -> list[Check]:
    """Organ volumes within the 1st to 99th percentile of real patients; extent and targets as asked.

    An organ that most training patients lack a mask of may be missing; where it is drawn it is checked too.
    """
    region = prior.region
    number = region.numbers(case.organs)
    placed = region.placed(case.ct.hu, case.ct.affine, number, np.zeros_like(number), region.organs)
    facts = region.measure(placed)
    volumes = {name: float((number == i).sum()) * placed.voxel_ml for i, name in enumerate(region.organs, start=1)}
    drawn = [name for name in region.organs if given is None or name not in given.volumes_ml()]
    drawn = [name for name in drawn if volumes[name] > 0 or not prior.may_be_missing(name)]
    checks = [_organ(name, volumes[name], prior) for name in drawn]
    field = str(plan.request.extent) if plan.request.extent else next(iter(region.fields), "")
    if field in region.fields:
        ranges = region.fields[field].check.items()
        checks += [Check(name, facts.get(name, 0.0), low, high) for name, (low, high) in ranges]
    checks += _words(region, plan.request, facts)
    for target in plan.request.targets:
        checks += _target(case, f"planning_target_{int(target.dose_gy)}gy", target.side)
    return [Check(c.name, round(c.value, 3), c.low, c.high) for c in checks]


def check_given(given: Given, seen: np.ndarray) -> list[Check]:
    """Dice of each given organ with what is seen of it; a least value where the network sees it reliably in patients.

    `seen`: (X, Y, Z) numbers as in Given, read off the CT alone.
    """
    least = _SHOWN_DICE if given.spacing < _SCAFFOLD_MM else {}  # there it reads by the scaffold, which would tell it
    shown = dice_of(given.number, seen, given.region.organs)
    return [Check(f"{name}_shown_dice", round(dice, 3), least.get(name, 0.0), 1.0) for name, dice in shown.items()]


def dice_of(given: np.ndarray, seen: np.ndarray, organs: Sequence[str]) -> dict[str, float]:
    """Dice of each organ that is given: numbers, 1 + position in `organs`."""
    masks = {name: (given == i, seen == i) for i, name in enumerate(organs, start=1)}
    return {n: 2 * float((a & b).sum()) / float(a.sum() + b.sum()) for n, (a, b) in masks.items() if a.any()}


def _organ(name: str, volume_ml: float, prior: Prior) -> Check:
    low, high = prior.organ_range(name)
    return Check(prior.region.volume_name(name), volume_ml, round(low, 2), round(high, 2))


def _words(region: Region, request: CaseRequest, facts: Mapping[str, float]) -> list[Check]:
    """Contrast and habitus where a word was said of them, and the fact can be read at this spacing.

    Contrast that was asked for must not read as none; faint contrast passes (Fact.checked).
    """
    checks = []
    for attribute, word in asked_words(region, request):
        fact = region.word_fact(attribute)
        if fact is not None and fact.name in facts:
            low, high = fact.checked(attribute, word)
            checks.append(Check(fact.name, facts[fact.name], max(low, -_ANY), min(high, _ANY)))
    return checks


def _target(case: Case, name: str, side: Side | None) -> list[Check]:
    """Volume of a target, how much of it is of no higher dose, and its side.

    A side is (left - right) / (left + right) about the anchor's sagittal plane.
    """
    inside = np.zeros(case.lesions.ids.shape, bool)
    for number, other in case.lesions.names.items():
        if other >= name:  # nested: a higher dose lies inside
            inside |= case.lesions.ids == number
    volume = float(inside.sum()) * case.ct.voxel_ml
    checks = [Check(f"{name}_ml", volume, _TARGET_ML[0], _TARGET_ML[1])]
    if any(other > name for other in case.lesions.names.values()):
        own = float(case.lesions.mask(name).sum()) * case.ct.voxel_ml
        checks.append(Check(f"{name}_own_ml", own, _OWN_ML, _TARGET_ML[1]))
    if side is not None:
        x = case.ct.affine[0, 3] + case.ct.affine[0, 0] * np.arange(case.ct.hu.shape[0])
        checks.append(Check(f"{name}_side", side_share(inside, x), *side_range(side)))
    return checks


def _size(lesion: LesionPlan, found: LesionMeasurement, pixel_mm: float) -> Check:
    """The long axis, or the volume of fluid where that was asked for, against the plan."""
    if lesion.volume_ml is not None:
        low, high = (round(lesion.volume_ml * (1 + sign * ML_WITHIN), 2) for sign in (-1, 1))
        return Check(f"{lesion.name}_volume_ml", round(found.volume_ml, 2), low, high)
    tolerance = max(pixel_mm, _LONG_AXIS_SHARE * lesion.size_mm)
    low, high = round(lesion.size_mm - tolerance, 2), round(lesion.size_mm + tolerance, 2)
    return Check(f"{lesion.name}_long_axis_mm", round(found.long_axis_mm, 2), low, high)


def check_inserted(measured: Measurements, plan: CasePlan) -> list[Check]:
    """Every planned lesion is there, its long axis as planned and each attribute that was asked for as asked."""
    found = {lesion.id: lesion for lesion in measured.lesions}
    spacing = measured.volume.spacing_mm
    checks = []
    for lesion in plan.lesions:
        if lesion.id not in found:
            checks.append(Check(f"{lesion.name}_voxels", 0.0, 1.0, 1e9))
            continue
        if isinstance(lesion, ExtentPlan):
            checks += [
                Check(f"{lesion.name}_{c.name}", round(c.value, 4), c.low, c.high)
                for c in extent_checks(lesion, found[lesion.id])
            ]
            continue
        checks.append(_size(lesion, found[lesion.id], max(spacing[:2])))
        if lesion.asked:
            checks += [
                Check(f"{lesion.name}_{c.name}", c.value, c.low, c.high)
                for c in attribute_checks(lesion.asked, found[lesion.id])
            ]
    return checks
