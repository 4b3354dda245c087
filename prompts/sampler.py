"""Random requests over the vocabulary, with the weights of a set (prompts/sets/*.yaml)."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from prompts.errors import PromptError
from prompts.phrases import load
from prompts.request import CaseRequest, FindingRequest, TargetRequest
from prompts.vocabulary import LIVER_SIDES, REGION_ORGANS, Dose, Organ, Region, Segment, Side

SETS = ("head_neck", "findings")
_HOLDS = 1.25  # a target is at least so many times as large as the one of a higher dose in it
_FIELDS = ("phase", "sex", "habitus", "extent")
_ATTRIBUTES = ("shape", "density", "heterogeneity", "surface", "invasion", "spiculated", "lobulated", "texture")


def draw(rng: random.Random, region: str | None = None, name: str | None = None) -> CaseRequest:
    """One random request. `name` is the set to draw from (one of SETS); without it, `region` decides.

    Raises PromptError when the set cannot give the region.
    """
    name = name or ("findings" if region not in (None, Region.HEAD_NECK) else "head_neck")
    if name not in SETS:
        raise PromptError(f"set '{name}' is not known: say one of {', '.join(SETS)}")
    table = load(f"sets/{name}.yaml")
    if region is not None and region not in table["region"]:
        raise PromptError(f"region '{region}' is not in the set '{name}': it has {', '.join(table['region'])}")
    where = Region(region or _pick(rng, table["region"]))
    facts = {field: _pick(rng, table[field]) for field in _FIELDS if field in table}
    return CaseRequest(
        region=where,
        **facts,
        age=_whole(rng, table["age"]) if rng.random() < table["age_known"] else None,
        findings=_findings(rng, table, where),
        targets=_targets(rng, table),
        absent=_absent(rng, table),
    )


def _findings(rng: random.Random, table: Mapping[str, Any], region: Region) -> tuple[FindingRequest, ...]:
    if "findings" not in table:
        return ()
    number = int(_pick(rng, table["findings"]["number"]) or 0)
    organs = {o: w for o, w in table["findings"]["organ"].items() if Organ(o) in REGION_ORGANS[region]}
    return tuple(_finding(rng, table["findings"], Organ(_pick(rng, organs))) for _ in range(number))


def _finding(rng: random.Random, table: Mapping[str, Any], organ: Organ) -> FindingRequest:
    of_organ = table[organ.value]
    kind = _pick(rng, of_organ["kind"])
    low, high = of_organ["size_mm"]
    segment = _pick(rng, of_organ["segment"])
    values = {field: _pick(rng, of_organ[field]) for field in _ATTRIBUTES if field in of_organ}
    return FindingRequest(
        kind=kind,
        organ=organ,
        side=_side(rng, of_organ["side"], segment),
        segment=segment,
        size_mm=round(low * (high / low) ** rng.random()) if rng.random() < table["size_known"] else None,
        count=int(_pick(rng, table["count"]) or 1),
        **values,
    )


def _side(rng: random.Random, weights: Mapping[str, float], segment: str | None) -> Side | None:
    """A side that goes with the segment: the middle lobe is right, a Couinaud segment has its hemiliver."""
    side = _pick(rng, weights)
    if side is None or segment is None:
        return Side(side) if side else None
    if segment == Segment.MIDDLE:
        return Side.RIGHT
    if segment.isdigit():
        return LIVER_SIDES.get(Segment(segment))
    return Side(side)


def _targets(rng: random.Random, table: Mapping[str, Any]) -> tuple[TargetRequest, ...]:
    """Nested targets, highest dose first; all lie on one side, or the lower doses on both."""
    if "targets" not in table:
        return ()
    of = table["targets"]
    doses = [int(d) for d in (_pick(rng, of["doses"]) or "").split("+") if d]
    said = _pick(rng, of["side"])
    side = Side(said) if said else None
    targets: list[TargetRequest] = []
    held = 0.0  # the volume that a lower dose must hold
    for dose in sorted(doses, reverse=True):
        low, high = of["volume_ml"][str(dose)]
        volume = round(low * (high / low) ** rng.random()) if rng.random() < of["volume_known"] else None
        volume = volume and max(volume, math.ceil(_HOLDS * held))
        held = volume or held
        wider = side in (Side.LEFT, Side.RIGHT) and dose < max(doses) and rng.random() < of["elective_bilateral"]
        targets.append(TargetRequest(dose_gy=Dose(dose), side=Side.BILATERAL if wider else side, volume_ml=volume))
    return tuple(targets)


def _absent(rng: random.Random, table: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, p in table.get("absent", {}).items() if rng.random() < p)


def _pick(rng: random.Random, weights: Mapping[str, float]) -> Any:
    """A key drawn by weight; "unsaid" is None. Keys become members of their enums when the request is built."""
    key = rng.choices(list(weights), list(weights.values()))[0]
    return None if key == "unsaid" else key


def _whole(rng: random.Random, bounds: list[int]) -> int:
    return rng.randint(bounds[0], bounds[1])
