"""Findings of one sentence as they were said: heads, what else they are called, and the words that describe them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prompts.lexicon import Kind, Term
from prompts.places import Place
from prompts.reading import Status
from prompts.scopes import Scopes, coordinates, is_finite, is_mark, is_place

FOCAL = frozenset(
    ("nodule", "mass", "tumour", "lesion", "metastasis", "cyst", "sarcoma", "hemangioma", "polyp", "abscess", "stone")
)
# findings that are an adjective before the name of a lesion
_ADJECTIVES = {"ground-glass opacity": ("texture", "ground-glass"), "wall thickening": ("shape", "wall thickening")}


@dataclass
class Draft:
    """One finding or target as a sentence has it. Indices are items of that sentence, `span` characters of the text."""

    kind: Kind | None
    head: int
    first: int
    last: int
    plural: bool
    doses: tuple[float, ...] = ()
    status: Status = "present"
    places: list[Place] = field(default_factory=list)
    sizes: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    volumes: list[float] = field(default_factory=list)
    size_word: str | None = None
    counts: list[Term] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    spans: list[tuple[int, int]] = field(default_factory=list)
    sentence: int = 0
    section: str = ""
    anaphor: bool = False
    text: str = ""

    @property
    def is_target(self) -> bool:
        """Whether it is a planning target volume."""
        return self.kind is None


def as_attributes(items: Sequence[Term]) -> list[Term]:
    """ "wall thickening, hypodense; with calcification" behind a lesion: what could be findings are its attributes.

    The items as they are where one of them is a finding of its own, has a place or a verb.
    """
    named = {**_ADJECTIVES, "calcification": ("calcified", "True")}
    kinds = [i.means["finding"].name for i in items if "finding" in i.means]
    if not kinds or any(kind not in named for kind in kinds):
        return list(items)
    if any(is_finite(i) or "organ" in i.means or "dose" in i.means for i in items):
        return list(items)
    described = []
    for item in items:
        if "finding" in item.means:
            name, value = named[item.means["finding"].name]
            item = replace(item, means={"attributes": {name: value}})  # noqa: PLW2901
        described.append(item)
    return described


def drafts_of(items: Sequence[Term], scopes: Scopes, scan: Collection[int]) -> list[Draft]:
    """The heads of a sentence in order, one for each thing that is spoken of."""
    found: list[Draft] = []
    for index, item in enumerate(items):
        if index in scan or not {"finding", "dose"} & set(item.means):
            continue
        draft = _draft(item, index, items, scopes)
        if found and _is_same(items, scopes, found[-1], draft):
            _join(found[-1], draft)
        elif found and _retypes(items, scopes, found, draft):
            continue
        else:
            found.append(draft)
    return _without_causes(found)


def _draft(item: Term, index: int, items: Sequence[Term], scopes: Scopes) -> Draft:
    kind = item.means.get("finding")
    draft = Draft(kind, index, index, index + 1, item.plural, text=item.text)
    draft.doses = tuple(item.means.get("dose", ()))
    draft.status = _status(scopes[index])
    draft.used.add(index)
    if kind is not None:
        draft.attributes.update(kind.means)
    before = items[index - 1] if index else None
    draft.anaphor = before is not None and (before.has("definite") or before.has("it") or before.has("largest"))
    return draft


def _status(scope: Collection[str]) -> Status:
    order: tuple[Status, ...] = ("absent", "past", "possible")
    return next((name for name in order if name in scope), "present")


def _is_same(items: Sequence[Term], scopes: Scopes, a: Draft, b: Draft) -> bool:
    """Whether two heads side by side name one thing ("tumour mass", "PTV (70 Gy)")."""
    between = items[a.last : b.first]
    if a.is_target or b.is_target:
        plain = all("target" in i.means or i.has("in") or i.has("article") or is_mark(i, "(", ")") for i in between)
        return a.is_target and b.is_target and a.doses == b.doses and plain
    assert a.kind and b.kind
    if (
        a.kind.name in _ADJECTIVES
        and b.kind.name in FOCAL
        and all(is_place(i) or "attributes" in i.means for i in between)
    ):
        return True
    if a.kind.device and b.kind.device and all(i.has("joins") or i.has("article") for i in between):
        return a.kind.means == b.kind.means
    if between or a.status == "absent":
        return False
    names = {a.kind.name, b.kind.name}
    return a.kind.name == b.kind.name or a.kind.generic or b.kind.generic or names <= FOCAL


def _join(a: Draft, b: Draft) -> None:
    assert a.is_target or (a.kind and b.kind)
    if a.kind and b.kind:
        if a.kind.name in _ADJECTIVES and b.kind.name in FOCAL:
            name, value = _ADJECTIVES[a.kind.name]
            a.attributes[name] = value
            a.kind, a.head = b.kind, b.head
        else:
            a.kind = _finer(a.kind, b.kind)
    a.last, a.plural = b.last, b.plural
    a.attributes = {**b.attributes, **a.attributes}
    a.used |= b.used


def _finer(a: Kind, b: Kind) -> Kind:
    """The name that says more: no name for anything; and a metastasis more than a nodule."""
    if a.generic != b.generic:
        return b if a.generic else a
    rank = ("nodule", "mass", "tumour", "cyst", "sarcoma", "metastasis", "stone", "hemangioma")
    if a.name in rank and b.name in rank:
        return max(a, b, key=lambda k: rank.index(k.name))
    return a


def _retypes(items: Sequence[Term], scopes: Scopes, found: Sequence[Draft], b: Draft) -> bool:
    """Whether `b` only says what a head before it is; then that head is told ("mass, suspicious for malignancy")."""
    if _described(items, found[-1], b):
        return True
    if b.is_target or b.status == "absent":
        return False
    a = next((d for d in reversed(found) if not d.is_target), None)
    if a is None or a.status == "absent" or a.kind is None or b.kind is None:
        return False
    between = items[a.last : b.first]
    opened = sum(is_mark(i, "(") for i in between) > sum(is_mark(i, ")") for i in between)
    suggests = any(i.has("suggests") for i in between)
    says_equal = suggests or any(i.has("equal") for i in between) or _is_considered(items, b)
    says_possible = any(i.has("possible before") for i in between) or (b.status == "possible" and not suggests)
    if not (opened or says_equal or says_possible) or any("size" in i.means for i in between[-3:]):
        return False
    if _is_considered(items, b):
        return _told(a, b, certain=not says_possible)
    if not opened and any(i.has("stop") or (is_finite(i) and not says_equal) for i in between):
        return False
    if not opened and not says_equal and any(i.has("joins") for i in between):
        return False
    return _told(a, b, certain=says_equal and not says_possible)


def _described(items: Sequence[Term], a: Draft, b: Draft) -> bool:
    """ "tumour with wall thickening", "nodule without calcification": `b` is an attribute of `a`."""
    if a.kind is None or b.kind is None or a.kind.name not in FOCAL or a.status != "present":
        return False
    between = [i for i in items[a.last : b.first] if not i.has("article")]
    if (
        b.kind.name in _ADJECTIVES
        and a.kind.name == "tumour"
        and not any(is_finite(i) or i.has("joins") for i in between)
    ):
        name, value = _ADJECTIVES[b.kind.name]
        a.attributes[name] = value
        a.used |= b.used
        return True
    if not between or not (between[-1].has("with") or between[-1].has("absent before")):
        return False
    if len(between) > 1 and any("finding" in i.means or coordinates(i) or is_finite(i) for i in between):
        return False
    name, value = {**_ADJECTIVES, "calcification": ("calcified", "True")}.get(b.kind.name, ("", ""))
    if name:
        a.attributes[name] = "False" if b.status == "absent" else value
        a.used |= b.used
    return bool(name)


def _is_considered(items: Sequence[Term], b: Draft) -> bool:
    """ "..., gallstones are considered": what stands before is a gallstone."""
    following = items[b.last] if b.last < len(items) else None
    return following is not None and following.has("equal") and is_finite_text(following.text)


def is_finite_text(text: str) -> bool:
    """Whether words begin with a verb of their own ("is considered")."""
    return text.split()[0].lower() in ("is", "are", "was", "were")


def _told(a: Draft, b: Draft, certain: bool) -> bool:
    """Tell head `a` that it is a `b`; False where `b` is a finding beside it."""
    assert a.kind and b.kind
    if b.kind.cause:
        a.attributes.setdefault("cause", b.kind.name)
    elif a.kind.generic and not b.kind.generic:
        a.kind = b.kind
        a.attributes = {**b.attributes, **a.attributes}
        if not certain:
            a.attributes["suspected"] = True
    elif certain and {a.kind.name, b.kind.name} <= FOCAL:
        a.kind = b.kind
    elif certain and not b.kind.generic:
        return False
    else:
        a.attributes.setdefault("suspected", b.kind.name)
    a.used |= b.used
    return True


def _without_causes(found: list[Draft]) -> list[Draft]:
    """A diagnosis beside a finding is what that finding is due to, and none of its own."""
    seen = [d for d in found if d.kind and not d.kind.cause and d.status == "present"]
    for draft in found:
        if draft.kind and draft.kind.primary and any(d.kind and d.kind.name == "metastasis" for d in found):
            draft.status = "past"
    kept = []
    for draft in found:
        if draft.kind and draft.kind.cause and seen and draft.status != "absent":
            nearest = min(seen, key=lambda d: abs(d.head - draft.head))
            nearest.attributes.setdefault("cause", draft.text.lower())
            nearest.used |= draft.used
        else:
            kept.append(draft)
    return kept


def bind(
    items: Sequence[Term], scopes: Scopes, drafts: list[Draft], places: Sequence[Place], scan: Collection[int]
) -> None:
    """Give every head the places and words of its part of the sentence."""
    if not drafts:
        return
    edges = [_boundary(items, a, b) for a, b in zip(drafts, drafts[1:], strict=False)]
    begin = max((k + 1 for k in range(drafts[0].first) if items[k].has("normal")), default=0)
    places = [p for p in places if p.first >= begin]  # "the heart is normal and no mass ..": no mass of the heart

    def owner(index: int) -> Draft:
        return drafts[sum(edge <= index for edge in edges)]

    for place in places:
        draft = owner(place.first)
        draft.places.append(place)
        draft.used.update(range(place.first, place.last))
    of_place = {i for place in places for i in range(place.first, place.last)}
    for index, item in enumerate(items):
        if index < begin or index in scan or "finding" in item.means or "dose" in item.means:
            continue
        describe(owner(index), item, index, items, scopes, index in of_place)
    for draft in drafts:
        _same_measure(draft)
    _share_places(items, drafts)


def _same_measure(draft: Draft) -> None:
    """ "short axes of 35 mm on the right and 37 mm on the left": what the first length is, the others are."""
    measures = ("short axis", "thickness", "largest")
    for (_, first), (_, second) in zip(draft.sizes, draft.sizes[1:], strict=False):
        if first["is"] in measures and second["is"] is None:
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
    elif "attributes" not in means:
        if item.has("unchanged") or item.has("changed"):
            draft.attributes.setdefault("change", item.text.lower())
            draft.used.add(index)
        return
    if "attributes" in means and not (in_place and "segment" in means):
        negated = index > 0 and items[index - 1].has("not so")
        _attributes(draft, means["attributes"], negated or ("absent" in scopes[index] and draft.status != "absent"))
    draft.used.add(index)


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
_SHORT = frozenset(("short", "narrow"))
_NEAR = 4


def sized(item: Term, index: int, items: Sequence[Term], scopes: Scopes) -> dict[str, Any]:
    """What a length is the length of, by its neighbours."""
    said = dict(item.means["size"])
    before = [i for i in items[max(0, index - _NEAR) : index] if "mark" not in i.means or not is_mark(i, "(", ")")]
    before = _behind_last(before)
    after = _before_first(items[index + 1 : index + 1 + _NEAR])
    words_before = {w for i in before for w in i.text.lower().replace("-", " ").split()}
    words_after = {w for i in after for w in i.text.lower().replace("-", " ").split()}
    if _is_earlier(items, index):
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
    for item in items:
        if is_mark(item, ",", ";", ")") or "size" in item.means or item.has("joins"):
            break
        kept.append(item)
    return kept


def _is_distance(after: Sequence[Term]) -> bool:
    words = " ".join(i.text.lower() for i in after[:2])
    return words.startswith(("away", "from", "proximal to", "distal to", "above", "below", "distance"))


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
            if item.has("earlier") or (item.has("past before") and step < 0):
                return step < 0 or not item.text.lower().startswith(("compared", "from", "in comparison", "before"))
            j, met = j + step, met + 1
    return False


def _boundary(items: Sequence[Term], a: Draft, b: Draft) -> int:
    """The item where the words of head `a` end and those of `b` begin.

    The last separator before an article or a count; else the last of any kind; else, without any, everything after a
    preposition belongs to `a`, and the rest to `b`.
    """
    opening, strong, commas = [], [], []
    depth = 0
    for index in range(a.last, b.first):
        item = items[index]
        depth += is_mark(item, "(") - is_mark(item, ")")
        if depth > 0:
            continue
        if not (coordinates(item) or item.has("with") or item.has("stop") or is_mark(item, ":")):
            continue
        following = next((i for i in items[index + 1 : b.first + 1] if not i.has("definite")), items[b.first])
        if following.has("article") or "count" in following.means or item.has("stop"):
            opening.append(index)
        elif is_mark(item, ","):
            commas.append(index)
        else:
            strong.append(index)
    if opening:
        return max(opening)
    if strong and commas and max(commas) > max(strong):
        last = max(commas)
        chained = all("attributes" in i.means or "size" in i.means for i in items[max(strong) + 1 : last])
        described = "attributes" in items[max(strong) - 1].means
        return max(strong) if chained and not described and items[max(strong) + 1 : last] else last
    if strong or commas:
        return max([*strong, *commas])
    if any(is_finite(i) for i in items[a.last : b.first]):
        return next(i for i in range(a.last, b.first) if is_finite(items[i]))
    has_preposition = any(i.has("in") or i.has("beside") for i in items[a.last : b.first])
    return b.first if has_preposition else a.last


def _share_places(items: Sequence[Term], drafts: list[Draft]) -> None:
    """A place said once for several: "nodules and consolidation in the left lung"; or before them all."""
    for number in range(len(drafts) - 2, -1, -1):
        draft, following = drafts[number], drafts[number + 1]
        if _placed(draft) or not _shares(draft) or draft.status != following.status:
            continue
        between = items[draft.last : following.first]
        trailing = [p for p in following.places if p.first >= following.last and not p.weak]
        joined = not between or (any(coordinates(i) for i in between) and not any(is_finite(i) for i in between))
        opens = any(i.has("article") or "size" in i.means or "count" in i.means for i in between)
        if (
            trailing
            and joined
            and not opens
            and not any(p.first < following.head for p in following.places if not p.weak)
        ):
            draft.places += trailing
    for before, draft in zip(drafts, drafts[1:], strict=False):
        _follow(items, before, draft)
    leading: list[Place] = []
    for draft in drafts:
        if _placed(draft):
            leading = [p for p in draft.places if p.first < draft.head and p.own_organ and _led_by_in(items, p)]
        elif leading and _shares(draft):
            draft.places += leading


_FOLLOWING = frozenset(
    (
        "adjacent",
        "passive",
        "compressive",
        "post-obstructive",
        "postobstructive",
        "basilar",
        "accompanying",
        "associated",
    )
)


def _follow(items: Sequence[Term], before: Draft, draft: Draft) -> None:
    """ "left effusion with adjacent atelectasis": what goes with a finding is on its side."""
    if draft.kind is None or draft.kind.organ != "lung" or any(p.side for p in draft.places):
        return
    side = next((p.side for p in before.places if p.side and not p.weak), None)
    words = {i.text.lower() for i in items[before.last : draft.last]}
    if side and (words & _FOLLOWING or {"with", "with adjacent"} & words) and before.status == draft.status:
        kept = [p for p in draft.places if not p.weak]
        draft.places = [replace(p, side=side) for p in kept] or [Place(draft.head, draft.head, organ="lung", side=side)]


def _led_by_in(items: Sequence[Term], place: Place) -> bool:
    return any(i.has("in") for i in items[max(0, place.first - 2) : place.first])


def _placed(draft: Draft) -> bool:
    return any(not p.weak for p in draft.places)


def _shares(draft: Draft) -> bool:
    return draft.kind is not None and not draft.kind.always
