"""A language model as the reader of findings, optional: each value quotes the text, what the text does not say goes.

The model only finds; the rest is the grammar's: region, phase and patient, what can be drawn, how it is told. Its
answer is checked value by value, asked for once more if it is no JSON, and given up for the grammar, with a note, if
it still is none. How well models read was not measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from prompts import asking, lexicon
from prompts.asking import ANYWHERE, Door
from prompts.drafts import Draft
from prompts.findings import Told
from prompts.numbers import terms as numbers_of
from prompts.phrases import load
from prompts.reader import read
from prompts.reading import SEVERAL, Finding, Reading
from prompts.source import normalised

Model = Callable[[str], str]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["findings"],
    "properties": {
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["quote", "kind", "status"],
                "properties": {
                    "quote": {"type": "string"},
                    "kind": {"type": "string"},
                    "organ": {"type": ["string", "null"]},
                    "side": {"enum": ["left", "right", "bilateral", "midline", None]},
                    "part": {"type": ["string", "null"]},
                    "size_mm": {"type": ["array", "null"], "items": {"type": "number"}},
                    "count": {"type": ["integer", "string", "null"]},
                    "status": {"enum": ["present", "absent", "possible", "past"]},
                },
            },
        }
    },
}
_STATUSES = ("present", "absent", "possible", "past")
_TOLERANCE_MM = 0.05


def read_with(model: Model, text: str, door: Door = ANYWHERE) -> Reading:
    """The reading of a text whose findings a model names. Raises PromptError where the grammar does."""
    plain = read(text, door)
    answer = _answer(model, text)
    if answer is None:
        return replace(plain, notes=(*plain.notes, "the language model gave no valid JSON; read by the grammar"))
    said = _said(text)
    told = [one for value in answer if (one := _checked(value, text, said)) is not None]
    dropped = len(answer) - len(told)
    of_findings = asking.asked(told, plain.request.region, door)
    request = plain.request.model_copy(update={"findings": tuple(of_findings.requests)})
    notes = (f"{dropped} of the model's findings are not in the text and were left out",) if dropped else ()
    return replace(
        plain,
        request=request,
        findings=tuple(of_findings.findings),
        assumed={**plain.assumed, **of_findings.assumed},
        notes=(*plain.notes, *notes),
        parser="llm",
    )


def _answer(model: Model, text: str) -> list[Any] | None:
    """The list of findings; asked for once more where the first answer is no JSON of the schema."""
    asked = _instructions(text)
    for _ in range(2):
        said = model(asked)
        found = re.search(r"\{.*\}", said, re.DOTALL)
        try:
            findings = json.loads(found[0])["findings"] if found else None
        except (ValueError, KeyError, TypeError):
            findings = None
        if isinstance(findings, list):
            return findings
        asked = (
            f"{_instructions(text)}\nThe answer was not JSON of the schema: {said[:400]}\nAnswer with the JSON alone."
        )
    return None


def _instructions(text: str) -> str:
    kinds = ", ".join(lexicon.kinds())
    organs = ", ".join(load("words/places.yaml")["organs"])
    return (
        "List every finding of this radiology text as JSON of the schema. `quote` is copied from the text letter by "
        "letter. One entry a place. Lengths in mm, longest first. Do not add what is not said.\n"
        f"kinds: {kinds}\norgans: {organs}\nschema: {json.dumps(SCHEMA)}\ntext: {text}"
    )


@dataclass(frozen=True)
class _Words:
    """What the words of a text name, wherever they stand."""

    organs: frozenset[str]
    sides: frozenset[str]
    parts: frozenset[str]
    counts: frozenset[str]
    lengths: tuple[tuple[int, float], ...]
    """The character that each begins at, mm."""


def _said(text: str) -> _Words:
    """The organs, sides, parts and numbers that a text names, and its lengths where they stand."""
    source = normalised(text)
    organs, sides, parts, counts = set[Any](), set[Any](), set[Any](), set[Any](("1",))
    lengths: list[tuple[int, float]] = []
    for term in lexicon.terms(source, numbers_of(source)):
        means = {**term.means, **term.means.get("place", {})}
        kind = means.get("finding")
        organs |= {means.get("organ"), kind.organ if kind is not None else None}
        sides.add(means.get("side"))
        parts |= {means.get("part"), means.get("level"), means.get("vertebra"), means.get("bare")}
        parts |= set(means.get("couinaud", ()))
        counts.add(means.get("count"))
        size = means.get("size", {})
        lengths += [(source.where[term.start], mm) for name in ("axes", "list", "range") for mm in size.get(name, ())]
    sides |= {"bilateral"} if {"left", "right"} <= sides else set()
    return _Words(*(frozenset(x for x in group if x) for group in (organs, sides, parts, counts)), tuple(lengths))


def _checked(value: Any, text: str, said: _Words) -> Told | None:
    """A finding of which every value is in the text; None where its quote, kind or status is none."""
    if not isinstance(value, Mapping):
        return None
    quote, kind, status = (value.get(name) for name in ("quote", "kind", "status"))
    start = text.lower().find(quote.lower()) if isinstance(quote, str) and quote.strip() else -1
    if start < 0 or kind not in lexicon.kinds() or status not in _STATUSES:
        return None
    of = lexicon.kind_named(str(kind))
    organ = value.get("organ") if value.get("organ") in said.organs else of.organ
    side = value.get("side") if value.get("side") in said.sides else None
    part = str(value.get("part")) if str(value.get("part")) in said.parts else None
    count = value.get("count") if str(value.get("count")) in said.counts else None
    finding = Finding(
        kind=of.name,
        organ=organ,
        side=side,
        part=part,
        size_mm=_sizes(value.get("size_mm"), start, start + len(str(quote)), said),
        count=count if isinstance(count, int) or count == SEVERAL else None,
        status=status,
        text=text[start : start + len(str(quote))],
        span=(start, start + len(str(quote))),
    )
    return Told(finding, Draft(of, 0, 0, 0, False, text=finding.text))


def _sizes(value: Any, start: int, end: int, said: _Words) -> tuple[float, ...] | None:
    """The lengths that begin in the quote, characters `start` to `end`, of those that the model gave."""
    if not isinstance(value, list):
        return None
    quoted = [mm for at, mm in said.lengths if start <= at < end]
    numbers = [float(v) for v in value if isinstance(v, (int, float))]
    kept = [v for v in numbers if any(abs(v - mm) <= _TOLERANCE_MM for mm in quoted)]
    return tuple(sorted(kept, reverse=True)) or None
