"""What each command draws today, as a table that the reader of words takes, and the reading of a prompt at a door."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from prompts import ANYWHERE, Door, Reading, read
from prompts.vocabulary import Organ, structures_of
from synth.case.weights_folder import Weights
from synth.lesions.embolism import ARTERIES
from synth.lesions.extent_types import extent_types
from synth.lesions.lesion_types import lesion_types
from synth.lesions.spaces import SPACES
from synth.regions import Region, shipped, shipped_names

_Pairs = frozenset[tuple[str, str]]
_NOT_GENERATED = "a generated CT has no mask to put it in, or too rough a one; use synthct insert"


def door(name: str, weights: Path | None = None) -> Door:
    """The door of a command, or what a request can hold. `weights`: that draw, where they are not those that ship."""
    if name == "insert":
        return Door("insert", inserted(), "no lesion type draws it yet")
    if name != "generate":
        return ANYWHERE
    if weights is not None:
        return Door("generate", generated(Weights.open(weights).region), _NOT_GENERATED)
    around = Weights.around()
    return _generate_door(around.region if around else None)


@cache
def inserted() -> _Pairs:
    """(organ, kind) of every finding that there is a way to draw."""
    bodies = {(organ.value, kind.value) for t in lesion_types().values() for organ in t.organs for kind in t.kinds}
    return frozenset(bodies | {(t.organ.value, kind.value) for t in extent_types().values() for kind in t.kinds})


@cache
def _generate_door(around: Region | None) -> Door:
    regions = [*(shipped(name) for name in shipped_names()), *([around] if around else [])]
    by_region = {word: generated(region) for region in regions for word in region.answers}
    return Door("generate", frozenset(), _NOT_GENERATED, by_region)


@cache
def generated(region: Region) -> _Pairs:
    """Those of `inserted` whose organ, and all else that drawing them needs, a drawn case of a region may show."""
    needs = {(t.organ.value, kind.value): t.needs for t in extent_types().values() for kind in t.kinds}
    rough = {(t.organ.value, kind.value) for t in extent_types().values() if not t.in_generated for kind in t.kinds}
    return frozenset(
        (organ, kind)
        for organ, kind in inserted() - rough
        if any(_is_drawn(name, region) for name in structures_of(Organ(organ)))
        and all(_is_drawn(name, region) for name in needs.get((organ, kind), ()))
    )


def _is_drawn(structure: str, region: Region) -> bool:
    """A space between organs is where one that it lies beside is, arteries of the lungs where a patchwork has lungs."""
    if structure == ARTERIES:
        return region.scaffold == "patchwork" and bool(region.named_like("lung_*_lobe_*"))
    beside = SPACES[structure].anchors if structure in SPACES else (structure,)
    return any(name in region.structures for name in beside)


GRAMMAR = "grammar"
_BY_MODEL: dict[tuple[str, str], tuple[str, Reading]] = {}
"""(prompt, door) -> the language model that read it and what it read, so that plans of this run store it."""


def ask(prompt: str, name: str, *, strict: bool = False, by: str = GRAMMAR, weights: Path | None = None) -> Reading:
    """The reading of a prompt at a door.

    `weights`: as of `door`. `by`: GRAMMAR, or a language model (language_model.py). Raises PromptError where nothing
    in it can be drawn, and with `strict` where anything in it cannot.
    """
    return reading(prompt, name, by=by, weights=weights).drawable(strict)


def reading(prompt: str, name: str, *, by: str = GRAMMAR, weights: Path | None = None) -> Reading:
    """The reading of a text at a door, whatever of it can be drawn; what a model has read stands for this run."""
    if by != GRAMMAR and (prompt, name) not in _BY_MODEL:
        from prompts.llm import read_with
        from synth.case.language_model import model_of

        _BY_MODEL[prompt, name] = by, read_with(model_of(by), prompt, door(name, weights))
    _, by_model = _BY_MODEL.get((prompt, name), (by, None))
    return by_model or read(prompt, door(name, weights))


def parser_options(prompt: str, name: str) -> dict[str, str]:
    """The option that says who read a prompt in this run, none for the grammar: so a command makes the case again."""
    by, _ = _BY_MODEL.get((prompt, name), (GRAMMAR, None))
    return {} if by == GRAMMAR else {"parser": by}


def read_prompt(prompt: str | Reading, name: str, weights: Path | None = None) -> Reading:
    """The reading of a prompt that may have been read already."""
    return prompt if isinstance(prompt, Reading) else ask(prompt, name, weights=weights)


def reading_of(prompt: str, name: str, weights: Path | None = None) -> dict[str, Any] | None:
    """What a plan stores of its words; None where it has none."""
    return reading(prompt, name, weights=weights).as_json() if prompt.strip() else None
