"""Where a measured fact becomes a word, and back: the thresholds that training and planning share."""

from __future__ import annotations

import math

from prompts import CaseRequest, TargetRequest
from prompts.vocabulary import Dose, Extent, Habitus, Phase, Region, Side
from synth.facts import DOSES_GY

SHOULDERS_MM = 300.0  # wider than this at the bottom of the field: the shoulders are in it
_SKULL_BASE_MM = 50.0  # the field reaches at least this far above the parotids
SIDED, BILATERAL = 0.5, 0.25  # |side| beyond the first is one-sided, below the second bilateral
VESSELS_HU = (80.0, 90.0)  # below: non-contrast; above: enhanced; the valley between the training patients' two peaks
HABITUS_CM2 = (125.0, 180.0)  # neck cross-section, about the training patients' quartiles


def side_of(value: float) -> Side | None:
    """The word for a side fact (-1 right to 1 left), None where no word is fair."""
    if math.isnan(value):
        return None
    if abs(value) >= SIDED:
        return Side.LEFT if value > 0 else Side.RIGHT
    return Side.BILATERAL if abs(value) <= BILATERAL else None


def extent_of(facts: dict[str, float]) -> Extent:
    """Which landmarks are in the field."""
    skull_base = facts["top_mm"] >= _SKULL_BASE_MM
    if facts["shoulder_width_mm"] > SHOULDERS_MM:
        return Extent.COMPLETE if skull_base else Extent.LOWER
    return Extent.NECK if skull_base else Extent.TARGET


def phase_of(neck_vessels_hu: float) -> Phase | None:
    """The word for how bright the vessels of the neck are, None where no word is fair."""
    low, high = VESSELS_HU
    return Phase.NON_CONTRAST if neck_vessels_hu < low else Phase.ENHANCED if neck_vessels_hu > high else None


def habitus_of(neck_area_cm2: float) -> Habitus | None:
    """The word for the neck's cross-section, None for an average one."""
    low, high = HABITUS_CM2
    return Habitus.SLIM if neck_area_cm2 < low else Habitus.LARGE if neck_area_cm2 > high else None


def request_of(facts: dict[str, float]) -> CaseRequest:
    """What a person could have asked for to get this patient."""
    targets = tuple(
        TargetRequest(
            dose_gy=Dose(dose),
            side=side_of(facts[f"target_{dose}_side"]),
            volume_ml=round(facts[f"target_{dose}_ml"]),
        )
        for dose in reversed(DOSES_GY)
        if facts.get(f"target_{dose}_ml", 0) >= 1
    )
    return CaseRequest(
        region=Region.HEAD_NECK,
        extent=extent_of(facts),
        habitus=habitus_of(facts["neck_area_cm2"]),
        phase=phase_of(facts.get("neck_vessels_hu", math.nan)),
        targets=targets,
    )
