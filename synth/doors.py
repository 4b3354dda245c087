"""What each command draws today, as a table that the reader of words takes, and the reading of a prompt at a door."""

from __future__ import annotations

from functools import cache
from typing import Any

from prompts import ANYWHERE, Door, Reading, parser, read
from synth.lesions.extent_types import extent_types
from synth.lesions.lesion_types import lesion_types


@cache
def doors() -> dict[str, Door]:
    """Door -> what it draws. A way to draw a finding in a generated case adds its pairs to `generate`."""
    bodies = {(organ.value, kind.value) for t in lesion_types().values() for organ in t.organs for kind in t.kinds}
    extents = {(t.organ.value, kind.value) for t in extent_types().values() for kind in t.kinds}
    return {
        "insert": Door("insert", frozenset(bodies | extents), "no lesion type draws it yet"),
        "generate": Door("generate", frozenset(), "not drawn yet; use synthct insert"),
    }


def door(name: str) -> Door:
    """The door of a command, or what a request can hold."""
    return doors().get(name, ANYWHERE)


GRAMMAR = "grammar"
_BY_MODEL: dict[tuple[str, str], Reading] = {}  # what a language model read, so that plans of this run store it


def ask(prompt: str, name: str, *, strict: bool = False, by: str = GRAMMAR) -> Reading:
    """The reading of a prompt at a door.

    `by`: GRAMMAR, or a language model (synth.language_model). Raises PromptError where nothing in it can be drawn, and
    with `strict` where anything in it cannot.
    """
    return parser.drawable(reading(prompt, name, by=by), strict)


def reading(prompt: str, name: str, *, by: str = GRAMMAR) -> Reading:
    """The reading of a text at a door, whatever of it can be drawn; what a model has read stands for this run."""
    if by != GRAMMAR and (prompt, name) not in _BY_MODEL:
        from prompts.llm import read_with
        from synth.language_model import model_of

        _BY_MODEL[prompt, name] = read_with(model_of(by), prompt, door(name))
    return _BY_MODEL.get((prompt, name)) or read(prompt, door(name))


def read_prompt(prompt: str | Reading, name: str) -> Reading:
    """The reading of a prompt that may have been read already."""
    return prompt if isinstance(prompt, Reading) else ask(prompt, name)


def reading_of(prompt: str, name: str) -> dict[str, Any] | None:
    """What a plan stores of its words; None where it has none."""
    return reading(prompt, name).as_json() if prompt.strip() else None
