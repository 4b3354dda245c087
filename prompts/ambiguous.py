"""Terms that mean one thing or another by what else the sentence speaks of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prompts.lexicon import Term, kind_named

_EARLY_STAGE = re.compile(r"T[0-4][A-D]?")
_BONE = frozenset(("bone", "vertebra", "disc", "joint"))
_ARTERY = frozenset(("coronary", "artery", "valve", "heart", "aorta", "vessel"))


def resolved(items: Sequence[Term]) -> list[Term]:
    """The items of a sentence with one meaning each.

    "LAD" is a coronary artery among arteries, else lymphadenopathy; "head" and "tail" are parts of the pancreas where
    it is spoken of; "T2" is a vertebra among bones, else a stage.
    """
    found = list(items)
    pancreas = any(_of_pancreas(item) for item in items)
    for index, item in enumerate(items):
        means: dict[str, Any] | None = None
        if "bare" in item.means and pancreas:
            means = {"place": {"part": item.means["bare"]}}
        elif "vertebra" in item.means and _EARLY_STAGE.fullmatch(item.means["vertebra"]):
            means = None if _among(items, index, _BONE) else {"stage": item.text}
        elif item.text.upper() == "LAD" and not _among(items, index, _ARTERY):
            means = {"finding": replace(kind_named("lymph node"), several=True)}
        if means is not None:
            found[index] = replace(item, means=means)
    return found


def _of_pancreas(item: Term) -> bool:
    means = item.means
    kind = means.get("finding")
    return "pancreas" in (means.get("organ"), means.get("place", {}).get("organ"), kind.organ if kind else None)


def _among(items: Sequence[Term], index: int, organs: frozenset[str]) -> bool:
    """Whether another item names one of these organs, or a finding of them."""
    others = [item.means for k, item in enumerate(items) if k != index]
    named = {means.get("organ") for means in others} | {m["finding"].organ for m in others if "finding" in m}
    return bool(named & organs)
