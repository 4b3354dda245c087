"""Lobar atelectasis: a lobe without air, shrunk against hilum and mediastinum; what it leaves its neighbours fill."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.lesions.changed import Changed, mixed
from synth.lesions.diffuse import Affected
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import smoothstep
from synth.lesions.lung_space import LungSpace, lung_space
from synth.lesions.lung_textures import bronchi
from synth.report.noise import NoiseModel
from synth.volumes.types import LabelMap, Volume

_TOWARDS = {"upper": (0.5, -0.35), "middle": (-0.2, -0.5), "lower": (-0.6, 0.5)}  # height and back that it shrinks to
_EDGE = 0.03
_THIN = 0.9  # of their density: lobes that fill the room


def lobar_atelectasis(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """The lobe's voxels that lie deepest, as many as are left of its volume; the others become the neighbour's."""
    space = lung_space(host, organs, plan.structures)
    lobe = plan.structures[0].split("_")[1]
    up, back = _TOWARDS.get(lobe, (0.0, 0.0))
    deep = space.depth_c / max(float(space.depth_c[space.inside_c].max()), 1.0)
    waves = 0.04 * space.grid.noise(plan.generator("waves"), 60.0, space.inside_c)
    score = space.up((deep + up * space.height_c + back * space.back_c + waves).astype(np.float32))
    limit = float(np.quantile(score[space.inside], 1 - plan.amount))
    dense = smoothstep(score, limit - _EDGE, limit + _EDGE) * space.paintable
    mask = (score >= limit) & space.inside
    n = plan.numbers
    target = np.full(space.hu.shape, n["tissue_hu"], np.float32)
    air = bronchi(plan, space) * dense
    target += air * (n["air_hu"] - target)
    thin = (space.inside & ~mask) * (1 - dense)
    target = np.where(thin > 0.5, -1000 + (space.hu + 1000) * _THIN, target)
    share = np.maximum(n["opacity"] * dense, thin)
    changed = mixed(plan, space.grid.box, space.hu, target, share.astype(np.float32), mask, noise)
    ids = _given_away(space, organs, plan, Affected(mask, dense))
    return Changed(changed.box, changed.hu, changed.touched, mask, ids)


def _given_away(space: LungSpace, organs: LabelMap, plan: ExtentPlan, where: Affected) -> np.ndarray | None:
    """The labels of the crop, with what the lobe has left given to the nearest other lobe of its side; None where the
    lungs are labelled whole."""
    ids = organs.ids[space.grid.box].copy()
    own = [i for i, name in organs.names.items() if name in plan.structures]
    side = "left" if "left" in plan.structures[0].split("_") else "right"
    lobes = {i for i, name in organs.names.items() if "_lobe_" in name and side in name.split("_")} - set(own)
    if not np.isin(ids, own).any() or not lobes:
        return None
    left = np.isin(ids, own) & ~where.mask
    others = space.grid.down(np.where(np.isin(ids, list(lobes)), ids, 0))
    _, nearest = ndimage.distance_transform_edt(others == 0, sampling=space.grid.spacing, return_indices=True)
    coarse = others[tuple(nearest)]
    index = tuple((np.argwhere(left) // space.grid.step).T)
    ids[left] = coarse[index]
    return ids
