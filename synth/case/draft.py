"""Draft: a case between drawing and writing, and what it is called when it is thrown away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.case.plan import CasePlan
from synth.case.weights_folder import Weights
from synth.errors import InputError
from synth.provenance import Check
from synth.report.comparison import PriorStudy
from synth.report.measurements import Measurements
from synth.volumes.types import Case

# Further checks of a drawn case, beside those of the path itself.
Gate = Callable[[CasePlan, Case, Measurements], Sequence[Check]]


def no_gate(_plan: CasePlan, _case: Case, _measured: Measurements) -> Sequence[Check]:
    """No further checks."""
    return ()


@dataclass(frozen=True)
class Rejection:
    """A draw that was thrown away, and why."""

    reason: str
    plan: CasePlan


class RejectedError(InputError):
    """Every draw of a case failed a check."""

    def __init__(self, message: str, rejections: Sequence[Rejection]) -> None:
        super().__init__(message)
        self.rejections = tuple(rejections)


@dataclass(frozen=True)
class Draft:
    """A case that is drawn and measured; once it has passed its checks, its report and folder are still to be made.

    `measured`: what the checks measured already, None where they had no need to. `prior`: the earlier CT of a
    follow-up, which its report compares with. `weights`: that drew a generated case; `anatomy`: what it was before it
    had findings. `refusal`: why it is thrown away although no check failed. `more`: further fields of its manifest.
    `drawn_by`: role -> file of weights that are not ours and drew it, none where none did.
    """

    plan: CasePlan
    case: Case
    checks: tuple[Check, ...]
    inputs: Mapping[str, Path] = field(default_factory=dict)
    rejections: tuple[Rejection, ...] = ()
    measured: Measurements | None = None
    prior: PriorStudy | None = None
    weights: Weights | None = None
    anatomy: Draft | None = None
    refusal: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    drawn_by: Mapping[str, Path] | None = None

    @property
    def failed(self) -> list[Check]:
        """The checks that it did not pass."""
        return [check for check in self.checks if not check.ok]

    @property
    def passed(self) -> bool:
        """Whether it may be kept."""
        return not self.failed and not self.refusal

    def why_not(self) -> str:
        """Why it is not kept, in one line."""
        if self.refusal:
            return self.refusal
        first, *others = self.failed
        more = f" ({len(others)} more of {len(self.checks)} checks fail)" if others else ""
        return f"{first.name} = {first.value:g} is not within {first.low:g} to {first.high:g}{more}"
