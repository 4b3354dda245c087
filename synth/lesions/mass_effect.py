"""Mass effect: tissue round a lesion is pushed aside by a displacement along the rays from its centre.

On each ray the lesion's surface lies at s and the displacement ends at R. A point at the distance r takes the tissue
that was at

    phi(r) = (1 - m) r                       for r <= s,
    phi(r) = r - m s (1 - w)^3 (1 + w),  w = (r - s) / (R - s)    for s < r < R,

and r itself beyond. m is the share of the replaced tissue that moves. phi is smooth to the second order at R, so that
nothing shows where it ends. It rises everywhere, and the Jacobian of a map along rays is phi' (phi / r)^2, whatever the
angles do, so it is positive everywhere: tissue is compressed, never folded or torn. R ends before bone, which does not
give way, and within the lesion's ball.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.shape import BONE_HU, Grown, offsets_mm
from synth.lesions.surface import length
from synth.report.noise import NoiseModel
from synth.volumes import labels
from synth.volumes.types import LabelMap, Volume

_WALL_HU = -700  # beside the lung's label: half-filled voxels at the pleura
_ROOM = 0.35  # of s: bone nearer than this to the surface weakens the displacement, down to none
_STEP_DEG = 6
_SMOOTH_BINS = 1.5
_LEAST_SHIFT = 1e-3  # voxels: below, a voxel is left as it is


@dataclass(frozen=True)
class Displacement:
    """Where the tissue of each voxel of a crop came from.

    moved: (x, y, z) boolean; elsewhere nothing moves.
    origins: (3, N) float32, voxel index on the crop that the tissue of each voxel of `moved` was at.
    """

    moved: np.ndarray
    origins: np.ndarray

    def source(self) -> np.ndarray:
        """The same for every voxel of the crop, (3, x, y, z) float32."""
        source = np.indices(self.moved.shape, dtype=np.float32)
        source[:, self.moved] = self.origins
        return source


def displace(plan: LesionPlan, grown: Grown, host: Volume, organs: LabelMap) -> Displacement | None:
    """The displacement of a grown lesion on its crop; None where it has none."""
    if plan.mass_effect == 0 or plan.wall_mm > 0:
        return None
    offsets = offsets_mm(plan, host.affine, grown.box).reshape(3, -1)
    distance = length(offsets)
    near = np.flatnonzero(distance < plan.ball_mm + host.spacing.max() / 2)
    offsets, distance = offsets[:, near], distance[near]
    depth = np.maximum(grown.depth.ravel()[near], 1e-3)
    outer = _outer_mm(plan, host, organs, grown, near, offsets, distance)
    ratio = source_ratio(depth, outer * depth / np.maximum(distance, 1e-3), plan.mass_effect)
    index = np.stack(np.unravel_index(near, grown.depth.shape)).astype(np.float32)
    centre = np.array([c - s.start for c, s in zip(plan.centre, grown.box, strict=True)], np.float32)
    shift = (index - centre[:, None]) * (ratio - 1)
    some = (np.abs(shift).max(axis=0) > _LEAST_SHIFT) & (distance < plan.ball_mm)
    moved = np.zeros(grown.depth.shape, bool)
    moved.ravel()[near[some]] = True
    return Displacement(moved, index[:, some] + shift[:, some])


def source_ratio(depth: np.ndarray, outer: np.ndarray, share: float) -> np.ndarray:
    """phi(r) / r where `depth` is r / s and `outer` R / s; all (...). 1 from `outer` on and where bone is near."""
    m = np.float32(share) * ((outer - 1) / _ROOM).clip(0, 1)
    w = ((depth - 1) / np.maximum(outer - 1, 1e-6)).clip(0, 1)
    left = 1 - w
    ratio: np.ndarray = 1 - m * (left * left * left * (1 + w) / np.maximum(depth, 1))
    return ratio.astype(np.float32)


def _outer_mm(
    plan: LesionPlan,
    host: Volume,
    organs: LabelMap,
    grown: Grown,
    near: np.ndarray,
    offsets: np.ndarray,
    distance: np.ndarray,
) -> np.ndarray:
    """R of voxels `near`, (N) of the crop: the ball's radius, or less in directions in which bone lies, smooth over
    directions. `offsets` (3, N) and `distance` (N) are theirs, mm."""
    bone = bone_mask(organs.names, organs.ids[grown.box]).ravel()[near]
    if any(name.startswith("lung") for name in plan.structures):
        bone |= _wall(organs, host, grown).ravel()[near]
    if not bone.any():
        return np.full(distance.shape, plan.ball_mm, np.float32)
    polar, azimuth = _angles(offsets, distance)
    rows, columns = 180 // _STEP_DEG + 1, 360 // _STEP_DEG
    at = np.rint(polar[bone] / _STEP_DEG).astype(int), np.rint(azimuth[bone] / _STEP_DEG).astype(int) % columns
    nearest = np.full((rows, columns), plan.ball_mm)
    np.minimum.at(nearest, at, distance[bone] - host.spacing.max() / 2)
    nearest[[0, -1]] = nearest[[0, -1]].min(axis=1, keepdims=True)
    nearest = ndimage.minimum_filter(nearest, 3, mode=("nearest", "wrap"))
    nearest = ndimage.gaussian_filter(nearest, _SMOOTH_BINS, mode=("nearest", "wrap"))
    table = np.concatenate([nearest, nearest[:, :1]], axis=1)
    return ndimage.map_coordinates(table, [polar / _STEP_DEG, azimuth / _STEP_DEG], order=1).astype(np.float32)


def _wall(organs: LabelMap, host: Volume, grown: Grown) -> np.ndarray:
    """What a lung ends at, (x, y, z) boolean: air that is pushed there would darken the pleura."""
    names = [i for i, name in organs.names.items() if name.startswith("lung")]
    lung = np.isin(organs.ids[grown.box], names)
    inner = ndimage.binary_closing(np.pad(lung, 2, mode="edge"), iterations=2)[2:-2, 2:-2, 2:-2]
    return np.asarray(~inner & (host.hu[grown.box] > _WALL_HU))


def bone_mask(names: Mapping[int, str], ids: np.ndarray) -> np.ndarray:
    """Bone and cartilage of a label array (x, y, z)."""
    bone = {s.name for s in labels.structures() if s.hu_native[0] >= BONE_HU}
    return np.isin(ids, [number for number, name in names.items() if name in bone])


def _angles(offsets: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Polar angle (0 to 180) and azimuth (0 to 360) in degrees of RAS offsets (3, ...)."""
    polar = np.degrees(np.arccos((offsets[2] / np.maximum(distance, 1e-6)).clip(-1, 1)))
    return polar, np.degrees(np.arctan2(offsets[1], offsets[0])) % 360


def moved_hu(hu: np.ndarray, displacement: Displacement, noise: NoiseModel, rng: np.random.Generator) -> np.ndarray:
    """The crop (x, y, z) HU with its tissue moved, float32.

    Interpolation between voxels takes from the noise; noise of the host's spectrum puts back what it took.
    """
    moved, origins = displacement.moved, displacement.origins
    # all origins lie between centre and voxel: how the spline goes on beyond the crop says nothing
    coefficients = ndimage.spline_filter(hu.astype(np.float32), order=3, output=np.float32, mode="mirror")
    values = ndimage.map_coordinates(coefficients, origins, order=3, mode="mirror", prefilter=False)
    missing = np.sqrt(1 - noise.kept_variance(origins))
    out = hu.astype(np.float32)
    out[moved] = values + missing * noise.draw(hu.shape, rng)[moved]
    return out


def moved_ids(ids: np.ndarray, displacement: Displacement) -> np.ndarray:
    """The labels of a crop (x, y, z), moved with the tissue: nearest neighbour."""
    out = ids.copy()
    i, j, k = np.rint(displacement.origins).astype(np.int32)
    out[displacement.moved] = ids[i, j, k]
    return out
