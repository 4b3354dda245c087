"""Emphysema: spots in the centres of lobules, cells with walls beneath the pleura, bullae."""

from __future__ import annotations

import numpy as np

from synth.lesions.diffuse import Affected, by_share, cells
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import Coarse, smoothstep
from synth.lesions.lung_space import LungSpace, widened

_GRID_MM = 1.5
_RIND_MM = {"paraseptal": 9.0, "bullous": 20.0}
_SPOT = 1.6  # how much the centre of a lobule is preferred to its border, in SDs of the lobules
_RAGGED = 0.35
_EDGE = {"centrilobular": 0.35, "paraseptal": 0.06, "bullous": 0.06}
_VESSEL_HU = (-650.0, -350.0)
_WALL_HU = -150.0


def emphysema(plan: ExtentPlan, space: LungSpace) -> tuple[Affected, np.ndarray, np.ndarray]:
    """Where it is, (target HU, share of the host that it replaces); all (X, Y, Z)."""
    n, pattern = plan.numbers, plan.pattern
    grid = Coarse.of(space.grid.box, space.grid.spacing / space.grid.step, _GRID_MM)
    lobules = cells(plan.generator("lobules"), grid, n["cell_mm"], widened(grid.down(space.inside), 2))
    values = plan.generator("lobule values").standard_normal(lobules.count).astype(np.float32)
    spread = 0.5 * space.grid.noise(plan.generator("patches"), n["length_mm"], space.inside_c)
    spread = spread + n["upper"] * space.height_c
    score = 0.8 * values[lobules.nearest]
    if pattern == "centrilobular":
        ragged = 1 + _RAGGED * grid.noise(plan.generator("ragged"), 0.5 * n["cell_mm"])
        score = score - _SPOT * (lobules.centre / (0.5 * n["cell_mm"])) ** 2 * ragged.clip(0.3, 3)
    else:
        spread = spread + 5.0 * np.exp(-((space.depth_c / _RIND_MM[pattern]) ** 2))
    fine = grid.up(score) + space.up(spread)
    where = by_share(fine, space, plan.amount, _EDGE[pattern])
    vessel = smoothstep(space.hu, *_VESSEL_HU)
    share = where.weight * n["opacity"] * (1 - 0.65 * vessel)
    target = np.full(space.hu.shape, n["air_hu"], np.float32)
    if n["wall_mm"] > 0:
        blur = 0.5
        border = grid.up(lobules.border)
        wall = where.weight * (1 - smoothstep(border, 0.5 * n["wall_mm"] - blur, 0.5 * n["wall_mm"] + blur))
        target = target + wall * (_WALL_HU - target)
    return where, target, share
