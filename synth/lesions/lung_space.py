"""The lungs of a host as findings see them: which voxels, how deep beneath the chest wall, how high, how far back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.grids import Coarse
from synth.lesions.wall import depth_in, hulls
from synth.report import location
from synth.report.lobes import with_lobes
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_MARGIN_MM = 8.0
_VESSEL_HU = -550.0
_RIM_VOXELS, _RIM_HU = 3, -250.0  # half lung or more: fat beside the pleura is none of it


@dataclass(frozen=True)
class LungSpace:
    """A crop that holds both lungs.

    grid: the crop and its coarse grid; every array named `..c` is on the latter.
    hu: (X, Y, Z) float32, the host's.
    inside: (X, Y, Z) boolean, the parts of the lungs that the finding is in.
    paintable: (X, Y, Z) boolean, those and what lies between them and other labels: outlines of lungs end short of the
        pleura, and a finding does not.
    free: (X, Y, Z) boolean, where no other finding's mask is.
    inside_c: `inside` on the coarse grid.
    wide_c: `paintable` and a voxel round it.
    lungs_c: both lungs.
    depth_c: mm beneath the chest wall or diaphragm; what lies towards the mediastinum is deep.
    height_c, back_c: 0 at the base and 1 at the apex, 0 in front and 1 at the back of both lungs.
    """

    grid: Coarse
    hu: np.ndarray
    inside: np.ndarray
    paintable: np.ndarray
    free: np.ndarray
    inside_c: np.ndarray
    wide_c: np.ndarray
    lungs_c: np.ndarray
    depth_c: np.ndarray
    height_c: np.ndarray
    back_c: np.ndarray

    def up(self, values: np.ndarray) -> np.ndarray:
        """A coarse field on the crop."""
        return self.grid.up(values)


def lung_space(host: Volume, organs: LabelMap, structures: Sequence[str], taken: np.ndarray | None = None) -> LungSpace:
    """The lungs of a host. `taken`: (X, Y, Z) boolean, masks of other findings.

    Raises InputError where none of the structures has a voxel.
    """
    organs = with_lobes(organs)
    lungs = [i for i, name in organs.names.items() if name.startswith("lung_") and name != "lung_nodule"]
    wanted = [i for i, name in organs.names.items() if name in structures]
    both = np.isin(organs.ids, lungs)
    box = bounding(both)
    if box is None:
        raise InputError(f"lung finding: no voxel of {location.list_names(list(structures), 4)} in the label map")
    box = location.grown(box, host.hu.shape, host.spacing, _MARGIN_MM)
    grid = Coarse.of(box, host.spacing)
    ids = np.ascontiguousarray(organs.ids[box])
    both, inside = np.isin(ids, lungs), np.isin(ids, wanted)
    lungs_c = grid.down(both)
    whole = ndimage.binary_closing(lungs_c, iterations=2) | lungs_c
    depth = depth_in(hulls(whole, location.slice_axis(host.affine)), grid.spacing).astype(np.float32)
    height, back = _places(grid, host.affine, lungs_c)
    hu = np.ascontiguousarray(host.hu[box], np.float32)
    paintable = inside | (widened(inside, _RIM_VOXELS) & (ids == 0) & (hu < _RIM_HU))
    inside_c = grid.down(inside)
    free = np.ones_like(inside) if taken is None else ~taken[box]
    return LungSpace(grid, hu, inside, paintable, free, inside_c, widened(inside_c, 2), lungs_c, depth, height, back)


def widened(mask: np.ndarray, by: int) -> np.ndarray:
    """A mask (X, Y, Z) and the voxels within so many of it along the axes."""
    out = mask.copy()
    for _ in range(by):
        wider = out.copy()
        for axis in range(3):
            a, b = np.moveaxis(out, axis, 0), np.moveaxis(wider, axis, 0)
            b[1:] |= a[:-1]
            b[:-1] |= a[1:]
        out = wider
    return out


def bounding(mask: np.ndarray) -> location.Box | None:
    """The bounding box of a mask (X, Y, Z), None where it is empty."""
    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not spans[0].size:
        return None
    i, j, k = (slice(int(at[0]), int(at[-1]) + 1) for at in spans)
    return i, j, k


def _places(grid: Coarse, affine: np.ndarray, lungs_c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height and back of every coarse voxel, by the 1st and 99th percentile of the lungs' voxels."""
    index = np.argwhere(np.ones(grid.shape, bool)) * grid.step + [s.start for s in grid.box]
    points = world_of(index, affine)
    within = points[lungs_c.ravel()]
    low, high = np.quantile(within, [0.01, 0.99], axis=0)
    relative = ((points - low) / np.maximum(high - low, 1e-6)).clip(0, 1).astype(np.float32)
    return relative[:, 2].reshape(grid.shape), 1 - relative[:, 1].reshape(grid.shape)


def vessels(space: LungSpace, least_hu: float = _VESSEL_HU) -> np.ndarray:
    """Vessels within the lungs, (X, Y, Z) boolean: what is dense there and no border of the lung."""
    up = space.up(ndimage.distance_transform_edt(space.lungs_c, sampling=space.grid.spacing).astype(np.float32))
    found: np.ndarray = (space.hu > least_hu) & space.inside & (up > 2.0)
    return found
