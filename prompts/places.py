"""Where: runs of words such as "right upper and lower lobes of the lung" become places, one each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from prompts.lexicon import Term
from prompts.phrases import load
from prompts.scopes import Scopes, is_mark, is_place

_INSIDE: dict[str, frozenset[str]] = {
    "lung": frozenset(
        ("hilum", "bronchus", "main bronchus", "septa", "airway", "mediastinum", "pleura", "pulmonary artery", "vessel")
    ),
    "bone": frozenset(("vertebra", "disc", "joint")),
    "vertebra": frozenset(("disc",)),
    "liver": frozenset(("bile duct", "hepatic artery", "vessel", "retroperitoneum", "peritoneum")),
    "kidney": frozenset(("ureter", "renal artery")),
    "heart": frozenset(("valve", "coronary", "pericardium")),
    "pleura": frozenset(),
    "mediastinum": frozenset(
        ("hilum", "aorta", "esophagus", "airway", "main bronchus", "vessel", "pericardium", "thyroid")
    ),
    "stomach": frozenset(),
    "pancreas": frozenset(("bile duct", "pancreatic duct")),
    "abdomen": frozenset(("aorta", "liver", "spleen", "kidney", "bowel", "peritoneum", "retroperitoneum", "pancreas")),
    "chest": frozenset(
        ("aorta", "lung", "bone", "vertebra", "esophagus", "chest wall", "mediastinum", "airway", "main bronchus")
    ),
    "neck": frozenset(("thyroid", "larynx", "carotid artery", "vessel")),
    "pelvis": frozenset(("bone", "bladder", "colorectum", "peritoneum", "muscle", "bowel", "vessel")),
    "vessel": frozenset(
        ("aorta", "coronary", "carotid artery", "iliac artery", "pulmonary artery", "mesenteric artery")
    ),
    "artery": frozenset(
        ("aorta", "coronary", "carotid artery", "iliac artery", "pulmonary artery", "mesenteric artery")
    ),
}
_OF_NOUN = {"lobe": "lung", "zone": "lung", "pole": "kidney"}
_ADJECTIVAL = ("chest", "abdomen")
_LOBED = ("lung", "kidney")


@dataclass
class Place:
    """One place. `organ` may be any organ of words/places.yaml; `first` to before `last` are items of the sentence.

    `parts`: Couinaud numbers, one lesion `across` them or one in each. `joined`: coordinated with the place before it.
    `weak`: said of a neighbour; `subset`: of most of several; `largest`: of the largest of them;
    `absent`: it is not there; `both`: a plural of what there is one on each side ("lower lobes", "apices").
    """

    first: int
    last: int
    organ: str | None = None
    side: str | None = None
    part: str | None = None
    segments: list[str] = field(default_factory=list)
    parts: tuple[str, ...] = ()
    across: bool = False
    level: str | None = None
    noun: str | None = None
    implied: bool = False
    joined: bool = False
    weak: bool = False
    subset: bool = False
    largest: bool = False
    absent: bool = False
    both: bool = False
    own_organ: bool = False

    @property
    def key(self) -> tuple[str | None, str | None, str | None]:
        """Organ, side, part."""
        return self.organ, self.side, self.part


def places(items: Sequence[Term], scopes: Scopes, scan: Collection[int] = ()) -> list[Place]:
    """The places of a sentence in order; items in `scan` speak of the scan and not of a finding."""
    found: list[Place] = []
    for index, item in enumerate(items):
        if index in scan or not (is_place(item) or "region" in item.means) or "finding" in item.means:
            continue
        link = _link(items, found[-1].last, index) if found else None
        if link == "joined" and _across(items, found[-1], index):
            found[-1].segments.append(str(item.means["place"]["part"]))
            found[-1].last = index + 1
            continue
        if link == "joined" and _of_the_next(items, found[-1], index):
            link = None
        if link is None or not _same_scope(scopes, found[-1].first, index):
            found.append(_new(item, index, scopes))
        elif link == "joined" and _refines(items, found[-1], index):
            _extend(found[-1], item, index, items)
        elif link == "joined" or not _extend(found[-1], item, index, items):
            found.append(_new(item, index, scopes))
            found[-1].joined = link == "joined" or bool(found[-1].part and found[-2].part)
    for place in found:
        place.joined = place.joined and not _stands_alone(items, place)
    for group in _groups(found):
        _share(group)
    return [p for p in found if p.organ or p.side or p.part or p.segments or _stands_alone(items, p)]


def _stands_alone(items: Sequence[Term], place: Place) -> bool:
    """ "cyst, left, upper, round": a level between commas."""
    before = place.first == 0 or is_mark(items[place.first - 1], ",")
    behind = place.last == len(items) or is_mark(items[place.last], ",")
    return place.level is not None and before and behind


def _across(items: Sequence[Term], place: Place, index: int) -> bool:
    """ "body/tail": one place that lies across two parts, called by the first."""
    means = items[index].means.get("place", {})
    return place.part is not None and set(means) == {"part"} and is_mark(items[index - 1], "/")


def _of_the_next(items: Sequence[Term], place: Place, index: int) -> bool:
    """ "mass on the left, brain mets": the place of the next finding, where one stands before."""
    named = any("finding" in i.means and not i.means["finding"].needs_place for i in items[: place.first])
    follows = index + 1 < len(items) and "finding" in items[index + 1].means
    return named and follows


def _refines(items: Sequence[Term], place: Place, index: int) -> bool:
    """ "left kidney, upper pole": behind a bare organ and a comma, a part says where."""
    said = _says(items[index])
    fresh = (place.own_organ or place.side) and not (place.part or place.level or place.segments)
    part = said.get("level") or (said.get("part") and said.get("organ") in (place.organ, None, "kidney"))
    alone = not any(i.has("joins") for i in items[index + 1 : index + 3])
    return bool(fresh and part and alone and not said.get("side") and is_mark(items[index - 1], ","))


def _same_scope(scopes: Scopes, a: int, b: int) -> bool:
    return all((name in scopes[a]) == (name in scopes[b]) for name in ("beside", "subset", "largest"))


def _link(items: Sequence[Term], last: int, index: int) -> str | None:
    """How an item is tied to the place that ends before `last`: "one", "joined" or not at all."""
    between = _without_sizes(items[last:index])
    if all(i.has("in") or i.has("definite") or i.text == "-" for i in between):
        return "one"
    joins = [i for i in between if i.coordinates]
    rest = [i for i in between if not i.coordinates]
    if len(joins) <= 2 and all(i.has("in") or i.has("definite") or "segment" in i.means for i in rest):
        return "joined"
    return None


def _without_sizes(items: Sequence[Term]) -> list[Term]:
    """ "right paratracheal (2.1 cm), subcarinal (1.6 cm)": a length in parentheses parts nothing."""
    kept = list(items)
    for k in range(len(kept) - 2):
        if is_mark(kept[k], "(") and "size" in kept[k + 1].means and is_mark(kept[k + 2], ")"):
            return [*kept[:k], *_without_sizes(kept[k + 3 :])]
    return kept


def _new(item: Term, index: int, scopes: Scopes) -> Place:
    place = Place(index, index + 1)
    place.weak = "beside" in scopes[index]
    place.largest, place.absent = "largest" in scopes[index], "absent" in scopes[index]
    place.subset = place.largest or "subset" in scopes[index]
    _extend(place, item, index, ())
    return place


def _extend(place: Place, item: Term, index: int, items: Sequence[Term]) -> bool:
    """Add an item to a place; False where it says something else of it."""
    says = _says(item)
    organ, side, part = says.get("organ"), says.get("side"), says.get("part")
    if part and place.organ == "vertebra" and organ == "bone":
        return False
    if side and place.side and side != place.side:
        return False
    if part and place.part and part != place.part and not (says.get("implied") or place.implied):
        return False
    if says.get("level") and place.level and says["level"] != place.level:
        return False
    merged = _merged(place.organ, organ)
    if organ and place.organ and merged is None:
        return False
    place.organ = merged or place.organ
    place.own_organ = place.own_organ or bool(organ and not says.get("implied"))
    place.side = place.side or side
    if part and (place.part is None or place.implied):
        place.part, place.implied = part, bool(says.get("implied"))
    if not place.parts and "parts" in says:
        place.parts, place.across = says["parts"], says["across"]
    place.level = place.level or says.get("level")
    place.noun = place.noun or says.get("noun")
    paired = says.get("noun") == "lobe" or says.get("segment") in ("apical", "basal")
    place.both = place.both or (item.plural and paired)
    if segment := says.get("segment"):
        place.segments.append(segment)
    place.last = index + 1
    return True


def _says(item: Term) -> dict[str, Any]:
    means = item.means
    if "place" in means:
        fine = "segment" in means["place"]
        return {**means["place"], "implied": fine}
    if "couinaud" in means:
        parts = means["couinaud"]
        return {"organ": "liver", "part": parts[0], "parts": parts, "across": means["across"]}
    if "vertebra" in means:
        return {"organ": "vertebra", "segment": means["vertebra"]}
    said: dict[str, Any] = {name: means[name] for name in ("organ", "side", "level", "noun") if name in means}
    if "segment" in means:
        said["segment"] = item.text.lower()
    if "region" in means and "organ" not in said:
        said["organ"] = {"head_neck": "neck", "head": "brain"}.get(means["region"], means["region"])
    return said


def _merged(a: str | None, b: str | None) -> str | None:
    """The finer of two organs of which one holds the other; None where they are two."""
    if a is None or b is None or a == b:
        return a or b
    if b in _inside(a):
        return b
    return a if a in _inside(b) else None


def within(a: str | None, b: str | None) -> bool:
    """Whether organ `b` holds `a`."""
    return a is not None and b is not None and a in _inside(b)


def inside(a: str | None, b: str | None) -> bool:
    """Whether one of two organs holds the other."""
    return within(a, b) or within(b, a)


@cache
def _inside(organ: str) -> frozenset[str]:
    """What lies in an organ or a region of the body."""
    home = load("words/places.yaml")["regions"]
    return _INSIDE.get(organ, frozenset()) | {o.strip() for o in home.get(organ, "").split(",")} - {organ, ""}


def _groups(found: Sequence[Place]) -> list[list[Place]]:
    groups: list[list[Place]] = []
    for place in found:
        if groups and (place.joined or place.first == groups[-1][-1].last):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _share(group: list[Place]) -> None:
    """What coordinated places leave unsaid is said by their neighbours: "left upper and lower lobes"."""
    for place, following in zip(reversed(group[:-1]), reversed(group[1:]), strict=True):
        if place.level and not place.noun:
            place.noun = following.noun
            following.both = False  # "upper and lower lobes"
        if place.organ in _ADJECTIVAL and place.last - place.first == 1 and place.own_organ and following.joined:
            place.organ = following.organ  # "thoracic and abdominal aorta"
        if (place.organ, following.organ) == ("liver", "bile duct") and following.joined:
            place.organ = following.organ  # "intrahepatic and extrahepatic bile ducts"
        home = _OF_NOUN.get(place.noun or "") if place.level else None  # "right upper lobe, brain normal"
        shared = home is None or following.organ in (None, home)
        if place.organ is None and shared and (place.level or place.noun or place.side or place.segments):
            place.organ = following.organ
        alike = place.organ == following.organ and not place.own_organ
        if place.side is None and alike and place.level and following.level:
            place.side = following.side
    for place, before in zip(group[1:], group[:-1], strict=True):
        if place.organ is None:
            place.organ = before.organ
        again = (place.level and before.level) or (place.implied and place.part in (before.part, before.level))
        if place.side is None and again and not place.own_organ:
            place.side = before.side
    for place in group:
        _resolve(place)


def _resolve(place: Place) -> None:
    """ "upper" with "lobe" is a part, of the lung where no organ was said."""
    if place.organ is None and place.noun in _OF_NOUN and place.level:
        place.organ = _OF_NOUN[place.noun]
    named = place.noun in ("lobe", "zone", "pole") or place.organ in _LOBED
    if place.level and named and (place.part is None or place.implied):
        place.part, place.implied = place.level, False
    if place.level and place.noun == "region" and place.part is None:
        place.part = place.level
    if place.organ == "kidney" and place.part == "middle":
        place.part = "interpolar"
