"""The table of lesion types (types.yaml), checked when it is read."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Annotated, Literal, Self

import numpy as np
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from prompts.vocabulary import FindingKind, Heterogeneity, Organ, Surface
from synth.errors import InputError
from synth.lesions.lesion_plan import ContrastPhase


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"range {list(pair)}: the first number must not exceed the second")
    return pair


Range = Annotated[tuple[float, float], AfterValidator(_ascending)]
Share = Annotated[float, Field(ge=0, le=1)]
_SHORTEST_GRAIN_MM = 1.5


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ZoneModel(_Entry):
    """One zone of a lesion; ranges in HU (of water, or added to the organ's median), shares from 0 to 1.

    `enhanced` is the portal venous phase, and every enhanced phase that has no range of its own.
    """

    name: str
    of: Literal["water", "organ"]
    native: Range
    enhanced: Range
    arterial: Range | None = None
    delayed: Range | None = None
    opacity: Range = (1.0, 1.0)
    reach: Range = (1.0, 1.0)
    chance: Share = 1.0
    above_mm: float = 0.0

    def hu(self, phase: ContrastPhase) -> Range:
        """The range of a phase."""
        if phase == "native":
            return self.native
        return {"arterial": self.arterial, "delayed": self.delayed}.get(phase) or self.enhanced


class AxesModel(_Entry):
    """Middle and short axis relative to the long one."""

    middle: Range
    short: Range


class ProtrusionModel(_Entry):
    """Lobes (`depth`, fraction of the radius) or spicules (`length`, fraction of the size)."""

    chance: Share
    number: tuple[int, int]
    extent: Range = Field(validation_alias="depth")


class SpiculeModel(ProtrusionModel):
    extent: Range = Field(validation_alias="length")


class LesionShapeModel(_Entry):
    axes: AxesModel
    roughness: Range
    lobes: ProtrusionModel
    spicules: SpiculeModel


class BorderModel(_Entry):
    """How a nodule in the lung ends: `ragged_mm` beside its smooth surface (SD), `haze` about it (share of its edge),
    vessels and strands that are `attached` to it (number). `mottle`: SD of ground glass, of its mean opacity."""

    ragged_mm: Range
    haze: Range
    mottle: Range
    attached: tuple[int, int]


class WallModel(_Entry):
    """A layer along the organ's border: its greatest thickness in mm; `chance` that a lesion is one when not said."""

    thickness_mm: Range
    chance: Share = 1.0


class MarginModel(_Entry):
    """10-90% width of the edge in mm, by surface."""

    well_defined: Range = Field(alias="well-defined")
    ill_defined: Range = Field(alias="ill-defined")
    usual: Surface

    def width(self, surface: Surface | None) -> Range:
        return self.well_defined if (surface or self.usual) is Surface.WELL_DEFINED else self.ill_defined


class GrainModel(_Entry):
    """SD of the texture inside in HU, by heterogeneity; its length as a share of the size, and the longest in mm."""

    homogeneous: Range
    heterogeneous: Range
    usual: Heterogeneity
    length: Share = 0.12
    longest_mm: PositiveFloat = 8.0

    def sd(self, heterogeneity: Heterogeneity | None) -> Range:
        even = (heterogeneity or self.usual) is Heterogeneity.HOMOGENEOUS
        return self.homogeneous if even else self.heterogeneous

    def length_mm(self, size_mm: float) -> float:
        """Length of the texture of a lesion of this size: twice the SD of the Gaussian that smooths it."""
        return float(np.clip(self.length * size_mm, _SHORTEST_GRAIN_MM, self.longest_mm))


Place = Literal["anywhere", "dependent", "deep", "lateral", "wall"]


class LesionType(_Entry):
    """One entry of types.yaml."""

    name: str
    source: str = Field(min_length=10)
    organ: Organ
    also_in: tuple[Organ, ...] = ()
    kinds: tuple[FindingKind, ...]
    bulges: bool = False
    spans: bool = False
    conforms: float = Field(0.0, ge=0, lt=1)
    place: Place = "anywhere"
    mass_effect: Range = (0.0, 0.0)
    size_mm: dict[float, float]
    shape: LesionShapeModel
    wall: WallModel | None = None
    border: BorderModel | None = None
    margin_mm: MarginModel
    grain_hu: GrainModel
    usual: dict[str, Share]
    appearances: dict[str, tuple[ZoneModel, ...]]

    @model_validator(mode="after")
    def _check(self) -> Self:
        quantiles = sorted(self.size_mm)
        sizes = [self.size_mm[q] for q in quantiles]
        if quantiles[0] != 0 or quantiles[-1] != 1 or sizes != sorted(sizes) or sizes[0] <= 0:
            raise ValueError(f"{self.name}: size_mm must rise from quantile 0 to quantile 1")
        unknown = set(self.usual) - set(self.appearances)
        if unknown or abs(sum(self.usual.values()) - 1) > 1e-6:
            raise ValueError(f"{self.name}: `usual` must weigh appearances and sum to 1; not there: {sorted(unknown)}")
        for name, zones in self.appearances.items():
            if not zones or zones[0].reach != (1.0, 1.0) or zones[0].chance != 1.0:
                raise ValueError(f"{self.name}: the first zone of {name} must reach the surface, always")
        if self.mass_effect[0] < 0 or self.mass_effect[1] >= 1:
            raise ValueError(f"{self.name}: mass_effect {self.mass_effect} must lie from 0 to below 1")
        return self

    def size_at(self, quantile: float) -> float:
        """Long axis in mm at a quantile from 0 to 1, linear between the table's points."""
        points = sorted(self.size_mm)
        return float(np.interp(quantile, points, [self.size_mm[q] for q in points]))

    @property
    def organs(self) -> tuple[Organ, ...]:
        """Everywhere that it grows."""
        return (self.organ, *self.also_in)


@cache
def lesion_types() -> dict[str, LesionType]:
    """Every type by name, in the order of the file. Keys that start with `_` hold parts that entries share."""
    text = resources.files("synth.lesions").joinpath("types.yaml").read_text()
    return read_types(text)


def read_types(text: str) -> dict[str, LesionType]:
    """The types of a YAML text. Raises ValueError (pydantic) naming the entry's field."""
    table = {name: entry for name, entry in yaml.safe_load(text).items() if not name.startswith("_")}
    return {name: LesionType(name=name, **entry) for name, entry in table.items()}


def type_of(organ: Organ, kind: FindingKind) -> LesionType:
    """The type that a finding's words mean. Raises InputError naming the kinds that the organ has."""
    here = [t for t in lesion_types().values() if organ in t.organs]
    for candidate in here:
        if kind in candidate.kinds:
            return candidate
    if not here:
        organs = ", ".join(sorted({o.value for t in lesion_types().values() for o in t.organs}))
        raise InputError(f"{organ} {kind}: there is no lesion type for the {organ}; there are types for: {organs}")
    kinds = ", ".join(k.value for t in here for k in t.kinds)
    raise InputError(f"{organ} {kind}: there is no such lesion type; in the {organ} there are: {kinds}")
