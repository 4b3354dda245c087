"""What a scanner is set to. Without one, a case is as it was drawn or as its host was scanned."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from synth.errors import InputError

MAX_SLICE_MM, MAX_NOISE_HU = 20.0, 200.0
MAX_VIEWS, MAX_STEPS = 1440, 200
MIN_SOURCE_MM, MAX_SOURCE_MM = 200.0, 2000.0
_SOFT = "soft"  # what clinicians call a smooth kernel


class Kernel(StrEnum):
    """Sharpness of the reconstruction, against that of the volume as it is, which is `standard`."""

    smooth = "smooth"
    standard = "standard"
    sharp = "sharp"


class Profile(StrEnum):
    """How a slice weighs what it holds: evenly, or as spiral scans do, in a triangle or bell of the same half-width."""

    box = "box"
    triangle = "triangle"
    bell = "bell"


class Metal(StrEnum):
    """Implants that can be put into a CT before it is scanned, or the devices that are among its lesions."""

    hip = "hip"
    dental = "dental"
    spine = "spine"
    devices = "devices"


class Reconstruction(StrEnum):
    """Filtered back-projection, or simultaneous iterative reconstruction from nothing on."""

    fbp = "fbp"
    sirt = "sirt"


class Beam(StrEnum):
    """Rays side by side, into which scanners sort theirs, or the fan of a source that goes round the patient."""

    parallel = "parallel"
    fan = "fan"


class Detector(StrEnum):
    """Cells of a fan's detector on an arc about the source, or on a line."""

    curved = "curved"
    flat = "flat"


class Bowtie(StrEnum):
    """The filter that spares photons at the rim: for a head, or for a body."""

    head = "head"
    body = "body"


class ScannerSettings(BaseModel):
    """An acquisition.

    slice_mm: thickness of the slices; None leaves the slices as they are.
    increment_mm: distance of the slices, as far as their thickness if left out; less is overlap.
    profile: weights within a slice, whose width at half the height is its thickness.
    kernel: modulation transfer within the slice, and the grain of the noise (synth/scanner/kernels.py).
    noise_hu: SD of even noise that is added to the finished slices, in water.
    dose: share of the exposure at which the volume was taken; the noise that is missing is put on the sinogram.
    modulation: tube current by direction, as much in sum (synth/scanner/dose.py).
    beam, detector, source_mm: of the rays; a fan's detector, and the distance of its source from the isocentre.
    bowtie: filter before the patient, which the noise knows.
    views, angle_deg: directions of rays, and the arc over which they are spaced, out of 180 degrees, of a fan 360.
    reconstruction, sirt_steps: how the missing views show.
    beam_hardening: bone hardens the beam; a CT of a real scanner has this already.
    metal: implants, with the labels that say where.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slice_mm: float | None = Field(None, gt=0, le=MAX_SLICE_MM)
    kernel: Kernel = Kernel.standard
    noise_hu: float = Field(0.0, ge=0, le=MAX_NOISE_HU)
    increment_mm: float | None = Field(None, gt=0, le=MAX_SLICE_MM)
    profile: Profile | None = None
    dose: float | None = Field(None, gt=0, le=1)
    modulation: bool = False
    beam: Beam | None = None
    detector: Detector | None = None
    source_mm: float | None = Field(None, ge=MIN_SOURCE_MM, le=MAX_SOURCE_MM)
    bowtie: Bowtie | None = None
    views: int | None = Field(None, ge=1, le=MAX_VIEWS)
    angle_deg: float | None = Field(None, gt=0, le=360)
    reconstruction: Reconstruction | None = None
    sirt_steps: int | None = Field(None, ge=1, le=MAX_STEPS)
    beam_hardening: bool = False
    metal: Metal | None = None

    @field_validator("kernel", mode="before")
    @classmethod
    def _soft_is_smooth(cls, value: Any) -> Any:
        return Kernel.smooth if value == _SOFT else value

    @field_validator("angle_deg")
    @classmethod
    def _within_the_turn(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and value > 180 and info.data.get("beam") is not Beam.fan:
            raise ValueError("input should be less than or equal to 180, of a fan 360")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        needs = {
            "increment_mm": (self.increment_mm, self.slice_mm, "slice_mm"),
            "profile": (self.profile, self.slice_mm, "slice_mm"),
            "modulation": (self.modulation, self.dose, "dose"),
            "bowtie": (self.bowtie, self.dose or self.metal, "dose or metal"),
            "beam": (self.beam, self.projects, "dose, views, angle_deg, metal or beam_hardening"),
            "detector": (self.detector, self.beam is Beam.fan, "beam fan"),
            "source_mm": (self.source_mm, self.beam is Beam.fan, "beam fan"),
            "sirt_steps": (self.sirt_steps, self.reconstruction is Reconstruction.sirt, "reconstruction sirt"),
            "reconstruction": (self.reconstruction, self.views or self.angle_deg, "views or angle_deg"),
        }
        for name, (given, needed, what) in needs.items():
            if given and not needed:
                raise ValueError(f"{name} needs {what}; give that too, or leave {name} out")
        return self

    @model_serializer(mode="wrap")
    def _serialized(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what was not asked for among the settings that plans of old do not know."""
        table: dict[str, Any] = handler(self)
        return {name: value for name, value in table.items() if name not in _PHYSICS or value not in (None, False)}

    @property
    def projects(self) -> bool:
        """Whether a sinogram is needed."""
        return bool(
            self.beam_hardening
            or self.metal
            or self.views
            or self.angle_deg
            or (self.dose is not None and self.dose < 1)
        )

    def settings(self) -> dict[str, Any]:
        """What differs from a volume as it is, as JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"name", "share"})


def settings_of(table: Mapping[str, Any], what: str) -> ScannerSettings:
    """Settings from a table of their fields. Raises InputError that starts with `what` and names the field."""
    try:
        return ScannerSettings.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f" {part}:" for part in first["loc"])
        raise InputError(f"{what}{where} {first['msg'].removeprefix('Value error, ')}") from error


_PHYSICS = frozenset(ScannerSettings.model_fields) - {"slice_mm", "kernel", "noise_hu"}


class Scanner(ScannerSettings):
    """An acquisition with a name, as a plan has it."""

    name: str

    def told(self) -> str:
        """`thick: 8 mm slices, smooth kernel, noise of 6 HU added`."""
        slices = "slices as they are" if self.slice_mm is None else f"{self.slice_mm:g} mm slices"
        more = {k: v for k, v in self.settings().items() if k in _PHYSICS}
        parts = [slices, f"{self.kernel} kernel", f"noise of {self.noise_hu:g} HU added"]
        parts += [k.replace("_", " ") if v is True else f"{k.replace('_', ' ')} {v}" for k, v in more.items()]
        return f"{self.name}: {', '.join(parts)}"
