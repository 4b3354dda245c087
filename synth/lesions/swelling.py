"""Organs that grow: a diffeomorphism that swells one organ and leaves bone and skin where they are.

The velocity v(x) = g w(x) (x - c) points away from a centre; w is 1 in the organ, falls to 0 with the distance from it
and near what does not give way. Its exponential (Arsigny et al. 2006) is smooth and invertible, so organs are pushed
and never torn. g is solved for until a measure of the organ is as asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import brentq

from synth.lesions.grids import Coarse, smoothstep
from synth.lesions.mass_effect import Displacement, bone_mask
from synth.report import location
from synth.report.location import Box
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_GRID_MM = 4.0
_SQUARINGS = 5
_BODY_HU = -300
_WITHIN = 0.003  # of g
_LEAST_MM = 0.05  # smaller shifts are none


@dataclass(frozen=True)
class Swelling:
    """A velocity (3, x, y, z), mm along RAS, on the coarse grid of a crop, for g = 1; the organ there."""

    grid: Coarse
    affine: np.ndarray
    velocity: np.ndarray
    organ: np.ndarray

    def shift(self, g: float) -> np.ndarray:
        """The displacement exp(g v) - identity, (3, x, y, z) mm along RAS."""
        u = g * self.velocity / 2**_SQUARINGS
        index = np.indices(self.grid.shape, dtype=np.float32)
        to_index = np.linalg.inv(self.affine[:3, :3]) / np.array(self.grid.step)[:, None]
        for _ in range(_SQUARINGS):
            at = index + np.einsum("ij,jxyz->ixyz", to_index, u)
            u = u + np.stack([ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in u])
        return np.asarray(u, np.float32)

    def points(self) -> np.ndarray:
        """RAS mm of the organ's coarse voxels, (N, 3)."""
        index = np.argwhere(self.organ) * self.grid.step + [s.start for s in self.grid.box]
        return world_of(index, self.affine)

    def moved_points(self, g: float) -> np.ndarray:
        """Where the organ's coarse voxels go, RAS mm, (N, 3)."""
        return np.asarray(self.points() + self.shift(g)[:, self.organ].T)

    def volume(self, g: float) -> float:
        """The organ's volume after swelling, of what it was: the mean Jacobian over it."""
        spacing, signs = self.grid.spacing, np.sign(np.diag(self.affine[:3, :3]))
        u = self.shift(g)
        grads = np.array([np.gradient(u[i], *spacing) for i in range(3)]) * signs[None, :, None, None, None]
        jacobian = np.linalg.det(np.moveaxis(grads[:, :, self.organ], 2, 0) + np.eye(3))
        return float(jacobian.mean())

    def solve(self, measure: Callable[[float], float], wanted: float, most: float = 2.5) -> float | None:
        """g at which a measure, that rises with g, is as wanted; None where it is not reached."""
        if measure(0.0) >= wanted:
            return None
        high = 0.25 * most
        while measure(high) < wanted:
            high *= 1.6
            if high > most:
                return None
        return float(brentq(lambda g: measure(g) - wanted, 0.0, high, xtol=_WITHIN, maxiter=30))

    def displacement(self, g: float) -> Displacement:
        """Where the tissue of each voxel of the crop came from."""
        back = self.shift(-g)
        to_index = np.linalg.inv(self.affine[:3, :3])
        fine = np.stack([self.grid.up(c) for c in back])
        moved = np.abs(fine).max(axis=0) > _LEAST_MM
        origins = np.argwhere(moved).T + to_index @ fine[:, moved]
        limits = np.array(self.grid.fine_shape)[:, None] - 1
        return Displacement(moved, origins.clip(0, limits).astype(np.float32))


def swelling(
    host: Volume,
    organs: LabelMap,
    organ: np.ndarray,
    centre: np.ndarray,
    reach_mm: float,
    axes: tuple[float, float, float] = (1.0, 1.0, 1.0),
    weight: Callable[[np.ndarray], np.ndarray] | None = None,
    held_mm: float = 18.0,
) -> Swelling:
    """The swelling of an organ, (X, Y, Z) boolean, about a centre, RAS mm; tissue moves up to `reach_mm` from it.

    It moves freely from `held_mm` on from bone and skin, less nearer by. `axes` says how much it grows along
    right-left, front-back and head-foot, `weight` of RAS points (N, 3) where it does.
    """
    whole = ndimage.find_objects(organ.view(np.uint8))[0]
    box: Box = location.grown(whole, host.hu.shape, host.spacing, reach_mm + _GRID_MM)
    grid = Coarse.of(box, host.spacing, _GRID_MM)
    inside = grid.down(organ[box])
    away = ndimage.distance_transform_edt(~inside, sampling=grid.spacing)
    held = bone_mask(organs.names, grid.down(organs.ids[box])) | _outside(host, grid)
    free = smoothstep(ndimage.distance_transform_edt(~held, sampling=grid.spacing), 0.0, held_mm)
    w = (1 - smoothstep(away, 0.0, reach_mm)) * np.maximum(free, 0.0) * _off_faces(grid, host)
    index = np.moveaxis(np.indices(grid.shape), 0, -1) * grid.step + [s.start for s in box]
    points = world_of(index.reshape(-1, 3), host.affine)
    if weight is not None:
        w = w * weight(points).reshape(grid.shape)
    w = ndimage.gaussian_filter(w, 4.0 / grid.spacing)
    arrow = ((points - centre) * axes).T.reshape(3, *grid.shape)
    return Swelling(grid, host.affine, (w * arrow).astype(np.float32), inside)


def _outside(host: Volume, grid: Coarse) -> np.ndarray:
    """What lies outside the body, (x, y, z) boolean, by the outline of the body in whole slices."""
    axis = location.slice_axis(host.affine)
    slices = [slice(s.start % n, None, n) for s, n in zip(grid.box, grid.step, strict=True)]
    body = ndimage.binary_opening(host.hu[tuple(slices)] > _BODY_HU)
    filled = np.stack([ndimage.binary_fill_holes(s) for s in np.moveaxis(body, axis, 0)])
    starts = [s.start // n for s, n in zip(grid.box, grid.step, strict=True)]
    cut = tuple(slice(a, a + n) for a, n in zip(starts, grid.shape, strict=True))
    return np.asarray(~np.moveaxis(filled, 0, axis)[cut])


def _off_faces(grid: Coarse, host: Volume) -> np.ndarray:
    """0 at the faces of the crop that are not faces of the volume, 1 from two voxels on."""
    out = np.ones(grid.shape, np.float32)
    for axis, (s, n) in enumerate(zip(grid.box, host.hu.shape, strict=True)):
        ramp = np.ones(grid.shape[axis], np.float32)
        if s.start > 0:
            ramp[:2] = [0.0, 0.5][: len(ramp)]
        if s.stop < n:
            ramp[-2:] = [0.5, 0.0][-len(ramp) :]
        out *= ramp.reshape([-1 if a == axis else 1 for a in range(3)])
    return out
