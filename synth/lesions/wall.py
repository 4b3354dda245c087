"""A layer along the wall of an organ: thickening of a hollow organ, fluid along the pleura or about the liver.

The layer is a lens: thickest at its centre on the wall and thinner with the distance from it,

    T(q) = T0 sqrt(1 - (q / L)^2),

q the distance from the centre and L the lens's half length. A point at the depth d from the wall is inside where
d <= T(q), that is where t = q / sqrt(1 - (d / T0)^2) <= L: one field whose level sets are the lenses of all lengths.

Free fluid pools instead: in a patient on the back it lies lowest behind, deepest at the base, and climbs the chest wall
as lung recoils from it. With h the height above the organ's lowest point, up to H at the wall,

    h <= H (1 - (d / T0)^2), that is t = h / (1 - (d / T0)^2) <= H.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.surface import length

_OUTWARD = 0.6  # of the thickness: how far the layer reaches out of the organ where it may
BASE = 0.3  # how much lying lower in the body counts against lying further back, for what fluid and stones do
_WAVES_MM = 0.5  # smoothness of the thickness, of the thickness
FAR = 1e6
_COARSE_MM, _SMOOTH_MM = 2.5, 4.0


def wall_field(plan: LesionPlan, organ: np.ndarray, spacing: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The half length of the lens whose surface passes each voxel, mm; `FAR` beyond the greatest thickness.

    Args:
        plan: thickness, roughness, seed.
        organ: (x, y, z) boolean, the organ on the crop.
        spacing: mm, (3,).
        offsets: (3, x, y, z) RAS mm from the centre.
    """
    thickness = plan.wall_mm * (1 + plan.roughness * _waves(plan, organ.shape, spacing))
    depth = depth_in(organ, spacing)
    relative = depth / thickness
    if plan.bulges or plan.invades:
        outside = ndimage.distance_transform_edt(~organ, sampling=spacing)
        relative = np.where(organ, relative, outside / (_OUTWARD * thickness))
    q = length(offsets)
    return np.where(relative < 1, q / np.sqrt(np.maximum(1 - relative**2, 1e-6)), FAR).astype(np.float32)


def pool_field(
    plan: LesionPlan, organ: np.ndarray, spacing: np.ndarray, offsets: np.ndarray, slice_axis: int
) -> np.ndarray:
    """The height at the wall of the pool whose surface passes each voxel, mm; arguments and `FAR` as `wall_field`'s.

    The wall is the outer one: depths are those in the organ's convex hull, slice by slice, so that mediastinum, vessels
    and fissures are none. They are found on voxels of `_COARSE_MM` and smooth.
    """
    height = offsets[1] + BASE * offsets[2]
    height = height - height[organ].min()
    step = np.maximum(np.round(_COARSE_MM / spacing), 1).astype(int)
    coarse = spacing * step
    hull = hulls(organ[tuple(slice(None, None, s) for s in step)], slice_axis)
    depth = ndimage.gaussian_filter(depth_in(hull, coarse), _SMOOTH_MM / coarse)
    depth = ndimage.affine_transform(depth, 1 / step, output_shape=organ.shape, order=1, mode="nearest")
    left = 1 - (depth / plan.wall_mm) ** 2
    return np.where(left > 0, height / np.maximum(left, 1e-6), FAR).astype(np.float32)


def hulls(mask: np.ndarray, axis: int) -> np.ndarray:
    """The convex hull of a mask (x, y, z) in every slice along an axis."""
    slices = np.moveaxis(mask, axis, 0)
    return np.moveaxis(np.stack([_hull(one) for one in slices]), 0, axis)


def _hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull of a mask (a, b); the mask itself where its voxels lie on a line."""
    voxels = np.argwhere(mask)
    if len(voxels) < 3 or np.linalg.matrix_rank(voxels - voxels[0]) < 2:
        return mask
    sides = ConvexHull(voxels).equations
    grid = np.indices(mask.shape).reshape(2, -1)
    return np.asarray((sides[:, :2] @ grid + sides[:, 2:] <= 1e-9).all(axis=0).reshape(mask.shape))


def depth_in(organ: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """mm from each voxel of a mask (x, y, z) to its border; the border of the crop is none."""
    padded = np.pad(organ, 1, mode="edge")
    inner = ndimage.distance_transform_edt(padded, sampling=spacing)[1:-1, 1:-1, 1:-1]
    return np.maximum(inner - float(np.min(spacing)) / 2, 0)  # the border runs between voxel centres


def _waves(plan: LesionPlan, shape: tuple[int, ...], spacing: np.ndarray) -> np.ndarray:
    """A smooth field of SD 1 over the crop, by which the thickness varies."""
    white = plan.generator("surface").standard_normal(shape).astype(np.float32)
    field = ndimage.gaussian_filter(white, _WAVES_MM * plan.wall_mm / spacing, mode="wrap")
    return (field - field.mean()) / max(float(field.std()), 1e-6)
