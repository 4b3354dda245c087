"""Terms that mean one thing or another by what else the sentence speaks of."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import replace
from functools import cache
from typing import Any

from prompts import segments
from prompts.lexicon import Kind, Term, kind_named

_EARLY_STAGE = re.compile(r"T[0-4][A-D]?")
_BARE = {
    "pancreas": frozenset(("head", "neck", "body", "tail", "uncinate")),
    "stomach": frozenset(("fundus", "body")),
    "colorectum": frozenset(("ascending", "descending", "transverse")),
    "gallbladder": frozenset(("neck", "fundus", "body")),
    "bone": frozenset(("head", "neck", "body")),
    "vertebra": frozenset(("body",)),
    "uterus": frozenset(("fundus", "body", "neck")),
}
_UNPARTED = frozenset(("gallbladder", "bone", "vertebra", "uterus"))  # a word for where, and no part
_PARENCHYMAL = frozenset(("liver", "spleen", "kidney", "pancreas", "thyroid", "breast", "adrenal", "prostate", "brain"))
_WIDTHS = ("diameter", "calib", "width", "dimension", "size", "length")
_BIG = ("big", "large", "huge", "massive")
_SINGULAR = ("area of", "focus of", "patch of")
_REACH = 4
_BONE = frozenset(("bone", "vertebra", "disc", "joint"))
_ARTERY = frozenset(("coronary", "artery", "valve", "heart", "aorta", "vessel"))


def resolved(items: Sequence[Term], heading: str | None = None) -> list[Term]:
    """The items of a sentence with one meaning each; `heading`: the organ that the sentence stands under.

    "LAD" is a coronary artery among arteries, else lymphadenopathy; "head" and "tail" are parts of the pancreas where
    it is spoken of; "T2" is a vertebra among bones, else a stage.
    """
    found = list(items)
    named = _organs(items) | ({heading} if heading else set())
    for index, item in enumerate(items):
        means = _by_table(items, index, named) or _by_word(items, index, named)
        if index == 0 and means is None and heading in _growing() and item.text.lower() in _BIG and _ends(items, 1):
            means = {"finding": _growing()[heading]}  # "Heart: large."
        if "couinaud" in item.means:
            means = segments.resolved(items, index, heading)
        if means is not None:
            found[index] = replace(item, means=means)
    return found


@cache
def _growing() -> dict[str, Kind]:
    """What an organ that is too big has."""
    grown = kind_named("dilatation").elsewhere
    return {organ: kind_named(grown[organ]) for organ in ("spleen", "liver", "heart", "prostate", "thyroid")}


def _by_table(items: Sequence[Term], index: int, named: Set[str]) -> dict[str, Any] | None:
    """What an item means that the lexicon calls a part, a level, a number or an organ that grows."""
    item = items[index]
    if "bare" in item.means and (organ := _whose(item.means["bare"], named)):
        return {"segment": True} if organ in _UNPARTED else {"place": {"part": item.means["bare"]}}
    if "vertebra" in item.means and _EARLY_STAGE.fullmatch(item.means["vertebra"]):
        return None if _among(items, index, _BONE) else {"stage": item.text}
    if item.means.get("count") == "several" and item.text.lower().startswith(_SINGULAR):
        return _one_of(items, index)
    if item.means.get("organ") in _growing() and _is_big(items, index):
        return {"finding": _growing()[item.means["organ"]]}
    if item.has("changed") and item.text.lower().startswith(("increas", "enlarg")) and _of_width(items, index):
        return {"finding": kind_named("dilatation")}
    return None


def _by_word(items: Sequence[Term], index: int, named: Set[str]) -> dict[str, Any] | None:
    """What a word means that stands for different things in different company."""
    item = items[index]
    word = item.text.lower()
    if (
        word in ("r", "l")
        and (word != item.text or _named_next(items, index))
        and "unknown" in item.means
        and _answers(items, index)
    ):
        return {"side": "right" if word == "r" else "left"}
    if word == "lad" and not (_among(items, index, _ARTERY) or _is_definite(items, index)):
        return {"finding": replace(kind_named("lymph node"), several=True)}
    if (word.startswith("parenchym") and named & _PARENCHYMAL) or (word == "crus" and "adrenal" in named):
        return {"segment": True}
    if word == "pelvis" and "kidney" in named and index and {"side", "organ"} & set(items[index - 1].means):
        return {"segment": True}
    if word == "each" and index and ("size" in items[index - 1].means or index + 1 == len(items)):
        return {"ordinary": True}  # "two nodules, 5 mm each"
    if word == "each" and index + 1 < len(items) and (items[index + 1].has("with") or items[index + 1].is_finite):
        return {"ordinary": True}  # "20 scans, each with a nodule"
    if word == "thick" and index and items[index - 1].text.lower().endswith("wall"):
        return {"finding": kind_named("wall thickening")}  # "bladder wall thick"
    if word == "ca" and _is_circa(items, index):
        return {"ordinary": True}
    if word == "one" and index and "size" in items[index - 1].means:
        before = [i.means["finding"] for i in items[:index] if "finding" in i.means]
        return {"finding": before[-1]} if before else None
    if word == "calcified" and _alone_with_organ(items, index):
        return {"finding": kind_named("calcification")}
    return None


def _is_circa(items: Sequence[Term], index: int) -> bool:
    """ "ca. 2.8 cm mass": a length follows, and no organ that has it stands before ("colon ca. 3 cm")."""
    dot = index + 1 < len(items) and items[index + 1].means.get("mark") == "."
    behind = items[index + 1 + dot] if index + 1 + dot < len(items) else None
    placed = index > 0 and not {"organ", "place", "side", "segment"}.isdisjoint(items[index - 1].means)
    return bool(dot) and behind is not None and "size" in behind.means and not placed


def _organs(items: Sequence[Term]) -> set[str]:
    """The organs that a sentence names, by themselves, by a place or by a finding of them."""
    found: set[str | None] = set()
    for item in items:
        means = item.means
        found.add(means.get("organ"))
        if "place" in means:
            found.add(means["place"].get("organ"))
        if "finding" in means:
            found.add(means["finding"].organ)
    return {organ for organ in found if organ}


def _whose(part: str, named: Set[str]) -> str | None:
    """Which of the organs that are spoken of has such a part."""
    return next((organ for organ in _BARE if organ in named and part in _BARE[organ]), None)


def _named_next(items: Sequence[Term], index: int) -> bool:
    """ "l adrenal nodule": a small letter, with nothing before it that it could belong to."""
    opens = index == 0 or "mark" in items[index - 1].means or items[index - 1].has("joins")
    return opens and index + 1 < len(items) and "organ" in items[index + 1].means


def _answers(items: Sequence[Term], index: int) -> bool:
    """ "R: 2 cm cyst", "R kidney": a letter that stands for a side."""
    behind = items[index + 1] if index + 1 < len(items) else None
    letters = {i.text for i in items if i.text in ("R", "L")}
    if behind is not None and "size" in behind.means and len(letters) > 1:
        return True  # "R 3 cm L 2 cm"
    ends = behind is None or "mark" in behind.means or behind.has("joins")
    if index and "size" in items[index - 1].means and ends and len(letters) > 1:
        return True  # "4 cm R and 3 cm L"
    opens = index == 0 or "mark" in items[index - 1].means
    named = behind is not None and not {"organ", "level", "place"}.isdisjoint(behind.means)
    named = named or (items[index].text.isupper() and behind is not None and "finding" in behind.means)  # "R effusion"
    return named or (opens and behind is not None and behind.means.get("mark") in (":", ","))


def _alone_with_organ(items: Sequence[Term], index: int) -> bool:
    """ "calcified aorta", "valve calcified": beside an organ that calcifies, no finding between the commas."""
    first = next((k + 1 for k in range(index - 1, -1, -1) if "mark" in items[k].means), 0)
    last = next((k for k in range(index, len(items)) if "mark" in items[k].means), len(items))
    chunk = items[first:last]
    organs = kind_named("calcification").elsewhere
    return any(i.means.get("organ") in organs for i in chunk) and not any("finding" in i.means for i in chunk)


def _is_big(items: Sequence[Term], index: int) -> bool:
    """ "big spleen", and nothing behind it that could be big instead."""
    behind = items[index + 1] if index + 1 < len(items) else None
    big = index > 0 and items[index - 1].text.lower() in _BIG
    return big and (behind is None or "mark" in behind.means or behind.has("joins") or behind.has("with"))


def _ends(items: Sequence[Term], index: int) -> bool:
    return index == len(items) or "mark" in items[index].means


def _of_width(items: Sequence[Term], index: int) -> bool:
    """ "the diameter of the pulmonary trunk has increased", with nothing found before."""
    before = items[:index]
    widths = any(i.text.lower().startswith(_WIDTHS) for i in before)
    return widths and any("organ" in i.means for i in before) and not any("finding" in i.means for i in items)


def _one_of(items: Sequence[Term], index: int) -> dict[str, Any]:
    """ "focus of consolidation" is one, "focus of about 12 mm" a lesion."""
    named = any("finding" in i.means for i in items[index + 1 : index + 1 + _REACH])
    if named or not items[index].text.lower().startswith("focus"):
        return {"count": "1"}
    return {"finding": kind_named("lesion")}


def _is_definite(items: Sequence[Term], index: int) -> bool:
    """ "the LAD" and "LAD stent" are the artery."""
    devices = (i.means["finding"].device for i in items if "finding" in i.means)
    return (index > 0 and items[index - 1].has("definite")) or any(devices)


def _among(items: Sequence[Term], index: int, organs: frozenset[str]) -> bool:
    """Whether another item names one of these organs, or a finding of them."""
    others = [item.means for k, item in enumerate(items) if k != index]
    named = {means.get("organ") for means in others} | {m["finding"].organ for m in others if "finding" in m}
    return bool(named & organs)
