"""What a clause says of its words: ruled out, possible, past, beside, a part of several (ConText, Harkema et al. 2009).

`items` are the terms of a sentence with everything between them (prompts.sentence); each gets the names of the scopes
that it is in: absent, possible, past, beside, subset, largest, equal, due.
"""

from __future__ import annotations

from collections.abc import Sequence

from prompts.lexicon import Term

Scopes = list[set[str]]

_AUXILIARY = frozenset(("been", "be", "being", "now"))
_LASTING = frozenset(("old", "chronic", "healed", "healing", "remote", "longstanding", "known", "stable", "unchanged",
                      "residual", "persistent", "prior"))  # fmt: skip
_PREDICATES = frozenset(("enlarged", "dilated", "increased", "thickened"))
_NEAR = frozenset(("previous", "prior", "previously", "formerly", "post"))
_SMALL_REACH = 4
_PLACES = frozenset(("organ", "side", "place", "level", "noun", "segment", "couinaud", "vertebra"))


def scopes(items: Sequence[Term]) -> Scopes:
    """The scopes of every item of a sentence."""
    found: Scopes = [set() for _ in items]
    for index, item in enumerate(items):
        contexts = item.means.get("context", ())
        if contexts or "invasion" in item.means.get("attributes", ()):
            _spread(items, index, contexts, found)
        elif item.means.get("mark") == "?":
            _question(items, index, found)
    return found


def _spread(items: Sequence[Term], index: int, contexts: Sequence[str], found: Scopes) -> None:
    answers = index > 0 and is_mark(items[index - 1], ":")
    closes = index + 1 == len(items) or is_mark(items[index + 1], ",", ")") or _only_enlarged(items[index + 1 :])
    both = "absent before" in contexts and "absent after" in contexts
    scanned = items[index].text.lower() == "w/o" and index + 1 < len(items) and "mark" in items[index + 1].means
    if "absent before" in contexts and not (both and answers and closes) and not scanned:  # "CT chest w/o: mass"
        reach(found, "absent", forward(items, index))
    names = index + 1 < len(items) and is_mark(items[index + 1], ":")  # "not seen: nodules"
    if "absent after" in contexts and (not both or (answers and closes)):
        reach(found, "absent", forward(items, index) if names else backward(items, index))
    verb = items[index].text.lower().startswith(("is ", "are ", "was ", "were "))
    if "normal" in contexts and items[index].text.lower().startswith("no "):
        reach(found, "absent", forward(items, index))  # "no pathology or nodule"
    behind_it = items[index + 1].means.get("finding") if index + 1 < len(items) else None
    if "normal" in contexts and behind_it is not None and behind_it.name == "lymph node":
        found[index + 1].add("absent")  # "non-enlarged lymph nodes"
    if "normal" in contexts and index and (answers or verb or _links(items[index - 1])):
        said = backward(items, index if verb else index - 1)
        reach(found, "absent", _no_device(items, _of_the_subject(items, said, index)))
    behind = "possible before" not in contexts or (closes and index > 0) or items[index].text.lower().startswith("can")
    if "possible before" in contexts and not ("possible after" in contexts and behind):
        reach(found, "possible", _to_comma(items, forward(items, index)))
    if "possible after" in contexts and behind:
        reach(found, "possible", _last_named(items, backward(items, index)))
    past_after = "past after" in contexts and (closes or "past before" not in contexts)
    if "past before" in contexts and not (past_after and index and closes):
        near = items[index].text.lower() in _NEAR
        past = _near(items, index) if near else _to_comma(items, forward(items, index))
        reach(found, "past", _no_device(items, past))
    if past_after and index:
        reach(found, "past", backward(items, index))
    named = "finding" in items[index].means
    for name, scope in (("beside", "beside"), ("mostly", "subset"), ("example", "largest")):
        if (
            name in contexts
            and not named
            and not (name == "beside" and _is_adjective(items, index))
            and not (name == "example" and any("finding" in i.means for i in items[index:]))
        ):
            reach(found, scope, _places(items, index))
    if "possible before" in contexts and items[index].text.lower() in ("vs", "versus"):
        reach(found, "possible", _other_of_two(items, index))
    if "suggests" in contexts:
        reach(found, "possible", _to_comma(items, forward(items, index)))
    if "largest" in contexts:
        reach(found, "largest", _of_one(items, index))
    if "invades" in contexts and not _is_moved(items, index):  # "splenic vein invasion": of a neighbour
        reach(found, "beside", _places_before(items, index))
    if not named and items[index].means.get("attributes", {}).get("invasion") == "close relationship":
        led = index + 1 < len(items) and (items[index + 1].has("with") or items[index + 1].has("in"))
        reach(found, "beside", _places(items, index + led))
    for name in ("equal", "due"):
        if name in contexts:
            reach(found, name, forward(items, index))


def _of_the_subject(items: Sequence[Term], said: list[int], index: int) -> list[int]:
    """ "effusion and the pleural spaces are clear", "metastases the adrenals are normal": not what stands before it."""
    kept: list[int] = []
    places = False
    for j in said:
        item = items[j]
        other = "finding" in item.means and items[j + 1].has("definite")
        if places and (other or (item.has("joins") and _ends_in_finding(items, j))):
            break
        places = places or is_place(item)
        kept.append(j)
    return kept


def _ends_in_finding(items: Sequence[Term], index: int) -> bool:
    """Whether a finding stands right before an "and" and none behind it."""
    return index > 0 and "finding" in items[index - 1].means and items[index + 1].has("definite")


def _is_moved(items: Sequence[Term], index: int) -> bool:
    """ "Left kidney displaced, with hydronephrosis": what is moved is where the finding is."""
    return items[index].text.lower() == "displaced" and not any("finding" in i.means for i in items[:index])


def _is_adjective(items: Sequence[Term], index: int) -> bool:
    """ "Adjacent sigmoid colon wall thickening": a place that a finding follows is its own."""
    if items[index].text.lower() not in ("adjacent", "neighboring", "neighbouring", "surrounding"):
        return False
    behind = next((k for k in range(index + 1, len(items)) if not is_place(items[k])), len(items))
    return index + 1 < behind < len(items) and "finding" in items[behind].means


def _other_of_two(items: Sequence[Term], index: int) -> list[int]:
    """ "2 cm opacity, infarct versus pneumonia": neither is certain where what is seen was told before."""
    first = next((k for k in range(index - 1, -1, -1) if "finding" in items[k].means), None)
    if first is None or any(not ("attributes" in i.means or is_place(i)) for i in items[first + 1 : index]):
        return []
    opens = next((k for k in range(first, -1, -1) if is_mark(items[k], ",", ":", "(")), None)
    return [first] if opens is not None and any("finding" in i.means for i in items[:opens]) else []


def _no_device(items: Sequence[Term], indices: Sequence[int]) -> list[int]:
    """None where one of them was put there: wires are intact and there, and so are the clips after surgery."""
    devices = any("finding" in items[j].means and items[j].means["finding"].device for j in indices)
    return [] if devices else list(indices)


def _only_enlarged(items: Sequence[Term]) -> bool:
    """ "(nodes: none) enlarged": nothing but that is said of what stands before."""
    named = [i.means["finding"] for i in items if "finding" in i.means]
    return bool(named) and all(kind.needs_place for kind in named) and not any("mark" in i.means for i in items)


def reach(found: Scopes, name: str, indices: Sequence[int]) -> None:
    """Put items into a scope."""
    for index in indices:
        found[index].add(name)


def is_mark(item: Term, *marks: str) -> bool:
    """Whether an item is one of these marks."""
    return item.means.get("mark") in marks


def _links(item: Term) -> bool:
    return item.text.lower() in ("is", "are", "was", "were", "appear", "appears", "remain", "remains", "within", "of")


def forward(items: Sequence[Term], index: int) -> list[int]:
    """From behind an item to the end of its clause."""
    inside: list[int] = []
    verb = False
    depth = 0
    for j in range(index + 1, len(items)):
        item = items[j]
        depth += is_mark(item, "(") - is_mark(item, ")")
        if item.has("stop") or depth < 0:
            break
        named = bool(inside) and "finding" in items[inside[-1]].means
        if named and "size" in item.means and item.means["size"]["is"] is None and _finding_next(items, j):
            break  # "no effusion 1 cm nodule"
        if named and ((is_place(item) and _verb_next(items, j)) or _is_clause(item)):
            break
        verb = verb or item.is_finite or item.has("absent after")
        if item.coordinates or item.has("with"):
            if verb and not _lists_place(items, j):
                break
            if opens_anew(items, j + 1) and not _or_follows(items, j):
                break
        elif item.has("absent before") and j > index + 1:
            break
        inside.append(j)
    return inside


def _finding_next(items: Sequence[Term], index: int) -> bool:
    """Whether a finding stands right behind a length, but for what describes it."""
    for item in items[index + 1 : index + 1 + _SMALL_REACH]:
        if "finding" in item.means:
            return True
        if not ({"attributes", "segment", "size_word"} & set(item.means) or is_place(item)):
            return False
    return False


def _is_clause(item: Term) -> bool:
    """ "heart enlarged" is a sentence of its own."""
    words = item.text.lower().split()
    return "finding" in item.means and len(words) > 1 and words[-1] in _PREDICATES


def _verb_next(items: Sequence[Term], start: int) -> bool:
    """ "(no adenopathy) liver has ..": without a comma, a place with a verb behind it begins another clause."""
    behind = next((i for i in items[start:] if not is_place(i)), None)
    if behind is not None and "finding" in behind.means and behind.means["finding"].needs_place:
        return True
    return behind is not None and (behind.is_finite or behind.has("normal"))


def _to_comma(items: Sequence[Term], indices: Sequence[int]) -> list[int]:
    """Up to the first comma, if the list does not go on to an "or"."""
    kept: list[int] = []
    for j in indices:
        if is_mark(items[j], ",") and not _or_follows(items, j):
            break
        if is_mark(items[j], ":") and any("finding" in items[k].means for k in kept):
            break  # "suspected tuberculosis: cavities in both lungs"
        kept.append(j)
    return kept


def backward(items: Sequence[Term], index: int) -> list[int]:
    """From before an item back to the beginning of its clause."""
    inside: list[int] = []
    depth = 0
    while index > 1 and (items[index - 1].is_finite or items[index - 1].text.lower() in _AUXILIARY):
        index -= 1
    until = index
    for j in range(index - 1, -1, -1):
        item = items[j]
        if until <= j < index and until != index:
            continue
        if is_mark(item, ",") and (opens := _relative(items, j)) is not None:
            until = opens  # ", which measured 6 mm,"
            continue
        depth += is_mark(item, ")") - is_mark(item, "(")
        if item.has("stop") or item.is_finite or depth < 0 or item.has("absent after") or item.has("normal"):
            break
        if item.coordinates and any("size" in i.means for i in _chunk_before(items, j)):
            break
        inside.append(j)
    return inside


def _relative(items: Sequence[Term], end: int) -> int | None:
    """The comma that opens the relative clause which the comma at `end` closes."""
    opens = next((j for j in range(end - 1, -1, -1) if is_mark(items[j], ",")), None)
    if opens is None or items[opens + 1].text.lower() not in ("which", "that", "who"):
        return None
    return opens


def _last_named(items: Sequence[Term], indices: Sequence[int]) -> list[int]:
    """ "nodule on the right, metastasis cannot be excluded": back to a comma, but for a list."""
    if any(items[j].has("either") for j in indices):
        return list(indices)
    kept: list[int] = []
    for j in indices:
        named = [k for k in kept if "finding" in items[k].means]
        if named and (is_mark(items[j], ",") or ("finding" in items[j].means and _alone(items, j, min(named)))):
            break
        kept.append(j)
    return kept


def _alone(items: Sequence[Term], first: int, second: int) -> bool:
    """Whether two findings stand side by side with only places and lengths between: "mass liver cyst possible"."""
    between = items[first + 1 : second]
    return any(is_place(i) or "size" in i.means for i in between) and not any(i.coordinates for i in between)


def opens_anew(items: Sequence[Term], start: int) -> bool:
    """Whether what follows a comma or "and" is a finding of its own: "no effusion, 8 mm nodule in the left lung"."""
    chunk = _chunk_after(items, start)
    named = [k for k, item in enumerate(chunk) if "finding" in item.means or "dose" in item.means]
    if not named:
        return False
    first = next((i for i in chunk if not i.has("definite")), None)
    if first is None:
        return False
    opening = first.means
    if first.has("article") or "side" in opening or "size" in opening or "side" in opening.get("place", {}):
        return True
    if opening.get("count", "0") != "0" and not first.text.lower().startswith("any"):
        return True
    if first.text.lower().split()[0] in _LASTING:  # what was there before is there
        return True
    if opening.get("size_word") and not first.text.lower().startswith("signif"):
        return True
    if (
        any(i.has("equal") for i in chunk) or first.has("possible before") or is_mark(first, "?")
    ):  # "no effusion, possible PE"
        return True
    return any("size" in i.means for i in chunk) or any(i.has("in") for i in chunk[named[0] :])


def _chunk_after(items: Sequence[Term], start: int) -> list[Term]:
    chunk: list[Term] = []
    for item in items[start:]:
        if item.coordinates or item.has("stop") or item.is_finite or item.has("absent after"):
            break
        chunk.append(item)
    return chunk


def _chunk_before(items: Sequence[Term], end: int) -> list[Term]:
    chunk: list[Term] = []
    for item in reversed(items[:end]):
        if item.coordinates or item.has("stop"):
            break
        chunk.append(item)
    return chunk


def _or_follows(items: Sequence[Term], index: int) -> bool:
    """Whether a list goes on to an "or": "no pneumothorax, large effusion or mass"."""
    for item in items[index:]:
        if item.has("either"):
            return True
        if item.has("stop") or item.is_finite or item.has("joins") or item.has("absent after"):
            return False
    return False


def _lists_place(items: Sequence[Term], index: int) -> bool:
    """Whether a list of places goes on: "no mass was seen in the liver, spleen or pancreas"."""
    chunk = _chunk_after(items, index + 1)
    return bool(chunk) and not any("finding" in i.means for i in chunk)


def _question(items: Sequence[Term], index: int, found: Scopes) -> None:
    """ "(cyst?)": the nearest finding before the mark; "?cyst": the one that it stands at."""
    behind = items[index + 1] if index + 1 < len(items) else None
    if behind is not None and "finding" in behind.means and behind.start == items[index].end:
        found[index + 1].add("possible")
        return
    for j in range(index - 1, max(-1, index - 1 - _SMALL_REACH), -1):
        if is_mark(items[j], ",", "?"):
            return
        if "finding" in items[j].means:
            found[j].add("possible")
            return


def _near(items: Sequence[Term], index: int) -> list[int]:
    """The next finding, if it is close and no scan is meant ("the previous CT")."""
    for j in range(index + 1, min(len(items), index + 1 + _SMALL_REACH)):
        item = items[j]
        if is_mark(item, ",", "(", ")") or "ct" in item.means or "modality" in item.means or item.has("seen"):
            return []
        if "size" in item.means:
            return []
        if "finding" in item.means:
            return list(range(index + 1, j + 1))
    return []


def _places(items: Sequence[Term], index: int) -> list[int]:
    """The places behind an item, through a list of them, up to the next thing said."""
    inside: list[int] = []
    for j in range(index + 1, len(items)):
        item = items[j]
        if "finding" in item.means or item.has("stop") or item.has("seen") or is_mark(item, "(", ")"):
            break
        placed = any(is_place(items[k]) for k in inside)
        if item.has("in") and placed and item.text.lower() not in ("of", "of the"):
            break
        if (item.coordinates or item.has("with")) and not _place_next(items, j + 1):
            break
        inside.append(j)
    return inside


def _places_before(items: Sequence[Term], index: int) -> list[int]:
    inside: list[int] = []
    for j in range(index - 1, -1, -1):
        if not is_place(items[j]):
            break
        inside.append(j)
    return inside


def _place_next(items: Sequence[Term], start: int) -> bool:
    """Whether the next thing said is a place and no finding follows it in the same breath."""
    chunk = [i for i in _chunk_after(items, start) if not i.has("definite") and not i.has("in")]
    return bool(chunk) and is_place(chunk[0]) and not any("finding" in i.means or "size" in i.means for i in chunk)


def _of_one(items: Sequence[Term], index: int) -> list[int]:
    """What is said of the largest one: all up to the next finding or verb of another."""
    inside: list[int] = []
    for j in range(index + 1, len(items)):
        item = items[j]
        if item.has("stop") or ("finding" in item.means and j > index + 2):
            break
        following = _chunk_after(items, j + 1) if is_mark(item, ",") and j > index + 1 else []
        if following and is_place(following[0]) and any("finding" in i.means for i in following):
            break  # "the largest 11 mm in the lower pole, bladder stone"
        inside.append(j)
    return inside


def is_place(item: Term) -> bool:
    """Whether an item says where."""
    return not _PLACES.isdisjoint(item.means)
