"""Affines, spacing and orientation. World coordinates are RAS+ millimetres throughout."""

from __future__ import annotations

from itertools import product

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

from synth.errors import InputError

_SHEAR_TOLERANCE = 1e-3  # largest |cosine| between two voxel axes
_LEAST_MM, _MOST_MM = 0.02, 50.0  # of voxels, from micro-CT to the coarsest grid that anything here is drawn on
_GRID_TOLERANCE = 0.1  # of the smallest spacing: two grids are the same when their corners agree to this


def voxel_spacing(affine: np.ndarray) -> np.ndarray:
    """Length of each voxel axis in mm, shape (3,)."""
    return np.linalg.norm(np.asarray(affine, float)[:3, :3], axis=0)


def check_affine(affine: np.ndarray, what: str = "affine") -> np.ndarray:
    """Return `affine` as float64 (4, 4), or raise InputError if it is no rigid, scaled grid."""
    affine = np.asarray(affine, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise InputError(f"{what}: the affine is not a finite 4 x 4 matrix; rewrite the header with a valid sform")
    spacing = voxel_spacing(affine)
    if spacing.min() <= 1e-6:
        raise InputError(f"{what}: voxel spacing {spacing.round(4).tolist()} mm has a zero axis; fix the header")
    if spacing.min() < _LEAST_MM or spacing.max() > _MOST_MM:
        told = " x ".join(f"{s:.4g}" for s in spacing)
        raise InputError(
            f"{what}: voxels of {told} mm are those of no CT ({_LEAST_MM:g} to {_MOST_MM:g} mm); are its lengths in "
            "another unit? Say so in the header, or save it in mm"
        )
    axes = affine[:3, :3] / spacing
    worst = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if worst > _SHEAR_TOLERANCE:
        raise InputError(
            f"{what}: the affine is sheared (axes off by cosine {worst:.3f}, gantry tilt?); resample to a straight grid"
        )
    return affine


def same_grid(shape_a: tuple[int, ...], affine_a: np.ndarray, shape_b: tuple[int, ...], affine_b: np.ndarray) -> bool:
    """Whether two arrays lie on the same voxel grid: equal shapes, corners nearer than a tenth of a voxel."""
    if tuple(shape_a) != tuple(shape_b):
        return False
    return corners_apart(shape_a, affine_a, affine_b) <= _GRID_TOLERANCE * float(voxel_spacing(affine_a).min())


def corners_apart(shape: tuple[int, ...], affine_a: np.ndarray, affine_b: np.ndarray) -> float:
    """Largest distance in mm between the corners of one array under two affines."""
    corners = np.array(list(product(*((0, n - 1) for n in shape[:3]))))
    return float(np.linalg.norm(world_of(corners, affine_a) - world_of(corners, affine_b), axis=1).max())


def turned_like(array: np.ndarray, affine: np.ndarray, like: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flip and swap (never resample) the axes of an array (X, Y, Z) to run as those of the affine `like` do."""
    turn = nib.orientations.ornt_transform(io_orientation(affine), io_orientation(like))
    return np.ascontiguousarray(apply_orientation(array, turn)), affine @ inv_ornt_aff(turn, array.shape)


def to_ras(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flip and transpose (never resample) the first three axes to the closest RAS order."""
    ornt = io_orientation(affine)
    return apply_orientation(array, ornt), affine @ inv_ornt_aff(ornt, array.shape[:3])


def from_ras(array: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Undo `to_ras`: bring a RAS-ordered array back to the axis order of the original `affine`."""
    ornt = io_orientation(affine)
    back = nib.orientations.ornt_transform(np.stack([np.arange(3), np.ones(3)], axis=1), ornt)
    return apply_orientation(array, back)


def slice_axis(affine: np.ndarray) -> int:
    """The voxel axis that runs closest to superior-inferior."""
    return int(np.flatnonzero(io_orientation(affine)[:, 0] == 2)[0])


def world_of(index: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """RAS mm of voxel indices, (..., 3) -> (..., 3)."""
    return np.asarray(index, float) @ affine[:3, :3].T + affine[:3, 3]
