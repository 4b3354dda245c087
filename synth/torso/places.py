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

    displacement: (1, 3, ..) mm on the base grid; field: first and one past the last base slice, all if None.
    """

    displacement: torch.Tensor
    spacing: float
    field: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(X, Y, Z) of the field."""
        x, y = (round(n * BASE_SPACING_MM / self.spacing) for n in self.displacement.shape[2:4])
        low, high = self.field or (0, self.displacement.shape[4])
        return x, y, round(high * BASE_SPACING_MM / self.spacing) - round(low * BASE_SPACING_MM / self.spacing)

    @cached_property
    def _planes(self) -> np.ndarray:
        """(3, X of the base grid, Y, Z) float32 mm: the displacement, fine along y and z already."""
        first = round((self.field or (0, 0))[0] * BASE_SPACING_MM / self.spacing)
        _, y, z = self.shape
        fine = _between(self.displacement[0].numpy(), 3, first, z, self.spacing)
        return _between(fine, 2, 0, y, self.spacing)

    def slab(self, start: int, stop: int) -> np.ndarray:
        """(3, X, Y, Z) float32 mm from the lower corner of the frame, on the mean torso, of voxels start to stop along
        x."""
        where = _between(self._planes, 1, start, stop - start, self.spacing)
        first = (start, 0, round((self.field or (0, 0))[0] * BASE_SPACING_MM / self.spacing))
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


def _between(coarse: np.ndarray, axis: int, first: int, count: int, spacing: float) -> np.ndarray:
    """Linear interpolation from the base grid along an axis to `count` voxels at a spacing, from number `first` on."""
    at = (np.arange(first, first + count) + 0.5) * spacing / BASE_SPACING_MM - 0.5
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
