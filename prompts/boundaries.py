"""Where the words of one head of a sentence end and those of the next begin."""

from __future__ import annotations

from collections.abc import Sequence

from prompts.drafts import Draft
from prompts.lexicon import Term
from prompts.places import Place
from prompts.scopes import is_mark, is_place

_NEAR = 4
_ADVERBS = ("bilaterally", "on both sides", "on the left", "on the right")
_LUNGS = frozenset(("lung", "pleura", "bronchus", "hilum", "chest"))


def boundaries(items: Sequence[Term], drafts: Sequence[Draft], places: Sequence[Place]) -> list[int]:
    """The items where the words of each head but the first begin."""
    ends = [*(d.first for d in drafts[2:]), len(items)]
    return [_boundary(items, a, b, places, end) for a, b, end in zip(drafts, drafts[1:], ends, strict=False)]


def _boundary(items: Sequence[Term], a: Draft, b: Draft, places: Sequence[Place], end: int) -> int:
    """The item where the words of head `a` end and those of `b` begin; `end`: where the head behind `b` stands.

    The last separator before an article or a count; else the last of any kind; else what `_unseparated` says.
    """
    opening, strong, commas = [], [], []
    depth = 0
    for index in range(a.last, b.first):
        item = items[index]
        depth += is_mark(item, "(") - is_mark(item, ")")
        if depth > 0:
            continue
        opens = item.has("stop") or (item.has("absent before") and index + 1 < b.first + 1 and not item.has("normal"))
        if not (item.coordinates or item.has("with") or opens or is_mark(item, ":")):
            continue
        following = next((i for i in items[index + 1 : b.first + 1] if not i.has("definite")), items[b.first])
        if following.has("article") or "count" in following.means or item.has("stop") or item.has("absent before"):
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
    closed = next((i for i in range(b.first - 1, a.last, -1) if is_mark(items[i], ")")), None)
    opened = next((i for i in range(a.last, closed or a.last) if is_mark(items[i], "(")), None)
    if closed is not None and opened is not None and not any("size" in i.means for i in items[a.last : opened]):
        behind = items[closed + 1 : b.first]  # "3 HCCs (2, 3 and 5 cm) cirrhosis"
        plain = all("attributes" in i.means or "size_word" in i.means for i in behind)
    else:
        plain = False
    if closed is not None and plain:
        return closed
    verb = next((i for i in range(a.last, b.first) if items[i].is_finite), None)
    if verb is not None and not _of_the_first(items, a.last, verb):
        return _subject(items, a.last, verb)
    return _unseparated(items, a, b, places, end)


def _of_the_first(items: Sequence[Term], first: int, verb: int) -> bool:
    """ "changes were observed in the lower lobe adjacent to the effusion": a verb that a place follows."""
    before = not any(is_place(i) for i in items[first:verb])
    return before and verb + 1 < len(items) and items[verb + 1].has("in")


def _subject(items: Sequence[Term], first: int, verb: int) -> int:
    """Where the place before a verb begins, if nothing joins it to what is before: "no effusion liver has a cyst"."""
    start = verb
    while start > first and is_place(items[start - 1]):
        start -= 1
    return verb if start > first or start == verb else start


def _unseparated(items: Sequence[Term], a: Draft, b: Draft, places: Sequence[Place], end: int) -> int:
    """The same with nothing that parts them, as in dictation: "effusion right 2 cm nodule left upper lobe".

    The words of `b` end before `end`.
    Two places that cannot be one part them; a length is of the head that has none; what follows a preposition is of
    `a`; and a place is of `a` where nothing stands before it in its clause, as it then does not for `b` either.
    """
    between = [p for p in places if a.last <= p.first < b.first and not p.weak]
    for first, second in zip(between, between[1:], strict=False):
        if _differ(first, second) and not any(i.coordinates for i in items[first.last : second.first]):
            return second.first
    if (sized := _sized(items, a, b, end)) is not None:
        return sized
    if len(between) > 1 and _at_head(items, between[-1], b) and not between[-1].joined and not between[-1].own_organ:
        return between[-1].first  # "thrombus in the cava from right renal carcinoma"
    if between and items[between[0].first].text.lower() in _ADVERBS:
        return between[0].last
    if any(i.has("in") or i.has("beside") for i in items[a.last : b.first]):
        return b.first
    if between and _fits(a, between[-1]) and (not _leads(items, a) or not _fits(b, between[-1])):
        return between[-1].last
    return a.last


def _at_head(items: Sequence[Term], place: Place, b: Draft) -> bool:
    return all({"attributes", "size_word"} & set(i.means) for i in items[place.last : b.first])


def _differ(a: Place, b: Place) -> bool:
    """Whether two places have other sides, or other organs of their own."""
    sides = a.side and b.side and a.side != b.side
    return bool(sides or (a.own_organ and b.own_organ and a.organ != b.organ and not {a.organ, b.organ} <= _LUNGS))


def _leads(items: Sequence[Term], a: Draft) -> bool:
    """Whether a place or a length stands before a head in its clause."""
    for item in reversed(items[: a.first]):
        if item.coordinates or item.has("stop") or item.has("with") or "finding" in item.means:
            return False
        if is_place(item) or "size" in item.means:
            return True
    return False


def _fits(a: Draft, place: Place) -> bool:
    """Whether a place may be that of a finding which is in one organ alone."""
    if a.kind is None or not a.kind.always:
        return True
    return place.organ in (None, a.kind.organ) and not place.part and not place.level


def _sized(items: Sequence[Term], a: Draft, b: Draft, end: int) -> int | None:
    """Behind the one length between two heads where it is of the first: it has none, and the second has or needs none.

    So "cancer right lower lobe 4 cm enlarged nodes", "splenomegaly 16 cm ascites", and "nodule 8 mm nodule 5 mm".
    """
    sizes = [k for k in range(a.last, b.first) if "size" in items[k].means]
    before = any("size" in i.means for i in items[max(0, a.first - _NEAR) : a.first])
    if len(sizes) != 1 or before or a.status == "absent":
        return None
    own = any("size" in i.means for i in items[b.last : end]) or (b.kind is not None and b.kind.mass)
    own = own or (b.kind is not None and b.kind.name in ("ascites", "effusion"))
    at_head = sizes[0] + 1 == b.head and not b.text.lower().startswith("enlarg")
    plain = all({"size", "attributes", "size_word", "segment", "unknown"} & set(i.means) or is_place(i) for i in
                items[a.last : b.first])  # fmt: skip
    return sizes[0] + 1 if plain and (own or not at_head) else None
