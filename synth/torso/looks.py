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

from synth.files.arrays import Wanted
from synth.models import intensity, wavelet
from synth.regions.frame import FACTOR, FINE_MM, LOOK_MM, Frame
from synth.shape.deformation import exponential

_LEVELS = 100  # grey levels of the coarsest band per intensity unit: 4 HU of soft tissue, 17 HU of bone
# Of the smallest details, intensity units: 2 HU of soft tissue, 8 of lung; coarser ones leave flat places where grain
# was. Steps grow to three times that, so that 8 bits hold the widest detail that there is (1.25).
DETAIL_STEP = 0.005
_WIDEST = 127
VELOCITY_STEP = 0.05  # mm
_DETAILS = round(np.log2(LOOK_MM / FINE_MM))  # levels of wavelet bands
LOOK_ARRAYS = {
    "corner_mm": Wanted(1, "f"),
    "outline": Wanted(0, "b"),
    "coarse": Wanted(3, "u"),
    "velocity": Wanted(4, "i"),
    "detail_step": Wanted(0, "f"),
    **{f"details_{i}": Wanted(4, "i") for i in range(_DETAILS)},
}
_TILE = FACTOR**_DETAILS  # voxels of FINE_MM that a grid is a multiple of
_TISSUE = 0.1  # of intensity + 1: coarse voxels with less, and none with more beside them, are air
_CUBIC = 3  # linear interpolation blurs bone and vessels
_MARGIN = 12  # voxels after which a cubic spline has forgotten its border
_TAPS = 2  # voxels to either side that a value is read from
NEAR_MM = 12.0


@dataclass(frozen=True)
class Look:
    """One scan.

    corner_mm: (3,) of its box, from the lower corner of the frame; outline: whether air lies beyond its sides;
    coarse: (X, Y, Z) uint8 at LOOK_MM, 100 (intensity + 1); details: (7, ..) int8 at LOOK_MM, then at half of it: the
    wavelet bands that make them FINE_MM, in steps that begin with `detail_step`; velocity: (3, ..) int16 on the base
    grid of the frame, in steps of VELOCITY_STEP, whose flow carries the mean torso to the scan.
    """

    corner_mm: np.ndarray
    outline: bool
    coarse: np.ndarray
    details: tuple[np.ndarray, ...]
    velocity: np.ndarray
    detail_step: float = DETAIL_STEP

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
            details.insert(0, _in_steps(bands[0, 1:].numpy()))
            unit = bands[:, :1]
        coarse = np.rint((unit[0, 0].numpy() + 1) * _LEVELS).clip(0, 255).astype(np.uint8)
        steps = np.rint(velocity / VELOCITY_STEP).astype(np.int16)
        return Look(np.asarray(corner_mm, np.float32), outline, coarse, tuple(details), steps)

    def volume(self, spacing: float, part: tuple[slice, ...] = (slice(None),) * 3) -> np.ndarray:
        """(X, Y, Z) float32 intensity + 1 of the scan's box at a spacing from LOOK_MM to FINE_MM; `part`: coarse voxels
        of it."""
        unit, widths = torch.from_numpy(self.coarse[part]).float()[None, None] / _LEVELS, _of_steps(self.detail_step)
        for level, bands in enumerate(self.details[: round(np.log2(LOOK_MM / spacing))]):
            here = (slice(None), *(slice(_times(s.start, level), _times(s.stop, level)) for s in part))
            details = torch.from_numpy(widths[bands[here].view(np.uint8)])[None]
            unit = wavelet.inverse(torch.cat([unit, details], dim=1))
        return np.asarray(unit[0, 0].clamp(0.0, 2.5).numpy())

    def displacement(self, frame: Frame) -> torch.Tensor:
        """(1, 3, ..) mm on the base grid of the frame: what leads from the mean torso to the scan."""
        return exponential(-torch.from_numpy(self.velocity.astype(np.float32) * VELOCITY_STEP)[None], frame)

    def at(self, where_mm: np.ndarray, frame: Frame, spacing: float) -> np.ndarray:
        """(N,) intensity + 1 of the scan at places of the mean torso, to be seen at a spacing.

        Args:
            where_mm: (3, N) mm from the lower corner of the frame.
        """
        return Sampler(self, self.displacement(frame), spacing).at(where_mm, on_frame(where_mm, frame))

    def tissue(self) -> np.ndarray:
        """(X, Y, Z) bool of coarse voxels: whether there is anything but air in or beside them."""
        near = ndimage.maximum_filter(self.coarse > _TISSUE * _LEVELS, size=3, mode="nearest")
        return np.asarray(near)

    def holds_tissue(self, here: np.ndarray, tissue: np.ndarray, more: int = 0) -> np.ndarray:
        """(N,) bool: whether places (3, N) mm of the box lie in `tissue`, which goes on beyond its sides but for an
        outline. `more`: coarse voxels beyond that which count as within."""
        cells = np.floor(here / np.float32(LOOK_MM)).astype(np.int32)
        flat, outside = np.zeros(here.shape[1], np.int32), np.zeros(here.shape[1], bool)
        for axis, (cell, n) in enumerate(zip(cells, tissue.shape, strict=True)):
            if self.outline and axis < 2:
                outside |= (cell < -more) | (cell >= n + more)
            flat = flat * n + cell.clip(0, n - 1)
        return np.asarray(tissue.reshape(-1)[flat] & ~outside)

    def wrong(self, frame: Frame) -> str | None:
        """What does not belong together, or None."""
        if self.corner_mm.shape != (3,) or self.velocity.shape != (3, *frame.shape):
            return f"a corner of the shape {self.corner_mm.shape}, a velocity of {self.velocity.shape}"
        if not 0 < self.detail_step < 1:
            return f"details in steps of {self.detail_step:g}"
        for level, bands in enumerate(self.details):
            if bands.shape != (7, *(n * FACTOR**level for n in self.coarse.shape)):
                return f"details of the shape {bands.shape}"
        return None

    def arrays(self) -> dict[str, Any]:
        """What it is stored as, see LOOK_ARRAYS."""
        stored = {"corner_mm": self.corner_mm, "outline": self.outline, "coarse": self.coarse}
        stored |= {"velocity": self.velocity, "detail_step": np.array(self.detail_step)}
        return stored | {f"details_{i}": bands for i, bands in enumerate(self.details)}

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> Look:
        """The look of `arrays`."""
        details = tuple(arrays[f"details_{i}"] for i in range(_DETAILS))
        return Look(
            arrays["corner_mm"],
            bool(arrays["outline"]),
            arrays["coarse"],
            details,
            arrays["velocity"],
            float(arrays["detail_step"]),
        )


def _in_steps(details: np.ndarray) -> np.ndarray:
    """int8 numbers of steps: the inverse of `_of_steps`, to the nearest."""
    steps = (np.sqrt(1 + 4 * np.abs(details) / (_WIDEST * DETAIL_STEP)) - 1) * _WIDEST / 2
    return np.asarray((np.sign(details) * np.rint(steps).clip(0, _WIDEST)).astype(np.int8))


def _of_steps(first: float) -> np.ndarray:
    """(256,) float32 details by the bits of an int8: its steps, the first of them `first` wide and the last thrice."""
    steps = np.arange(256).astype(np.uint8).view(np.int8).astype(np.float32)
    return np.asarray((first * steps * (1 + np.abs(steps) / _WIDEST)).astype(np.float32))


class Sampler:
    """A look that is ready to be read at many places, at a spacing.

    displacement: its own; near_mm: (3, N) mm of its box, that what is read lies within NEAR_MM of, or all of it.
    """

    def __init__(
        self, look: Look, displacement: torch.Tensor, spacing: float, near_mm: np.ndarray | None = None
    ) -> None:
        self.look, self.displacement, self.spacing = look, displacement, spacing
        self._tissue = look.tissue()
        shape, scale = np.array(look.coarse.shape), round(LOOK_MM / spacing)
        low, high = np.zeros(3, int), shape
        if near_mm is not None:
            reach = NEAR_MM + (_MARGIN + _TAPS) * spacing
            low = np.floor((near_mm.min(axis=1) - reach) / LOOK_MM).astype(int).clip(0, shape - 1)
            high = np.ceil((near_mm.max(axis=1) + reach) / LOOK_MM).astype(int).clip(low + 1, shape)
        volume = look.volume(spacing, tuple(map(slice, low.tolist(), high.tolist())))
        before, after = _MARGIN * (low == 0), _MARGIN * (high == shape)
        volume = np.pad(volume, list(zip(before, after, strict=True)), mode="edge")
        # once for all places; in single precision, which is finer than a thousandth of an HU
        self._spline = ndimage.spline_filter(volume, _CUBIC, output=np.float32, mode="nearest")
        self._first = (scale * low - before).astype(np.float32)[:, None]

    @property
    def voxels(self) -> int:
        """How many it holds ready."""
        return self._spline.size

    def at(self, where_mm: np.ndarray, where: torch.Tensor) -> np.ndarray:
        """(N,) intensity + 1 at places (3, N) mm of the mean torso; `where`: the same as `on_frame` has them."""
        here = where_mm + sampled(self.displacement, where) - self.look.corner_mm[:, None]
        values = np.zeros(here.shape[1], np.float32)
        near = np.flatnonzero(self.look.holds_tissue(here, self._tissue))
        at = here[:, near] / np.float32(self.spacing) - np.float32(0.5) - self._first
        values[near] = ndimage.map_coordinates(self._spline, at, order=_CUBIC, mode="nearest", prefilter=False)
        return values.clip(0.0, 2.5)


def _times(end: int | None, level: int) -> int | None:
    return None if end is None else end * FACTOR**level


def on_frame(where_mm: np.ndarray, frame: Frame) -> torch.Tensor:
    """(1, 1, 1, N, 3): places (3, N) mm from the lower corner of the frame, as grid_sample counts."""
    size = np.array(frame.size_mm, np.float32)[:, None]
    return torch.from_numpy(np.ascontiguousarray((2 * where_mm / size - 1)[::-1].T))[None, None, None]


def sampled(volume: torch.Tensor, where: torch.Tensor) -> np.ndarray:
    """(C, N) of a volume (1, C, X, Y, Z) on any grid of the frame at places that `on_frame` made, linear."""
    found = F.grid_sample(volume, where, mode="bilinear", padding_mode="border", align_corners=False)
    return np.asarray(found[0, :, 0, 0].numpy())
