"""Lengths of organs themselves: "spleen of 15 cm", "ascending aorta measures 45 mm" (words/lengths.yaml)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from prompts.drafts import FOCAL, Draft
from prompts.lexicon import Term, kind_named
from prompts.phrases import load
from prompts.places import Place
from prompts.scopes import Scopes, is_mark

_OTHER = frozenset(("finding", "attributes", "count", "station", "volume", "share", "region", "mark"))
_OF_A_SPLEEN = 100.0  # mm, and more is no lesion of it
_WHOLE = frozenset(("spleen", "liver", "kidney", "heart", "prostate", "uterus", "thyroid", "pancreas"))
_DUCTS = frozenset(("bile duct", "pancreatic duct", "aorta", "pulmonary artery", "vessel", "artery", "carotid artery"))
_LEADING = ("definite", "article", "normal")
_EARLIER = frozenset(("earlier", "past before", "absent", "past", "possible"))


@dataclass(frozen=True)
class Limit:
    """From `mm` on the length of an organ is the finding; below `unclear` it rules it out."""

    finding: str
    mm: float
    unclear: float


@cache
def limits() -> dict[str, Limit]:
    """Organ -> what its length says."""
    return {organ: Limit(**line) for organ, line in load("words/lengths.yaml").items()}


def of_organs(
    items: Sequence[Term], spread: Scopes, places: Sequence[Place], heads: Sequence[Draft] = ()
) -> list[Draft]:
    """What the lengths between two commas say of the organ before them, nothing else being said there.

    A length that says neither, or that may be one of a lesion among the `heads` of the sentence, is left to others.
    """
    found = []
    named = {name for head in heads if head.kind for name in (head.kind.name, head.kind.also)}
    lesions = any(head.kind is None or head.kind.name in FOCAL for head in heads)
    for chunk in _chunks(items):
        sizes = [i for i in chunk if "size" in items[i].means]
        own = [p for p in places if p.first in chunk and not p.weak and p.organ in limits()]
        if len(sizes) != 1 or len(own) != 1 or own[0].last > sizes[0] or not _plain(items, spread, chunk, own[0]):
            continue
        size = items[sizes[0]].means["size"]
        if size.get("is") is not None or "axes" not in size:
            continue
        limit = limits()[str(own[0].organ)]
        if limit.finding in named:  # "splenomegaly, spleen 17 cm"
            continue
        mm = max(size["axes"])
        if mm >= limit.mm or (mm < limit.unclear and not lesions):
            used = {sizes[0], *range(own[0].first, own[0].last)}
            text = " ".join(items[i].text for i in chunk)
            draft = Draft(
                kind_named(limit.finding), own[0].first, own[0].first, sizes[0] + 1, False, used=used, text=text
            )
            draft.places = [own[0]]
            draft.status = "present" if mm >= limit.mm else "absent"
            draft.sizes = [(sizes[0], dict(size))] if mm >= limit.mm else []
            found.append(draft)
    return found


def _plain(items: Sequence[Term], spread: Scopes, chunk: Sequence[int], place: Place) -> bool:
    """Whether a stretch begins with the organ and tells nothing but a length that it has now."""
    before = [items[i] for i in chunk if i < place.first]
    others = [i for i in chunk if not place.first <= i < place.last]
    return (
        all(any(item.has(name) for name in _LEADING) for item in before)
        and all(_OTHER.isdisjoint(items[i].means) for i in others)
        and not any(items[i].has("earlier") or items[i].has("largest") for i in others)
        and all(_EARLIER.isdisjoint(spread[i]) for i in chunk)
    )


def widths(items: Sequence[Term], drafts: Sequence[Draft]) -> dict[int, int]:
    """Item of a duct or vessel -> item of the length that is its width: nothing else stands between two commas.

    So with "ascites, spleen 15 cm": where no head is a lesion or of that organ, the length is the organ's. Where a head
    is a widening, it is that of the head.
    """
    found: dict[int, int] = {}
    if any(d.kind and (d.kind.needs_place or d.kind.name == "aneurysm") for d in drafts):
        return found
    lesions = any(d.kind is None or d.kind.name in FOCAL for d in drafts)
    measured = _DUCTS if lesions else _DUCTS | (_WHOLE - {d.kind.organ for d in drafts if d.kind})
    for chunk in _chunks(items):
        sizes = [i for i in chunk if "size" in items[i].means]
        ducts = [i for i in chunk if items[i].means.get("organ") in measured]
        told = any({"finding", "attributes", "count", "station"} & set(items[i].means) for i in chunk)
        if lesions and not ducts and len(sizes) == 1 and _length(items[sizes[0]]) >= _OF_A_SPLEEN:
            ducts = [i for i in chunk if items[i].means.get("organ") == "spleen"]
        if len(sizes) == 1 and ducts and not told and max(ducts) < sizes[0]:
            found |= dict.fromkeys(ducts, sizes[0])
    return found


def _length(item: Term) -> float:
    return max(item.means["size"].get("axes", (0.0,)))


def _chunks(items: Sequence[Term]) -> list[list[int]]:
    """The items between two commas, or words that join."""
    found: list[list[int]] = [[]]
    for index, item in enumerate(items):
        if is_mark(item, ",", ";") or item.has("joins"):
            found.append([])
        else:
            found[-1].append(index)
    return found
