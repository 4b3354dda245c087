"""Diffuse findings of the lung: where they are. What they look like there is `synth.lesions.lung_textures`.

A score over the organ says how much a place is like those that the finding is found in: patches of noise, lobules that
are taken or left whole, distance from the chest wall, height and back. The voxels of the highest score, as many as the
share asks for, are its mask, so that the share holds exactly; its edge is soft in score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from synth.errors import InputError
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import Coarse, smoothstep
from synth.lesions.lung_space import LungSpace

_FOCI, _FOCUS_MM = 4, 30.0
_LOBULE_BLUR_MM = 1.8
_WAVE_MM = 1.2  # SD by which walls between lobules are bent
_LEAST_WEIGHT = 0.02  # smaller shares are none, so that the finding ends


@dataclass(frozen=True)
class Affected:
    """mask: (X, Y, Z) boolean; weight: (X, Y, Z) float32 from 0 to 1, of which the mask is the half and more."""

    mask: np.ndarray
    weight: np.ndarray


def affected(plan: ExtentPlan, space: LungSpace) -> Affected:
    """Where a diffuse finding of the lung is."""
    return by_share(space.up(score_of(plan, space)), space, plan.amount, plan.numbers["edge"])


def by_share(score: np.ndarray, space: LungSpace, share: float, edge: float) -> Affected:
    """The voxels of the highest score within the parts that are free, as many as the share says of the parts.

    An `edge` is in score. Raises InputError where less is free: two findings cannot have one voxel of a label map.
    """
    free = space.inside & space.free
    left = float(free.sum() / space.inside.sum())
    if share > left:
        raise InputError(
            f"diffuse findings of the lungs: {share:.0%} of a part asked for, and other findings leave {left:.0%} of "
            "it; ask for less"
        )
    limit = float(np.quantile(score[free], 1 - min(share / left, 0.999)))
    weight = smoothstep(score, limit - edge, limit + edge) * (space.paintable & space.free)
    weight[weight < _LEAST_WEIGHT] = 0
    return Affected((score >= limit) & free, weight)


def score_of(plan: ExtentPlan, space: LungSpace) -> np.ndarray:
    """The score on the coarse grid, in SDs of its noise."""
    n = plan.numbers
    where = space.inside_c
    score = space.grid.noise(plan.generator("patches"), n["length_mm"], where)
    score = score + n.get("lobules", 0.0) * _by_cell(plan, space, n.get("lobule_mm", 16.0))
    score = score + n.get("peripheral", 0.0) * np.exp(-space.depth_c / n.get("rind_mm", 15.0))
    if n.get("focus", 0.0) > 0:
        score = score - n["focus"] * _from_focus(plan, space)
    score = score + n.get("upper", 0.0) * space.height_c + n.get("back", 0.0) * space.back_c
    return np.asarray(score, np.float32)


def _from_focus(plan: ExtentPlan, space: LungSpace) -> np.ndarray:
    """How far voxels lie from one place in the lung, in units of 30 mm; it is where the other preferences are met best
    of a few places drawn."""
    n, rng = plan.numbers, plan.generator("focus")
    spots = np.argwhere(space.inside_c)
    drawn = spots[rng.integers(len(spots), size=_FOCI)]
    at = tuple(drawn.T)
    liking = n.get("upper", 0.0) * space.height_c[at] + n.get("back", 0.0) * space.back_c[at]
    liking = liking + n.get("peripheral", 0.0) * np.exp(-space.depth_c[at] / n.get("rind_mm", 15.0))
    best = drawn[int(liking.argmax())] * space.grid.spacing
    return np.linalg.norm(space.grid.points() - best[:, None, None, None], axis=0) / _FOCUS_MM


def _by_cell(plan: ExtentPlan, space: LungSpace, size_mm: float) -> np.ndarray:
    """A Gaussian number a cell, the same all over it: (x, y, z) float32."""
    grid = space.grid
    lobules = cells(plan.generator("lobules"), grid, size_mm, space.wide_c)
    values = plan.generator("lobule values").standard_normal(lobules.count).astype(np.float32)
    return ndimage.gaussian_filter(values[lobules.nearest], _LOBULE_BLUR_MM / grid.spacing)


@dataclass(frozen=True)
class Cells:
    """Voronoi cells: the number of each voxel's, (x, y, z) int; mm to the cell's centre and to its border, (x, y, z)
    float32; how many there are."""

    nearest: np.ndarray
    centre: np.ndarray
    border: np.ndarray
    count: int


def cells(rng: np.random.Generator, grid: Coarse, size_mm: float, where: np.ndarray) -> Cells:
    """Voronoi cells of jittered points about `size_mm` apart, as secondary lobules are packed.

    Only voxels of `where`, (x, y, z) boolean, are looked at; the others lie in cell 0, far from its border.
    """
    extent = np.array(grid.shape) * grid.spacing
    counts = np.maximum(np.ceil(extent / size_mm).astype(int), 1) + 2
    lattice = np.stack(np.meshgrid(*[np.arange(n) for n in counts], indexing="ij"), axis=-1).reshape(-1, 3)
    seeds = (lattice - 0.5 + rng.uniform(-0.42, 0.42, lattice.shape)) * size_mm
    waves = np.stack([_WAVE_MM * grid.noise(rng, size_mm) for _ in range(3)])
    points = (grid.points() + waves)[:, where].T
    distance, index = cKDTree(seeds).query(points, k=2, workers=-1)
    first, second = seeds[index[:, 0]], seeds[index[:, 1]]
    apart = np.maximum(np.linalg.norm(first - second, axis=1), 1e-6)
    border = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * apart)
    nearest = np.zeros(grid.shape, np.intp)
    centre, edge = np.full(grid.shape, size_mm, np.float32), np.full(grid.shape, size_mm, np.float32)
    nearest[where], centre[where], edge[where] = index[:, 0], distance[:, 0], border
    return Cells(nearest, centre, edge, len(seeds))
