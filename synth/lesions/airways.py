"""Bronchi that show: widened ones with their walls, and thickened walls. Bronchi run beside arteries.

The host's own arteries in the lung are followed from near the hilum to beneath the pleura; a bronchus is drawn beside
each at the distance at which the two touch, so that a widened one makes a signet ring with its artery.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.changed import Changed, mixed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import Coarse
from synth.lesions.lung_space import LungSpace, lung_space, vessels
from synth.lesions.paths import smooth_curve, smoothed, ways_from
from synth.lesions.tubes import Tube, near_tubes
from synth.report.noise import NoiseModel
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_GRID_MM = 1.5
_LEAST_VOXELS = 60  # of a tree of vessels
_TREES = 6
_BLUR_MM = 0.8


def bronchi_ways(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """As many bronchi as planned, with lumen and wall."""
    n = plan.numbers
    space = lung_space(host, organs, plan.structures)
    rng = plan.generator("bronchi")
    tubes = [_beside(curve, plan, rng) for curve in arteries(plan, space, host, rng)]
    near = near_tubes(host, tubes, n["wall_mm"] + 2.0)
    if near is None:
        raise InputError(f"{plan.kind}: no vessels are seen in these parts of the lung; ask for it elsewhere")
    outer = near.full(near.cover(near.radius + n["wall_mm"], _BLUR_MM))
    lumen = near.full(near.cover(near.radius, _BLUR_MM))
    within = np.isin(organs.ids[near.box], [i for i, name in organs.names.items() if name.startswith("lung")])
    whole = ndimage.binary_closing(within, iterations=2)
    outer, lumen = outer * whole, lumen * whole
    hu = np.ascontiguousarray(host.hu[near.box], np.float32)
    wall_hu = np.where(lumen > 0, np.maximum(n["wall_hu"], -1000), np.maximum(hu, n["wall_hu"]))
    target = (wall_hu + lumen / np.maximum(outer, 1e-3) * (n["air_hu"] - wall_hu)).astype(np.float32)
    return mixed(plan, near.box, hu, target, outer.astype(np.float32), outer > 0.5, noise)


def arteries(
    plan: ExtentPlan, space: LungSpace, host: Volume, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Courses of the host's vessels, from deep to beneath the pleura: RAS points (N, 3) and radii (N,), mm."""
    n = plan.numbers
    fine = Coarse.of(space.grid.box, host.spacing, _GRID_MM)
    mask = fine.down(vessels(space, -500.0))
    depth = fine.down(space.up(space.depth_c))
    parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    trees = [int(t) for t in np.argsort(-sizes)[: 3 * _TREES] if sizes[t] >= _LEAST_VOXELS]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    ends: list[np.ndarray] = []
    for tree in trees:
        if len(found) >= round(plan.amount):
            break
        inside = parts == tree
        voxels = np.argwhere(inside)
        deep = depth[tuple(voxels.T)]
        leaves = voxels[(deep < n["ends_mm"]) | (deep <= np.quantile(deep, 0.1))]
        leaves = leaves[rng.permutation(len(leaves))[: 4 * round(plan.amount)]]
        radius = ndimage.distance_transform_edt(inside, sampling=fine.spacing)
        ways = ways_from(inside, np.ones(inside.shape), fine.spacing, voxels[deep.argmax()].tolist(), leaves.tolist())
        for way in ways:
            far = len(way) > 0 and all(np.linalg.norm((way[-1] - e) * fine.spacing) > n["apart_mm"] for e in ends)
            way = way[depth[tuple(way.T)] < n["starts_mm"]] if len(way) else way
            if far and len(way) * _GRID_MM > n["least_mm"] and len(found) < round(plan.amount):
                points = world_of(smoothed(way, 2.5) * fine.step + [s.start for s in fine.box], host.affine)
                ends.append(way[-1])
                curve = smooth_curve(points[:: max(len(points) // 12, 1)])
                sampled = ndimage.gaussian_filter1d(radius[tuple(way.T)].astype(float), 3.0)
                found.append((curve, np.interp(np.linspace(0, 1, len(curve)), np.linspace(0, 1, len(way)), sampled)))
    if not found:
        raise InputError(f"{plan.kind}: no vessels are seen in these parts of the lung; ask for it elsewhere")
    return found


def _beside(course: tuple[np.ndarray, np.ndarray], plan: ExtentPlan, rng: np.random.Generator) -> Tube:
    """The bronchus beside an artery: narrower outwards, on one side of it all along."""
    n = plan.numbers
    curve, artery = course
    direction = np.gradient(curve, axis=0)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
    aside = np.cross(direction, rng.normal(size=3))
    aside = ndimage.gaussian_filter1d(aside, 12.0, axis=0)
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-6)
    along = np.linspace(0, 1, len(curve))
    radius = n["radius_mm"] * rng.uniform(0.8, 1.25) * (1 - n["taper"] * along)
    radius = radius * (1 + n["varicose"] * np.sin(along * len(curve) * 0.5 / 5.0 + rng.uniform(0, 6)))
    away = artery.clip(0.5, 3.0) + radius + 0.7 * n["wall_mm"]
    return Tube(curve + aside * away[:, None], radius)
