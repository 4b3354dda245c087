"""Where a measured fact becomes a word, and back: what training and planning share."""

from __future__ import annotations

import math
from collections.abc import Mapping

from prompts import CaseRequest, TargetRequest
from prompts.vocabulary import Dose, Extent, Habitus, Phase, Side
from prompts.vocabulary import Region as Covered
from synth.regions.region import Region

SIDED, BILATERAL = 0.5, 0.25  # |side| beyond the first is one-sided, below the second bilateral
_ENHANCED = (Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED, Phase.ENHANCED)
_LEAST_ML = 1.0  # of a target that is spoken of


def side_of(value: float) -> Side | None:
    """The word for a side fact (-1 right to 1 left), None where no word is fair."""
    if math.isnan(value):
        return None
    if abs(value) >= SIDED:
        return Side.LEFT if value > 0 else Side.RIGHT
    return Side.BILATERAL if abs(value) <= BILATERAL else None


def phase_word(region: Region, phase: Phase) -> str:
    """The word of a region's facts for a phase: enhanced, where they tell phases no finer apart."""
    fact = region.word_fact("phase")
    known = {word.value for word in fact.says if word.attribute == "phase"} if fact else set()
    return str(phase) if str(phase) in known or phase not in _ENHANCED else str(Phase.ENHANCED)


def asked_words(region: Region, request: CaseRequest) -> list[tuple[str, str]]:
    """(attribute, word) of what a request says that a fact of the region speaks of."""
    said = []
    if request.phase and region.word_fact("phase"):
        said.append(("phase", phase_word(region, request.phase)))
    if request.habitus and region.word_fact("habitus"):
        said.append(("habitus", str(request.habitus)))
    return said


def word_of(region: Region, attribute: str, facts: Mapping[str, float]) -> str | None:
    """The word for a patient, None where no word is fair or the fact is unknown."""
    fact = region.word_fact(attribute)
    return fact.word(attribute, facts.get(fact.name, math.nan)) if fact else None


def request_of(region: Region, facts: Mapping[str, float]) -> CaseRequest:
    """What a person could have asked for to get this patient."""
    targets = []
    for dose in reversed(region.doses_gy):
        volume, side = region.dose_names(dose)
        if facts.get(volume, 0) >= _LEAST_ML:
            said = side_of(facts.get(side, math.nan))
            targets.append(TargetRequest(dose_gy=Dose(dose), side=said, volume_ml=round(facts[volume])))
    extent, habitus, phase = region.field_of(facts), word_of(region, "habitus", facts), word_of(region, "phase", facts)
    covered = next((Covered(name) for name in region.answers if name in set(Covered)), None)
    return CaseRequest(
        region=covered,
        extent=Extent(extent) if extent in set(Extent) else None,
        habitus=Habitus(habitus) if habitus and habitus != Habitus.AVERAGE else None,
        phase=Phase(phase) if phase else None,
        targets=tuple(targets),
    )
