"""Calcium in the walls of arteries: plaques on the aorta, and along the coronary arteries that the host's CT shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.changed import Changed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import Coarse
from synth.lesions.lung_space import bounding
from synth.lesions.paths import smooth_curve, smoothed, ways_from
from synth.lesions.placement import FAT_HU
from synth.lesions.wall import depth_in
from synth.report import location
from synth.report.noise import NoiseModel
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_POINT_SPREAD_MM = 0.55  # SD by which a scanner spreads a small bright thing
_RAMP_MM = 0.7
_MASK_HU = 130.0  # above what was there: calcium
_SHELL_MM = 7.0
_GRID_MM = 1.8
_CORONARY_FROM = (0.05, 0.75)  # of the way from the aorta: where plaques lie


def arterial_wall_calcification(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """Flat plaques on the wall of the aorta, along its curve."""
    aorta = organs.mask("aorta")
    whole = bounding(aorta)
    if whole is None:
        raise InputError("arterial wall calcification: the label map has no aorta; label it, or leave the finding out")
    box = location.grown(whole, host.hu.shape, host.spacing, 6.0)
    inside = aorta[box]
    wall = inside & ~ndimage.binary_erosion(inside) & ~_at_faces(inside.shape)
    wall &= ~ndimage.binary_dilation(organs.mask("heart")[box], iterations=4)
    spots = np.argwhere(wall)
    rng, n = plan.generator("plaques"), plan.numbers
    added = np.zeros(inside.shape, np.float32)
    depth = depth_in(inside, host.spacing)
    blur = max(_RAMP_MM, 0.6 * float(host.spacing.min()))
    for spot in spots[rng.integers(len(spots), size=round(plan.amount))]:
        long, wide = n["long_mm"] * rng.uniform(0.4, 1.6), n["wide_mm"] * rng.uniform(0.5, 1.5)
        thick, peak = n["thick_mm"] * rng.uniform(0.6, 1.4), n["peak_hu"] * rng.uniform(0.6, 1.3)
        near = _box_about(spot, inside.shape, (max(long, wide) + 3) / host.spacing)
        offset = np.moveaxis(np.indices([s.stop - s.start for s in near]), 0, -1) + [s.start for s in near] - spot
        mm = offset * host.spacing
        along = (np.abs(mm[..., 2]) / (0.5 * long)) ** 2 + (mm[..., :2] ** 2).sum(axis=-1) / (0.5 * wide) ** 2
        flat = ((thick - depth[near]) / blur + 0.5).clip(0, 1)
        outside = ndimage.distance_transform_edt(~inside[near], sampling=host.spacing)
        flat = flat * ((0.8 - outside) / blur + 0.5).clip(0, 1)
        np.maximum(added[near], (peak * flat * (along < 1)).astype(np.float32), out=added[near])
    return _spread(host, box, added)


def coronary_calcification(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """Plaques along the three coronary arteries, most near their origin."""
    rng, n = plan.generator("plaques"), plan.numbers
    box, arteries = coronaries(host, organs)
    added = np.zeros([s.stop - s.start for s in box], np.float32)
    start = np.array([s.start for s in box])
    inverse = np.linalg.inv(host.affine[:3, :3])
    for _ in range(round(plan.amount)):
        artery = arteries[int(rng.choice(len(arteries), p=[0.5, 0.2, 0.3][: len(arteries)]))]
        at = _CORONARY_FROM[0] + (_CORONARY_FROM[1] - _CORONARY_FROM[0]) * rng.beta(1.1, 1.8)
        long, thick = n["long_mm"] * rng.uniform(0.5, 1.8), n["thick_mm"] * rng.uniform(0.7, 1.3)
        middle = int(at * (len(artery) - 1))
        span = artery[max(middle - int(long), 0) : middle + int(long) + 1]  # points are 0.5 mm apart
        span = span + rng.normal(0, 0.4, 3)
        peak = n["peak_hu"] * rng.uniform(0.6, 1.3)
        centre = (span.mean(axis=0) - host.affine[:3, 3]) @ inverse.T - start
        near = _box_about(np.rint(centre).astype(int), added.shape, (0.5 * long + thick + 3) / host.spacing)
        index = np.moveaxis(np.indices([s.stop - s.start for s in near]), 0, -1) + [s.start for s in near]
        points = world_of((index + start).reshape(-1, 3), host.affine)
        distance = np.linalg.norm(points[:, None] - span[None, ::2], axis=2).min(axis=1).reshape(index.shape[:-1])
        cover = ((0.5 * thick - distance) / 0.7 + 0.5).clip(0, 1)
        np.maximum(added[near], (peak * cover).astype(np.float32), out=added[near])
    return _spread(host, box, added)


def _spread(host: Volume, box: location.Box, added: np.ndarray) -> Changed:
    """The host with HU added, as a scanner spreads them; the mask is where they are calcium."""
    seen = ndimage.gaussian_filter(added, np.minimum(_POINT_SPREAD_MM / host.spacing, 0.8))
    seen[seen < 8] = 0
    hu = np.ascontiguousarray(host.hu[box], np.float32)
    room = ((2200 - hu) / 2200).clip(0.2, 1)  # bright blood and calcium do not add up
    out = np.where(seen > 0, hu + seen * room, hu)
    return Changed(box, out, seen > 0, (out - hu > _MASK_HU) & (out > 180), None)


def _at_faces(shape: Sequence[int]) -> np.ndarray:
    out = np.ones(tuple(shape), bool)
    out[2:-2, 2:-2, 2:-2] = False
    return out


def _box_about(spot: np.ndarray, shape: Sequence[int], reach: np.ndarray) -> location.Box:
    low = np.maximum(spot - np.ceil(reach).astype(int), 0)
    high = np.minimum(spot + np.ceil(reach).astype(int) + 1, shape)
    i, j, k = (slice(int(a), int(max(b, a + 1))) for a, b in zip(low, high, strict=True))
    return i, j, k


def coronaries(host: Volume, organs: LabelMap) -> tuple[location.Box, list[np.ndarray]]:
    """A crop about the heart and the courses of the left anterior descending, circumflex and right coronary artery.

    RAS mm, points 0.5 mm apart: the cheapest ways on the heart's surface from the aorta's root to the apex, to the back
    on the left and to the back below, where what is brighter than the fat round it is cheap. Raises InputError without
    a heart and an aorta.
    """
    heart, aorta = organs.mask("heart"), organs.mask("aorta")
    whole = bounding(heart)
    if whole is None or not aorta.any():
        raise InputError("coronary calcification: the label map has no heart and aorta; label both")
    box = location.grown(whole, host.hu.shape, host.spacing, 12.0)
    grid = Coarse.of(box, host.spacing, _GRID_MM)
    inside, hu = grid.down(heart[box]), grid.down(host.hu[box]).astype(np.float32)
    deep = ndimage.distance_transform_edt(inside, sampling=grid.spacing)
    away = ndimage.distance_transform_edt(~inside, sampling=grid.spacing)
    shell = ((deep > 0) & (deep < _SHELL_MM - 3)) | ((away > 0) & (away < _SHELL_MM) & (hu > FAT_HU[0]))
    fat = ndimage.gaussian_filter(((hu > FAT_HU[0]) & (hu < FAT_HU[1])).astype(np.float32), 3.0 / grid.spacing)
    vessel = (fat > 0.12) & (hu > FAT_HU[1] + 20)
    cost = np.where(vessel, 0.25, np.where(fat > 0.15, 0.7, 1.6)).astype(float)
    points = world_of(np.argwhere(inside) * grid.step + [s.start for s in box], host.affine)
    root, ends = _landmarks(points, world_of(np.argwhere(aorta), host.affine))
    inverse = np.linalg.inv(host.affine[:3, :3])

    def voxel(point: np.ndarray) -> list[int]:
        found = ((inverse @ (point - host.affine[:3, 3])) - [s.start for s in box]) / grid.step
        return [int(v) for v in np.rint(found).clip(0, np.array(grid.shape) - 1)]

    courses = []
    for start, end in ends:
        (way,) = ways_from(shell, cost, grid.spacing, voxel(root + start), [voxel(end)])
        if len(way) > 4:
            ras = world_of(way * grid.step + [s.start for s in box], host.affine)
            courses.append(smooth_curve(smoothed(ras, 2.0)[::3]))
    if not courses:
        raise InputError("coronary calcification: no way on the heart's surface was found; label heart and aorta whole")
    return box, courses


def _landmarks(heart: np.ndarray, aorta: np.ndarray) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """The aorta's root, and for each artery where it leaves beside that and where it goes; RAS mm."""
    low, high = heart.min(axis=0), heart.max(axis=0)
    middle = heart.mean(axis=0)
    front = aorta[(aorta[:, 1] > middle[1] - 10) & (aorta[:, 2] > middle[2])]
    front = front if len(front) else aorta
    root = front[front[:, 2] <= front[:, 2].min() + 6].mean(axis=0)
    apex = heart[(heart @ [-1.0, 0.8, -0.8]).argmax()]
    left_back = heart[(heart @ [-1.0, -0.9, -0.2]).argmax()]
    crux = heart[np.linalg.norm(heart - [middle[0] + 0.1 * (high[0] - low[0]), low[1], low[2]], axis=1).argmin()]
    return root, [
        (np.array([-22.0, 8.0, 4.0]), apex),
        (np.array([-24.0, 2.0, 2.0]), left_back),
        (np.array([16.0, 14.0, -4.0]), crux),
    ]
