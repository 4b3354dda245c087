"""What a scanner is set to. Without one, a case is as it was drawn or as its host was scanned."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

MAX_SLICE_MM, MAX_NOISE_HU = 20.0, 200.0


class Kernel(StrEnum):
    """Sharpness of the reconstruction, against that of the volume as it is, which is `standard`."""

    smooth = "smooth"
    standard = "standard"
    sharp = "sharp"


class ScannerSettings(BaseModel):
    """An acquisition.

    slice_mm: thickness of the slices and their distance; None leaves the slices as they are.
    kernel: modulation transfer within the slice, and the grain of the noise (synth/scanner/kernels.py).
    noise_hu: SD of the noise that is added, in water and in the finished slices. In life it goes with
        1 / sqrt(dose * thickness) (Brooks & Di Chiro 1976): half the dose is 1.41 times the noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slice_mm: float | None = Field(None, gt=0, le=MAX_SLICE_MM)
    kernel: Kernel = Kernel.standard
    noise_hu: float = Field(0.0, ge=0, le=MAX_NOISE_HU)


class Scanner(ScannerSettings):
    """An acquisition with a name, as a plan has it."""

    name: str

    def told(self) -> str:
        """`thick: 8 mm slices, smooth kernel, noise of 6 HU added`."""
        slices = "slices as they are" if self.slice_mm is None else f"{self.slice_mm:g} mm slices"
        return f"{self.name}: {slices}, {self.kernel} kernel, noise of {self.noise_hu:g} HU added"
