"""What a diffuse finding does to the HU of a lung. All fields are of the crop, (X, Y, Z) float32.

Air is replaced by tissue to some share: a voxel that is dense already (a vessel, a wall) changes little, so vessels and
bronchi of the host shine through ground glass and vanish in consolidation, as they do in patients.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.lesions.diffuse import Affected, cells
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import Coarse, smoothstep
from synth.lesions.lung_space import LungSpace, vessels, widened

_FINE_MM = 1.4  # grid of septa
_VESSEL_HU = (-650.0, -350.0)


def glass(plan: ExtentPlan, space: LungSpace, where: Affected) -> tuple[np.ndarray, np.ndarray]:
    """Ground glass: (target HU, share of the host that it replaces)."""
    n = plan.numbers
    grain = space.up(space.grid.noise(plan.generator("grain"), n["grain_mm"], space.inside_c))
    opacity = (n["opacity"] * (1 + 0.16 * grain)).clip(0.05, 0.9)
    return np.full(space.hu.shape, n["tissue_hu"], np.float32), where.weight * opacity


def paving(plan: ExtentPlan, space: LungSpace, where: Affected) -> tuple[np.ndarray, np.ndarray]:
    """Ground glass with septa and lines within the lobules upon it."""
    target, share = glass(plan, space, where)
    n = plan.numbers
    net = np.maximum(
        septa(plan, space, where, "septa", n["septum_mm"], n["cell_mm"]),
        0.75 * septa(plan, space, where, "lines", n["septum_mm"], 0.5 * n["cell_mm"]),
    )
    return target, np.maximum(share, where.weight * n["line"] * net)


def septal(plan: ExtentPlan, space: LungSpace, where: Affected) -> tuple[np.ndarray, np.ndarray]:
    """Thickened interlobular septa, most of them beneath the pleura, where lobules are regular."""
    n = plan.numbers
    net = septa(plan, space, where, "septa", n["septum_mm"], n["cell_mm"])
    net *= 0.3 + 0.7 * space.up(smoothstep(space.grid.noise(plan.generator("gaps"), 10.0, space.inside_c), -0.7, 0.5))
    near = space.up(0.25 + 0.75 * np.exp(-space.depth_c / n["rind_mm"]))
    haze = 0.06 * where.weight
    return np.full(space.hu.shape, n["tissue_hu"], np.float32), np.maximum(haze, where.weight * n["line"] * net * near)


def consolidation(plan: ExtentPlan, space: LungSpace, where: Affected) -> tuple[np.ndarray, np.ndarray]:
    """Lung without air but in its bronchi, in a halo of ground glass.

    Bronchi run with arteries, which a consolidation hides: half of the host's vessels, deep enough beneath the pleura,
    become bronchi that are filled with air.
    """
    n = plan.numbers
    core = smoothstep(where.weight, 0.35, 0.75)
    share = np.maximum(n["halo"] * where.weight, n["opacity"] * core)
    target = np.full(space.hu.shape, n["tissue_hu"], np.float32)
    target += n["grain_hu"] * space.up(space.grid.noise(plan.generator("grain"), n["grain_mm"], space.inside_c))
    air = bronchi(plan, space) * core
    return target + air * (n["air_hu"] - target), np.maximum(share, air)


def bronchi(plan: ExtentPlan, space: LungSpace) -> np.ndarray:
    """How much of each voxel is air in a bronchus, 0 to 1."""
    tubes = ndimage.gaussian_filter(
        vessels(space, -600.0).astype(np.float32), 0.8 / space.grid.spacing * space.grid.step
    )
    chosen = space.up(space.grid.noise(plan.generator("bronchi"), 26.0, space.inside_c)) > 0
    deep = space.up(smoothstep(space.depth_c, 9.0, 18.0))
    return smoothstep(tubes, 0.22, 0.6) * chosen * deep


def lucent(plan: ExtentPlan, space: LungSpace, where: Affected) -> tuple[np.ndarray, np.ndarray]:
    """Emphysema: destroyed lung is nearly air; the vessels that cross it thin out, and some remain."""
    n = plan.numbers
    vessel = smoothstep(space.hu, *_VESSEL_HU)
    share = where.weight * n["opacity"] * (1 - 0.65 * vessel)
    return np.full(space.hu.shape, n["air_hu"], np.float32), share


def mosaic(plan: ExtentPlan, space: LungSpace, where: Affected) -> tuple[np.ndarray, np.ndarray]:
    """Lobules with less gas and blood in them beside lobules with more: density scales, vessels of dark ones thin."""
    n = plan.numbers
    aerated = 1 - smoothstep(space.hu, -750.0, -450.0)
    scale = where.weight * n["dark"] + (1 - where.weight) * (1 + aerated * (n["bright"] - 1))
    return -1000 + (space.hu + 1000) * scale, space.inside.astype(np.float32)


def reticulation(plan: ExtentPlan, space: LungSpace, where: Affected) -> tuple[np.ndarray, np.ndarray]:
    """Fibrosis: a net of lines with ground glass, and honeycombs (clustered cysts with walls) where it is densest."""
    n = plan.numbers
    net = np.maximum(
        septa(plan, space, where, "lines", n["septum_mm"], n["cell_mm"]),
        0.8 * septa(plan, space, where, "coarse lines", 1.3 * n["septum_mm"], 2 * n["cell_mm"]),
    )
    share = where.weight * np.maximum(n["glass"], n["line"] * net)
    target = np.full(space.hu.shape, n["tissue_hu"], np.float32)
    patches = space.grid.noise(plan.generator("comb patches"), 30.0, space.inside_c)
    liking = np.exp(-space.depth_c / n["comb_rind_mm"]) * smoothstep(patches - 2.0 * space.height_c, -1.2, -0.2)
    comb = smoothstep(where.weight * space.up(liking), 0.3, 0.5)
    border = _borders(plan, space, where, "combs", n["comb_mm"])
    cyst = smoothstep(border, 0.5 * n["comb_wall_mm"], 0.5 * n["comb_wall_mm"] + 1.0)
    target += comb * cyst * (-950 - target)
    return target, np.maximum(share * (1 - comb), comb * np.maximum(0.85 * cyst, n["line"] * (1 - cyst)))


def septa(
    plan: ExtentPlan, space: LungSpace, where: Affected, stream: str, thickness_mm: float, cell_mm: float
) -> np.ndarray:
    """How much of each voxel is wall between cells, 0 to 1; lines thinner than a voxel are pale."""
    border = _borders(plan, space, where, stream, cell_mm)
    blur = 0.5
    return 1 - smoothstep(border, 0.5 * thickness_mm - blur, 0.5 * thickness_mm + blur)


def _borders(plan: ExtentPlan, space: LungSpace, where: Affected, stream: str, cell_mm: float) -> np.ndarray:
    """mm to the nearest wall between cells, wavy as walls of lobules are."""
    spacing = space.grid.spacing / space.grid.step
    grid = Coarse.of(space.grid.box, spacing, _FINE_MM)
    near = widened(grid.down(where.weight) > 0, 2)
    return grid.up(cells(plan.generator(stream), grid, cell_mm, near).border)
