"""What of a reading can be asked for: each finding as a request, or the reason why not."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from pydantic import ValidationError

from prompts.findings import Told
from prompts.phrases import load
from prompts.places import Place
from prompts.reading import SEVERAL, Finding
from prompts.request import CaseRequest, FindingRequest, TargetRequest
from prompts.vocabulary import (
    BONE_REGION,
    EXTENT_KINDS,
    HOME_REGION,
    KIND_ORGANS,
    KIND_WORDS,
    ORGAN_WORDS,
    PATTERNS,
    REGION_ORGANS,
    SEGMENTS,
    SIDED_ORGANS,
    Dose,
    FindingKind,
    Organ,
    Region,
    Segment,
    Side,
    Texture,
    is_paired,
    structures_of,
)

_FIELDS = ("shape", "density", "heterogeneity", "surface", "invasion", "spiculated", "lobulated", "texture", "necrotic",
           "calcified", "rim")  # fmt: skip
_SEVERITY = {"tiny": "mild", "small": "mild", "moderate": "moderate", "large": "severe"}
_BY_VOLUME = (
    *(FindingKind.EFFUSION, FindingKind.PERICARDIAL_EFFUSION, FindingKind.PNEUMOTHORAX, FindingKind.HYDRONEPHROSIS),
    FindingKind.SPLENOMEGALY,
)
_OPPOSITE = {"left": Side.RIGHT, "right": Side.LEFT}
_SMALLER = (0.5, 0.9)  # of the largest: how long the others are
_LISTED = 12  # of a closed set, in a message of one line
_ORGANS = f"{', '.join(list(Organ)[:_LISTED])} and {len(Organ) - _LISTED} more"
_STATUS = {"possible": "only possible", "past": "past"}


_OF_RIBS = re.compile(r"\bR\d|\bribs?\b")
_ABDOMINAL = re.compile(r"\babdominal|\baaa\b|\b(?:infra|supra|juxta)-?renal", re.I)


@dataclass(frozen=True)
class Door:
    """What one command can draw today. `findings`: (organ, kind) pairs, None for all that a request can hold;
    `by_region`: the same by the region of the CT, where that makes a difference.

    `why_not` is said of the others. The tables of synth/case/doors.py make them.
    """

    name: str
    findings: frozenset[tuple[str, str]] | None = None
    why_not: str = "not drawn yet"
    by_region: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)

    @property
    def draws_case(self) -> bool:
        """Whether the CT is drawn too, and not the user's."""
        return self.name == "generate"

    def draws(self, request: FindingRequest, region: str | None = None) -> bool:
        """Whether a finding is in the table."""
        drawn = self.by_region.get(region or "", self.findings)
        return drawn is None or (request.organ, request.kind) in drawn


ANYWHERE = Door("request")
"""All that a request can hold, whoever draws it."""


@dataclass
class Asked:
    """`requests`: what is drawn; `valid`: what could be, at another door; `findings`: all, and what becomes of them."""

    requests: list[FindingRequest]
    valid: list[FindingRequest]
    findings: list[Finding]
    assumed: dict[str, Any]


def asked(told: Sequence[Told], region: str | None, door: Door) -> Asked:
    """What of the findings of a text is drawn at a door."""
    requests: list[FindingRequest] = []
    valid: list[FindingRequest] = []
    findings: list[Finding] = []
    assumed: dict[str, Any] = {}
    organs: dict[str, set[str]] = {}
    for one in told:
        if one.finding.organ and not (one.draft.kind and one.draft.kind.device):
            organs.setdefault(one.finding.kind, set()).add(one.finding.organ)
    home = region or _chest_of([place_of(one.finding) for one in told if one.finding.status == "present"])
    wide = home or region_of([place_of(one.finding) for one in told if one.finding.status == "present"])
    places = [_with_organ(t, organs, wide if t.finding.kind == FindingKind.LYMPH_NODE else home) for t in told]
    region = region or region_of([place_of(finding) for finding in places if finding.status == "present"])
    for one, finding in zip(told, places, strict=True):
        if finding.status != "present":
            findings.append(replace(finding, why_not=_STATUS.get(finding.status, "")))
            continue
        wanted, why = _requests(finding, one, assumed)
        invalid = not wanted and isinstance(why, _Invalid)
        valid += wanted
        drawn = bool(wanted) and all(door.draws(request, region) for request in wanted)
        if drawn:
            requests += [level for request in wanted for level in _at_each_level(request, finding)]
        elif wanted:
            why = door.why_not
        findings.append(replace(finding, side=_side_of(finding), drawn=drawn, why_not=str(why), invalid=invalid))
    return Asked(requests, valid, findings, assumed)


_IN_THE_CHEST = frozenset(("lung", "pleura", "pulmonary artery", "mediastinum", "heart", "pericardium", "coronary",
                           "bronchus", "airway"))  # fmt: skip


def _chest_of(organs: Sequence[str | None]) -> Region | None:
    """The chest where organs in it are named and none elsewhere ("pulmonary emboli, stable 6 mm nodule")."""
    named = {organ for organ in organs if organ}
    return Region.CHEST if named and named <= _IN_THE_CHEST else None


def _requests(finding: Finding, one: Told, assumed: dict[str, Any]) -> tuple[list[FindingRequest], str]:
    """The requests that draw a finding, the largest of several first; why not, or what of it is not drawn."""
    taken: dict[str, Any] = {}
    whole, why = _request(finding, one, taken)
    if whole is None:
        return [], why
    if whole.kind in EXTENT_KINDS:  # told by how much of an organ there is, not by lengths
        assumed.update(taken)
        return [whole], why
    apart = [_request(part, one, {})[0] for part in _largest_apart(finding, one.draft.places)]
    known = [request for request in apart if request is not None]
    if len(known) < 2:
        assumed.update(taken)
        return [whole], why
    low, high = known[1].size_range_mm or (0.0, 0.0)
    sizes = f"{known[0].size_mm:g} mm of the largest, {low:g} to {high:g} mm of the others"
    assumed[f"size of {finding.named()}"] = sizes
    return known, why


def _largest_apart(finding: Finding, places: Sequence[Place]) -> list[Finding]:
    """The largest of several, in the place that is said of it, and the others, which are smaller.

    None where no length is said of the largest, and of one on each side where neither is said to be it.
    """
    if finding.attributes.get("size_is") != "largest" or not finding.size_mm or finding.count in (None, 1):
        return []
    others = finding.count - 1 if isinstance(finding.count, int) else finding.count
    at = next((place for place in places if place.largest), None)
    side, part = (at.side, at.part or next(iter(at.parts), None)) if at else (None, None)
    of_all = any(place.side or place.part or place.parts for place in places if not place.subset)
    if finding.side != Side.BILATERAL:
        side, part = side or finding.side, part or finding.part
    elif others == 1 and side not in _OPPOSITE:
        return []
    rest = (_OPPOSITE[str(side)] if others == 1 else finding.side) if finding.side == Side.BILATERAL else finding.side
    mm = max(finding.size_mm)
    said = {name: value for name, value in finding.attributes.items() if name != "size_is"}
    first = replace(finding, side=side, part=part, count=1, size_mm=(mm,), attributes=said)
    smaller = (round(_SMALLER[0] * mm, 1), round(_SMALLER[1] * mm, 1))
    elsewhere = {"side": rest, "part": finding.part} if of_all else {"side": None, "part": None}
    return [
        first,
        replace(finding, **elsewhere, count=others, size_mm=smaller, attributes=said | {"size_is": "range"}),
    ]


def _side_of(finding: Finding) -> str | None:
    """A middle lobe is the right one's."""
    return finding.side or ("right" if (finding.organ, finding.part) == (Organ.LUNG, Segment.MIDDLE) else None)


def _with_organ(one: Told, organs: Mapping[str, set[str]], region: str | None) -> Finding:
    """A nodule in a chest CT, or with a lung texture or spicules, is in the lung; else where others of its kind are."""
    finding = one.finding
    if finding.organ is not None or finding.status != "present" or one.strange:
        return finding
    attributes = finding.attributes
    lung_like = (
        attributes.get("texture") in (Texture.GROUND_GLASS, Texture.PART_SOLID) or attributes.get("spiculated") is True
    )
    if finding.kind == FindingKind.LYMPH_NODE and region in (Region.CHEST, Region.ABDOMEN):
        return replace(finding, organ="mediastinum" if region == Region.CHEST else "retroperitoneum")
    if finding.kind == FindingKind.NODULE and (lung_like or region == Region.CHEST):
        return replace(finding, organ="lung")
    if finding.part in ("upper", "middle", "lower") and finding.kind in (FindingKind.NODULE, FindingKind.MASS):
        return replace(finding, organ="lung")
    shared = organs.get(finding.kind, set())
    return replace(finding, organ=next(iter(shared))) if len(shared) == 1 else finding


class _Invalid(str):
    """A reason that lies in what was said."""


def _request(finding: Finding, one: Told, assumed: dict[str, Any]) -> tuple[FindingRequest | None, str]:
    """The request that draws a finding, and why not, or what of it is not drawn."""
    general = _drawn_as(finding)
    finding = _in_words_of_a_request(finding)
    if finding.kind not in KIND_WORDS:
        return None, f"{finding.kind} is not drawn yet"
    if finding.organ is None:
        if one.strange:
            return None, _Invalid(f"organ '{one.strange}' is not known: say one of {_ORGANS}")
        return None, _Invalid(f"'{one.draft.text}' in which organ? say one of {_ORGANS}")
    if finding.organ not in ORGAN_WORDS:
        return None, f"nothing is drawn in '{finding.organ}' yet"
    if one.conflicts:
        return None, _Invalid(one.conflicts[0])
    values, left_out = _values(finding, assumed)
    if finding.organ == Organ.LIVER and finding.part and finding.part not in list(Segment):
        return None, _Invalid(f"segment {finding.part}: the liver has segments 1 to 8")
    try:
        request = FindingRequest(**values)
    except ValidationError as error:
        return None, _Invalid(error.errors()[0]["msg"].removeprefix("Value error, "))
    if not _is_drawn_there(request):
        return None, f"{request.kind} of the {request.segment} is not drawn yet"
    return request, "; ".join([*([f"drawn as {general}"] if general else []), *left_out])


def _is_drawn_there(request: FindingRequest) -> bool:
    """Whether a kind is drawn in the part that was said (`only in` of words/asked.yaml)."""
    only = load("words/asked.yaml")["only in"].get(request.kind)
    if not only or request.segment is None:
        return True
    return any(name.split("_")[0] in only for name in structures_of(request.organ, request.side, request.segment))


def shows_with_contrast(requests: Sequence[FindingRequest]) -> str | None:
    """The first kind that shows in enhanced CT alone (`with contrast` of words/asked.yaml)."""
    kinds = load("words/asked.yaml")["with contrast"]
    return next((str(request.kind) for request in requests if request.kind in kinds), None)


def _drawn_as(finding: Finding) -> str | None:
    """What a general word is drawn as (`as` of words/asked.yaml)."""
    kind = load("words/asked.yaml")["as"].get(finding.kind)
    if isinstance(kind, dict):
        kind = next(told for word, told in kind.items() if word in finding.text.lower())
    return kind


def _in_words_of_a_request(finding: Finding) -> Finding:
    """The finding with the kind and organ that a request calls it by (words/asked.yaml)."""
    table = load("words/asked.yaml")
    kind = _drawn_as(finding) or table["kinds"].get(finding.kind, finding.kind)
    if kind == "medical material":
        kind = table["devices"].get(finding.attributes.get("device"), kind)
    organ = table["organ of a kind"].get(kind) or table["organs"].get(finding.organ, finding.organ)
    return replace(finding, kind=kind, organ=organ)


def _values(finding: Finding, assumed: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    organ, kind = Organ(finding.organ or ""), FindingKind(finding.kind)
    left_out: list[str] = []
    values: dict[str, Any] = {"kind": kind, "organ": organ}
    if part := _part(organ, finding):
        values["segment"] = part
    elif finding.part:
        left_out.append(f"'{finding.part}' is not drawn: anywhere in the {organ}")
    if finding.side and _has_side(organ, part, finding.side):
        values["side"] = finding.side
    elif finding.side and not _tells_side(part):
        left_out.append(f"side '{finding.side}' is not drawn in the {part or organ}")
    left_out += _not_drawn(finding, part)
    values["count"] = None if finding.count == SEVERAL else 1 if finding.count is None else finding.count
    _size(finding, values, assumed)
    values |= {f: finding.attributes[f] for f in _FIELDS if f in finding.attributes}
    if (depth := finding.attributes.get("thickness_mm")) and kind is FindingKind.EFFUSION:
        values["thickness_mm"] = depth
        left_out.append(f"a depth of {depth:g} mm is aimed at, not checked")
    elif depth:
        left_out.append(f"a thickness of {depth:g} mm is not drawn")
    if kind in EXTENT_KINDS:
        values |= _extent(finding, kind)
    if values.get("texture") == Texture.SOLID and organ is not Organ.LUNG:
        values.pop("texture")
    return values, left_out


def _tells_side(part: str | None) -> bool:
    """ "Station 4R" is on the right."""
    return part is not None and part.startswith("station") and part[-1] in "RL"


def _at_each_level(request: FindingRequest, finding: Finding) -> list[FindingRequest]:
    """One of "three lesions in T7, T9 and L2" in each of them."""
    levels = _levels_of(finding) if request.organ in (Organ.BONE, Organ.MEDIASTINUM) else []
    counts = (len(levels), None) if request.organ is Organ.MEDIASTINUM else (len(levels),)  # "nodes at 4R and 7"
    one_each = len(levels) > 1 and request.count in counts
    return [request.model_copy(update={"segment": level, "count": 1}) for level in levels] if one_each else [request]


def _levels_of(finding: Finding) -> list[Segment]:
    """The vertebrae or stations of a list, as far as all of it are."""
    said = str(finding.attributes.get("segment", "")).split(",")
    known = SEGMENTS[Organ.BONE]
    if finding.organ == Organ.MEDIASTINUM:
        said, known = _stations_said(finding), SEGMENTS[Organ.MEDIASTINUM]
    return [Segment(level) for level in said] if all(level in known for level in said) else []


def _stations_said(finding: Finding) -> list[str]:
    """Stations of lymph nodes, by number ("4R, 7 AND 10L") or by name (`stations` of words/asked.yaml)."""
    numbers = re.findall(r"\b\d{1,2}[RLAP]?\b", str(finding.attributes.get("segment", "")))
    if numbers:
        return [f"station {number}" for number in numbers]
    side = {"right": "R", "left": "L"}.get(finding.side or "", "")
    named = load("words/asked.yaml")["stations"].items()
    text = finding.text.lower()
    found = [number.format(side) for words, number in named if re.search(rf"\b(?:{words})\b", text)]
    return [f"station {number}" for number in found]


def _not_drawn(finding: Finding, part: str | None) -> list[str]:
    """What else was said of a finding and changes nothing in what is drawn (`noted` of words/asked.yaml)."""
    table, drawn = (load("words/asked.yaml")[name] for name in ("noted", "always so"))
    drawn = drawn.get(finding.kind, {})
    said = {
        name: value
        for name, value in finding.attributes.items()
        if name in table and value not in (part, "False", False) and value != drawn.get(name)
    }
    if finding.organ in (Organ.BONE, Organ.MEDIASTINUM) and _levels_of(finding):
        said.pop("segment", None)
    return [f"{table[name].format(value)} not drawn" for name, value in said.items()]


_NAMED = (Organ.BONE, Organ.MUSCLE)
"""Organs whose parts have names of their own; there are more of them than labels have."""


def _part(organ: Organ, finding: Finding) -> str | None:
    """What a request calls the part that was said; of lungs, liver and kidney any word, to be refused there."""
    if organ is Organ.MEDIASTINUM:
        levels = _levels_of(finding)
        return str(levels[0]) if len(levels) == 1 else None
    if organ in _NAMED:
        said = (finding.part, finding.attributes.get("segment"))
        return next((str(s) for s in said if s in SEGMENTS[organ]), None)
    return finding.part if organ in SEGMENTS else None


def _has_side(organ: Organ, part: str | None, side: str) -> bool:
    """Whether a side can be drawn: of the bones of the midline none can."""
    if organ is Organ.BONE and part:
        return side != Side.MIDLINE and is_paired(Segment(part))
    return organ in SIDED_ORGANS or side == Side.MIDLINE


def _extent(finding: Finding, kind: FindingKind) -> dict[str, Any]:
    """How much of it there is, and in which pattern."""
    attributes = finding.attributes
    values: dict[str, Any] = {name: attributes[name] for name in ("share", "ratio") if name in attributes}
    said = [attributes.get(name) for name in ("pattern", "distribution", "segment")]
    pattern = next((p for p in said if p in PATTERNS.get(kind, ())), None)
    values |= {"pattern": pattern} if pattern else {}
    return values | ({"severity": _SEVERITY[finding.size]} if finding.size else {})


def _size(finding: Finding, values: dict[str, Any], assumed: dict[str, Any]) -> None:
    """One size, or a range that the plan draws from."""
    name = finding.named()
    if (volume := finding.attributes.get("volume_ml")) and finding.kind in _BY_VOLUME and not finding.size_mm:
        values["volume_ml"] = volume
        return
    if finding.kind in EXTENT_KINDS and finding.kind != FindingKind.ANEURYSM:
        return
    how = finding.attributes.get("size_is")
    if (
        finding.size_mm
        and how in ("range", "below", "above", "largest")
        and (how != "largest" or finding.count not in (None, 1))
    ):
        low, high = _bounds(finding, str(how))
        values["size_range_mm"] = (low, high)
        assumed[f"size of {name}"] = f"{low:g} to {high:g} mm ({how})"
    elif finding.size_mm:
        values["size_mm"] = max(finding.size_mm)
    elif volume:
        values["size_mm"] = round(math.copysign((6000 * abs(volume) / math.pi) ** (1 / 3), volume), 1)
        assumed[f"size of {name}"] = f"{values['size_mm']:g} mm (a ball of {volume:g} mL)"
    elif finding.size and finding.kind == FindingKind.EFFUSION:
        low, high = size_range(f"{finding.kind} mL", finding.size)
        values["volume_range_ml"] = (low, high)
        assumed[f"volume of {name}"] = f"{low:g} to {high:g} mL ({finding.size})"
    elif finding.size:
        low, high = size_range(finding.kind, finding.size)
        values["size_range_mm"] = (low, high)
        assumed[f"size of {name}"] = f"{low:g} to {high:g} mm ({finding.size})"


def _bounds(finding: Finding, how: str) -> tuple[float, float]:
    assert finding.size_mm
    mm = max(finding.size_mm)
    if how == "range":
        return min(finding.size_mm), mm
    if how == "above":
        return mm, round(1.5 * mm, 1)
    return round(0.5 * mm, 1), mm


def size_range(kind: str, word: str) -> tuple[float, float]:
    """What a size word is, in mm along the longest axis (words/sizes.yaml)."""
    table = load("words/sizes.yaml")
    low, high = table.get(kind, table["default"])[word]
    return float(low), float(high)


def targets_of(told: Sequence[Told]) -> tuple[list[TargetRequest], list[str]]:
    """Planning targets, what is said twice once, and what is wrong with those that cannot be."""
    found: list[TargetRequest] = []
    wrong: list[str] = []
    doses_known = ", ".join(str(int(d)) for d in Dose)
    for draft in (t.draft for t in told):
        sides = list(dict.fromkeys(p.side for p in draft.places if p.side))
        name = draft.text
        if len(sides) > 1:
            wrong.append(
                f"'{sides[0]}' and '{sides[1]}' contradict each other for the target '{name}': say 'bilateral'"
            )
            continue
        if draft.sizes:
            length = max(draft.sizes[0][1].get("axes", (0,)))
            wrong.append(f"{length:g} mm for the target '{name}': a target has a dose, a side and a volume")
            continue
        volumes: list[float | None] = list(draft.volumes)
        if len(volumes) not in (0, len(draft.doses)):
            wrong.append(f"{len(volumes)} volumes for {len(draft.doses)} targets ('{name}'): give one for each")
            continue
        for dose, volume in zip(draft.doses, volumes or [None] * len(draft.doses), strict=True):
            if dose not in list(Dose):
                wrong.append(f"dose {dose:g} Gy in '{name}': say {doses_known} Gy")
                continue
            try:
                found.append(TargetRequest(dose_gy=Dose(int(dose)), side=sides[0] if sides else None, volume_ml=volume))
            except ValidationError as error:
                wrong.append(error.errors()[0]["msg"].removeprefix("Value error, "))
    return list(dict.fromkeys(found)), wrong


def place_of(finding: Finding) -> str | None:
    """What tells the region that a finding is in: its organ, or the bone that it names."""
    if finding.organ == Organ.AORTA and _ABDOMINAL.search(finding.text):
        return "abdominal aorta"
    bone = _part(Organ.BONE, finding) if finding.organ == Organ.BONE else None
    named = str(finding.attributes.get("segment", finding.text))  # "ribs 6 to 8", "rib fractures"
    if bone is None and finding.organ == Organ.BONE and _OF_RIBS.search(named):
        return Segment.RIB
    return bone or finding.organ


def region_of(organs: Sequence[str | None]) -> str | None:
    """The region that shows all of these organs, or named bones, as far as one does."""
    home = _home_regions()
    regions = {home[o] for o in organs if o in home}
    if len(regions) == 1:
        return regions.pop()
    if regions and regions <= {"chest", "abdomen"}:
        return "chest_abdomen"
    if regions and regions <= {"abdomen", "pelvis"}:
        return "abdomen_pelvis"
    if regions and regions <= {"chest", "abdomen", "pelvis"}:
        return "torso"
    said = {Organ(o) for o in organs if o in ORGAN_WORDS}
    return next((str(r) for r in _WIDE if said and said <= set(REGION_ORGANS[r]) and len(regions) > 1), None)


_WIDE = (Region.CHEST, Region.CHEST_ABDOMEN)  # a thyroid beside the esophagus is in a CT of the chest


@cache
def _home_regions() -> dict[str, str]:
    """Organ -> the region whose CT is for it."""
    own = {organ.value: region.value for organ, region in HOME_REGION.items()}
    own |= {bone.value: region.value for bone, region in BONE_REGION.items()}
    table = load("words/places.yaml")["regions"]
    return own | {organ.strip(): region for region, organs in table.items() for organ in organs.split(",")}


def outside(region: str | None, requests: Sequence[FindingRequest]) -> list[FindingRequest]:
    """Those whose organ a CT of the region does not show."""
    if region not in list(Region):
        return []
    return [r for r in requests if r.organ not in REGION_ORGANS[Region(region)]]


def absent_name(finding: Finding) -> str:
    """What a request calls a finding that is ruled out."""
    if finding.kind == FindingKind.EFFUSION:
        return "pleural effusion"
    if finding.kind == FindingKind.LYMPH_NODE:
        return "lymphadenopathy"
    anywhere = finding.kind in KIND_WORDS and FindingKind(finding.kind) not in KIND_ORGANS
    if anywhere and finding.organ in ORGAN_WORDS:
        return f"{finding.organ} {finding.kind}"
    return finding.kind


def case_request(
    text: str,
    facts: dict[str, Any],
    requests: Sequence[FindingRequest],
    targets: Sequence[TargetRequest],
    absent: Sequence[str],
) -> CaseRequest:
    """The request of a text; ValidationError where its parts cannot go together."""
    return CaseRequest(prompt=text, **facts, findings=tuple(requests), targets=tuple(targets), absent=tuple(absent))
