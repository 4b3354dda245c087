"""Places: where on the mean torso the voxels of a drawn one lie, slab by slab."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from synth.regions.frame import BASE_SPACING_MM


@dataclass(frozen=True)
class Places:
    """Voxels of the frame at a spacing, of a slice of it along z.

    displacement: (1, 3, ..) mm on a grid of the whole frame with voxels of grid_mm; field: first and one past the last
    base slice, all if None.
    """

    displacement: torch.Tensor
    spacing: float
    field: tuple[int, int] | None = None
    grid_mm: float = BASE_SPACING_MM

    @property
    def shape(self) -> tuple[int, int, int]:
        """(X, Y, Z) of the field."""
        x, y, z = (round(n * self.grid_mm / self.spacing) for n in self.displacement.shape[2:])
        return x, y, self._slice(self.field[1]) - self._slice(self.field[0]) if self.field else z

    def _slice(self, base: int) -> int:
        """The first slice at the spacing of a base slice."""
        return round(base * BASE_SPACING_MM / self.spacing)

    @cached_property
    def _planes(self) -> np.ndarray:
        """(3, X of the displacement's grid, Y, Z) float32 mm: the displacement, fine along y and z already."""
        _, y, z = self.shape
        fine = _between(self.displacement[0].numpy(), 3, self._first, z, self.spacing / self.grid_mm)
        return _between(fine, 2, 0, y, self.spacing / self.grid_mm)

    @property
    def _first(self) -> int:
        return self._slice(self.field[0]) if self.field else 0

    def slab(self, start: int, stop: int) -> np.ndarray:
        """(3, X, Y, Z) float32 mm from the lower corner of the frame, on the mean torso, of voxels start to stop along
        x."""
        where = _between(self._planes, 1, start, stop - start, self.spacing / self.grid_mm)
        first = (start, 0, self._first)
        for axis, (low, n) in enumerate(zip(first, where.shape[1:], strict=True)):
            view = [1, 1, 1]
            view[axis] = n
            where[axis] += (self.spacing * (np.arange(low, low + n, dtype=np.float32) + 0.5)).reshape(view)
        return where

    def all(self) -> np.ndarray:
        """(3, X, Y, Z) float32 mm from the lower corner of the frame, on the mean torso."""
        return self.slab(0, self.shape[0])

    def nearest(self, ids: np.ndarray, grid_mm: float) -> np.ndarray:
        """(X, Y, Z) of the nearest voxels of a volume of the mean torso at a spacing."""
        out = np.empty(self.shape, ids.dtype)
        step = max(1, round(BASE_SPACING_MM / self.spacing))
        strides = np.array([ids.shape[1] * ids.shape[2], ids.shape[2], 1], np.int32)
        flat = np.ascontiguousarray(ids).reshape(-1)
        for start in range(0, len(out), step):
            where = self.slab(start, min(start + step, len(out)))
            index = np.zeros(where.shape[1:], np.int32)
            for axis, n in enumerate(ids.shape):
                index += strides[axis] * (where[axis] / grid_mm).astype(np.int32).clip(0, n - 1)
            out[start : start + step] = flat[index]
        return out


def _between(coarse: np.ndarray, axis: int, first: int, count: int, size: float) -> np.ndarray:
    """Linear interpolation along an axis to `count` voxels of a size, in coarse ones, from number `first` on."""
    at = (np.arange(first, first + count) + 0.5) * size - 0.5
    at = at.clip(0, coarse.shape[axis] - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, coarse.shape[axis] - 1)
    view = [1] * coarse.ndim
    view[axis] = count
    share = (at - low).astype(np.float32).reshape(view)
    out = coarse.take(high, axis)
    below = coarse.take(low, axis)
    out -= below
    out *= share
    out += below
    return out
