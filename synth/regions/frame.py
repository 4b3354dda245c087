"""The field that is drawn for a region: a box around an anatomical anchor, in RAS mm.

Every training patient is placed with the anchor at the origin, so that composition is learned at fixed
places and a generated affine means something: (0, 0, 0) is the anchor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BASE_SPACING_MM = 16.0
LOOK_MM = 8.0  # of what a torso's parts are weighed on
FINE_MM = 2.0  # the finest that looks hold: that of most scans
FACTOR = 2  # each refine level halves the spacing


def composed_spacing(spacing: float) -> float:
    """mm at which a patchwork is composed for a case of a spacing: what is finer is left to `refine`."""
    return max(spacing, FINE_MM)


@dataclass(frozen=True)
class Frame:
    """`shape` in base voxels; `lower_mm` is the RAS corner of the box relative to the anchor."""

    shape: tuple[int, int, int]
    lower_mm: tuple[float, float, float]

    def shape_at(self, spacing: float) -> tuple[int, int, int]:
        """Voxels of the box at an isotropic spacing in mm."""
        scale = BASE_SPACING_MM / spacing
        return tuple(round(n * scale) for n in self.shape)  # type: ignore[return-value]

    def affine_at(self, spacing: float) -> np.ndarray:
        """(4, 4) RAS affine of voxel centres at an isotropic spacing in mm."""
        affine = np.diag([spacing, spacing, spacing, 1.0])
        affine[:3, 3] = np.asarray(self.lower_mm) + spacing / 2
        return affine

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """Of the box."""
        return tuple(BASE_SPACING_MM * n for n in self.shape)  # type: ignore[return-value]


def spacings(finest: float = 1.0) -> list[float]:
    """The isotropic spacings that the pyramid passes: 16, 8, 4, 2, 1 mm."""
    out = [BASE_SPACING_MM]
    while out[-1] / FACTOR >= finest - 1e-6:
        out.append(out[-1] / FACTOR)
    return out
