"""What a scan lends its look by: its own voxels, and the deformation that carries the mean torso to it.

A look stays on the grid of its scan, so that a drawn torso is interpolated from it once, at the spacing that is asked
for: every further interpolation would take a quarter of what is finer than 10 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from synth import intensity, wavelet
from synth.files.arrays import Wanted
from synth.regions.frame import FACTOR, LOOK_MM, Frame
from synth.shape.deformation import exponential

FINE_MM = 2.0  # the finest that looks hold: that of most scans
_LEVELS = 100  # grey levels of the coarsest band per intensity unit: 4 HU of soft tissue, 17 HU of bone
DETAIL_STEP = 0.04  # intensity units: 16 HU of soft tissue, 68 HU of bone
VELOCITY_STEP = 0.05  # mm
_DETAILS = round(np.log2(LOOK_MM / FINE_MM))  # levels of wavelet bands
LOOK_ARRAYS = {
    "corner_mm": Wanted(1, "f"),
    "outline": Wanted(0, "b"),
    "coarse": Wanted(3, "u"),
    "velocity": Wanted(4, "i"),
    **{f"details_{i}": Wanted(4, "i") for i in range(_DETAILS)},
}
_TILE = FACTOR**_DETAILS  # voxels of FINE_MM that a grid is a multiple of
_TISSUE = 0.1  # of intensity + 1: coarse voxels with less, and none with more beside them, are air
_CUBIC = 3  # linear interpolation blurs bone and vessels


@dataclass(frozen=True)
class Look:
    """One scan.

    corner_mm: (3,) of its box, from the lower corner of the frame; outline: whether air lies beyond its sides;
    coarse: (X, Y, Z) uint8 at LOOK_MM, 100 (intensity + 1); details: (7, ..) int8 at LOOK_MM, then at half of it: the
    wavelet bands that make them FINE_MM, in steps of DETAIL_STEP; velocity: (3, ..) int16 on the base grid of the
    frame, in steps of VELOCITY_STEP, whose flow carries the mean torso to the scan.
    """

    corner_mm: np.ndarray
    outline: bool
    coarse: np.ndarray
    details: tuple[np.ndarray, ...]
    velocity: np.ndarray

    @staticmethod
    def of(hu: np.ndarray, corner_mm: np.ndarray, outline: bool, velocity: np.ndarray) -> Look:
        """The look of a scan.

        Args:
            hu: (X, Y, Z) at FINE_MM; velocity: (3, ..) mm on the base grid.
        """
        missing = [(0, -n % _TILE) for n in hu.shape]
        unit = torch.from_numpy(intensity.to_unit(np.pad(hu, missing, mode="edge")))[None, None]
        details: list[np.ndarray] = []
        for _ in range(_DETAILS):
            bands = wavelet.forward(unit)
            details.insert(0, np.rint(bands[0, 1:].numpy() / DETAIL_STEP).clip(-127, 127).astype(np.int8))
            unit = bands[:, :1]
        coarse = np.rint((unit[0, 0].numpy() + 1) * _LEVELS).clip(0, 255).astype(np.uint8)
        steps = np.rint(velocity / VELOCITY_STEP).astype(np.int16)
        return Look(np.asarray(corner_mm, np.float32), outline, coarse, tuple(details), steps)

    def volume(self, spacing: float) -> np.ndarray:
        """(X, Y, Z) float32 intensity + 1 of the scan's box at a spacing from LOOK_MM to FINE_MM."""
        unit = torch.from_numpy(self.coarse).float()[None, None] / _LEVELS
        for bands in self.details[: round(np.log2(LOOK_MM / spacing))]:
            unit = wavelet.inverse(torch.cat([unit, torch.from_numpy(bands).float()[None] * DETAIL_STEP], dim=1))
        return np.asarray(unit[0, 0].clamp(0.0, 2.5).numpy())

    def at(self, where_mm: np.ndarray, frame: Frame, spacing: float) -> np.ndarray:
        """(N,) intensity + 1 of the scan at places of the mean torso, to be seen at a spacing.

        Args:
            where_mm: (3, N) mm from the lower corner of the frame.
        """
        velocity = torch.from_numpy(self.velocity.astype(np.float32) * VELOCITY_STEP)[None]
        here = where_mm + at_points(exponential(-velocity, frame)[0], where_mm, frame) - self.corner_mm[:, None]
        values = np.zeros(here.shape[1], np.float32)
        near = np.flatnonzero(self._holds_tissue(here))
        values[near] = ndimage.map_coordinates(
            self.volume(spacing), here[:, near] / spacing - 0.5, order=_CUBIC, mode="nearest"
        )
        return values.clip(0.0, 2.5)

    def _holds_tissue(self, here: np.ndarray) -> np.ndarray:
        """(N,) bool: whether there is anything but air at or beside places (3, N) mm of the box."""
        tissue = ndimage.maximum_filter(self.coarse > _TISSUE * _LEVELS, size=3, mode="nearest")
        cells = np.floor(here / LOOK_MM).astype(np.int32)
        inside = [(c >= 0) & (c < n) for c, n in zip(cells, tissue.shape, strict=True)]
        sides = inside[0] & inside[1] if self.outline else np.ones(here.shape[1], bool)
        kept = [np.clip(c, 0, n - 1) for c, n in zip(cells, tissue.shape, strict=True)]
        return np.asarray(tissue[tuple(kept)] & sides)

    def wrong(self, frame: Frame) -> str | None:
        """What does not belong together, or None."""
        if self.corner_mm.shape != (3,) or self.velocity.shape != (3, *frame.shape):
            return f"a corner of the shape {self.corner_mm.shape}, a velocity of {self.velocity.shape}"
        for level, bands in enumerate(self.details):
            if bands.shape != (7, *(n * FACTOR**level for n in self.coarse.shape)):
                return f"details of the shape {bands.shape}"
        return None

    def arrays(self) -> dict[str, Any]:
        """What it is stored as, see LOOK_ARRAYS."""
        stored = {"corner_mm": self.corner_mm, "outline": self.outline, "coarse": self.coarse}
        return stored | {"velocity": self.velocity} | {f"details_{i}": bands for i, bands in enumerate(self.details)}

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> Look:
        """The look of `arrays`."""
        details = tuple(arrays[f"details_{i}"] for i in range(_DETAILS))
        return Look(arrays["corner_mm"], bool(arrays["outline"]), arrays["coarse"], details, arrays["velocity"])


def at_points(volume: torch.Tensor, where_mm: np.ndarray, frame: Frame) -> np.ndarray:
    """(C, N) of a volume (C, X, Y, Z) on any grid of the frame at places (3, N) mm from its lower corner, linear."""
    size = torch.tensor(frame.size_mm)[:, None]
    grid = (2 * torch.from_numpy(where_mm) / size - 1).float().T.flip(-1)[None, None, None]  # grid_sample's axes
    found = F.grid_sample(volume[None], grid, mode="bilinear", padding_mode="border", align_corners=False)
    return np.asarray(found[0, :, 0, 0].numpy())
