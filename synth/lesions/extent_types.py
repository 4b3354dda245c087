"""The table of findings that are told by their extent (extents.yaml), checked when it is read.

A body has two diameters; these have a share of an organ, a volume, a number or a ratio of their own. Each entry names
the way it is drawn and gives every number that the drawing needs as a range to draw from.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from prompts.vocabulary import PATTERNS, FindingKind, Organ, Severity
from synth.lesions.lesion_plan import ContrastPhase
from synth.lesions.lesion_types import Range, Share

Changes = Literal["shape", "volume", "tissue", "detail"]
"""What a finding changes of its host, in the order of drawing: what moves organs would move the others' masks."""

CHANGES: tuple[Changes, ...] = get_args(Changes)

ONLY = "only"
"""Name of the pattern of kinds that have one."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Number(_Entry):
    """Range of one number of a drawing; `enhanced` where contrast makes a difference."""

    native: Range
    enhanced: Range

    def of(self, phase: ContrastPhase) -> Range:
        """The range in a phase."""
        return self.native if phase == "native" else self.enhanced


def _number(value: Any) -> Any:
    return {"native": value, "enhanced": value} if isinstance(value, list | tuple) else value


Numbers = dict[str, Annotated[Number, BeforeValidator(_number)]]


class ExtentType(_Entry):
    """One entry of extents.yaml.

    sees: what a reader should see.
    needs: structures that drawing it asks for beside those of its organ.
    in_generated: whether masks of generated CT are fine enough for it.
    changes: what it changes of its host, which says when it is drawn.
    draw: the way it is drawn, see `synth.lesions.extents`.
    unit: what `amount` is in, which a request may give: share of the organ, mL, ratio, mm, or a number of things.
    amount: its range by severity, `amount_of` that of a pattern; `typical` weighs severities where none was said.
    numbers: of the drawing, for every pattern; `patterns` adds those that one pattern has.
    usual: weights of the patterns where none was said.
    """

    name: str
    source: str = Field(min_length=10)
    sees: str = Field(min_length=10)
    organ: Organ
    needs: tuple[str, ...] = ()
    in_generated: bool = True
    kinds: tuple[FindingKind, ...]
    changes: Changes = "tissue"
    draw: str
    unit: str
    amount: dict[Severity, Range]
    amount_of: dict[str, dict[Severity, Range]] = {}
    typical: dict[Severity, Share] = {Severity.MILD: 0.4, Severity.MODERATE: 0.4, Severity.SEVERE: 0.2}
    numbers: Numbers = {}
    patterns: dict[str, Numbers] = {ONLY: {}}
    usual: dict[str, Share] = {ONLY: 1.0}
    hu: Range

    @model_validator(mode="after")
    def _check(self) -> Self:
        if set(self.amount) != set(Severity):
            raise ValueError(f"{self.name}: amount must name {', '.join(Severity)}")
        for what, weights in (("typical", self.typical), ("usual", self.usual)):
            if abs(sum(weights.values()) - 1) > 1e-6:
                raise ValueError(f"{self.name}: the weights of `{what}` must sum to 1")
        if set(self.usual) - set(self.patterns):
            raise ValueError(f"{self.name}: `usual` weighs patterns that are not there")
        known = {str(p) for kind in self.kinds for p in PATTERNS.get(kind, ())} or {ONLY}
        if set(self.patterns) != known:
            raise ValueError(f"{self.name}: patterns must be those of the vocabulary: {', '.join(sorted(known))}")
        return self

    def numbers_of(self, pattern: str) -> Numbers:
        """Every number of a pattern."""
        return {**self.numbers, **self.patterns[pattern]}


@cache
def extent_types() -> dict[str, ExtentType]:
    """Every type by name, in the order of the file. Keys that start with `_` hold parts that entries share."""
    return read_extents(resources.files("synth.lesions").joinpath("extents.yaml").read_text())


def read_extents(text: str) -> dict[str, ExtentType]:
    """The types of a YAML text. Raises ValueError (pydantic) naming the entry's field."""
    table = {name: entry for name, entry in yaml.safe_load(text).items() if not name.startswith("_")}
    return {name: ExtentType(name=name, **entry) for name, entry in table.items()}


def extent_type_of(kind: FindingKind) -> ExtentType | None:
    """The type of a kind; None for kinds that are bodies."""
    return next((t for t in extent_types().values() if kind in t.kinds), None)
