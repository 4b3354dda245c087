"""Which words belong to which head: places, sizes, numbers, attributes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prompts.drafts import FOCAL, Draft
from prompts.lexicon import Term
from prompts.places import Place
from prompts.scopes import Scopes, is_mark
from prompts.text import Text


def bind(
    items: Sequence[Term],
    scopes: Scopes,
    drafts: list[Draft],
    places: Sequence[Place],
    scan: Collection[int],
    edges: Sequence[int],
    calibres: Mapping[int, int],
) -> list[Place]:
    """Give every head the places and words of its part of the sentence; the places that are said to be normal.

    `edges`: the items where the parts of all heads but the first begin (prompts/boundaries.py); `calibres`: organs, and
    the lengths that are their own (prompts/lengths.py).
    """
    begin = max((k + 1 for k in range(drafts[0].first) if items[k].has("normal")), default=0)
    # "the heart is normal and no mass ..": no mass of the heart; "nodule on the right, left lobe normal"; "duct 3 mm"
    places = _of_extents(items, drafts, places)
    normal = [p for p in places if p.first < begin or _is_normal(items, p)]
    places = [p for p in places if p not in normal and p.last - 1 not in calibres]

    def owner(index: int) -> Draft:
        number = sum(edge <= index for edge in edges)
        while number and index >= drafts[number].last and _is_ground(items, drafts[number]):
            number -= 1
        return drafts[number]

    for place in places:
        draft = owner(place.first)
        draft.places.append(place)
        draft.used.update(range(place.first, place.last))
    of_place = {i for place in places for i in range(place.first, place.last)}
    for index, item in enumerate(items):
        if index < begin or index in scan or "finding" in item.means or "dose" in item.means:
            continue
        if index in calibres.values():
            drafts[0].used.add(index)
            continue
        describe(owner(index), item, index, items, scopes, index in of_place)
    for draft in drafts:
        _same_measure(draft, items)
        _told_of(draft, drafts)
    _share_places(items, drafts)
    return normal


_ALONG = frozenset(("dissection", "intramural hematoma"))


def _of_extents(items: Sequence[Term], drafts: Sequence[Draft], places: Sequence[Place]) -> list[Place]:
    """ "dissection from the left subclavian to the celiac artery": how far it goes, and not where it is twice."""
    if not any(d.kind and d.kind.name in _ALONG for d in drafts):
        return list(places)
    ends: set[int] = set()
    for a, b in zip(places, places[1:], strict=False):
        before = [i for i in items[max(a.first - 3, 0) : a.first] if not i.has("definite")]
        led = bool(before) and before[-1].text.lower().split()[-1] in ("from", "between")
        between = [i for i in items[a.last : b.first] if not i.has("definite")]
        if led and len(between) == 1 and between[0].text.lower().split()[0] in ("to", "and", "until", "into"):
            ends |= {a.first, b.first}
    return [replace(p, weak=True) if p.first in ends else p for p in places]


_GROUND = ("cirrhotic", "emphysematous", "fatty", "steatotic", "fibrotic")


def _is_ground(items: Sequence[Term], draft: Draft) -> bool:
    """ "HCC in a cirrhotic liver, segment 7": what the organ is like; words behind it are of what lies in it."""
    before = [i for i in items[max(draft.first - 2, 0) : draft.first] if not i.has("article") and not i.has("definite")]
    return draft.text.lower().startswith(_GROUND) and bool(before) and before[-1].has("in")


def _is_normal(items: Sequence[Term], place: Place) -> bool:
    behind = items[place.last : place.last + 2]
    plain = bool(behind) and (behind[0].is_finite or "unknown" in behind[0].means)
    return bool(behind) and (behind[0].has("normal") or (plain and behind[-1].has("normal")))


_UNPAIRED = frozenset(
    ("heart", "pericardium", "coronary", "aorta", "esophagus", "liver", "gallbladder", "spleen", "stomach", "pancreas")
    + ("peritoneum", "retroperitoneum", "bladder", "prostate", "uterus", "brain")
)


def _told_of(draft: Draft, drafts: Sequence[Draft]) -> None:
    """ "55F, breast ca, liver mets": a primary without size or part is told of, and not seen."""
    seen = draft.sizes or any(p.part for p in draft.places)
    told = draft.text.lower() == "primary"  # "thyroid primary" beside nodules
    spread = any(d.kind and (d.kind.name == "metastasis" or (told and d is not draft)) for d in drafts)
    nature = draft.attributes.get("nature") == "metastatic" and draft.text.lower() not in ("lesion", "nodule", "mass")
    known = draft.text.lower().endswith(("cancer", "carcinoma", "ca")) or not draft.places
    if draft.kind and draft.kind.name == "tumour" and nature and len(drafts) > 1 and not seen and known:
        draft.status = "past"  # "metastatic melanoma with liver lesions"
    if draft.kind and draft.kind.primary and spread and not seen and draft.status == "present":
        draft.status = "past"


def _same_measure(draft: Draft, items: Sequence[Term]) -> None:
    """ "short axes of 35 mm on the right and 37 mm on the left": what the first length is, the others are.

    An aneurysm of 58 mm "and a length of 8 cm" is as long, and no second one.
    """
    if draft.kind is not None and draft.kind.name not in FOCAL:
        for index, size in draft.sizes:
            said = " ".join(i.text.lower() for i in items[max(index - 2, 0) : index])
            behind = " ".join(i.text.lower() for i in items[index + 1 : index + 3])
            along = behind.startswith(("in length", "segment", "length"))  # "a thickened 8 cm segment"
            also = len(draft.sizes) > 1 and index != draft.sizes[0][0] and said.endswith(("length of", "length"))
            if size["is"] is None and (also or along):
                size["is"] = "length"
    measures = ("short axis", "thickness", "largest")
    for (a, first), (b, second) in zip(draft.sizes, draft.sizes[1:], strict=False):
        closed = any(is_mark(i, ")") for i in items[a:b]) and not any(is_mark(i, "(") for i in items[b:][:1])
        if first["is"] in measures and second["is"] is None and not (closed and first["is"] == "largest"):
            second["is"] = first["is"]


def describe(
    draft: Draft, item: Term, index: int, items: Sequence[Term], scopes: Scopes, in_place: bool = False
) -> None:
    """One word for one head: a size, a number of them, an attribute."""
    means = item.means
    if "size" in means:
        draft.sizes.append((index, sized(item, index, items, scopes)))
    elif "volume" in means:
        draft.volumes += means["volume"]
    elif "count" in means and "size_word" not in means:
        if _of_them(items, index):
            return  # "two of which are calcified"
        if "absent" not in scopes[index] or draft.status == "absent":
            draft.counts.append(item)
    elif "size_word" in means:
        if draft.size_word is None and "absent" not in scopes[index]:
            draft.size_word = means["size_word"]
    elif "stage" in means:
        draft.attributes.setdefault("stage", means["stage"])
    elif "degrees" in means:
        draft.attributes.setdefault("contact_degrees", means["degrees"])
    elif "share" in means or "ratio" in means:
        draft.attributes.update(means)
        draft.shares += [means["share"]] if "share" in means else []
    elif "attributes" not in means:
        if item.has("unchanged") or item.has("changed"):
            draft.attributes.setdefault("change", item.text.lower())
            draft.used.add(index)
        return
    if "attributes" in means and not (in_place and "segment" in means):
        negated = index > 0 and items[index - 1].has("not so")
        _attributes(draft, means["attributes"], negated or ("absent" in scopes[index] and draft.status != "absent"))
    draft.used.add(index)


def take_pending(state: Text, draft: Draft) -> None:
    """What sentences before the first finding said is said of it ("Right lung. 8 mm nodule.")."""
    for items, spread, where, taken in state.pending:
        if any(i.is_finite for i in items):
            continue
        if not any(p.own_organ and not p.weak for p in draft.places):
            draft.places = [*where, *draft.places]
        for index, item in enumerate(items):
            if index not in taken:
                used = set(draft.used)
                describe(draft, item, index, items, spread)
                draft.used = used
    state.pending = []


def _of_them(items: Sequence[Term], index: int) -> bool:
    behind = " ".join(i.text.lower() for i in items[index + 1 : index + 3])
    return behind.startswith(("of which", "of them", "of these", "of whom", "of the"))


def _attributes(draft: Draft, said: dict[str, str], negated: bool) -> None:
    for name, value in said.items():
        if negated:
            if value != "True":
                continue
            value = "False"
        if name == "type":
            continue
        held = draft.attributes.get(name)
        if (
            held is not None
            and str(held) != value
            and name not in ("distribution", "septal", "obstructing", "loculated")
        ):
            draft.conflicts.append(
                f"'{held}' and '{value}' contradict each other for '{draft.text}': keep one of the two"
            )
        else:
            draft.attributes[name] = value


_THICK = frozenset(("thickness", "thick", "deep", "depth", "thickest", "deepest"))
_SHORT = frozenset(("short", "narrow", "sad", "sa"))
_NEAR = 4
_FAR = 8


def sized(item: Term, index: int, items: Sequence[Term], scopes: Scopes) -> dict[str, Any]:
    """What a length is the length of, by its neighbours."""
    said = dict(item.means["size"])
    before = [i for i in items[max(0, index - _FAR) : index] if "mark" not in i.means or not is_mark(i, "(", ")")]
    before = _behind_last(before)
    after = _before_first(items[index + 1 : index + 1 + _NEAR])
    before = [i for i in before if not i.text.lower().startswith(("thick-wall", "thick wall"))]
    words_before = {w for i in before for w in i.text.lower().replace("-", " ").split()}
    after = [i for i in after if not i.text.lower().startswith(("thick-wall", "thick wall"))]
    words_after = {w for i in after for w in i.text.lower().replace("-", " ").split()}
    if said["is"] == "earlier" or _is_earlier(items, index):
        said["is"] = "earlier"
    elif _is_distance(after) or "distance" in words_before:
        said["is"] = "distance"
    elif _THICK & (words_before | words_after):
        said["is"] = "thickness"
    elif _SHORT & words_before or _SHORT & words_after:
        said["is"] = "short axis"
    elif said["is"] in (None, "below") and ("largest" in scopes[index] or any(i.has("largest") for i in before)):
        said["is"] = "largest"
    return said


def _behind_last(items: Sequence[Term]) -> list[Term]:
    """Behind the last comma or other length, which says something else."""
    kept: list[Term] = []
    for item in reversed(items):
        if is_mark(item, ",", ";") or "size" in item.means or item.has("joins"):
            break
        kept.append(item)
    return kept[::-1]


def _before_first(items: Sequence[Term]) -> list[Term]:
    kept: list[Term] = []
    for k, item in enumerate(items):
        if is_mark(item, "(") and any("size" in i.means for i in items[k:]):
            break
        if is_mark(item, ",", ";", ")") or "size" in item.means or item.has("joins"):
            break
        kept.append(item)
    return kept


def _is_distance(after: Sequence[Term]) -> bool:
    words = " ".join(i.text.lower() for i in after[:2])
    if words == "from":  # "2.8 cm from 3.3 cm"
        return False
    return words.startswith(("away", "from", "proximal to", "distal to", "above", "below", "beyond", "distance"))


def _is_earlier(items: Sequence[Term], index: int) -> bool:
    """ "previously 4 mm", "(27 mm in the previous examination)", "was 4 mm"."""
    for step in (-1, 1):
        j, met = index + step, 0
        while 0 <= j < len(items) and met < _NEAR:
            item = items[j]
            if (
                is_mark(item, ",", "(", ")", ";")
                or "finding" in item.means
                or "size" in item.means
                or item.has("joins")
            ):
                break
            behind = items[j + 1].means if j + 1 < len(items) else {}
            if step > 0 and "size" in behind:
                break  # "now 17 mm, previously 12 mm": it speaks of the next one
            if item.has("earlier") or (item.has("past before") and step < 0):
                return step < 0 or not item.text.lower().startswith(("compared", "from", "in comparison", "before"))
            j, met = j + step, met + 1
    return False


def _share_places(items: Sequence[Term], drafts: list[Draft]) -> None:
    """A place said once for several: "nodules and consolidation in the left lung"; or before them all."""
    for number in range(len(drafts) - 2, -1, -1):
        draft, following = drafts[number], drafts[number + 1]
        if (
            _placed(draft)
            or not _shares(draft)
            or (draft.status != following.status and not _replaces(items, draft, following))
        ):
            continue
        between = items[draft.last : following.first]
        trailing = [p for p in following.places if p.first >= following.last and not p.weak]
        verb = any(i.is_finite for p in trailing[:1] for i in items[following.last : p.first])
        joined = not between or (any(_goes_on(i) for i in between) and not any(i.is_finite for i in between))
        opens = any(i.has("article") or "size" in i.means or "count" in i.means for i in between)
        # "right pneumothorax with chest tube, mass 4 cm left lower lobe": the place is of the one that is measured
        listed = bool(between) and is_mark(between[0], ",") and not any(i.has("joins") for i in between)
        led = number > 0 and _placed(drafts[number - 1]) and items[draft.first - 1].has("with")
        measured = any("size" in i.means for p in trailing[:1] for i in items[following.last : p.first])
        if (
            trailing
            and joined
            and (verb or not opens)
            and not (listed and (led or measured))
            and not any(p.first < following.head for p in following.places if not p.weak)
        ):
            draft.places += [replace(p, absent=draft.status == "absent") for p in trailing]
    leading: list[Place] = []
    for draft in drafts:
        if _placed(draft):
            leading = [
                p for p in draft.places if p.first < draft.head and (p.own_organ or p.part) and _led_by_in(items, p)
            ]
        elif leading and _shares(draft):
            draft.places += leading
    opening = next((p for p in drafts[0].places if _opens(items, p)), None)
    followed: set[int] = set()  # heads that go with the one before them
    for before, draft in zip(drafts, drafts[1:], strict=False):
        if opening is not None and not any(p.side for p in draft.places):
            draft.places = [replace(p, side=opening.side) for p in draft.places] or [opening]
        _beside(items, before, draft)
        _within(before, draft)
        _around(items, before, draft)
        if not any(d is not draft and d.kind and draft.kind and d.kind.name == draft.kind.name for d in drafts):
            _follow(items, before, draft, followed)
        _same_side(before, draft)


def _goes_on(item: Term) -> bool:
    """ "bronchiectasis accompanied by thickening in the right lower lobe"."""
    return item.coordinates or item.text.lower() in ("accompanied by", "with", "and accompanying")


_LEFT = frozenset(("leaving", "residual", "with residual"))  # "consolidation has resolved, leaving scarring"
_FOLLOWING = frozenset(
    (
        "adjacent",
        "adjacent to",
        "next to",
        "secondary to",
        "due to",
        "caused by",
        "accompanied by",
        "passive",
        "compressive",
        "post-obstructive",
        "postobstructive",
        "underlying",
        "surrounding",
        "basilar",
        "accompanying",
        "associated",
        "leaving",
        "residual",
    )
)


def _follow(items: Sequence[Term], before: Draft, draft: Draft, followed: set[int]) -> None:
    """ "left effusion with adjacent atelectasis": what goes with a finding is on its side.

    So are all of a list: "right upper lobe volume loss with bands, bronchiectasis and granulomas".
    """
    if draft.kind is None or before.kind is None or any(p.side for p in draft.places):
        return
    between = items[before.last : draft.first]
    listed = bool(between) and all(
        i.coordinates or not {"attributes", "size_word", "count"}.isdisjoint(i.means) for i in between
    )
    if before.head in followed and listed and draft.status == before.status:
        if not draft.places and (draft.kind.organ == "lung" or draft.kind.name in FOCAL) and not draft.kind.always:
            draft.places = [replace(p) for p in before.places if not p.weak]
            followed.add(draft.head)
        return
    if draft.kind.organ not in ("lung", "pleura"):
        return
    side = next((p.side for p in before.places if p.side and not p.weak), None)
    words = {i.text.lower() for i in items[before.last : draft.last]}
    if (
        side
        and (words & _FOLLOWING or {"with", "with adjacent"} & words)
        and (before.status == draft.status or before.kind.history or (before.status == "past" and words & _LEFT))
    ):
        kept = [p for p in draft.places if not p.weak]
        if (before.kind.history or before.status == "past") and not kept:  # "left upper lobe resection with scarring"
            draft.places = [replace(p, absent=False) for p in before.places]
            return
        if before.kind.organ == draft.kind.organ == "lung" and not kept:  # "lower lobe bronchiectasis with plugging"
            followed.add(draft.head)
            draft.places = [replace(p) for p in before.places if not p.weak]
            return
        draft.places = [replace(p, side=side) for p in kept] or [
            Place(draft.head, draft.head, organ=draft.kind.organ, side=side)
        ]


_OF_VESSELS = ("arterial", "aortic", "vascular", "vessel")
_IT = frozenset(("it", "them", "this", "these", "which"))


def _around(items: Sequence[Term], before: Draft, draft: Draft) -> None:
    """ "mass .. and satellite nodules around it", "bronchiectasis, some of which contain mucus": in the same place.

    And "cut off at the pancreatic head, where there is a mass"; "stones in the gallbladder with thickened wall".
    """
    if draft.kind is None or _placed(draft) or before.status == "absent" or draft.status == "absent":
        return
    between = items[before.last : draft.first]
    where = next((k for k in range(draft.first - 1, before.last - 1, -1) if items[k].text.lower() == "where"), None)
    if where is not None:
        draft.places = [replace(p, weak=False) for p in before.places if p.last in (where, where - 1)] or draft.places
        return
    behind = items[draft.last : draft.last + 3]
    after_it = " ".join(i.text.lower() for i in behind[:2]).startswith("behind it")
    pointed = after_it or any(i.has("beside") for i in behind[:1]) and any(i.text.lower() in _IT for i in behind[1:])
    related = any(i.text.lower() in ("which", "satellite") for i in [*between, *items[draft.first - 1 : draft.first]])
    if (pointed or related) and not draft.kind.always:
        draft.places = [replace(p) for p in before.places if not p.weak]
    elif draft.text.lower().startswith(_OF_VESSELS):
        return  # "cardiomegaly and arterial wall calcification"
    elif before.kind and before.kind.organ in draft.kind.elsewhere and any(i.has("joins") for i in between):
        draft.places = [Place(draft.head, draft.head, organ=before.kind.organ)]  # "duct dilatation and atrophy"
    elif draft.kind.needs_place:
        draft.places = [replace(p) for p in before.places if p.organ in draft.kind.elsewhere and not p.weak]


def _within(before: Draft, draft: Draft) -> None:
    """ "aneurysm with mural thrombus": a clot is in the vessel that was spoken of; "goiter with a 3 cm nodule"."""
    if draft.kind is None or before.kind is None:
        return
    if before.kind.name == "goiter" and draft.kind.name in FOCAL and not any(p.organ for p in draft.places[:1]):
        first = draft.places[0] if draft.places else Place(draft.head, draft.head)
        draft.places = [replace(first, organ="thyroid"), *draft.places[1:]]
    if draft.kind.name == "ascites" and not draft.kind.always and before.kind.name in ("effusion", "ascites"):
        _of_the_same_space(before, draft)
    if _placed(draft):
        return
    if draft.kind.name == "wall thickening" and before.kind.organ in _TUBES and not draft.kind.always:
        home = [replace(p) for p in before.places if p.organ in _TUBES and not p.weak]
        draft.places = home or [Place(draft.head, draft.head, organ=before.kind.organ)]
    if draft.kind.name == "arterial wall calcification" and before.kind.name in ("stenosis", "aneurysm"):
        draft.places = [replace(p) for p in before.places if p.organ and not p.weak]
    if draft.kind.name != "thrombosis":
        return
    if before.kind.name in ("aneurysm", "dissection"):
        organ = next((p.organ for p in before.places if p.organ and not p.weak), before.kind.organ)
        draft.places = [Place(draft.head, draft.head, organ=organ)]


def _of_the_same_space(before: Draft, draft: Draft) -> None:
    """ "fluid in the right pleural space, and no fluid on the left"."""
    assert draft.kind and before.kind
    home = before.kind.organ if before.kind.always else None
    organ = next((p.organ for p in before.places if p.organ and not p.weak), home)
    if organ in draft.kind.elsewhere and not any(p.organ for p in draft.places):
        draft.places = [replace(p, organ=organ) for p in draft.places] or [Place(draft.head, draft.head, organ=organ)]


def _same_side(before: Draft, draft: Draft) -> None:
    """ "upper pole of the left kidney, stone in the lower pole": a part alone is on the side of the one before it.

    So is hydronephrosis with a stone of the left ureter, and a pneumothorax with a chest tube on the right.
    """
    places = [p for p in draft.places if not p.weak]
    side = next((p.side for p in before.places if p.side in ("left", "right") and not p.weak), None)
    if side is None or any(p.side for p in places) or draft.kind is None or before.kind is None:
        return
    here, there = _organs(draft), _organs(before)
    part_alone = bool(places) and all(p.part and not p.own_organ for p in places) and draft.kind.name in FOCAL
    drained = draft.kind.name == "hydronephrosis" and there <= {"kidney", "ureter"}
    if (
        drained
        or (part_alone and here == there)
        or any(here <= pair and there <= pair and here != there for pair in _COUPLED)
    ):
        draft.places = [replace(p, side=side) for p in draft.places] or [Place(draft.head, draft.head, side=side)]


def _organs(draft: Draft) -> frozenset[str]:
    """Where a finding is, or what was put there."""
    assert draft.kind
    if draft.kind.device:
        return frozenset({str(draft.kind.means["device"])})
    said = {p.organ for p in draft.places if p.organ and not p.weak and not draft.kind.always}
    said -= {"vertebra"} if len(said) > 1 else set()  # "at L3 level in the upper ureter"
    return frozenset(said) if said else frozenset({draft.kind.organ} if draft.kind.organ else ())


_TUBES = ("colorectum", "bowel", "stomach", "esophagus", "gallbladder", "bladder")
_COUPLED = (frozenset(("kidney", "ureter")), frozenset(("chest tube", "pleura")))


def _opens(items: Sequence[Term], place: Place) -> bool:
    """ "On the right, an effusion and atelectasis": a side before a comma is the side of all that follows."""
    alone = place.side is not None and not place.organ and place.last < len(items) and is_mark(items[place.last], ",")
    return alone and not any("finding" in i.means for i in items[: place.first])


def _replaces(items: Sequence[Term], a: Draft, b: Draft) -> bool:
    """ "pneumonia rather than tumour in the right upper lobe"."""
    return b.status == "absent" and any(
        i.text.lower() in ("rather than", "instead of") for i in items[a.last : b.first]
    )


def _beside(items: Sequence[Term], before: Draft, draft: Draft) -> None:
    """ "bibasilar scarring/atelectasis": two heads with nothing between them share the place before the first."""
    between = items[before.last : draft.first]
    both = [p for p in before.places if p.side == "bilateral" and not p.own_organ and p.last == before.first]
    joined = [i for i in between if i.coordinates]
    plain = all(i.coordinates or "size_word" in i.means or "attributes" in i.means for i in between)
    one = draft.kind is not None and draft.kind.organ in _UNPAIRED  # "bilateral effusions and cardiomegaly"
    if both and not one and not _placed(draft) and joined and plain and not any(is_mark(i, ",") for i in between):
        draft.places += [replace(p, organ=None) for p in both]  # "bilateral ground glass and small effusions"
    if _placed(draft) or not _shares(draft) or not between or not all(i.coordinates for i in between):
        return
    if before.status == draft.status and not any(is_mark(i, ",") for i in between):
        draft.places += [p for p in before.places if p.last <= before.first and not p.weak]


def _led_by_in(items: Sequence[Term], place: Place) -> bool:
    if place.first < len(items) and items[place.first].text.lower().startswith("in "):
        return True  # "in both lungs"
    opens = all(i.has("definite") or i.has("article") for i in items[: place.first])
    subject = opens and place.last < len(items) and items[place.last].is_finite
    return subject or any(i.has("in") for i in items[max(0, place.first - 2) : place.first])


def _placed(draft: Draft) -> bool:
    return any(not p.weak and (p.organ or p.side or p.part) for p in draft.places)


def _shares(draft: Draft) -> bool:
    return draft.kind is not None and not draft.kind.always
