"""Layers between organs: fluid in the pericardium, air in the pleural space.

A layer is what lies within a thickness of a surface, more of it where it runs to in a patient on the back; the
thickness that gives the planned volume is the quantile of one field.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.changed import Changed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import Coarse, smoothstep
from synth.lesions.lung_space import bounding, lung_space, widened
from synth.lesions.placement import FAT_HU
from synth.report import location
from synth.report.noise import NoiseModel
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_REACH_MM = 45.0
_FAR = 1e6
_EDGE_MM = 0.7  # SD of a layer's border
_TO_THE_LUNG_MM = 70.0  # over which lung is compressed beneath air
_PARTIAL_HU = -700.0
_FILLED_HU = 90.0
_CORRECTIONS = 3
_LINE_HU = -350.0  # the visceral pleura between air and lung, thinner than a voxel


def pericardial_effusion(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """Fluid round the heart, most behind and below; what it takes of the lungs is no longer lung."""
    heart = organs.mask("heart")
    whole = bounding(heart)
    if whole is None:
        raise InputError("pericardial effusion: the label map has no heart; label it, or leave the finding out")
    box = location.grown(whole, host.hu.shape, host.spacing, _REACH_MM)
    hu, ids, inside = np.ascontiguousarray(host.hu[box], np.float32), organs.ids[box].copy(), heart[box]
    lungs = [i for i, name in organs.names.items() if name.startswith("lung") and name != "lung_nodule"]
    free = np.isin(ids, lungs) | ((ids == 0) & (hu < FAT_HU[1] + 40))
    field = _round_the_heart(plan, host, Coarse.of(box, host.spacing, 2.0), inside)
    field = np.where(free & ~inside, field, _FAR)
    fillable = free | ((ids == 0) & ~inside & (hu < _FILLED_HU))
    layer = _of_volume(plan, plan.amount, field, host, "round the heart")
    for _ in range(_CORRECTIONS):  # what is closed between fluid and heart adds to it
        closed = ndimage.binary_closing(layer | inside, iterations=2) & fillable & ~inside
        got = float(closed.sum()) * host.voxel_ml
        layer = _of_volume(plan, plan.amount * float(layer.sum()) * host.voxel_ml / got, field, host, "round the heart")
    layer = ndimage.binary_closing(layer | inside, iterations=2) & fillable & ~inside
    share = ndimage.gaussian_filter(layer.astype(np.float32), _EDGE_MM / host.spacing) * (layer | free)
    share = np.where(layer, np.maximum(share, 0.5), share)
    share[share < 0.05] = 0
    touched = share > 0
    ids[layer & np.isin(ids, lungs)] = 0
    target = np.full(hu.shape, plan.numbers["fluid_hu"], np.float32)
    out = hu + share * (target - hu)
    if noise is not None:
        out += np.sqrt(1 - (1 - share) ** 2) * noise.draw(share.shape, plan.generator("noise"))
    return Changed(box, out, touched, layer, ids)


def _round_the_heart(plan: ExtentPlan, host: Volume, grid: Coarse, heart: np.ndarray) -> np.ndarray:
    """How thick a layer would have to be at its thickest to reach each voxel of the crop, mm."""
    inside = grid.down(heart)
    away = ndimage.distance_transform_edt(~inside, sampling=grid.spacing).astype(np.float32)
    index = np.moveaxis(np.indices(grid.shape), 0, -1) * grid.step + [s.start for s in grid.box]
    points = world_of(index.reshape(-1, 3), host.affine).reshape(*grid.shape, 3)
    of_heart = points[inside]
    low, high = of_heart.min(axis=0), of_heart.max(axis=0)
    back = ((high[1] - points[..., 1]) / (high[1] - low[1])).clip(0, 1)
    down = ((high[2] - points[..., 2]) / (high[2] - low[2])).clip(-0.2, 1.2)
    top = smoothstep(down, -0.15, 0.25)  # the pericardium ends on the great vessels
    bottom = 1 - smoothstep(down, 0.95, 1.15)
    waves = 1 + 0.12 * grid.noise(plan.generator("waves"), 40.0)
    thick = (0.3 + 0.5 * back + 0.35 * down.clip(0, 1)) * top * bottom * waves.clip(0.6, 1.4)
    return grid.up(away / np.maximum(thick, 0.02))


def _of_volume(plan: ExtentPlan, ml: float, field: np.ndarray, host: Volume, where: str) -> np.ndarray:
    """The voxels of the lowest values of a field that make the planned volume."""
    voxels = max(round(ml / host.voxel_ml), 1)
    values = field[field < _FAR / 10]
    if voxels >= len(values):
        room = len(values) * host.voxel_ml
        raise InputError(f"{plan.kind} of {plan.amount:.0f} mL: there is room for {room:.0f} mL {where}; ask for less")
    return np.asarray(field <= np.partition(values, voxels)[voxels])


def pneumothorax(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """Air between chest wall and lung, most in front and above; the lung beneath it is compressed, not cut.

    A voxel at the depth d beneath the chest wall and T(x) of air takes the lung from the depth (d - T) D / (D - T),
    which rises from 0 at the pleura to D, below which nothing moves.
    """
    side = "left" if any("left" in s.split("_") for s in plan.structures) else "right"
    structures = [s for s in plan.structures if side in s.split("_")]
    space = lung_space(host, organs, structures)
    grid = space.grid
    lung_c = ndimage.binary_closing(space.inside_c, iterations=2) | space.inside_c
    depth = ndimage.distance_transform_edt(ndimage.binary_fill_holes(lung_c), sampling=grid.spacing).astype(np.float32)
    depth = ndimage.gaussian_filter(np.maximum(depth, space.depth_c * (depth > 0)), 4.0 / grid.spacing)
    front = (0.08 + 0.9 * (1 - space.back_c) ** 1.3 + 0.35 * space.height_c**2).astype(np.float32)
    front = ndimage.gaussian_filter(front, 5.0 / grid.spacing)
    fine_depth, fine_front = space.up(depth), space.up(front)
    field = np.where(space.paintable, fine_depth / fine_front, _FAR)
    inside_field = np.where(space.inside, field, _FAR)
    air = _of_volume(plan, plan.amount, inside_field, host, f"in the {side} lung")
    most = float(inside_field[air].max())
    thick = (most * front).clip(0, 0.85 * _TO_THE_LUNG_MM)
    source = (depth - thick) * _TO_THE_LUNG_MM / (_TO_THE_LUNG_MM - thick)
    shift = np.where(depth < _TO_THE_LUNG_MM, depth - source, 0.0)  # towards the wall, mm
    normal = np.stack(np.gradient(depth, *grid.spacing))
    normal /= np.maximum(np.linalg.norm(normal, axis=0), 0.3)
    moved = space.paintable & (field > most) & (fine_depth < _TO_THE_LUNG_MM)
    index = np.argwhere(moved).T.astype(np.float32)
    spacing = host.spacing
    toward = np.stack([grid.up(-n * shift)[moved] for n in normal]) / spacing[:, None]
    at = (index + toward).clip(0, np.array(grid.fine_shape)[:, None] - 1)
    out = space.hu.copy()
    squeezed = ndimage.map_coordinates(space.hu, at, order=1)
    factor = _TO_THE_LUNG_MM / (_TO_THE_LUNG_MM - grid.up(thick)[moved])
    aerated = squeezed < -500
    out[moved] = np.where(aerated, -1000 + (squeezed + 1000) * factor.clip(1, 2.5), squeezed)
    air_all = space.paintable & (field <= most)
    soft = plan.generator("noise").standard_normal(int(air_all.sum())) * (noise.sd * 0.6 if noise else 0.0)
    kept = ~space.inside & (space.hu > _PARTIAL_HU)  # the chest wall's own partial volume
    out[air_all] = np.where(kept[air_all], space.hu[air_all], -1000 + soft)
    line = moved & widened(air_all, 1)
    out[line] = np.maximum(out[line], _LINE_HU)
    ids = organs.ids[grid.box].copy()
    ids[air & space.inside] = 0
    return Changed(grid.box, out, moved | air_all, air, ids)
