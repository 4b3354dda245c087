"""Whether a finding that is told by its extent shows as much as was planned, where it was asked for, within its HU."""

from __future__ import annotations

from collections.abc import Iterator

from prompts.vocabulary import Organ, Side
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.extent_types import ExtentType, extent_types
from synth.provenance import Check
from synth.report.measurements import ExtentMeasurements, LesionMeasurement

SHARE_WITHIN = 0.03
ML_WITHIN = 0.10  # of the volume
_FIGURES = {"ratio": ("cardiothoracic_ratio", 0.02), "mm": ("width_mm", 2.5), "height": ("height_lost", 0.06)}
"""Unit -> the figure that it is of, and how near it must come."""
_ELSEWHERE = 0.02  # of the finding, in parts that it was not planned in


def extent_checks(plan: ExtentPlan, found: LesionMeasurement) -> list[Check]:
    """The checks of one finding against its plan."""
    kind, extent = extent_types()[plan.kind], found.extent
    if extent is None:
        return [Check("extent", 0.0, 1.0, 1.0)]
    checks = [Check("median_hu", extent.median_hu, *kind.hu)]
    checks += _amount(plan, kind, found, extent)
    return checks + list(_place(plan, found))


def _amount(
    plan: ExtentPlan, kind: ExtentType, found: LesionMeasurement, extent: ExtentMeasurements
) -> Iterator[Check]:
    if kind.unit == "share":
        share = share_of(extent, plan.structures)
        yield Check("share", share, round(plan.amount - SHARE_WITHIN, 4), round(plan.amount + SHARE_WITHIN, 4))
    elif kind.unit in ("mL", "organ mL"):
        low, high = (round(plan.amount * (1 + sign * ML_WITHIN), 2) for sign in (-1, 1))
        yield Check("volume_ml", extent.figures.get("spleen_ml", found.volume_ml), low, high)
    elif kind.unit == "axis mm":
        value, within = extent.figures.get("width_mm", found.long_axis_mm), max(2.5, 0.07 * plan.amount)
        yield Check("size_mm", value, round(plan.amount - within, 2), round(plan.amount + within, 2))
    elif kind.unit == "height" and "height_lost" not in extent.figures:
        return  # a rib
    elif kind.unit in _FIGURES:
        figure, within = _FIGURES[kind.unit]
        low, high = round(plan.amount - within, 3), round(plan.amount + within, 3)
        yield Check(figure, extent.figures.get(figure, -1.0), low, high)


def share_of(extent: ExtentMeasurements, structures: tuple[str, ...]) -> float:
    """Share of some structures that a finding takes."""
    whole = sum(extent.part_ml.get(name, 0.0) for name in structures)
    return sum(extent.affected_ml.get(name, 0.0) for name in structures) / whole if whole else 0.0


def _place(plan: ExtentPlan, found: LesionMeasurement) -> Iterator[Check]:
    """It is on the side, and in the part, that was asked for."""
    if plan.asked is None or found.extent is None:
        return
    if plan.asked.side in (Side.LEFT, Side.RIGHT):
        yield Check(f"is_{plan.asked.side.value}", float(found.side == plan.asked.side.value), 1.0, 1.0)
    elif plan.asked.side is Side.BILATERAL and plan.asked.organ is Organ.PULMONARY_ARTERY:
        yield Check("is_bilateral", float(found.side == "bilateral"), 1.0, 1.0)
    if plan.asked.segment and plan.asked.organ is Organ.BONE:
        yield Check(f"is_{plan.asked.segment.value}", float(found.structure in plan.structures), 1.0, 1.0)
    elif plan.asked.segment:
        whole = sum(found.extent.affected_ml.values())
        inside = sum(found.extent.affected_ml.get(name, 0.0) for name in plan.structures)
        yield Check(f"in_{plan.asked.segment.value}", inside / whole if whole else 0.0, 1 - _ELSEWHERE, 1.0)
