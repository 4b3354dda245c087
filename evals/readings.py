"""Read what a case says of itself at five places: prompt, plan, masks, CT, report. No reader sees another's answer.

A reading is attribute -> value, both words: `target 70 Gy side` -> `left`. What a place does not tell is not in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from prompts import parse
from prompts.errors import PromptError
from prompts.request import CaseRequest, FindingRequest
from prompts.vocabulary import Density, FindingKind, Organ, Phase, Texture, structures_of
from synth.regions import shipped
from synth.regions.words import side_of, word_of
from synth.report.lesions import core_of
from synth.report.measurements import LesionMeasurement, Measurements
from synth.volumes.types import Case

Reading = dict[str, str]
YES, NO = "yes", "no"
SIZES_MM = (6, 10, 20, 30, 50, 100)
VOLUMES_ML = (50, 150, 400, 1000)
_ALIKE_HU = 10.0  # less contrast than this is isodense
_SOLID_HU, _GROUND_HU = -300.0, -500.0  # of a lung nodule's core
_SHELL_MM = 6.0
_VISIBLE = 1.0  # SDs of the surround
_ABSENT_DOSE_ML = 1.0


def of_request(request: CaseRequest) -> Reading:
    """What was asked; nothing for what was not said."""
    reading: Reading = {}
    if request.region:
        reading["region"] = request.region.value
    if request.phase:
        reading["contrast"] = NO if request.phase is Phase.NON_CONTRAST else YES
    if request.extent:
        reading["extent"] = request.extent.value
    if request.habitus:
        reading["habitus"] = request.habitus.value
    for target in request.targets:
        reading |= _target(int(target.dose_gy), target.side and target.side.value, target.volume_ml)
    for number, finding in enumerate(expanded(request), start=1):
        reading |= {f"finding {number} {name}": value for name, value in _asked(finding).items()}
    return reading | _counts([int(t.dose_gy) for t in request.targets], len(expanded(request)))


def _counts(doses: Sequence[int], findings: int) -> Reading:
    """All doses together, and how many findings; what is there beyond what was asked shows here."""
    reading = {"targets": " + ".join(f"{d} Gy" for d in sorted(set(doses)))} if doses else {}
    return reading | ({"findings": str(findings)} if findings else {})


def expanded(request: CaseRequest) -> list[FindingRequest]:
    """Every finding by itself: `two nodules` are two."""
    return [finding for finding in request.findings for _ in range(finding.count or 1)]


def _asked(finding: FindingRequest) -> Reading:
    said: dict[str, Any] = {
        "organ": finding.organ,
        "kind": None if finding.kind is FindingKind.LESION else finding.kind,
        "side": finding.side,
        "segment": finding.segment,
        "size": None if finding.size_mm is None else bin_of(finding.size_mm, SIZES_MM, "mm"),
        "density": finding.density,
        "surface": finding.surface,
        "texture": finding.texture,
        "visible": NO if finding.density is Density.ISODENSE else YES,
    }
    return {name: str(value) for name, value in said.items() if value is not None}


def _target(dose: int, side: str | None, volume_ml: float | None) -> Reading:
    reading = {f"target {dose} Gy": YES}
    if side is not None:
        reading[f"target {dose} Gy side"] = side
    if volume_ml is not None:
        reading[f"target {dose} Gy volume"] = bin_of(volume_ml, VOLUMES_ML, "mL")
    return reading


def bin_of(value: float, edges: Sequence[int], unit: str) -> str:
    """`10-20 mm`: which of the bins a number is in; an edge belongs to the upper one."""
    number = int(np.searchsorted(edges, value, side="right"))
    if number == 0:
        return f"under {edges[0]} {unit}"
    return f"{edges[number - 1]}-{edges[number]} {unit}" if number < len(edges) else f"from {edges[-1]} {unit}"


def of_plan(plan: Mapping[str, Any], asked: Sequence[FindingRequest]) -> Reading:
    """What was drawn: facts of a generated case, lesion plans of an insertion."""
    reading: Reading = {}
    facts = {name: float(value) for name, value in plan.get("facts", {}).items()}
    if facts:
        reading |= _of_facts(facts)
        reading["region"] = str(plan.get("region"))
    doses = sorted({int(t["dose_gy"]) for t in plan["request"].get("targets", [])})  # no other is labelled
    for dose in doses:
        if (volume := facts.get(f"target_{dose}_ml", 0.0)) >= _ABSENT_DOSE_ML:
            side = side_of(facts.get(f"target_{dose}_side", math.nan))
            reading |= _target(dose, side and side.value, volume)
    found = [_planned(lesion) for lesion in plan.get("lesions", [])]
    return reading | _numbered(asked, found) | _counts(doses, len(found))


def _planned(lesion: Mapping[str, Any]) -> Reading:
    structures = lesion["structures"]
    reading = {"organ": str(lesion["organ"]), "size": bin_of(float(lesion["size_mm"]), SIZES_MM, "mm")}
    reading["kind"] = str(lesion["kind"]).removeprefix(f"{lesion['organ']}_")
    sides = {side for name in structures for side in ("left", "right") if side in name.split("_")}
    lobes = {m[1] for name in structures if (m := re.search(r"(upper|middle|lower)_lobe", name))}
    if len(sides) == 1:
        reading["side"] = sides.pop()
    if len(lobes) == 1:
        reading["segment"] = lobes.pop()
    return reading


def _of_facts(facts: Mapping[str, float]) -> Reading:
    """Extent, habitus and contrast from measured facts, by the thresholds of training; unfair words are left out."""
    reading: Reading = {}
    region = shipped()
    if {"top_mm", "shoulder_width_mm"} <= set(facts) and (extent := region.field_of(facts)):
        reading["extent"] = extent
    if habitus := word_of(region, "habitus", facts):
        reading["habitus"] = habitus
    if phase := word_of(region, "phase", facts):
        reading["contrast"] = NO if phase == Phase.NON_CONTRAST else YES
    return reading


def of_volume(case: Case, measured: Measurements, asked: Sequence[FindingRequest]) -> Reading:
    """What masks and CT show. The plan is not seen; of a mask's name only the number."""
    reading: Reading = {"region": measured.volume.region} if measured.volume.region else {}
    if _is_framed(case):
        region = shipped()
        reading |= _of_facts(region.measure(region.placed(case.ct.hu, case.ct.affine)))
    for target in measured.targets:
        reading |= _target(target.dose_gy, target.side, target.volume_ml)
    reading |= _counts([t.dose_gy for t in measured.targets], len(measured.lesions))
    reading |= _numbered(asked, [_seen(case, lesion) for lesion in measured.lesions])
    for number, finding in enumerate(asked, start=1):  # pleura and pericardium are no masks: they are about one
        about = {_organ_of(structure) for structure in structures_of(finding.organ)}
        if reading.get(name := f"finding {number} organ") in about:
            reading[name] = finding.organ.value
    return reading


def _organ_of(structure: str | None) -> str:
    """The first organ, of those that can be asked for, that a label is a part of; its own name where there is none."""
    return next((organ.value for organ in Organ if structure in structures_of(organ)), str(structure))


def _is_framed(case: Case) -> bool:
    """Whether the facts' coordinates hold: on the head-and-neck frame, as generated cases are."""
    spacing, frame = float(case.ct.spacing[0]), shipped().frame
    same = case.ct.hu.shape == frame.shape_at(spacing)
    return same and np.allclose(case.ct.affine, frame.affine_at(spacing), atol=1e-2)


def _seen(case: Case, lesion: LesionMeasurement) -> Reading:
    organ = lesion.organ if lesion.organ in set(Organ) else _organ_of(lesion.structure)
    reading = {"organ": organ, "size": bin_of(lesion.long_axis_mm, SIZES_MM, "mm")}
    for name, value in (("side", lesion.side), ("segment", lesion.segment), ("surface", lesion.margin)):
        if value is not None:
            reading[name] = str(value)
    if lesion.contrast_hu is not None:
        reading["density"] = density_of(lesion.contrast_hu).value
    if lesion.organ == "lung":
        reading["texture"] = texture_of(lesion.mean_hu).value
    return reading | {"visible": YES if visible(case, lesion.id) else NO}


def density_of(contrast_hu: float) -> Density:
    """Against the organ's mean."""
    if abs(contrast_hu) < _ALIKE_HU:
        return Density.ISODENSE
    return Density.HYPERDENSE if contrast_hu > 0 else Density.HYPODENSE


def texture_of(mean_hu: float) -> Texture:
    """Attenuation class of a lung nodule from its core."""
    if mean_hu > _SOLID_HU:
        return Texture.SOLID
    return Texture.GROUND_GLASS if mean_hu < _GROUND_HU else Texture.PART_SOLID


def visible(case: Case, number: int) -> bool:
    """Whether a lesion's core differs from the organ round it by more than the organ's own SD there."""
    (box,) = ndimage.find_objects((case.lesions.ids == number).astype(np.uint8))
    margin = [math.ceil(_SHELL_MM / s) + 1 for s in case.ct.spacing]
    wide = tuple(slice(max(0, b.start - m), b.stop + m) for b, m in zip(box, margin, strict=True))
    mask = case.lesions.ids[wide] == number
    reach = max(_SHELL_MM, float(case.ct.spacing.max()))  # a voxel at least
    near = ndimage.distance_transform_edt(~mask, sampling=case.ct.spacing) <= reach
    organs = case.organs.ids[wide]
    home = np.bincount(organs[near & ~mask].ravel()).argmax()
    shell = near & (case.lesions.ids[wide] == 0) & (organs == home)
    hu = case.ct.hu[wide].astype(float)
    if shell.sum() < 2:
        return False
    gap = abs(hu[core_of(mask, case.ct.spacing)].mean() - np.median(hu[shell]))
    return bool(gap > _VISIBLE * hu[shell].std())


def of_report(text: str, asked: Sequence[FindingRequest]) -> Reading:
    """What the report says, read by the reader of prompts; the impression alone, so that nothing counts twice."""
    reading: Reading = {}
    if technique := re.search(r"^CT of the [a-z ,]+?(?=, voxel)", text, flags=re.MULTILINE):
        reading |= {k: v for k, v in _parsed(technique[0]).items() if k in ("region", "contrast")}
    found: list[Reading] = []
    for line in text.partition("IMPRESSION\n")[2].splitlines():
        told = _parsed(re.sub(r"^\d+\. ", "", line))
        reading |= {name: value for name, value in told.items() if name.startswith("target ")}
        if "finding 1 organ" in told:
            found.append({k.removeprefix("finding 1 "): v for k, v in told.items() if k.startswith("finding 1 ")})
    for one in found:
        one.pop("visible")  # not said, only implied
    doses = [int(name.split()[1]) for name in reading if re.fullmatch(r"target \d+ Gy", name)]
    return reading | _numbered(asked, found) | _counts(doses, len(found))


def _parsed(sentence: str) -> Reading:
    """Nothing where the reader understands nothing."""
    try:
        return of_request(parse(sentence))
    except PromptError:
        return {}


def _numbered(asked: Sequence[FindingRequest], found: Sequence[Reading]) -> Reading:
    """Readings of found lesions under the numbers of the findings that they answer to; the rest as further ones.

    The pairing that disagrees in the fewest attributes (Hungarian algorithm), whatever the order.
    """
    wanted = [_asked(finding) for finding in asked]
    cost = np.array([[sum(o.get(k, v) != v for k, v in w.items()) for o in found] for w in wanted], float)
    pairs = zip(*linear_sum_assignment(cost), strict=True) if cost.size else []
    numbers = {int(j): int(i) + 1 for i, j in pairs}
    reading: Reading = {}
    extra = len(wanted)
    for j, one in enumerate(found):
        if j not in numbers:
            extra += 1
        reading |= {f"finding {numbers.get(j, extra)} {name}": value for name, value in one.items()}
    return reading
