"""ExtentPlan: one finding that is told by its extent, with every random choice drawn."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from prompts.request import FindingRequest
from synth.lesions.lesion_plan import MAX_LESIONS, ContrastPhase


class ExtentPlan(BaseModel):
    """One finding; together with the host it gives the finding.

    `amount` is how much of it there is to be, in the unit of its type (share of the organ, mL, ratio, mm, number).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int = Field(ge=1, le=MAX_LESIONS)
    kind: str
    organ: str
    structures: tuple[str, ...] = Field(description="label names that it is in")
    pattern: str
    phase: ContrastPhase
    amount: float = Field(gt=0)
    numbers: dict[str, float]
    seed: int = Field(ge=0)
    asked: FindingRequest | None = Field(default=None, description="what it is to show; None: nothing is held")

    @property
    def name(self) -> str:
        """Its name in the lesion map, e.g. `ground_glass_opacity_1`."""
        return f"{self.kind}_{self.id}"

    def generator(self, stream: str) -> np.random.Generator:
        """The generator of one of its noise fields; streams do not depend on each other."""
        return np.random.default_rng([self.seed, *stream.encode()])
