"""LesionPlan: one lesion with every random choice drawn. JSON; together with the host it gives the lesion."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from prompts.request import FindingRequest

MAX_LESIONS = 255  # ids are uint8

ContrastPhase = Literal["native", "arterial", "portal_venous", "delayed"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Zone(_Frozen):
    """A zone of attenuation: it reaches `reach` of the way from centre to surface, is `hu` HU and replaces `opacity`
    of the host."""

    name: str
    reach: float = Field(gt=0, le=1)
    hu: float
    opacity: float = Field(gt=0, le=1)


class LesionPlan(_Frozen):
    """One lesion; lengths in mm, attenuation in HU, directions in the RAS world.

    `size_mm` is the longest diameter of the mask in a slice, as radiology measures it (RECIST 1.1). Nothing
    further than `ball_mm` from the centre is touched.
    """

    id: int = Field(ge=1, le=MAX_LESIONS)
    kind: str
    organ: str
    structures: tuple[str, ...] = Field(description="label names that it may grow in")
    invades: bool = Field(description="whether it may cross the organ's border into soft tissue")
    bulges: bool = Field(description="whether it may grow into the fat round the organ")
    phase: ContrastPhase
    centre: tuple[int, int, int] = Field(description="voxel index")
    size_mm: PositiveFloat
    ball_mm: PositiveFloat
    wall_mm: float = Field(default=0.0, ge=0, description="greatest thickness of a layer along the wall; 0: a body")
    volume_ml: float | None = Field(default=None, gt=0, description="of free fluid, where it was asked for")
    pools: bool = Field(default=False, description="whether the layer is free fluid, level on a patient on the back")
    mass_effect: float = Field(default=0.0, ge=0, lt=1, description="share of the replaced tissue that is pushed aside")
    axes: tuple[float, float] = Field(description="middle and short axis, of the long one")
    rotation: tuple[float, float, float, float] = Field(description="quaternion x, y, z, w: long, middle, short to RAS")
    roughness: float = Field(ge=0, description="SD of the surface, of the radius")
    lobes: int = Field(ge=0)
    lobe_depth: float = Field(ge=0, lt=0.5, description="of the radius")
    spicules: int = Field(ge=0)
    spicule_mm: float = Field(ge=0, description="length of the longest")
    ragged_mm: float = Field(default=0.0, ge=0, description="SD by which the edge lies beside the smooth surface")
    haze: float = Field(default=0.0, ge=0, lt=0.5, description="share of the edge that is wider than the rest")
    mottle: float = Field(
        default=0.0, ge=0, lt=1, description="SD of what ground glass replaces of the air, of the mean"
    )
    attached: int = Field(default=0, ge=0, description="vessels and pleural strands that end at it")
    attached_mm: float = Field(default=0.0, ge=0, description="length of the longest")
    margin_mm: PositiveFloat = Field(description="10-90% width of the edge")
    zones: tuple[Zone, ...] = Field(min_length=1, description="from outside in; the first reaches the surface")
    grain_hu: float = Field(ge=0, description="SD of the texture beyond the scanner's noise")
    grain_mm: PositiveFloat
    seed: int = Field(ge=0)
    asked: FindingRequest | None = Field(default=None, description="what the lesion is to show; None: nothing is held")

    @property
    def name(self) -> str:
        """Its name in the lesion map, e.g. `lung_nodule_1`."""
        return f"{self.kind}_{self.id}"

    def generator(self, stream: str) -> np.random.Generator:
        """The generator of one of the lesion's noise fields; streams do not depend on each other."""
        return np.random.default_rng([self.seed, *stream.encode()])
