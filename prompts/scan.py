"""What a text says of the scan and the patient: region, phase, sex, age, habitus, extent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from prompts.errors import PromptError
from prompts.lexicon import Term
from prompts.scopes import is_mark, is_place
from prompts.vocabulary import Phase, Region

FIELDS = ("region", "phase", "sex", "habitus", "extent")
_PROTOCOL = re.compile(
    r"\bct\b|\bcta|ctpa|hrct|ldct|\bkub|\btap\b|\bcap\b|protocol|screening|\ba ?/ ?p\b|angiogra|\bctu\b|a & p|c ?/ ?a",
    re.I,
)
_PHASE = re.compile(
    (
        r"phase|contrast|nect|ncct|cect|\bcta\b|ct ?angio|ctpa|c ?\+|unenhanced|un-enhanced|pvp|angiogra|"
        r"non-?enhanced|\bw ?/"
    ),
    re.I,
)
_BROAD = {
    frozenset(("chest", "abdomen")): "chest_abdomen",
    frozenset(("abdomen", "pelvis")): "abdomen_pelvis",
    frozenset(("chest", "abdomen", "pelvis")): "torso",
    frozenset(("chest", "pelvis")): "torso",
}  # fmt: skip
_PARTS = {
    "chest_abdomen": ("chest", "abdomen"),
    "abdomen_pelvis": ("abdomen", "pelvis"),
    "torso": ("chest", "abdomen", "pelvis"),
}
_TOLD = frozenset(("region", "phase", "sex", "habitus", "extent", "person", "modality", "ct"))
_SHORT = 400  # characters; a longer text names its region beside "CT" or in its technique


@dataclass
class Scan:
    """What was said; `others` is a region that no enum has ("head")."""

    said: dict[str, list[tuple[Any, Term, int]]] = field(default_factory=dict)
    loose_regions: list[tuple[Any, Term, int]] = field(default_factory=list)
    is_loose: bool = False
    modality: Term | None = None
    has_ct: bool = False
    age: int | None = None

    def add(self, name: str, value: Any, term: Term, sentence: int) -> None:
        """One thing said."""
        self.said.setdefault(name, []).append((value, term, sentence))


def of_sentence(items: Sequence[Term], section: str, number: int, length: int, scan: Scan) -> set[int]:
    """Add what a sentence says to `scan`; the items that say it, which speak of no finding."""
    if section in ("comparison", "recommendation", "measured organs"):
        return set()
    taken: set[int] = set()
    technique = section == "technique"
    for index, item in enumerate(items):
        means = item.means
        if _TOLD.isdisjoint(means):
            continue
        scan.has_ct = scan.has_ct or "ct" in means or "region" in means and bool(_PROTOCOL.search(item.text))
        if "person" in means:
            scan.add("age", means["person"]["age"], item, number)
            if "sex" in means["person"]:
                scan.add("sex", means["person"]["sex"], item, number)
            taken.add(index)
        if "sex" in means and len(item.text) > 1:
            scan.add("sex", means["sex"], item, number)
            taken.add(index)
        if "extent" in means:
            scan.add("extent", means["extent"], item, number)
            taken.add(index)
        if "modality" in means and scan.modality is None and number == 0 and _beside(items, index, "region"):
            scan.modality = item
        alone = technique or ("ct" not in means and not _with_finding(items, index))
        if "phase" in means and section != "history" and (_PHASE.search(item.text) or alone):
            scan.add("phase", means["phase"], item, number)
            taken.add(index)
        if "habitus" in means and (alone or len(item.text.split()) > 1):
            scan.add("habitus", means["habitus"], item, number)
            taken.add(index)
        if "region" in means and section not in ("history", "indication"):
            taken |= _region(items, index, technique, alone, length, number, scan)
    return taken


def _region(
    items: Sequence[Term], index: int, technique: bool, alone: bool, length: int, number: int, scan: Scan
) -> set[int]:
    item = items[index]
    value = item.means["region"]
    if technique or _PROTOCOL.search(item.text) or _beside(items, index, "ct"):
        scan.add("region", value, item, number)
        return {index}
    if alone and length < _SHORT and not _led_by_in(items, index):
        scan.loose_regions.append((value, item, number))
        return {index}
    return set()


def _led_by_in(items: Sequence[Term], index: int) -> bool:
    """ "fluid in the perihepatic area and pelvis": where a finding is, and no region."""
    if not any("finding" in i.means for i in items):
        return False
    for item in reversed(items[:index]):
        if item.has("in"):
            return True
        plain = is_place(item) or item.coordinates or item.has("definite")
        if not plain and not {"region", "unknown"} & set(item.means):
            return False
    return False


def _beside(items: Sequence[Term], index: int, name: str) -> bool:
    """Whether a word of this table stands by an item, with nothing but words of scan and grammar between."""
    for step in (-1, 1):
        j = index + step
        while 0 <= j < len(items) and abs(j - index) <= 6:
            item = items[j]
            if name in item.means:
                return True
            plain = any(n in item.means for n in ("phase", "region", "size_word", "ct", "sex", "person")) or item.has(
                "in"
            )
            if not (plain or item.has("definite") or item.has("joins") or item.has("article") or item.text == "upper"):
                break
            j += step
    return False


def _with_finding(items: Sequence[Term], index: int) -> bool:
    """Whether a finding stands in the same breath, between commas."""
    for step in (-1, 1):
        j = index + step
        while 0 <= j < len(items):
            item = items[j]
            if is_mark(item, ",", "(", ")", ":") or item.has("with") or item.has("stop") or item.has("seen"):
                break
            if step > 0 and (
                item.coordinates or "count" in item.means or item.has("article") or item.has("absent before")
            ):
                break
            if "size" in item.means and step > 0:
                break
            if "finding" in item.means or "dose" in item.means:
                return True
            j += step
    return False


def facts(scan: Scan) -> dict[str, Any]:
    """field -> the one value that was said, None where none; and "age".

    Raises PromptError where one sentence says two that contradict each other.
    """
    if not scan.said.get("region") and scan.loose_regions:
        scan.said["region"], scan.is_loose = scan.loose_regions, True
    found: dict[str, Any] = {name: _one(scan, name) for name in (*FIELDS, "age")}
    return found


def wide(region: str | None, home: str | None) -> str | None:
    """A region and the one that findings are in, where they are two ("LUL nodule. Upper abdomen: normal.")."""
    parts = frozenset(part for one in (region, home) if one for part in _PARTS.get(one, (one,)))
    return _BROAD.get(parts, region)


def _one(scan: Scan, name: str) -> Any:
    said = scan.said.get(name, [])
    values = {value: (term, sentence) for value, term, sentence in reversed(said)}
    if name == "region":
        return _whole_region(values)
    if name == "phase" and Phase.ENHANCED in values and len(values) > 1 and Phase.NON_CONTRAST not in values:
        values.pop(Phase.ENHANCED)
    if name == "phase" and any(term.plural for term, _ in values.values()):
        return list(values)[-1]  # "arterial and portal venous phases": the first of them
    if len(values) > 1:
        (first, a), (_, b) = list(values.items())[-1], list(values.items())[-2]
        if a[1] == b[1]:
            raise PromptError(f"'{a[0].text}' and '{b[0].text}' contradict each other for one CT: keep one of the two")
        return first
    return next(iter(values), None)


def _whole_region(values: dict[str, tuple[Term, int]]) -> str | None:
    """The one region that shows all that were said ("chest CT and abdomen CT")."""
    if len(values) < 2:
        return next(iter(values), None)
    parts = frozenset(part for value in values for part in _PARTS.get(value, (value,)))
    if parts in _BROAD:
        return _BROAD[parts]
    if len(parts) == 1:
        return next(iter(parts))
    known = [value for value in values if value in list(Region)]
    first, second = list(values.items())[-1], list(values.items())[-2]
    if len(known) == len(values) and first[1][1] == second[1][1]:
        raise PromptError(
            f"'{first[1][0].text}' and '{second[1][0].text}' contradict each other for one CT: keep one of the two"
        )
    return str(list(values)[-1])
