"""Findings that change the shape of an organ: a large heart, a large spleen, a wide aorta."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.changed import Changed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.mass_effect import moved_hu, moved_ids
from synth.lesions.swelling import Swelling, swelling
from synth.report.extent_figures import thorax_width_mm
from synth.report.noise import NoiseModel
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_HEART_REACH_MM, _SPLEEN_REACH_MM, _AORTA_REACH_MM = 55.0, 45.0, 22.0
_MOST_WIDENED = 3.0
_TO_SPINE = 0.25  # of the heart's half width: a heart grows to the left and down, away from here


def cardiomegaly(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """The heart swells until it is as wide, against the thorax, as the ratio says."""
    heart = _organ(organs, "heart", plan)
    points = world_of(np.argwhere(heart), host.affine)
    width = thorax_width_mm(organs)
    if width is None:
        raise InputError("cardiomegaly: the label map has no lungs to measure the thorax by; label them")
    half = np.ptp(points[:, 0]) / 2
    centre = points.mean(axis=0) + [_TO_SPINE * half, -_TO_SPINE * half, _TO_SPINE * half]
    field = swelling(host, organs, heart, centre, _HEART_REACH_MM)
    start = float(np.ptp(points[:, 0])) / width
    lost = np.ptp(points[:, 0]) - np.ptp(field.points()[:, 0])  # what the coarse grid leaves out

    def ratio(g: float) -> float:
        return float(np.ptp(field.moved_points(g)[:, 0]) + lost) / width

    g = _solved(plan, field, ratio, start, "a cardiothoracic ratio of", "")
    return _moved(plan, field, g, host, organs, noise)


def splenomegaly(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """The spleen swells down and forwards until it has the volume that is planned."""
    spleen = _organ(organs, "spleen", plan)
    points = world_of(np.argwhere(spleen), host.affine)
    centre = points.mean(axis=0) + 0.3 * np.ptp(points, axis=0) * [-0.5, -0.5, 0.8]
    field = swelling(host, organs, spleen, centre, _SPLEEN_REACH_MM, held_mm=8.0)
    ml = float(spleen.sum()) * host.voxel_ml
    g = _solved(plan, field, lambda g: ml * field.volume(g), ml, "a volume of", " mL")
    return _moved(plan, field, g, host, organs, noise)


def aneurysm(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """The descending aorta widens about one level until its diameter there is as planned."""
    aorta = _organ(organs, "aorta", plan)
    line, radius = descending(aorta, host)
    at = int(plan.numbers["level"] * (len(line) - 1))
    middle, long_mm = line[at], plan.numbers["long_mm"]

    def weight(points: np.ndarray) -> np.ndarray:
        near = np.abs(points[:, 2] - middle[2]) / (0.5 * long_mm)
        close = np.linalg.norm(points[:, :2] - at_height(line, points[:, 2]), axis=1)
        return np.exp(-(near**2)) * (close < plan.amount)  # not the arch beside it

    field = swelling(host, organs, aorta, middle, _AORTA_REACH_MM, (1.0, 1.0, 0.0), weight, held_mm=5.0)
    index = np.moveaxis(np.indices(field.grid.shape), 0, -1) * field.grid.step + [s.start for s in field.grid.box]
    points = world_of(index.reshape(-1, 3), host.affine)
    base = at_height(line, points[:, 2])  # away from the vessel's own middle at each height
    arrow = np.concatenate([(points[:, :2] - base).T, np.zeros((1, len(points)))]).reshape(3, *field.grid.shape)
    away = np.where(np.abs((points - middle).T.reshape(arrow.shape)) > 1e-3, arrow, 0)
    norm = np.linalg.norm(field.velocity[:2], axis=0) / np.maximum(
        np.linalg.norm((points - middle)[:, :2], axis=1).reshape(field.grid.shape), 1e-3
    )
    field = Swelling(field.grid, field.affine, (norm * away).astype(np.float32), field.organ)
    edge = middle + np.array(
        [[r * np.cos(a), r * np.sin(a), 0.0] for a in np.arange(0, 6.28, 0.4) for r in [radius[at]]]
    )
    g = _solve_edge(plan, field, edge, middle, 2 * radius[at])
    return _moved(plan, field, g, host, organs, noise)


def _organ(organs: LabelMap, name: str, plan: ExtentPlan) -> np.ndarray:
    mask = organs.mask(name)
    if not mask.any():
        raise InputError(f"{plan.kind}: the label map has no {name}; label it, or leave the finding out")
    return mask


def _solved(
    plan: ExtentPlan, field: Swelling, measure: Callable[[float], float], start: float, what: str, unit: str
) -> float:
    """How far to swell. Raises InputError where the organ is as large already, or cannot be made so large."""
    wanted = plan.amount
    g = field.solve(measure, wanted)
    if g is None:
        raise InputError(
            f"{plan.kind} with {what} {wanted:.3g}{unit}: this host has {start:.3g}{unit}, and what is asked for must "
            "be more, and no more than there is room for; ask for another, or for another finding"
        )
    return g


def _solve_edge(plan: ExtentPlan, field: Swelling, edge: np.ndarray, middle: np.ndarray, start: float) -> float:
    """How far to swell until the points of an edge (N, 3) are as far apart as planned."""
    index = ((edge - field.affine[:3, 3]) @ np.linalg.inv(field.affine[:3, :3]).T - [s.start for s in field.grid.box]).T
    at = index / np.array(field.grid.step)[:, None]

    def diameter(g: float) -> float:
        u = np.stack([ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in field.shift(g)], axis=1)
        return 2 * float(np.linalg.norm((edge + u - middle)[:, :2], axis=1).mean())

    g = field.solve(diameter, plan.amount, _MOST_WIDENED)
    if g is None:
        raise InputError(
            f"{plan.kind} of {plan.amount:.0f} mm: the aorta is {start:.0f} mm wide there, and can be widened up to "
            f"{diameter(_MOST_WIDENED):.0f} mm; ask for a width between these"
        )
    return g


def descending(aorta: np.ndarray, host: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Middle (N, 3) RAS mm and radius (N,) mm of the descending aorta, from the lowest slice to below the arch."""
    line, radius = [], []
    for z in np.flatnonzero(aorta.any(axis=(0, 1))):
        parts, count = ndimage.label(aorta[:, :, z])
        sizes = np.bincount(parts.ravel())[1:]
        centres = [world_of(np.append(np.argwhere(parts == n + 1).mean(axis=0), z), host.affine) for n in range(count)]
        big = [n for n in range(count) if sizes[n] > 0.2 * sizes.max()]
        lowest = min(big, key=lambda n: float(centres[n][1]))
        area = float(sizes[lowest]) * float(host.spacing[0] * host.spacing[1])
        line.append(centres[lowest])
        radius.append(np.sqrt(area / np.pi))
    order = np.argsort([p[2] for p in line])
    points, radii = np.array(line)[order], np.array(radius)[order]
    arch = radii > 1.7 * np.median(radii)  # slices along the arch
    stop = int(np.flatnonzero(arch)[0]) if arch.any() else len(points)
    return points[: max(stop, 2)], radii[: max(stop, 2)]


def at_height(line: np.ndarray, z: np.ndarray) -> np.ndarray:
    """x and y of a line (N, 3) at heights (M,), (M, 2)."""
    return np.stack([np.interp(z, line[:, 2], line[:, a]) for a in range(2)], axis=1)


def _moved(
    plan: ExtentPlan, field: Swelling, g: float, host: Volume, organs: LabelMap, noise: NoiseModel | None
) -> Changed:
    """The host's crop with its tissue and labels moved; the mask is all that moved."""
    move = field.displacement(g)
    box = field.grid.box
    hu = np.ascontiguousarray(host.hu[box], np.float32)
    if noise is None:
        out = hu.copy()
        i, j, k = np.rint(move.origins).astype(np.int32)
        out[move.moved] = hu[i, j, k]
    else:
        out = moved_hu(hu, move, noise, plan.generator("moved"))
    return Changed(box, out, move.moved, move.moved, moved_ids(organs.ids[box], move), move)
