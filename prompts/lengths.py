"""Lengths of organs themselves: "spleen of 15 cm", "ascending aorta measures 45 mm" (words/lengths.yaml)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from prompts.drafts import FOCAL, Draft
from prompts.lexicon import Term, kind_named
from prompts.phrases import load
from prompts.places import Place
from prompts.scopes import Scopes, chunks

_OTHER = frozenset(("finding", "attributes", "count", "station", "volume", "share", "region", "mark"))
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
    for chunk in chunks(items):
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
