"""Limits: what a drawn case of a region must have beside its facts: volumes, sides, and tissue under its masks."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict


def ends_of(value: Any) -> Any:
    """A range [low, high]; null is an open end."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"'{value}': give two numbers, [low, high], null for an open end")
    low, high = value
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)


Range = Annotated[tuple[float, float], BeforeValidator(ends_of)]


class Strict(BaseModel):
    """A table of a region's YAML: a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OrganLimits(Strict):
    """Of one organ.

    of: patterns of the masks that it is made of, its own name if none; shown: the regions of a prompt that show it
    whole; side: of the midline that it lies on; between: the two whose middles it lies between.
    """

    ml: Range
    shown: tuple[str, ...]
    of: tuple[str, ...] = ()
    side: Literal["right", "left"] | None = None
    between: tuple[str, str] | None = None


class Limits(Strict):
    """Limits of a region.

    midline: pattern of the masks that tell it; attenuation: masks whose HU must be believable of them (anatomy.csv).
    """

    organs: dict[str, OrganLimits] = {}
    midline: str | None = None
    attenuation: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of all masks that they speak of, patterns among them."""
        organs = [name for organ, limits in self.organs.items() for name in limits.of or (organ,)]
        return (*organs, *([self.midline] if self.midline else []), *self.attenuation)
