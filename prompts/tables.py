"""Tables of lengths over time: a line of headings, "Lesion  Baseline  Current", and a line a lesion below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prompts.lexicon import Term

_EARLIER = ("baseline", "prior", "previous", "nadir", "before", "earlier")
_NOW = ("current", "today", "now", "present", "follow")
_FEWEST = 2


def columns_of(items: Sequence[Term]) -> tuple[str, ...] | None:
    """ "earlier" or "now" of each column of lengths, where a sentence is the head of a table."""
    if any({"size", "mark"} & set(i.means) or not _plain(i) for i in items if i.means.get("mark") != "/"):
        return None
    found = []
    for item in items:
        word = item.text.lower()
        if word.startswith(_EARLIER) or word.startswith(_NOW):
            found.append("earlier" if word.startswith(_EARLIER) else "now")
    return tuple(found) if len(found) >= _FEWEST and "now" in found and len(items) <= 2 * len(found) + 1 else None


def _plain(item: Term) -> bool:
    return "finding" not in item.means or bool(item.means["finding"].generic)


def in_columns(items: Sequence[Term], columns: Sequence[str]) -> Sequence[Term]:
    """The items of a line with its earlier lengths called so; as they are where it is no line of the table."""
    sizes = [k for k, item in enumerate(items) if "size" in item.means]
    if not columns or len(sizes) != len(columns):
        return items
    told = list(items)
    for k, column in zip(sizes, columns, strict=True):
        if column == "earlier":
            told[k] = replace(items[k], means={"size": {**items[k].means["size"], "is": "earlier"}})
    return told
