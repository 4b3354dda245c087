"""Siblings of an inserted case: its healthy host, the same lesions later, the same lesions with one attribute changed.

A sibling is a case of its own, on the same grid of the same host. Its plan says what it is a sibling of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from prompts.vocabulary import Density, Heterogeneity, Surface, Texture
from synth.errors import InputError

CHANGEABLE: dict[str, tuple[str, ...]] = {
    "density": tuple(Density),
    "texture": tuple(Texture),
    "heterogeneity": tuple(Heterogeneity),
    "surface": tuple(Surface),
    "necrotic": ("yes", "no"),
    "calcified": ("yes", "no"),
}
"""Attributes that one lesion can change alone, and their values. Size, shape and place decide which tissue is pushed
where, so another one changes more than the lesion."""
_GROWTH = (0.1, 10.0)
_DAYS = (1, 36500)
_UNITS = {"d": 1, "w": 7}  # days


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Twin(_Frozen):
    """The host without any lesion."""

    kind: Literal["twin"] = "twin"

    @property
    def suffix(self) -> str:
        """What its folder's name adds to that of the case it is a sibling of."""
        return "healthy"

    def options(self) -> dict[str, object]:
        """The options of `synthct insert` that ask for it."""
        return {"twin": True}


class FollowUp(_Frozen):
    """The same lesions `days` later: `growth` is the factor of every long axis, below 1 for lesions that shrink."""

    kind: Literal["follow_up"] = "follow_up"
    days: int = Field(ge=_DAYS[0], le=_DAYS[1])
    growth: float = Field(ge=_GROWTH[0], le=_GROWTH[1])

    @property
    def suffix(self) -> str:
        """As of Twin."""
        return f"{self.days}d"

    def options(self) -> dict[str, object]:
        """As of Twin."""
        return {"follow_up": f"{self.days}d", "growth": f"{self.growth:g}"}


class Change(_Frozen):
    """The same lesions with one attribute of all of them changed; nothing outside the lesions differs."""

    kind: Literal["change"] = "change"
    attribute: str
    value: str

    @property
    def suffix(self) -> str:
        """As of Twin."""
        return f"{self.attribute}_{self.value}"

    def options(self) -> dict[str, object]:
        """As of Twin."""
        return {"change": f"{self.attribute}={self.value}"}


Sibling = Annotated[Twin | FollowUp | Change, Field(discriminator="kind")]


class SiblingOf(_Frozen):
    """What a case is a sibling of: the case, the sha256 of its plan.json, and how they differ."""

    case: str
    plan_sha256: str
    how: Sibling


def siblings_asked(
    *, twin: bool = False, follow_up: str | None = None, growth: float | None = None, change: Sequence[str] = ()
) -> tuple[Twin | FollowUp | Change, ...]:
    """The siblings that the command's options ask for. Raises InputError naming the option and the remedy."""
    asked: list[Twin | FollowUp | Change] = [Twin()] if twin else []
    if (follow_up is None) != (growth is None):
        raise InputError("--follow-up and --growth go together; say for instance --follow-up 90d --growth 1.4")
    if follow_up is not None and growth is not None:
        asked.append(_follow_up(follow_up, growth))
    return (*asked, *(parse_change(text) for text in change))


def _follow_up(interval: str, growth: float) -> FollowUp:
    days = parse_days(interval)
    if not _GROWTH[0] <= growth <= _GROWTH[1]:
        low, high = _GROWTH
        raise InputError(f"--growth {growth:g}: the factor of the long axis; give {low:g} to {high:g}")
    return FollowUp(days=days, growth=growth)


def parse_days(text: str) -> int:
    """ "90d" or "13w" -> days. Raises InputError."""
    match = re.fullmatch(r"(\d{1,6})([dw])", text.strip())
    days = int(match[1]) * _UNITS[match[2]] if match else 0
    if not _DAYS[0] <= days <= _DAYS[1]:
        raise InputError(f"--follow-up '{text}': give days or weeks from 1d to {_DAYS[1]}d, such as 90d or 13w")
    return days


def parse_change(text: str) -> Change:
    """ "density=hyperdense" -> Change. Raises InputError."""
    attribute, sign, value = (part.strip() for part in text.partition("="))
    if attribute not in CHANGEABLE:
        choices = ", ".join(CHANGEABLE)
        raise InputError(f"--change '{text}': of one lesion alone can change: {choices}; say density=hyperdense")
    if not sign or value not in CHANGEABLE[attribute]:
        raise InputError(f"--change '{text}': {attribute} is one of {', '.join(CHANGEABLE[attribute])}")
    return Change(attribute=attribute, value=value)
