"""Fractures: a vertebral body that has lost height in front, or a rib in two pieces."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.changed import Changed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import smoothstep
from synth.lesions.mass_effect import Displacement, moved_hu, moved_ids
from synth.report import location
from synth.report.noise import NoiseModel
from synth.report.vertebra import BANDS, VertebralBody, body_of, height_lost
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_BEHIND = 0.25  # of the height lost in front, that the back of the body loses
_FADE_FRONT_MM, _FADE_BACK_MM, _FADE_SIDE_MM = 25.0, 6.0, 18.0
_ABOVE_MM, _LEAST_ABOVE_MM = 110.0, 30.0  # over which what lies above gives way
_RIGID = 0.27  # of that, next to the fracture: the vertebra above keeps its shape
_VERTEBRA = 0.6  # of fractures whose bone was not said
_BLUR_MM = 0.8
_RIB_NEAR_MM, _RIB_FADE_MM, _RIB_MASK_MM = 9.0, 32.0, 6.0
_LEAST_MM = 0.05
_SOFT_HU = 45.0
_TRIES, _WITHIN = 4, 0.02  # of the height
_LEAST_LOST_MM = 0.3
_CORD_MM = 30.0  # behind the body: the cord is there, by which a body is told


def fracture(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """Of the bone that was said, or of a vertebra or rib that lies whole in the host."""
    rng = plan.generator("bone")
    there = set(location.present_boxes(organs))
    spine = [name for name in plan.structures if name.startswith("vertebrae_") and name in there]
    ribs = [name for name in plan.structures if name.startswith("rib_") and name in there]
    if not spine and not ribs:
        raise InputError("fracture: it is drawn in vertebrae and ribs alone; say one that the label map has")
    bones = spine if spine and (not ribs or rng.random() < _VERTEBRA) else ribs
    for name in rng.permutation(bones):
        drawn = (_wedge if name.startswith("vertebrae_") else _in_two)(plan, str(name), host, organs, noise)
        if drawn is not None:
            return drawn
    raise InputError(f"fracture: no {location.list_names(bones, 4)} lies whole in this CT; say another bone")


def _wedge(plan: ExtentPlan, name: str, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed | None:
    """A vertebral body lower in front by what is planned, of its height at the back; what lies above follows."""
    body = body_of(organs, name)
    if body is None:
        return None
    above = min(_ABOVE_MM, _highest(host) - body.high[2] - 2)
    if above < _LEAST_ABOVE_MM:
        return None
    low = body.low - [_FADE_SIDE_MM, _CORD_MM, 2]
    box = _box(host, low, body.high + [_FADE_SIDE_MM, _FADE_FRONT_MM, above + 2])
    index = np.moveaxis(np.indices([s.stop - s.start for s in box]), 0, -1)
    points = world_of((index + [s.start for s in box]).reshape(-1, 3), host.affine)
    crop = LabelMap(organs.ids[box], _crop_affine(host, box), organs.names)
    lost = _first_guess(body, plan.amount)
    for _ in range(_TRIES):
        if lost < _LEAST_LOST_MM:
            return None
        rise = _comes_from_above(points, body, lost, above).reshape(index.shape[:-1])
        move = _downwards(rise, index, host)
        ids = moved_ids(crop.ids, move)
        got = height_lost(LabelMap(ids, crop.affine, crop.names), name, whole=False)
        if got is None or abs(got - plan.amount) < _WITHIN:
            break
        lost += (plan.amount - got) * body.height_mm("back")
    hu = _moved(np.ascontiguousarray(host.hu[box], np.float32), move, noise, plan)
    bone = (ids == body.number) & (points[:, 1] > body.low[1]).reshape(rise.shape)
    upper, _ = _endplates(points, body)
    endplate = (points[:, 2] - upper).reshape(rise.shape) + rise  # mm above the upper endplate, before
    band = plan.numbers["band_hu"] * np.exp(-0.5 * ((endplate + 3.0) / 2.5) ** 2) * bone * move.moved
    return Changed(box, hu + band.astype(np.float32), move.moved, bone, ids, move)


def _first_guess(body: VertebralBody, amount: float) -> float:
    """mm that the body is to lose at its front border."""
    front, back, left = body.height_mm("front"), body.height_mm("back"), 1 - amount
    return (front - left * back) / (_lost_at("front") - left * _lost_at("back"))


def _downwards(rise: np.ndarray, index: np.ndarray, host: Volume) -> Displacement:
    """The displacement of a crop whose voxels (X, Y, Z) hold what was `rise` mm above them; `index` (X, Y, Z, 3)."""
    moved = rise > _LEAST_MM
    step = np.linalg.inv(host.affine[:3, :3]) @ [0.0, 0.0, 1.0]
    limits = np.array(moved.shape)[:, None] - 1
    origins = (index[moved].T + step[:, None] * rise[moved]).clip(0, limits)
    return Displacement(moved, origins.astype(np.float32))


def _crop_affine(host: Volume, box: location.Box) -> np.ndarray:
    affine = host.affine.copy()
    affine[:3, 3] = world_of(np.array([[s.start for s in box]]), host.affine)[0]
    return affine


def _lost_at(where: Literal["front", "back"]) -> float:
    """Of the height lost at the front border, that lost in a band of the body."""
    return _BEHIND + (1 - _BEHIND) * float(np.mean(BANDS[where]))


def _endplates(points: np.ndarray, body: VertebralBody) -> tuple[np.ndarray, np.ndarray]:
    """Heights of the upper and lower endplate at RAS points (N, 3)."""
    forward = points[:, 1].clip(body.low[1], body.high[1]) - body.low[1]
    upper, lower = ((height + rise * forward) for height, rise in (body.upper, body.lower))
    return upper, lower


def _comes_from_above(points: np.ndarray, body: VertebralBody, lost_mm: float, above_mm: float) -> np.ndarray:
    """mm that the tissue at RAS points (N, 3) has come down: the body is pressed together, what is above stretched."""
    x, y, z = points.T
    middle, half = 0.5 * (body.low + body.high), 0.5 * (body.high - body.low)
    forward = ((y - body.low[1]) / (body.high[1] - body.low[1])).clip(0, 1)
    lost = lost_mm * (_BEHIND + (1 - _BEHIND) * forward)
    lost = lost * (1 - smoothstep(y, body.high[1], body.high[1] + _FADE_FRONT_MM))
    lost = lost * smoothstep(y, body.low[1] - _FADE_BACK_MM, body.low[1])
    lost = lost * (1 - smoothstep(np.abs(x - middle[0]), half[0], half[0] + _FADE_SIDE_MM))
    upper, lower = _endplates(points, body)
    within = (z - lower).clip(0, None) * lost / np.maximum(upper - lower - lost, 1.0)
    follows = lost * (1 - smoothstep(z - (upper - lost), _RIGID * above_mm, above_mm))
    return np.asarray(np.where(z < upper - lost, within, follows))


def _in_two(plan: ExtentPlan, name: str, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed | None:
    """A gap across a rib at its side, one piece out of line with the other."""
    rng, n = plan.generator(name), plan.numbers
    voxels = np.argwhere(organs.mask(name))
    points = world_of(voxels, host.affine)
    if len(points) < 40:
        return None
    order = points[np.argsort(points[:, 1])]
    centre = order[int(rng.uniform(0.35, 0.7) * len(order))]
    centre = points[np.linalg.norm(points - centre, axis=1) < _RIB_NEAR_MM].mean(axis=0)
    near = points[np.linalg.norm(points - centre, axis=1) < 2 * _RIB_NEAR_MM] - centre
    along = np.linalg.svd(near, full_matrices=False)[2][0]
    along = along * np.sign(along[1] or 1.0)
    out_of_line = np.cross(along, [0.0, 0.0, 1.0])
    out_of_line = out_of_line / max(float(np.linalg.norm(out_of_line)), 1e-6)
    box = _box(host, centre - _RIB_FADE_MM, centre + _RIB_FADE_MM)
    shape = [s.stop - s.start for s in box]
    index = np.moveaxis(np.indices(shape), 0, -1)
    offset = world_of((index + [s.start for s in box]).reshape(-1, 3), host.affine) - centre
    rib = organs.ids[box] == next(i for i, label in organs.names.items() if label == name)
    away = ndimage.distance_transform_edt(~rib, sampling=host.spacing).reshape(-1)
    t = offset @ along
    held = 1 - smoothstep(away, 1.5, _RIB_NEAR_MM)
    held = held * (1 - smoothstep(np.abs(t), 0.4 * _RIB_FADE_MM, _RIB_FADE_MM))
    gap = max(n["gap_mm"], 1.1 * float(host.spacing.max()))
    shift = n["step_mm"] * held * smoothstep(t, -0.6 * gap, 0.6 * gap)
    moved = (shift > _LEAST_MM).reshape(shape)
    voxel = np.linalg.inv(host.affine[:3, :3]) @ out_of_line
    limits = np.array(shape)[:, None] - 1
    origins = (index[moved].T - voxel[:, None] * shift[moved.reshape(-1)]).clip(0, limits)
    move = Displacement(moved, origins.astype(np.float32))
    hu = _moved(np.ascontiguousarray(host.hu[box], np.float32), move, noise, plan)
    ids = moved_ids(organs.ids[box], move)
    bone = ids == next(i for i, label in organs.names.items() if label == name)
    t = t.reshape(shape)
    close = ndimage.distance_transform_edt(~bone, sampling=host.spacing) < 1.0
    share = ((0.5 * gap - np.abs(t)) / _BLUR_MM + 0.5).clip(0, 1) * close
    hu = hu + (share * (np.minimum(hu, _SOFT_HU) - hu)).astype(np.float32)
    mask = bone & (np.abs(t) < _RIB_MASK_MM)
    return Changed(box, hu, moved | (share > 0), mask, ids, move) if mask.any() else None


def _moved(hu: np.ndarray, move: Displacement, noise: NoiseModel | None, plan: ExtentPlan) -> np.ndarray:
    """HU of a crop with its tissue moved; without a noise model by the nearest voxel."""
    if noise is not None:
        return moved_hu(hu, move, noise, plan.generator("moved"))
    out = hu.copy()
    i, j, k = np.rint(move.origins).astype(np.int32)
    out[move.moved] = hu[i, j, k]
    return out


def _highest(host: Volume) -> float:
    """Height of the uppermost slice, RAS mm."""
    ends = world_of(np.array([[0, 0, 0], np.array(host.hu.shape) - 1]), host.affine)
    return float(ends[:, 2].max())


def _box(host: Volume, low: np.ndarray, high: np.ndarray) -> location.Box:
    """The voxels between two RAS points, within the volume."""
    inverse = np.linalg.inv(host.affine[:3, :3])
    ends = (np.stack([low, high]) - host.affine[:3, 3]) @ inverse.T
    first = np.maximum(np.floor(ends.min(axis=0)).astype(int), 0)
    last = np.minimum(np.ceil(ends.max(axis=0)).astype(int) + 1, host.hu.shape)
    i, j, k = (slice(int(a), int(max(b, a + 1))) for a, b in zip(first, last, strict=True))
    return i, j, k
