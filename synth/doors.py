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


def ask(prompt: str, name: str, *, strict: bool = False) -> Reading:
    """The reading of a prompt at a door.

    Raises PromptError where nothing in it can be drawn, and with `strict` where anything in it cannot.
    """
    return parser.drawable(read(prompt, door(name)), strict)


def read_prompt(prompt: str | Reading, name: str) -> Reading:
    """The reading of a prompt that may have been read already."""
    return prompt if isinstance(prompt, Reading) else ask(prompt, name)


def reading_of(prompt: str, name: str) -> dict[str, Any] | None:
    """What a plan stores of its words; None where it has none."""
    return read(prompt, door(name)).as_json() if prompt.strip() else None
