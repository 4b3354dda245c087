"""Fluid, air and dense tissue where none belongs, in mL.

Looked for on a coarse grid, where noise and thin rims are gone. What is thinner than two voxels of it, about 8 mm, is
not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synth.report.location import Box, points_of
from synth.volumes.geometry import slice_axis, to_ras
from synth.volumes.types import Case

COARSE_MM = 4.0
_COARSEST_MM = 5.5  # a case whose voxels are larger shows no thin layers
_FLUID_HU = (-5.0, 22.0)  # of a block: muscle with fat in it lies on either side
_AIR_HU, _OUTSIDE_HU = -900.0, -500.0
_DENSE_HU = -150.0  # of a block of lung
_LOW_HU = -950.0
_NEXT_MM, _BEFORE_MM = 8.0, 12.0  # how far from an organ
_THICK = np.ones((2, 2, 2), bool)


@dataclass(frozen=True)
class CoarsePockets:
    """Block means of HU and the id amid each block, (X, Y, Z), with axes in RAS order; spacing in mm."""

    hu: np.ndarray
    ids: np.ndarray
    spacing: np.ndarray
    numbers: dict[str, int]

    def mask(self, *names: str) -> np.ndarray:
        """Blocks of some structures."""
        return np.isin(self.ids, [self.numbers[name] for name in names])

    def ml(self, mask: np.ndarray) -> float:
        """Volume of what is at least two blocks thick."""
        return float(ndimage.binary_opening(mask, _THICK).sum() * np.prod(self.spacing) / 1000)

    def near(self, mask: np.ndarray, mm: float) -> np.ndarray:
        """Blocks outside a mask, no farther from it than `mm`."""
        blocks = max(1, round(mm / float(self.spacing.mean())))
        return np.asarray(ndimage.distance_transform_cdt(~mask, "chessboard") <= blocks) & ~mask

    def fluid(self) -> np.ndarray:
        """Blocks of no structure that are as dense as water."""
        return (self.ids == 0) & (self.hu > _FLUID_HU[0]) & (self.hu < _FLUID_HU[1])


def coarse(case: Case) -> CoarsePockets | None:
    """The case in blocks of about `COARSE_MM`; None where its voxels are larger."""
    if case.ct.spacing.max() > _COARSEST_MM:
        return None
    hu, affine = to_ras(case.ct.hu, case.ct.affine)
    ids, _ = to_ras(case.organs.ids, case.organs.affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    by = np.maximum(1, np.round(COARSE_MM / spacing)).astype(int)
    cut = tuple(slice(0, n - n % b) for n, b in zip(hu.shape, by, strict=True))
    means = hu[cut]
    for axis, n in enumerate(by):
        means = np.add.reduceat(means, np.arange(0, means.shape[axis], n), axis=axis, dtype=np.float32) / np.float32(n)
    middle = tuple(slice(b // 2, n - n % b, b) for n, b in zip(hu.shape, by, strict=True))
    return CoarsePockets(means, ids[middle], spacing * by, {name: int(i) for i, name in case.organs.names.items()})


def _beyond(mask: np.ndarray, axis: int, up: bool) -> np.ndarray:
    """Where no voxel of a mask lies farther along an axis, up it or down it."""
    flipped = mask if not up else np.flip(mask, axis)
    there = np.maximum.accumulate(flipped, axis=axis)
    return ~(np.flip(there, axis) if up else there)


def fluid_behind_ml(case: CoarsePockets, lungs: tuple[str, ...]) -> float:
    """Fluid by the lungs with no lung behind it: where an effusion lies in a patient on the back."""
    lung = case.mask(*lungs)
    return case.ml(case.fluid() & case.near(lung, _NEXT_MM) & _beyond(lung, 1, up=False))


def air_before_ml(case: CoarsePockets, lungs: tuple[str, ...]) -> float:
    """Air within the body by the lungs, of no structure, with no lung in front of it."""
    lung = case.mask(*lungs)
    air = (case.hu < _AIR_HU) & (case.ids == 0) & _beyond(lung, 1, up=True)
    return case.ml(air & case.near(lung, _BEFORE_MM) & ~_outside(case.hu))


def _outside(hu: np.ndarray) -> np.ndarray:
    """The air about the body: that which reaches the sides of its slice."""
    pieces, _ = ndimage.label(hu < _OUTSIDE_HU, _IN_SLICE)
    sides = np.unique(np.concatenate([pieces[[0, -1]].ravel(), pieces[:, [0, -1]].ravel()]))
    return np.isin(pieces, sides[sides > 0])


_IN_SLICE = np.zeros((3, 3, 3), bool)
_IN_SLICE[:, 1, 1] = _IN_SLICE[1, :, 1] = True


def fluid_about_ml(case: CoarsePockets, organ: str) -> float:
    """Fluid round an organ."""
    return case.ml(case.fluid() & case.near(case.mask(organ), _NEXT_MM))


def fluid_beside_ml(case: CoarsePockets, organs: tuple[str, ...]) -> float:
    """Fluid between the body's wall and the liver on the right, and the spleen on the left."""
    total = 0.0
    for organ in organs:
        mask = case.mask(organ)
        beside = _beyond(mask, 0, up=organ == "liver")  # RAS x grows to the patient's right
        total += case.ml(case.fluid() & case.near(mask, _NEXT_MM) & beside)
    return total


def dense_lung_ml(case: CoarsePockets, lungs: tuple[str, ...]) -> float:
    """Lung without air in it."""
    return case.ml(case.mask(*lungs) & (case.hu > _DENSE_HU))


def low_share(case: CoarsePockets, lungs: tuple[str, ...]) -> float:
    """Share of the lungs' blocks that hold too little tissue: noise is averaged before the limit."""
    return float((case.hu[case.mask(*lungs)] < _LOW_HU).mean())


def length_mm(case: Case, number: int, box: Box) -> float:
    """Extent of a structure along its longest axis, voxel to voxel and one more."""
    points = points_of(case.organs.ids[box] == number, box, case.organs.affine)
    voxel = float(case.ct.spacing[slice_axis(case.ct.affine)])
    if len(points) < 2:  # the edge of a structure that the field cuts
        return voxel
    _, vectors = np.linalg.eigh(np.cov(points.T))
    along = points @ vectors[:, -1]
    return float(np.ptp(along)) + voxel
