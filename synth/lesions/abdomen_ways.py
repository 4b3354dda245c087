"""Findings of the abdomen: a stomach in the chest, water in a kidney, a wide pancreatic duct."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.changed import Changed, mixed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import Coarse, smoothstep
from synth.lesions.lung_space import bounding
from synth.lesions.paths import smooth_curve, smoothed, ways_from
from synth.lesions.tubes import Tube, near_tubes
from synth.report import location
from synth.report.diameters import axial_diameters
from synth.report.noise import NoiseModel
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_BLUR_MM = 1.0
_AIR_HU = -950.0
_GIVES_WAY = ("lung", "esophagus", "stomach")
_TRIES, _WITHIN = 8, 0.04  # of the planned size


def hiatal_hernia(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """A sac behind the heart about the lower esophagus: a wall, fluid, and air in front of a level."""
    gullet = organs.mask("esophagus")
    whole = bounding(gullet)
    if whole is None:
        raise InputError("hiatal hernia: the label map has no esophagus; label it, or leave the finding out")
    n = plan.numbers
    points = world_of(np.argwhere(gullet), host.affine)
    scale, most = 1.0, 0.0
    for _ in range(_TRIES):
        box, sac, offset = _sac(plan, host, organs, points, scale * plan.amount)
        got = axial_diameters(sac, host.spacing, location.slice_axis(host.affine)).long_mm
        most = max(most, got)
        if abs(got - plan.amount) <= _WITHIN * plan.amount:
            break
        scale = min(scale * plan.amount / max(got, 1.0), 2.0)
    else:
        raise InputError(f"hiatal hernia of {plan.amount:.0f} mm: there is room for about {most:.0f} mm; ask for less")
    hu, ids = np.ascontiguousarray(host.hu[box], np.float32), organs.ids[box].copy()
    depth = ndimage.distance_transform_edt(sac, sampling=host.spacing)
    share = ndimage.gaussian_filter(sac.astype(np.float32), 0.5 / host.spacing) * sac
    wall = 1 - smoothstep(depth, n["wall_mm"] - 0.8, n["wall_mm"] + 0.8)
    height = offset[..., 1] / (0.5 * plan.amount)  # towards the front
    air = smoothstep(height, n["level"] - 0.02, n["level"] + 0.02)
    content = n["fluid_hu"] + air * (_AIR_HU - n["fluid_hu"])
    target = (content + wall * (n["wall_hu"] - content)).astype(np.float32)
    ids[sac] = next((i for i, name in organs.names.items() if name == "stomach"), 0)
    share = np.maximum(share, 0.5 * sac).astype(np.float32)
    changed = mixed(plan, box, hu, target, share, sac, noise)
    return Changed(changed.box, changed.hu, changed.touched, sac, ids)


def _sac(
    plan: ExtentPlan, host: Volume, organs: LabelMap, gullet: np.ndarray, size: float
) -> tuple[location.Box, np.ndarray, np.ndarray]:
    """A sac about the lower esophagus, whose points are `gullet`, (N, 3) RAS mm. Heart, aorta and spine stay.

    Returns the crop, the sac on it, (X, Y, Z), and RAS mm from its middle, (X, Y, Z, 3).
    """
    n = plan.numbers
    level = np.quantile(gullet[:, 2], 0.02) + n["above_mm"] + 0.3 * size
    near = gullet[np.abs(gullet[:, 2] - level) < 4]
    centre = (near if len(near) else gullet).mean(axis=0) + [-0.12 * size, 0.05 * size, 0.0]
    axes = 0.5 * size * np.array([1.0, n["deep"], n["tall"]])
    at = np.linalg.inv(host.affine[:3, :3]) @ (centre - host.affine[:3, 3])
    reach = (axes.max() + 6) / host.spacing
    low = np.maximum(np.floor(at - reach).astype(int), 0)
    high = np.minimum(np.ceil(at + reach).astype(int) + 1, host.hu.shape)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    ids, hu = organs.ids[i, j, k], host.hu[i, j, k]
    index = np.moveaxis(np.indices(hu.shape), 0, -1) + low
    offset = world_of(index.reshape(-1, 3), host.affine).reshape(*hu.shape, 3) - centre
    grid = Coarse.of((i, j, k), host.spacing, 2.5)
    waves = 1 + 0.06 * grid.up(grid.noise(plan.generator("waves"), 18.0))
    soft = [i for i, name in organs.names.items() if name.startswith(_GIVES_WAY)]
    free = np.isin(ids, soft) | ((ids == 0) & (hu < n["gives_way_hu"]))
    return (
        (i, j, k),
        _piece(ndimage.binary_opening(free) & (np.linalg.norm(offset / axes, axis=-1) * waves < 1)),
        offset,
    )


def hydronephrosis(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """Water in calyces and pelvis of one kidney: its inside, as deep beneath the surface as the cortex that is left."""
    name = plan.structures[0]
    kidney = organs.mask(name)
    whole = bounding(kidney)
    if whole is None:
        raise InputError(f"hydronephrosis: the label map has no {name}; label it, or leave the finding out")
    n = plan.numbers
    box = location.grown(whole, host.hu.shape, host.spacing, 18.0)
    inside, ids, hu = kidney[box], organs.ids[box], np.ascontiguousarray(host.hu[box], np.float32)
    grid = Coarse.of(box, host.spacing, 1.6)
    filled = ndimage.binary_closing(np.pad(grid.down(inside), 8), iterations=7)[8:-8, 8:-8, 8:-8]
    depth = ndimage.distance_transform_edt(filled, sampling=grid.spacing)
    outer = ndimage.distance_transform_edt(~filled, sampling=grid.spacing)
    waves = grid.noise(plan.generator("calyces"), 9.0, filled)
    score = depth - outer + n["calyx_mm"] * waves
    score = ndimage.gaussian_filter(score.astype(np.float32), 0.8 / grid.spacing)
    free = inside | ((ids == 0) & (hu < 90) & grid.up(filled.astype(np.float32) > 0).astype(bool))
    fine = np.where(free, grid.up(score), -50.0)
    voxels = max(round(plan.amount / host.voxel_ml), 1)
    if voxels >= 0.75 * inside.sum():
        room = 0.75 * float(inside.sum()) * host.voxel_ml
        raise InputError(
            f"hydronephrosis of {plan.amount:.0f} mL: this kidney holds at most {room:.0f} mL; ask for less"
        )
    limit = float(np.partition(fine[free], -voxels)[-voxels])
    share = smoothstep(fine, limit - 0.8, limit + 0.8) * free
    target = np.full(hu.shape, n["fluid_hu"], np.float32)
    return mixed(plan, box, hu, target, share.astype(np.float32), fine >= limit, noise)


def dilated_duct(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """A tube of water along the pancreas, from head to tail."""
    pancreas = organs.mask("pancreas")
    whole = bounding(pancreas)
    if whole is None:
        raise InputError("dilated duct: the label map has no pancreas; label it, or leave the finding out")
    n = plan.numbers
    box = location.grown(whole, host.hu.shape, host.spacing, 6.0)
    grid = Coarse.of(box, host.spacing, 1.6)
    inside = grid.down(pancreas[box])
    parts, _ = ndimage.label(inside, np.ones((3, 3, 3)))
    inside = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    depth = ndimage.distance_transform_edt(inside, sampling=grid.spacing)
    points = world_of(np.argwhere(inside) * grid.step + [s.start for s in box], host.affine)
    voxels = np.argwhere(inside)
    tail, head = voxels[(points @ [-1.0, -0.6, 0.6]).argmax()], voxels[(points @ [1.0, 0.0, -0.8]).argmax()]
    (way,) = ways_from(inside, 1 / (0.3 + depth) ** 2, grid.spacing, head.tolist(), [tail.tolist()])
    if len(way) < 8:
        raise InputError("dilated duct: the pancreas of this label map is in pieces; label it whole")
    way = way[int(0.12 * len(way)) : int(0.94 * len(way))]
    curve = smooth_curve(world_of(smoothed(way, 3.0)[::4] * grid.step + [s.start for s in box], host.affine))
    radius = 0.5 * plan.amount * np.linspace(1.08, 0.75, len(curve))
    near = near_tubes(host, [Tube(curve, radius)], 2.0)
    if near is None:
        raise InputError("dilated duct: the pancreas lies outside this CT; leave it out")
    cover = near.full(near.cover(near.radius, _BLUR_MM))
    hu = np.ascontiguousarray(host.hu[near.box], np.float32)
    target = np.full(hu.shape, n["fluid_hu"], np.float32)
    return mixed(plan, near.box, hu, target, cover, cover > 0.5, noise)


def _piece(mask: np.ndarray) -> np.ndarray:
    """The largest piece of a mask. Raises InputError without one."""
    parts, count = ndimage.label(mask)
    if count == 0:
        raise InputError("hiatal hernia: there is no room behind the heart; leave it out")
    return np.asarray(parts == int(np.bincount(parts.ravel())[1:].argmax()) + 1)
