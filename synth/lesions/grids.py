"""Smooth fields on a coarse grid of about 3 mm, and back onto the host's: distances and noise at little cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synth.report.location import Box

COARSE_MM = 3.0


@dataclass(frozen=True)
class Coarse:
    """A crop of a host seen on every n-th voxel.

    box: the crop, slices of the host's axes.
    step: n along each axis, (3,).
    spacing: of the coarse grid, mm, (3,).
    """

    box: Box
    step: tuple[int, int, int]
    spacing: np.ndarray

    @classmethod
    def of(cls, box: Box, spacing: np.ndarray, coarse_mm: float = COARSE_MM) -> Coarse:
        """The coarse grid of a crop."""
        i, j, k = (int(n) for n in np.maximum(np.round(coarse_mm / spacing), 1))
        return cls(box, (i, j, k), spacing * [i, j, k])

    @property
    def fine_shape(self) -> tuple[int, ...]:
        """Of the crop on the host's grid."""
        return tuple(s.stop - s.start for s in self.box)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the coarse grid."""
        return tuple(-(-n // s) for n, s in zip(self.fine_shape, self.step, strict=True))

    def down(self, values: np.ndarray) -> np.ndarray:
        """Every n-th voxel of a crop (X, Y, Z)."""
        return values[tuple(slice(None, None, s) for s in self.step)]

    def up(self, values: np.ndarray) -> np.ndarray:
        """A coarse field (x, y, z) on the crop's grid, linear between its points, (X, Y, Z) float32."""
        out = np.ascontiguousarray(values, np.float32)
        for axis in (2, 1, 0):  # the longest runs of memory last, when the array is largest
            step, n = self.step[axis], self.fine_shape[axis]
            if step == 1:
                continue
            at = np.arange(n, dtype=np.float32) / np.float32(step)
            low = np.minimum(at.astype(int), out.shape[axis] - 1)
            high = np.minimum(low + 1, out.shape[axis] - 1)
            weight = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
            rise = out.take(high, axis)
            out = out.take(low, axis)
            rise -= out
            rise *= weight
            out += rise
        return out

    def noise(self, rng: np.random.Generator, length_mm: float, weight: np.ndarray | None = None) -> np.ndarray:
        """A Gaussian field of SD 1, smooth over `length_mm`, (x, y, z); standardised where `weight` is true."""
        white = rng.standard_normal(self.shape).astype(np.float32)
        field = ndimage.gaussian_filter(white, length_mm / 2 / self.spacing, mode="nearest")
        inside = field[weight] if weight is not None and weight.any() else field
        return np.asarray((field - inside.mean()) / max(float(inside.std()), 1e-6), np.float32)

    def points(self) -> np.ndarray:
        """mm of every coarse voxel from the crop's corner along its axes, (3, x, y, z) float32."""
        axes = [np.arange(n, dtype=np.float32) * float(s) for n, s in zip(self.shape, self.spacing, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"))


def smoothstep(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = ((value - low) / max(high - low, 1e-9)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
