"""Numbers of segments: of the liver (Couinaud, 1 to 8) or of a lung (Boyden, S1 to S10, B6), by their company."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from prompts.lexicon import Term

_LUNG = frozenset(("lung", "pleura", "bronchus", "main bronchus", "hilum", "airway", "septa"))
_LIVER = frozenset(("liver", "bile duct", "hepatic artery", "gallbladder"))
_BONE = frozenset(("bone", "vertebra", "disc"))
_UPPER, _BASE = frozenset("123"), frozenset(("6", "7", "8", "9", "10"))
_LIVER_HAS = 8


def resolved(items: Sequence[Term], index: int, heading: str | None = None) -> dict[str, Any] | None:
    """What the number of a segment means where it is none of the liver; `heading`: the organ that it stands under."""
    item = items[index]
    parts: tuple[str, ...] = item.means["couinaud"]
    said = item.means.get("of")
    home = said or _home(items, index) or _family(heading)
    if home == "bone" and item.text.lower() == "s1":
        return {"vertebra": "S1"}
    many = any(int(part) > _LIVER_HAS for part in parts)
    if home == "liver" or not (many or home == "lung" or (home is None and _side(items, index))):
        return None
    side = item.means.get("side") or _side(items, index)
    place = {"organ": "lung", "segment": re.sub(r"\s+", " ", item.text)}
    if (lobe := _lobe(parts[0], side)) is not None:
        place["part"] = lobe
    if "side" in item.means:
        place["side"] = item.means["side"]
    return {"place": place}


def _lobe(part: str, side: str | None) -> str | None:
    if part in _UPPER or part in _BASE:
        return "upper" if part in _UPPER else "lower"
    return {"right": "middle", "left": "upper"}.get(side or "")


def _home(items: Sequence[Term], index: int) -> str | None:
    """The nearest of liver, lung and bone that is spoken of, the one before it where two are as near."""
    near: list[tuple[int, int, str]] = []
    for k, item in enumerate(items):
        home = _family(_organ(item))
        if home is not None and k != index:
            near.append((abs(k - index), k, home))
    return min(near)[2] if near else None


def _organ(item: Term) -> str | None:
    means = item.means
    kind = means.get("finding")
    return means.get("organ") or means.get("place", {}).get("organ") or (kind.organ if kind is not None else None)


def _family(organ: str | None) -> str | None:
    families = (("lung", _LUNG), ("liver", _LIVER), ("bone", _BONE))
    return next((name for name, organs in families if organ in organs), None)


def _side(items: Sequence[Term], index: int) -> str | None:
    """The nearest side."""
    sides = [(abs(k - index), i.means.get("side") or i.means.get("place", {}).get("side")) for k, i in enumerate(items)]
    return min(((d, s) for d, s in sides if s in ("left", "right")), default=(0, None))[1]
