"""Findings of one sentence as they were said: heads, what else they are called, and the words that describe them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from prompts.lexicon import Kind, Term
from prompts.places import Place
from prompts.reading import Status
from prompts.scopes import Scopes, is_mark, is_place
from prompts.sentence import ADJECTIVES, DESCRIBING

FOCAL = frozenset(
    (
        *("nodule", "mass", "tumour", "adenoma", "lesion", "metastasis", "cyst", "sarcoma", "hemangioma", "polyp"),
        *("abscess", "stone"),
    )
)
_OF_PARTS = ("pacemaker", "surgical material")  # with leads; wires and clips
_MAYBE = ("likely", "probably", "probable", "most likely", "more likely")
_HOLLOW = ("cavity", "bulla", "collection")
_TWO = ("vs", "versus")
_LABEL = 5  # items before the name of a lesion that a line opens with
_BECOMES = {"collection": ("abscess", "hematoma", "cyst"), "wall thickening": ("tumour",)}
_RANK = ("nodule", "mass", "tumour", "adenoma", "cyst", "sarcoma", "metastasis", "stone", "hemangioma")
_OTHERS = ("new", "other", "additional", "further")


@dataclass
class Draft:
    """One finding or target as a sentence has it. Indices are items of that sentence, `spans` characters of the text.

    `anaphor`: it may speak of an earlier one; `explains`: it is said of others ("consistent with", "may be");
    `summary`: examples of it follow, which are what is told.
    """

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
    shares: list[float] = field(default_factory=list)
    size_word: str | None = None
    counts: list[Term] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    spans: list[tuple[int, int]] = field(default_factory=list)
    sentence: int = 0
    section: str = ""
    anaphor: bool = False
    explains: bool = False
    summary: bool = False
    text: str = ""

    @property
    def is_target(self) -> bool:
        """Whether it is a planning target volume."""
        return self.kind is None


def drafts_of(items: Sequence[Term], scopes: Scopes, scan: Collection[int]) -> list[Draft]:
    """The heads of a sentence in order, one for each thing that is spoken of."""
    found: list[Draft] = []
    for index, item in enumerate(items):
        if index in scan or not {"finding", "dose"} & set(item.means):
            continue
        draft = _draft(item, index, items, scopes)
        if found and _is_answered(items, found[-1], draft):
            draft.used |= found.pop().used
            found.append(draft)
        elif found and _is_example(items, found[-1], draft):
            found[-1].summary = True
            found.append(draft)
        elif found and (_is_enlarged(items, found[-1], draft) or _is_old(items, found[-1], draft)):
            draft.used |= found.pop().used
            found.append(draft)
        elif found and (_is_same(items, scopes, found[-1], draft) or _is_primary(items, found[-1], draft)):
            _join(found[-1], draft)
        elif found and _retypes(items, scopes, found, draft):
            continue
        else:
            found.append(draft)
    return _without_causes(found, items)


def of_others(items: Sequence[Term], scopes: Scopes) -> bool:
    """ "stable nodules, and no newly developed nodule": what is ruled out is none of those that are there."""
    return any(
        "absent" in scope and item.text.lower().startswith(_OTHERS) for item, scope in zip(items, scopes, strict=True)
    )


def _is_answered(items: Sequence[Term], a: Draft, b: Draft) -> bool:
    """ "Lymph nodes: no adenopathy": a line with a finding for its heading."""
    alike = a.kind is not None and b.kind is not None and a.kind.name == b.kind.name
    return alike and a.first == 0 and a.last < b.first and is_mark(items[a.last], ":")


def _is_example(items: Sequence[Term], a: Draft, b: Draft) -> bool:
    """ "nodules, for example a 3 mm nodule on the right": the summary is told by its examples."""
    between = items[a.last : b.first]
    exemplified = any(i.has("example") or i.text.lower() == "including" for i in between)
    alike = a.kind is not None and b.kind is not None and a.kind.name == b.kind.name and a.status == b.status
    return (
        alike and exemplified and any("size" in i.means for i in items[max(a.last, b.first - _LABEL) : b.last + _LABEL])
    )


def _is_enlarged(items: Sequence[Term], a: Draft, b: Draft) -> bool:
    """ "enlarged right hilar and subcarinal nodes": the adjective is no dilatation."""
    if (
        a.kind is None
        or b.kind is None
        or not a.kind.needs_place
        or b.kind.name not in {*FOCAL, *_HOLLOW, "lymph node"}
    ):
        return False
    if b.status != a.status or not a.text.lower().startswith(("enlarg", "thick")):
        return False
    commas = [k for k in range(a.last, b.first) if items[k].coordinates]
    opening = [items[k + 1] for k in commas]
    if any({"count", "size"} & set(i.means) or i.has("article") for i in opening):
        return False  # "thickened terminal ileum, 2 abscesses"
    return not any(i.is_finite or i.has("stop") or i.has("with") for i in items[a.last : b.first])


def _is_old(items: Sequence[Term], a: Draft, b: Draft) -> bool:
    """ "sequela calcification", "sequela calcific nodules": an adjective."""
    old = a.text.lower() in ("sequela", "sequelae", "sequel")
    return old and all({"attributes", "size_word"} & set(i.means) for i in items[a.last : b.first])


def _is_primary(items: Sequence[Term], a: Draft, b: Draft) -> bool:
    """ "NSCLC, RUL primary 4.5 cm": where a tumour began is not another one."""
    if a.kind is None or a.kind.name != "tumour" or b.text.lower() != "primary":
        return False
    return all(is_place(i) or is_mark(i, ",", ":") or "size" in i.means for i in items[a.last : b.first])


def _draft(item: Term, index: int, items: Sequence[Term], scopes: Scopes) -> Draft:
    kind = item.means.get("finding")
    draft = Draft(kind, index, index, index + 1, item.plural, text=item.text)
    draft.doses = tuple(item.means.get("dose", ()))
    draft.status = _status(scopes[index])
    draft.used.add(index)
    if kind is not None and kind.history and draft.status == "present":
        draft.status = "past"
    if kind is not None:
        draft.attributes.update(kind.means)
    before = items[index - 1] if index else None
    definite = before is not None and (before.has("definite") or before.has("it") or before.has("largest"))
    draft.anaphor = definite or "largest" in scopes[index]
    draft.explains = not {"equal", "due", "possible"}.isdisjoint(scopes[index]) or _is_considered(items, draft)
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
        a.kind.name in ADJECTIVES
        and b.kind.name in FOCAL
        and all(is_place(i) or "attributes" in i.means for i in between)
    ):
        return True
    if (
        a.kind.device
        and b.kind.device
        and all(i.has("joins") or i.has("article") or i.has("with") or is_place(i) for i in between)
    ):
        return a.kind.means == b.kind.means and (not between or a.kind.means.get("device") in _OF_PARTS)
    if a.status != "absent" and between and all(i.has("either") for i in between):
        return {a.kind.name, b.kind.name} <= {*FOCAL, "lymph node"}
    if between or a.status == "absent":
        return False
    if b.text.lower().startswith("sequel"):  # "fracture sequelae"
        return True
    names = {a.kind.name, b.kind.name}
    return a.kind.name == b.kind.name or a.kind.generic or b.kind.generic or names <= FOCAL


def _join(a: Draft, b: Draft) -> None:
    assert a.is_target or (a.kind and b.kind)
    if a.kind and b.kind:
        if a.kind.name in ADJECTIVES and b.kind.name in FOCAL:
            name, value = ADJECTIVES[a.kind.name]
            a.attributes[name] = value
            a.kind, a.head = b.kind, b.head
        else:
            a.kind = a.kind if b.text.lower().startswith("sequel") else _finer(a.kind, b.kind)
    a.last, a.plural = b.last, b.plural
    a.attributes = {**b.attributes, **a.attributes}
    a.used |= b.used


def _finer(a: Kind, b: Kind) -> Kind:
    """The name that says more: no name for anything; and a metastasis more than a nodule."""
    if a.generic != b.generic:
        return b if a.generic else a
    if "lymph node" in (a.name, b.name):
        return a if a.name == "lymph node" else b
    return b if finer(a.name, b.name) != a.name else a


def finer(a: str, b: str) -> str:
    """Of two names of a lesion the one that says more; `a` where they are not alike."""
    if a in _RANK and b in _RANK:
        return max(a, b, key=_RANK.index)
    return a


def _retypes(items: Sequence[Term], scopes: Scopes, found: Sequence[Draft], b: Draft) -> bool:
    """Whether `b` only says what a head before it is; then that head is told ("mass, suspicious for malignancy")."""
    if _described(items, found[-1], b):
        return True
    if b.is_target or b.status == "absent":
        return False
    a = _told_by(items, found, b)
    if a is None or a.status == "absent" or a.kind is None or b.kind is None:
        return False
    if a.kind.generic and b.status == "possible" and any(i.text.lower() in _TWO for i in items[b.last : b.last + 1]):
        a.attributes.setdefault("suspected", b.kind.name)  # "opacity, infarct versus pneumonia"
        a.used |= b.used
        return True
    between = items[a.last : b.first]
    labelled = a.kind.generic or ({a.kind.name, b.kind.name} <= FOCAL and a.first < _LABEL)
    told = any("size" in i.means or "count" in i.means for i in between)  # "metastatic cancer: 5 liver lesions"
    if labelled and any(is_mark(i, ":") for i in between) and not told:
        return _told(a, b, certain=True)  # "Target lesion 1: lymph node"
    if _is_apposition(items, a, b):
        return _told(a, b, certain=True)
    if (word := _predicate(items, a, b)) is not None:
        return _told(a, b, certain=word.has("equal"))
    opened = sum(is_mark(i, "(") for i in between) > sum(is_mark(i, ")") for i in between)
    opened = opened or (is_mark(items[b.first - 1], ",") and b.last < len(items) and is_mark(items[b.last], "?"))
    suggests = any(i.has("suggests") for i in between)
    says_equal = suggests or any(i.has("equal") for i in between) or _is_considered(items, b)
    behind = [k for k, i in enumerate(between) if is_mark(i, ",")]
    tail = between[max(behind) :] if behind and a.status == "present" else between  # "cancer possible, dilated duct"
    says_possible = any(i.has("possible before") for i in tail) or (b.status == "possible" and not suggests)
    asked = bool(between) and is_mark(between[-1], "?")  # "?IPMN"
    sized = any("size" in i.means for i in between[-3:])
    if not (opened or says_equal or says_possible) or (
        sized and not asked and not says_equal and not is_mark(between[-1], "(")
    ):
        return False
    if _is_considered(items, b):
        return _told(a, b, certain=not says_possible)
    if any(is_mark(x, ",") and y.text.lower() in _MAYBE for x, y in pairwise(between)):
        return _told(a, b, certain={a.kind.name, b.kind.name} <= FOCAL or a.kind.generic)
    stops = any(i.has("stop") and not after.has("equal") for i, after in pairwise([*between, items[b.first]]))
    if not opened and (stops or any(i.is_finite and not says_equal for i in between)):
        return False
    if not opened and not says_equal and any(i.has("joins") for i in between):
        return False
    return _told(a, b, certain=says_equal and not says_possible)


def _told_by(items: Sequence[Term], found: Sequence[Draft], b: Draft) -> Draft | None:
    """The head that `b` may tell: one of its kind, a lesion that is considered to be one, else the last."""
    heads = [d for d in reversed(found) if d.kind is not None]
    equal = any(i.has("equal") for i in items[heads[0].last : b.first]) if heads else False
    alike = next((d for d in heads if b.kind and d.kind and d.kind.name == b.kind.name), None)
    if equal and alike is not None:
        return alike
    if b.kind and b.kind.name in FOCAL and _is_considered(items, b):
        return next((d for d in heads if d.kind and d.kind.name in FOCAL), heads[0] if heads else None)
    return heads[0] if heads else None


def _is_apposition(items: Sequence[Term], a: Draft, b: Draft) -> bool:
    """ "3 cm mass at the bifurcation, paraganglioma": a finer name alone between commas."""
    assert a.kind and b.kind
    named = {i.text.lower() for i in items[: b.first - 1] if "organ" in i.means}
    first = b.first
    while first > a.last + 1 and "attributes" in items[first - 1].means:  # "typical hemangioma"
        first -= 1
    again = first > 1 and items[first - 1].text.lower() in named  # "in the right kidney, kidney stones"
    alone = is_mark(items[first - 1 - again], ",") and (b.last == len(items) or is_mark(items[b.last], ","))
    vague = a.kind.name in ("mass", "nodule", "lesion") or a.kind.generic
    return alone and vague and b.kind.name in _RANK[2:] and (a.plural or not b.plural)


def _predicate(items: Sequence[Term], a: Draft, b: Draft) -> Term | None:
    """ "The hypodensity is new and concerning for metastasis", "... is small but likely a cyst": what says so."""
    assert a.kind and b.kind
    if not (a.kind.generic or a.kind.name in ("mass", "nodule")) or b.kind.name not in FOCAL or b.plural != a.plural:
        return None
    between = items[a.last : b.first]
    verb = next((k for k, i in enumerate(between) if i.is_finite), None)
    if verb is None or any("size" in i.means or "count" in i.means for i in between[verb:]):
        return None
    if any(is_place(i) for i in between[verb:]) or any(is_place(i) for i in items[b.last : b.last + 3]):
        return None
    said = [i for i in between[verb:] if not i.has("article") and "attributes" not in i.means]
    there = any(i.text.lower().startswith("there") for i in said)
    tells = said[-1].has("equal") or said[-1].has("possible before") or said[-1].has("suggests")
    return said[-1] if tells and not there else None


def _described(items: Sequence[Term], a: Draft, b: Draft) -> bool:
    """ "tumour with wall thickening", "nodule without calcification": `b` is an attribute of `a`."""
    if a.kind is None or b.kind is None or a.status != "present":
        return False
    between = [i for i in items[a.last : b.first] if not i.has("article")]
    hollow = a.kind.name in (*FOCAL, *_HOLLOW)
    if a.kind.name in FOCAL and b.kind.name == "cavity" and between and between[-1].has("with") and not b.plural:
        a.attributes["cavitary"] = "yes"
        a.used |= b.used
        return True
    if hollow and b.kind.needs_place and b.text.lower().startswith("thick") and between and between[-1].has("with"):
        a.attributes["wall"] = "thick"
        a.used |= b.used
        return True
    apart = [i for i in between if not i.has("with") and "share" not in i.means]
    shared = len(apart) < len(between) and all(
        i.has("joins") for i in apart
    )  # "fractures with 40% and 20% height loss"
    if a.kind.name == b.kind.name and a.kind.name not in FOCAL and shared:
        return _told(a, b, certain=True)
    if a.kind.name not in FOCAL or a.kind.name == "stone":
        return False
    listed = b.text.lower().replace("-", " ") == "ground glass" and is_mark(items[b.first - 1], ",")
    if (
        b.kind.name in ADJECTIVES
        and (a.kind.name == "tumour" or listed)
        and not any(i.is_finite or i.has("joins") for i in between)
    ):
        name, value = ADJECTIVES[b.kind.name]
        a.attributes[name] = value
        a.used |= b.used
        return True
    if not between or not (between[-1].has("with") or between[-1].has("absent before")):
        return False
    listed = between[-2].coordinates if len(between) > 1 else False  # "nodule in the thyroid, containing calcification"
    joins = between[:-2] if listed else between
    if len(between) > 1 and any("finding" in i.means or i.coordinates or i.is_finite for i in joins):
        return False
    name, value = DESCRIBING.get(b.kind.name, ("", ""))
    if name:
        a.attributes[name] = "False" if b.status == "absent" else value
        a.used |= b.used
    return bool(name)


def _is_considered(items: Sequence[Term], b: Draft) -> bool:
    """ "..., gallstones are considered": what stands before is a gallstone."""
    behind = b.last
    if behind < len(items) and is_mark(items[behind], "("):  # "viral pneumonia (COVID-19) is considered"
        behind = next((k + 1 for k in range(behind, len(items)) if is_mark(items[k], ")")), behind)
    following = items[behind] if behind < len(items) else None
    if following is None or not following.has("equal"):
        return False
    last = behind + 1 == len(items) or is_mark(items[behind + 1], ",", ";")
    return is_finite_text(following.text) or (last and following.text.lower() == "considered")


def is_finite_text(text: str) -> bool:
    """Whether words begin with a verb of their own ("is considered")."""
    return text.split()[0].lower() in ("is", "are", "was", "were")


def _told(a: Draft, b: Draft, certain: bool) -> bool:
    """Tell head `a` that it is a `b`; False where `b` is a finding beside it."""
    assert a.kind and b.kind
    if a.kind.name == b.kind.name:
        a.attributes = {**b.attributes, **a.attributes}
    elif b.kind.cause:
        a.attributes.setdefault("cause", b.kind.name)
    elif a.kind.generic and not b.kind.generic:
        a.kind = b.kind
        a.attributes = {**b.attributes, **a.attributes}
        if not certain:
            a.attributes["suspected"] = True
    elif certain and {a.kind.name, b.kind.name} <= FOCAL:
        a.kind = b.kind
    elif certain and b.kind.name in _BECOMES.get(a.kind.name, ()):
        if a.kind.name in ADJECTIVES:
            name, value = ADJECTIVES[a.kind.name]
            a.attributes.setdefault(name, value)
        a.kind = b.kind
    elif certain and a.kind.name in FOCAL and b.kind.name == "lymph node":
        a.attributes.setdefault("suspected", b.kind.name)
    elif certain and not b.kind.generic:
        return False
    else:
        a.attributes.setdefault("suspected", b.kind.name)
    a.used |= b.used
    return True


def _without_causes(found: list[Draft], items: Sequence[Term]) -> list[Draft]:
    """A diagnosis beside a finding is what that finding is due to, and none of its own, unless a place is before it."""
    seen = [d for d in found if d.kind and not d.kind.cause and d.status == "present"]
    kept = []
    for draft in found:
        after = " ".join(i.text.lower() for i in items[max(draft.head - 3, 0) : draft.head])
        sequel = "sequel" in after and " of" in after  # "sequelae of pulmonary tuberculosis"
        placed = (
            draft.head > 0 and not sequel and (is_place(items[draft.head - 1]) or items[draft.head - 1].has("with"))
        )
        if draft.kind and draft.kind.cause and seen and draft.status != "absent" and not placed:
            nearest = min(seen, key=lambda d: abs(d.head - draft.head))
            nearest.attributes.setdefault("cause", draft.text.lower())
            nearest.used |= draft.used
        else:
            kept.append(draft)
    return kept
