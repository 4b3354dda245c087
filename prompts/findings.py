"""From a head with its words to findings: one a place, each with its own size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

from prompts.drafts import FOCAL, Draft
from prompts.lexicon import Kind, Term, kind_named
from prompts.phrases import load
from prompts.places import Place, inside, within
from prompts.reading import SEVERAL, Finding
from prompts.scopes import is_mark

_PLAIN_ORGAN = {
    "hilum": "lung",
    "abdominal aorta": "aorta",
    "vertebra": "bone",
    "septa": "lung",
    "bronchus": "lung",
    "main bronchus": "lung",
    "pancreatic duct": "pancreas",
    "joint": "bone",
    "artery": "vessel",
}
_LUNG_FAMILY = frozenset(
    (
        "pleura",
        "bronchus",
        "main bronchus",
        "septa",
        "airway",
        "mediastinum",
        "chest",
        "vessel",
        "chest_abdomen",
        "heart",
        "diaphragm",
    )
)
_OWN_SIZE = (None, "largest", "below", "above", "range")
_BODY = frozenset(("chest", "abdomen", "pelvis"))
_REGIONS = frozenset(("chest", "abdomen", "pelvis", "neck"))
_LEVELLED = frozenset(("lung", "kidney", "esophagus"))
_SKELETAL = ("bone", "vertebra", "disc", "joint")
_NODAL = frozenset(("mediastinum", "hilum", "axilla", "retroperitoneum", "neck", "inguinal"))
_FLUID = ("effusion", "ascites")
_SPREAD = frozenset(("steatosis", "cirrhosis", "emphysema", "mosaic attenuation", "pulmonary edema", "osteopenia"))
_AS_DEEP = 80.0  # mm; a single length below is the depth of fluid, not its longest axis
_AS_THICKNESS = frozenset(
    (
        "pericardial effusion",
        "endometrial thickening",
        "adrenal thickening",
        "pleural thickening",
        "wall thickening",
        "pneumothorax",
        "pericardial thickening",
    )
)


@dataclass
class Told:
    """A finding with what merging needs to know of how it was said.

    `conflicts`: what contradicts itself, in words; `strange`: an unknown word where the organ should stand.
    """

    finding: Finding
    draft: Draft
    conflicts: tuple[str, ...] = ()
    strange: str = ""

    def become(self, **changes: Any) -> None:
        """Change the finding."""
        self.finding = replace(self.finding, **changes)


def findings_of(draft: Draft, items: Sequence[Term], heading: Term | None) -> list[Told]:
    """The findings that a head of a sentence stands for; `heading` is the organ that the sentence stands under."""
    assert draft.kind
    strange = _strange(draft, items)
    sided = heading is not None and heading.means.get("side") and not any(p.own_organ or p.side for p in draft.places)
    if heading is not None and sided and not _is_elsewhere(draft.kind, _under(heading).organ):
        draft.places = [_under(heading), *draft.places]  # "Right kidney: 3 cysts, the largest in the lower pole"
    places, conflicts = _places(draft, items, heading)
    split = _split(draft, places, items)
    found = [_finding(draft, place, size, count) for place, size, count in split]
    kept = _without_doubles([f for f in found if f is not None])
    kept = _with_own_share(kept, draft)
    lithiasis = draft.text.lower().endswith("lithiasis")  # "nephrolithiasis up to 6 mm"
    if lithiasis and not draft.counts:
        kept = [replace(f, count=SEVERAL) if f.attributes.get("size_is") == "largest" else f for f in kept]
    kept = [replace(f, count=SEVERAL) if _on_both(f, draft, items) else f for f in kept]
    if draft.kind.also:
        kept += [replace(kept[0], kind=draft.kind.also, organ=kind_named(draft.kind.also).organ)]
        if draft.kind.name == "bile duct dilatation":  # "double duct sign: CBD 15 mm, pancreatic duct 7 mm"
            kept[-1] = replace(kept[-1], size_mm=None)
    return [Told(f, draft, (*draft.conflicts, *conflicts), strange) for f in kept]


def _with_own_share(found: list[Finding], draft: Draft) -> list[Finding]:
    """ "L1 and L3 compression fractures with 40% and 20% height loss": one a level, each with its share."""
    if len(found) == len(draft.shares) > 1:
        pairs = zip(found, draft.shares, strict=True)
        return [replace(f, attributes={**f.attributes, "share": share}) for f, share in pairs]
    levels = str(found[0].attributes.get("segment", "")).split(",") if len(found) == 1 else []
    if len(draft.shares) < 2 or len(levels) != len(draft.shares) or not all(_levels(name) == 1 for name in levels):
        return found
    said = {name: value for name, value in found[0].attributes.items() if name not in ("segment", "share")}
    own = zip(levels, draft.shares, strict=True)
    return [replace(found[0], part=name, count=1, attributes={**said, "share": share}) for name, share in own]


_BOTH = frozenset(("both", "bilateral", "bilaterally", "bilat", "bil", "b/l", "both sides", "on both sides"))


def _on_both(finding: Finding, draft: Draft, items: Sequence[Term]) -> bool:
    """ "b/l renal cyst", "axillary LN both sides": one on each at least; not "a nodule in the lungs"."""
    if finding.side != "bilateral" or finding.count != 1 or draft.counts or finding.status == "absent":
        return False
    if finding.kind not in (*FOCAL, "lymph node"):
        return False
    begin = min([draft.first, *(p.first for p in draft.places)])
    article = any(i.has("article") for i in items[max(begin - 1, 0) : draft.first])
    said = {i.text.lower().replace(" ", "") for p in draft.places for i in items[p.first : p.last]}
    return not article and bool(said & {w.replace(" ", "") for w in _BOTH})


def _strange(draft: Draft, items: Sequence[Term]) -> str:
    """ "spork" in "8 mm nodule in the spork"."""
    behind = [i for i in items[draft.last :] if not i.has("definite") and not i.has("article")]
    for preposition, word in zip(behind, behind[1:], strict=False):
        if "finding" in word.means or preposition.coordinates:
            return ""
        if preposition.has("in") and "unknown" in word.means and not word.text.isdigit():
            return word.text
    return ""


def _places(draft: Draft, items: Sequence[Term], heading: Term | None) -> tuple[list[Place], list[str]]:
    """The places that the finding has, those that speak of one place put together; and contradictions."""
    of_it = [p for p in draft.places if draft.status == "absent" or not p.absent]
    own = [p for p in of_it if not p.weak and not p.subset]
    if not any(p.side or p.part for p in own):
        of_largest = [p for p in of_it if p.largest and any(s["is"] == "largest" for _, s in draft.sizes)]
        own = own + ([p for p in of_it if p.subset and not p.largest] or of_largest)
    if any(p.organ not in (None, "muscle") for p in own):  # "soft tissue lesion in the mediastinum"
        own = [p for p in own if not (p.organ == "muscle" and _is_soft_tissue(items, p))]
    if draft.kind and draft.kind.name == "metastasis":  # "liver metastases (colorectal)": where they are from
        homes = {p.organ for p in own if p.own_organ and p.first < draft.first}
        own = [p for p in own if not (homes and p.organ not in homes and p.first and is_mark(items[p.first - 1], "("))]
    if any(p.organ and p.organ not in _BODY for p in own):  # "in the upper abdominal sections, the right adrenal"
        own = [p for p in own if p.organ not in _BODY or p.side]
    found: list[Place] = []
    conflicts: list[str] = []
    for place in own:
        _add(found, place, items, conflicts)
    if draft.kind and draft.kind.organ not in _SKELETAL and any(p.organ not in (None, *_SKELETAL) for p in found):
        found = [p for p in found if p.organ != "vertebra"]  # "at L3 level in the upper ureter"
    own_organ = draft.kind.organ if draft.kind else None
    for place in found[1:]:  # "in the left kidney, 2 cm in the upper and 1 cm in the lower pole"
        if place.side is None and place.part and not place.own_organ and found[0].organ == place.organ:
            place.side = found[0].side
    for place in found:
        if place.part is None and place.level and (plain(place.organ or own_organ) or "") in _LEVELLED:
            place.part = "interpolar" if (place.organ, place.level) == ("kidney", "middle") else place.level
    if not found and draft.kind and draft.kind.means.get("device") == "chest tube":  # "its tip in the left apex"
        found = [Place(p.first, p.last, side=p.side) for p in draft.places if p.weak and p.side][:1]
    if not found and draft.kind and not (draft.kind.organ or draft.kind.device) and draft.kind.name != "lymph node":
        found = [p for p in draft.places if p.weak][:1]
    if heading is not None:
        under = _under(heading)
        elsewhere = draft.kind is not None and _is_elsewhere(draft.kind, under.organ)
        found = found or [replace(under, side=None) if elsewhere else under]
        for place in found:
            if not elsewhere and place.organ in (None, under.organ):
                place.side, place.part = place.side or under.side, place.part or under.part  # "Rectum: mass"
            place.organ = place.organ or under.organ
    return found, conflicts


def _is_elsewhere(kind: Kind, organ: str | None) -> bool:
    """ "Right kidney: .. Gallstones.": what can be in one organ alone, under the heading of another."""
    return kind.always and kind.organ != organ


def _is_soft_tissue(items: Sequence[Term], place: Place) -> bool:
    return " ".join(i.text.lower() for i in items[place.first : place.last]).startswith(("soft tissue", "soft-tissue"))


def _under(heading: Term) -> Place:
    """The place that a heading names ("Station 4R:")."""
    place = heading.means.get("place", {})
    segments = [place["segment"]] if "segment" in place else []
    side = heading.means.get("side") or place.get("side")
    return Place(0, 0, heading.means.get("organ") or place.get("organ"), side, place.get("part"), segments=segments)


def _add(found: list[Place], place: Place, items: Sequence[Term], conflicts: list[str]) -> None:
    if not place.joined or (found and _goes_into(found[-1], place, items)):
        for earlier in reversed(found):
            if _compatible(earlier, place) and not _with_own_length(items, earlier, place):
                _merge(earlier, place)
                return
        if found and _contradicts(found[-1], place, items):
            a = " ".join(i.text for i in items[found[-1].first : found[-1].last])
            b = " ".join(i.text for i in items[place.first : place.last])
            conflicts.append(f"'{a}' and '{b}' contradict each other: say 'bilateral', or name two findings")
            return
    found.append(replace(place, segments=list(place.segments)))


def _goes_into(a: Place, b: Place, items: Sequence[Term]) -> bool:
    """ "pneumothorax right, apical": behind a comma alone, a part without a side is one of the side before it."""
    between = items[a.last : b.first]
    finer = a.side in ("left", "right") and not a.part and not a.segments and b.side is None and bool(b.part)
    return finer and len(between) == 1 and is_mark(between[0], ",")


def _with_own_length(items: Sequence[Term], a: Place, b: Place) -> bool:
    """ "18 mm in the subcarinal and 14 mm in the right hilar area": two places of nodes, each with its length."""
    between = items[a.last : b.first]
    nodal = a.organ in _NODAL and b.organ in _NODAL and a.own_organ and b.own_organ
    sized = any("size" in i.means for i in items[b.last : b.last + 2])
    listed = any(i.has("joins") for i in between) or (sized and any(is_mark(i, ",", ";") for i in between))
    return nodal and any("size" in i.means for i in between) and listed


def _compatible(a: Place, b: Place) -> bool:
    """Whether both may speak of one place."""
    stations = [{s for s in p.segments if s.startswith("station")} for p in (a, b)]
    if stations[0] and stations[1] and stations[0] != stations[1]:
        return False
    alike = _organ_family(a.organ) == _organ_family(b.organ) or a.organ is None or b.organ is None
    alike = alike or inside(a.organ, b.organ)
    sides = a.side == b.side or a.side is None or b.side is None
    one, other = a.part or _level_of(a), b.part or _level_of(b)
    parts = one == other or one is None or other is None or a.implied or b.implied
    return alike and sides and parts


def _level_of(place: Place) -> str | None:
    """The vertebrae that a place names."""
    return next((name for name in place.segments if _levels(name)), None)


def _organ_family(organ: str | None) -> str | None:
    return (
        "lung"
        if organ in ("lung", "bronchus", "septa", "pleura", "hilum")
        else "bone"
        if organ in ("bone", "vertebra")
        else organ
    )


def _merge(a: Place, b: Place) -> None:
    finer = a.organ in (None, "lung", "bone", *_REGIONS) and b.organ not in (None, "lung", *_REGIONS)
    a.organ = b.organ if finer or within(b.organ, a.organ) else a.organ or b.organ
    if b.part and not a.part and a.first < b.first:
        a.first, a.last = b.first, b.last  # "in the left kidney, 2 cm in the upper pole"
    a.side, a.level, a.both = a.side or b.side, a.level or b.level, a.both or b.both
    if a.part is None or (a.implied and b.part and not b.implied):
        a.part, a.implied = b.part, b.implied
    a.segments += b.segments
    if not a.parts:
        a.parts, a.across = b.parts, b.across


def _contradicts(a: Place, b: Place, items: Sequence[Term]) -> bool:
    """Two sides of one organ without a comma or "and" between them."""
    if a.side == b.side or not a.side or not b.side or "bilateral" in (a.side, b.side):
        return False
    between = items[min(a.last, b.last) : max(a.first, b.first)]
    plain = not any(i.coordinates or is_mark(i, "(", ")", ":") or "size" in i.means or i.has("with") for i in between)
    return (
        plain and not any("finding" in i.means for i in between) and (a.organ == b.organ or not a.organ or not b.organ)
    )


Piece = tuple[Place | None, dict[str, Any] | None, int | str | None]


def _split(draft: Draft, places: list[Place], items: Sequence[Term]) -> list[Piece]:
    """(place, size, number) of each finding that the words stand for."""
    assert draft.kind
    sizes = [(i, s) for i, s in draft.sizes if s["is"] in _OWN_SIZE]
    if not sizes:  # thicknesses are shared out as sizes are
        sizes = [(i, s) for i, s in draft.sizes if s["is"] in ("thickness", "short axis")]
    count = counted(draft)
    one = not draft.plural and (count in (1, None))
    expanded = _each_side(places) if one else _by_couinaud(_each_side(places))
    if draft.status == "absent":
        return [(p, None, None) for p in expanded] or [(None, None, None)]
    lists = [s["list"] for _, s in sizes if "list" in s]
    if len(sizes) > 1 and (chain := _listed(sizes, items)):
        lists = [tuple(chain)]
    if lists and len(lists[0]) == 2 and len(expanded) == 1 and expanded[0].side == "bilateral":
        expanded = _sides_in_order(expanded[0], items)
    if (each_its_own := _counts_of(draft, expanded, items)) and not sizes:
        return [(p, None, n) for p, n in zip(expanded, each_its_own, strict=True)]
    if own := _in_parentheses(draft, expanded, items):
        return own
    if len(expanded) <= 1:
        place = expanded[0] if expanded else None
        if lists:
            many = lists[0]
            if isinstance(count, int) and count not in (1, len(many)) or (count == 1 and draft.counts):
                listed = " and ".join(f"{mm:g} mm" for mm in many)
                draft.conflicts.append(f"{listed} for {count} x '{draft.text}': give one size, or one for each")
            return [(place, {"axes": (mm,), "is": None}, 1) for mm in many]
        return [(place, sizes[0][1] if sizes else None, count)]
    if lists and len(lists[0]) == len(expanded):
        return [(p, {"axes": (mm,), "is": None}, 1) for p, mm in zip(expanded, lists[0], strict=True)]
    each = 1 if count == len(expanded) else count
    if len(sizes) < 2:
        shared = sizes[0][1] if sizes else None
        if (
            count is not None and not draft.counts and any(_level_of(p) for p in expanded)
        ):  # "in T4, T7 and the sternum": three
            return [(p, shared, max(_levels(_level_of(p) or ""), 1)) for p in expanded]
        return [(p, shared, each) for p in expanded]
    bounded = any(s["is"] in ("largest", "below", "short axis") for _, s in sizes)
    each = each if isinstance(each, int) or bounded else 1
    return [(p, size, each) for p, size in zip(expanded, _shared_out(sizes, expanded), strict=True)]


def _sides_in_order(place: Place, items: Sequence[Term]) -> list[Place]:
    """ "6 and 9 mm nodules in the right and left upper lobes": one each, in the order of the words."""
    said = [str(i.means["side"]) for i in items if i.means.get("side") in ("left", "right")]
    words = " ".join(i.text.lower() for i in items[place.first : place.last])
    said = said if len(said) == 2 else [w for w in words.replace("-", " ").split() if w in ("left", "right")]
    return [replace(place, side=side) for side in said] if sorted(said) == ["left", "right"] else [place]


def _counts_of(draft: Draft, places: Sequence[Place], items: Sequence[Term]) -> list[int]:
    """ "metastases: lungs (4), liver (2)": the number behind each of several places."""
    said = [t for t in draft.counts if t.means["count"].isdigit()]
    elsewhere = any(p.first >= len(items) for p in places)  # said in a sentence before
    if len(said) != len(places) or len(places) < 2 or elsewhere:
        return []
    starts = [*(items[p.first].start for p in places), len(items[-1].text) + items[-1].end]
    behind = all(a < t.start < b for t, (a, b) in zip(said, pairwise(starts), strict=True))
    return [int(t.means["count"]) for t in said] if behind else []


def _in_parentheses(draft: Draft, places: Sequence[Place], items: Sequence[Term]) -> list[Piece]:
    """ "metastases: liver (x3, up to 25 mm), lung (8 mm and 11 mm)": number and lengths of each of several places."""
    starts = [p.first for p in places]
    if len(places) < 2 or starts != sorted(set(starts)) or places[-1].last > len(items):
        return []
    if sum(p.last < len(items) and is_mark(items[p.last], "(") for p in places) < 2:
        return []
    found: list[Piece] = []
    for place, end in zip(places, [*starts[1:], len(items)], strict=True):
        sizes = [s for i, s in draft.sizes if place.last <= i < end and s["is"] in _OWN_SIZE]
        counts = [t for t in draft.counts if items[place.last - 1].end <= t.start < items[end - 1].end]
        number = next((int(t.means["count"]) for t in counts if t.means["count"].isdigit()), None)
        if len(sizes) > 1 and number in (None, len(sizes)):
            found += [(place, size, 1) for size in sizes]
            continue
        bounded = bool(sizes) and sizes[0]["is"] in ("largest", "below", "range")
        several = SEVERAL if counts or bounded or not sizes else 1
        found.append((place, sizes[0] if sizes else None, number or several))
    return found


def _each_side(places: list[Place]) -> list[Place]:
    """ "bilateral effusions, 2 cm on the right and 1 cm on the left" are two."""
    sides = {p.side for p in places}
    alike = len({p.part for p in places if p.part}) < 2
    if not alike:
        return places
    if len(places) == 2 and len(sides) == 2 and "bilateral" in sides and None not in sides:
        return [p for p in places if p.side == "bilateral"]  # "hyperplasia on both sides, left 15 mm thick"
    if not {"left", "right", "bilateral"} <= sides:
        return places
    whole = next(p for p in places if p.side == "bilateral")
    kept = [p for p in places if p.side != "bilateral"]
    return [replace(p, organ=p.organ or whole.organ, part=p.part or whole.part) for p in kept]


def _listed(sizes: Sequence[tuple[int, dict[str, Any]]], items: Sequence[Term]) -> list[float]:
    """ "5 mm, 8 mm and 11 mm": lengths with nothing but commas between them are a list."""
    joined = all(all(i.coordinates for i in items[a + 1 : b]) and b > a + 1 for (a, _), (b, _) in pairwise(sizes))
    single = all(len(s.get("axes", ())) == 1 and s["is"] is None for _, s in sizes)
    return [s["axes"][0] for _, s in sizes] if joined and single else []


def _shared_out(sizes: Sequence[tuple[int, dict[str, Any]]], places: Sequence[Place]) -> list[dict[str, Any] | None]:
    """In order, where there are as many; else each size to the place that follows it, where a size comes first; else to
    the place before it."""
    if len(sizes) == len(places):
        return [size for _, size in sizes]
    found: list[dict[str, Any] | None] = [None] * len(places)
    leads = sizes[0][0] < places[0].first
    for index, size in sizes:
        if leads:
            k = next((n for n, p in enumerate(places) if p.first > index), len(places) - 1)
        else:
            k = next((n for n in range(len(places) - 1, -1, -1) if places[n].first < index), 0)
        found[k] = found[k] or size
    return found


def _by_couinaud(places: Sequence[Place]) -> list[Place]:
    """ "segments V and VII" are two places; "segment 6/7" is one that lies across both."""
    found: list[Place] = []
    for place in places:
        if place.parts and not place.across:
            found += [replace(place, part=part, parts=()) for part in place.parts]
        else:
            found.append(place)
    return found


def counted(draft: Draft) -> int | str | None:
    """A number, "several" or None; a plural without a number is several."""
    assert draft.kind
    said = [t for t in draft.counts if "count" in t.means]
    if said:
        numbers = [t for t in said if t.means["count"].isdigit()]
        value = (numbers or said)[0].means["count"]
        return int(value) if value.isdigit() else SEVERAL
    broken = draft.kind.name == "fracture"  # "compression fracture of T12 and L1": each has its own
    if (draft.plural or broken) and (levels := _named_levels(draft.places)) and all(levels):
        return sum(levels) if sum(levels) > 1 else SEVERAL if draft.plural else 1
    if draft.plural or draft.kind.several:
        return SEVERAL
    return None if draft.kind.mass else 1


def _named_levels(places: Sequence[Place]) -> list[int]:
    """How many vertebrae or ribs each place names that is more than "bone"."""
    told = [p for p in places if p.segments or p.part or p.organ not in ("bone", "vertebra", None)]
    return [sum(_levels(name) for name in p.segments) for p in told]


def _levels(name: str) -> int:
    """How many vertebrae or ribs a place names: "T7,T9,L2" three, "T8-T10" too."""
    if not re.match(r"[CTLDSR]\d", name or ""):
        return 0
    if "," in name and "-" in name:
        return sum(_levels(piece if piece[0].isalpha() else name[0] + piece) for piece in name.split(",") if piece)
    run = re.fullmatch(r"([CTLDSR])(\d+)-\1?(\d+)", name)
    return int(run[3]) - int(run[2]) + 1 if run else len(re.findall(r"\d+", name))


def _level_first(place: Place, part: str | None) -> tuple[str | None, list[str]]:
    """The part and what is finer: of vertebrae the one level that is named is the part."""
    fine = list(dict.fromkeys(s for s in place.segments if s))
    fine = [s for s in fine if not (s == "rib" and (part or "").startswith("rib "))]
    if sum(map(_levels, fine)) == 1 and part is None:
        part = next(s for s in fine if _levels(s))
        return part, [s for s in fine if s != part and not s.endswith("spine")]
    vertebra = place.organ == "vertebra" and part is None and not fine
    return part, ["spine"] if vertebra else fine


def _finding(draft: Draft, place: Place | None, size: dict[str, Any] | None, count: int | str | None) -> Finding | None:
    assert draft.kind
    if draft.kind.needs_place and (place is None or not {place.organ, plain(place.organ)} & set(draft.kind.elsewhere)):
        return None
    name, organ = resolved(draft.kind, place.organ if place else None)
    if draft.attributes.get("nature") == "metastatic" and (draft.kind.generic or name in ("nodule", "mass", "tumour")):
        name = "metastasis"
    if draft.attributes.get("cystic") == "True" and draft.kind.generic and "texture" not in draft.attributes:
        name = "cyst"
    attributes = {k: _typed(v) for k, v in draft.attributes.items()}
    if "component" in attributes and organ in (None, "lung"):
        del attributes["component"]
        attributes["texture"] = "part-solid"  # "a ground-glass nodule with a solid component"
    if size is not None and size["is"] in ("thickness", "short axis"):
        _other_length(attributes, size)
        size = None
    for _, other in draft.sizes:
        _other_length(attributes, other)
    side, part = (place.side, place.part) if place else (None, None)
    many = draft.kind.name not in FOCAL or count not in (None, 1)
    if place and place.both and side is None and many and draft.status == "present":
        side = "bilateral"
    if place:
        part, fine = _level_first(place, part)
        attributes |= {"segment": " ".join(fine)} if fine else {}
    if place and place.across:
        attributes["parts"] = list(place.parts)
    if draft.volumes:
        attributes["volume_ml"] = draft.volumes[0]
    axes: tuple[float, ...] | None = None
    if name in _FLUID and side in ("left", "right") and count == SEVERAL:
        count = 1
    if size is not None:
        axes = tuple(size.get("axes") or size.get("range") or size["list"])
        shallow = name in _FLUID and axes[0] < _AS_DEEP
        if name in _FLUID and (
            size["is"] == "largest" or (shallow and len(axes) == 1)
        ):  # "an effusion reaching 2 cm" is as deep
            attributes["thickness_mm"], axes, size = axes[0], None, {"is": None}
        if size["is"]:
            attributes["size_is"] = size["is"]
        if name in _AS_THICKNESS and axes:
            attributes["thickness_mm"], axes = axes[0], None
    if name in _SPREAD and axes:  # "steatotic, its length is 18 cm": of the organ
        attributes["length_mm"], axes = axes[0], None
    if draft.status == "absent":
        attributes, axes, count = {}, None, None
    word = None if draft.status == "absent" else draft.size_word
    return Finding(name, organ, side, part, axes, word, count, attributes, draft.status)


def _other_length(attributes: dict[str, Any], size: dict[str, Any]) -> None:
    names = {
        "thickness": "thickness_mm",
        "short axis": "short_axis_mm",
        "earlier": "earlier_mm",
        "distance": "distance_mm",
        "length": "length_mm",
    }
    if "was" in size:
        attributes.setdefault("earlier_mm", size["was"])
    if size["is"] in names:
        values = size.get("axes") or size.get("range") or size["list"]
        attributes.setdefault(names[size["is"]], max(values))


def _typed(value: Any) -> Any:
    return {"True": True, "False": False}.get(value, value) if isinstance(value, str) else value


def resolved(kind: Kind, said: str | None) -> tuple[str, str | None]:
    """(kind, organ) with the organ that was said: calcification of the aorta is one of its wall."""
    for organ in (said, plain(said)):
        if organ is None or organ not in kind.elsewhere:
            continue
        other = kind_named(kind.elsewhere[organ])
        return other.name, plain(other.organ if other.always else said)
    if kind.always:
        return kind.name, kind.organ
    if kind.name == "lymph node":
        return kind.name, _nodes_at().get(said or "", plain(said))
    if said == "abdomen organ" or (said in _REGIONS and inside(said, kind.organ)):
        return kind.name, kind.organ or plain(said)
    if kind.organ == "lung" and (said in _LUNG_FAMILY or kind.name not in FOCAL):
        return kind.name, "lung"
    return kind.name, plain(said) or kind.organ


@cache
def _nodes_at() -> dict[str, str]:
    """Where a word is -> the space that holds the lymph nodes there."""
    table = load("words/places.yaml")["lymph nodes"]
    return {organ.strip(): space for space, organs in table.items() for organ in organs.split(",")}


def plain(organ: str | None) -> str | None:
    """A vertebra is bone."""
    return _PLAIN_ORGAN.get(organ, organ) if organ else None


def _without_doubles(found: Sequence[Finding]) -> list[Finding]:
    """Of findings that came out alike, the first: "subpleural and peripheral areas of both lungs"."""
    kept: dict[Any, Finding] = {}
    for finding in found:
        bone = _named_bone(finding)
        kept.setdefault((finding.kind, finding.organ, finding.side, finding.part, bone, finding.size_mm), finding)
    placed = [f for f in kept.values() if f.side or f.part or _named_bone(f)]
    bare = {(f.kind, f.organ, f.size_mm) for f in placed}
    return [f for f in kept.values() if f in placed or (f.kind, f.organ, f.size_mm) not in bare or len(kept) == 1]


def _named_bone(finding: Finding) -> str | None:
    """Bones that are no part of a request's, such as "rib" or "T4,T7"."""
    return str(finding.attributes["segment"]) if finding.organ == "bone" and "segment" in finding.attributes else None
