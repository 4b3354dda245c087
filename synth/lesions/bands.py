"""Bands in the lung: plate-like atelectasis and fibrotic sequelae. Each is a bent plate that ends at the pleura."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from synth.errors import InputError
from synth.lesions.changed import Changed, mixed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import smoothstep
from synth.lesions.lung_space import LungSpace, lung_space
from synth.report.noise import NoiseModel
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_TRIES = 400
_PLEURA_MM = (1.0, 8.0)


def bands(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """As many bands as planned."""
    n = plan.numbers
    space = lung_space(host, organs, plan.structures)
    rng = plan.generator("bands")
    share = np.zeros(space.hu.shape, np.float32)
    for centre in _centres(plan, space, host, rng):
        _add(plan, space, host, centre, share, rng)
    share *= space.paintable
    target = np.full(space.hu.shape, n["tissue_hu"], np.float32)
    mask = (share > 0.4) & space.inside
    return mixed(plan, space.grid.box, space.hu, target, n["opacity"] * share, mask, noise)


def _centres(plan: ExtentPlan, space: LungSpace, host: Volume, rng: np.random.Generator) -> np.ndarray:
    """RAS mm of the bands' centres, (N, 3): beneath the pleura, as low or high as is usual, apart from each other."""
    n = plan.numbers
    near = space.inside_c & (space.depth_c > n["depth_mm"] - 6) & (space.depth_c < n["depth_mm"] + 6)
    spots = np.argwhere(near if near.any() else space.inside_c)
    height = space.height_c[tuple(spots.T)]
    weight = np.exp(n["upper"] * height)
    chosen: list[np.ndarray] = []
    for at in rng.choice(len(spots), min(_TRIES, len(spots)), replace=False, p=weight / weight.sum()):
        point = world_of(spots[at] * space.grid.step + [s.start for s in space.grid.box], host.affine)
        if all(np.linalg.norm(point - other) > n["apart_mm"] for other in chosen):
            chosen.append(point)
        if len(chosen) == round(plan.amount):
            return np.array(chosen)
    raise InputError(f"{plan.kind}: no room for {plan.amount:.0f} bands in these parts of the lung; ask for less")


def _add(
    plan: ExtentPlan,
    space: LungSpace,
    host: Volume,
    centre: np.ndarray,
    share: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Add one band to `share`, (X, Y, Z)."""
    n = plan.numbers
    half, thick = 0.5 * n["length_mm"] * rng.uniform(0.7, 1.2), n["thick_mm"] * rng.uniform(0.7, 1.3)
    angles = [rng.uniform(-180, 180), *rng.normal(0, n["tilt_deg"], 2)]
    turn = Rotation.from_euler("zyx", angles, degrees=True)
    start = np.array([s.start for s in space.grid.box])
    middle = np.linalg.inv(host.affine[:3, :3]) @ (centre - host.affine[:3, 3]) - start
    reach = half / host.spacing + 2
    low = np.maximum(np.floor(middle - reach).astype(int), 0)
    high = np.minimum(np.ceil(middle + reach).astype(int) + 1, share.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    index = np.moveaxis(np.indices((high - low).tolist()), 0, -1) + low
    local = (world_of((index + start).reshape(-1, 3), host.affine) - centre) @ turn.as_matrix()
    u, v, w = (local[:, a].reshape(index.shape[:-1]) for a in range(3))
    bend = rng.normal(0, n["bend_mm"], 3)
    surface = bend[0] * (u / half) ** 2 + bend[1] * (v / half) ** 2 + bend[2] * np.sin(2.2 * u / half)
    wide = n["width"] * half
    inside = (u / half) ** 2 + (v / wide) ** 2
    thickness = 0.5 * thick * (1 - 0.5 * inside.clip(0, 1)) * (1 + 0.25 * np.sin(5 * u / half + bend[0]))
    blur = 0.5 * float(np.sort(host.spacing)[1]) + 0.25
    flat = 1 - smoothstep(np.abs(w - surface) - thickness, -blur, blur)
    np.maximum(share[box], (flat * (1 - smoothstep(inside, 0.7, 1.0))).astype(np.float32), out=share[box])
