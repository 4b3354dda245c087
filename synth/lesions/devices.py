"""Medical material: lines, ports, pacemakers and chest tubes along the courses that they take in labelled hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.calcium import coronaries
from synth.lesions.changed import Changed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.paths import centreline, smooth_curve
from synth.lesions.tubes import Tube, near_tubes
from synth.report.location import Box
from synth.report.noise import NoiseModel
from synth.volumes.geometry import world_of
from synth.volumes.types import HU_MAX, LabelMap, Volume

_BLUR_MM = 0.8
_MASK_SHARE = 0.4
_CORNER_MM = 9.0
_SKIN_HU = -300
_DEEP_MM = 14.0  # of the middle of a generator or port beneath the skin


def central_line(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """A catheter from the neck through the right brachiocephalic vein to where the upper vena cava ends."""
    course = smooth_curve(np.concatenate([_neck(host, organs), _cava(plan, organs)]))
    return _tubes(plan, host, [Tube(course, plan.numbers["radius_mm"])])


def port(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """A reservoir beneath the skin of the right chest, and its catheter over the clavicle into the upper vena cava."""
    pocket, out = _pocket(host, organs, "right")
    over = _over_clavicle(organs, "right")
    course = smooth_curve(
        np.concatenate([[pocket], [pocket + 0.35 * (over - pocket) + 4 * out], [over], _cava(plan, organs)])
    )
    n = plan.numbers
    body = _Body(pocket, out, (n["size_mm"], n["size_mm"], n["thick_mm"]), is_round=True)
    return _tubes(plan, host, [Tube(course, n["radius_mm"])], body)


def pacemaker(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """A generator beneath the skin of the left chest, leads to the right atrium and the tip of the right ventricle."""
    pocket, out = _pocket(host, organs, "left")
    vein = centreline(organs, "brachiocephalic_vein_left", 0, 8.0)
    if not len(vein):
        raise _lacks(plan, "brachiocephalic_vein_left")
    start = [pocket, pocket + 0.4 * (vein[0] - pocket) + 6 * out]
    cava = _cava(plan, organs)
    heart = world_of(np.argwhere(organs.mask("heart")), host.affine)
    if not len(heart):
        raise _lacks(plan, "heart")
    _, (lad, *_) = coronaries(host, organs)
    low, high = heart.min(axis=0), heart.max(axis=0)
    cavity = cava[-1] + [-2.0, 2.0, -18.0]
    atrium = cava[-1] + [4.0, 10.0, -14.0]
    apex = lad[-1] + 0.22 * (heart.mean(axis=0) - lad[-1]) + [6.0, 0.0, -4.0]
    valve = 0.5 * (cavity + apex) + [6.0, 6.0, -0.1 * (high[2] - low[2])]
    ventricular = smooth_curve(np.concatenate([start, vein, cava, [cavity, valve, apex]]))
    atrial = smooth_curve(
        np.concatenate([np.array(start) + [2.0, 0, -2.0], vein + [1.0, 1.0, -1.5], cava + [1.5, 1.0, 0], [atrium]])
    )
    n = plan.numbers
    body = _Body(pocket, out, (n["size_mm"], 0.9 * n["size_mm"], n["thick_mm"]), is_round=False)
    return _tubes(plan, host, [Tube(ventricular, n["radius_mm"]), Tube(atrial, n["radius_mm"])], body)


def chest_tube(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """A wide tube from the side of the chest between two ribs, up the pleural space to its top."""
    side = "left" if any("left" in s.split("_") for s in plan.structures) else "right"
    names = [
        n for n in organs.names.values() if n.startswith("lung") and n != "lung_nodule" and (side in n or n == "lung")
    ]
    lung = organs.mask(*names)
    if not lung.any():
        raise _lacks(plan, f"lung_{side}")
    points = world_of(np.argwhere(ndimage.binary_erosion(lung, iterations=4)), host.affine)
    low, high = np.quantile(points, [0.01, 0.99], axis=0)
    sign = -1.0 if side == "left" else 1.0  # RAS: right is +x
    level = low[2] + plan.numbers["level"] * (high[2] - low[2])
    middle_y = low[1] + 0.45 * (high[1] - low[1])
    entry_z = _between_ribs(organs, side, level, middle_y)

    def at(z: float, y: float) -> np.ndarray:
        near = points[(np.abs(points[:, 2] - z) < 5) & (np.abs(points[:, 1] - y) < 8)]
        near = near if len(near) else points
        return np.asarray(near[(sign * near[:, 0]).argmax()])

    inner = at(entry_z, middle_y)
    skin = inner + [sign * plan.numbers["wall_mm"], -4.0, -14.0]
    waypoints = [skin, inner + [sign * 8.0, 0, -4.0], inner]
    for share in (0.35, 0.7, 0.95):
        z = entry_z + share * (high[2] - 8 - entry_z)
        waypoints.append(at(z, middle_y - share * 0.25 * (high[1] - low[1])))
    return _tubes(plan, host, [Tube(smooth_curve(np.array(waypoints)), plan.numbers["radius_mm"])])


@dataclass(frozen=True)
class _Body:
    """A flat box, or disc, that faces out of the body: middle, direction, size across, along and through, mm."""

    centre: np.ndarray
    out: np.ndarray
    size_mm: tuple[float, float, float]
    is_round: bool

    def cover(self, points: np.ndarray) -> np.ndarray:
        """How much of a voxel at RAS points (N, 3) it takes."""
        across = np.cross(self.out, [0.0, 0.0, 1.0])
        across /= np.linalg.norm(across)
        local = np.abs((points - self.centre) @ np.stack([across, np.cross(self.out, across), self.out]).T)
        half = 0.5 * np.array(self.size_mm)
        flat = ((half[2] - local[:, 2]) / _BLUR_MM + 0.5).clip(0, 1)
        corner = half[0] if self.is_round else _CORNER_MM
        wide = corner - np.linalg.norm(np.maximum(local[:, :2] - (half[:2] - corner), 0), axis=1)
        return np.asarray(flat * (wide / _BLUR_MM + 0.5).clip(0, 1))


def _tubes(plan: ExtentPlan, host: Volume, tubes: Sequence[Tube], body: _Body | None = None) -> Changed:
    """The host with tubes, hollow where they have a lumen, and a solid body of metal."""
    n = plan.numbers
    near = near_tubes(host, tubes, 2.0)
    if near is None:
        raise InputError(f"{plan.kind}: its course lies outside this CT; leave it out")
    share = near.cover(near.radius, _BLUR_MM)
    target = np.full(share.shape, n["wall_hu"])
    if n.get("lumen", 0.0) > 0:
        target = target + near.cover(near.radius * n["lumen"], _BLUR_MM) * (n["lumen_hu"] - target)
    pieces = [(near.box, near.full(share), near.full(target))]
    if body is not None:
        about = near_tubes(host, [Tube(body.centre[None] + [[0, 0, 0], [0, 0, 0.1]], 0.75 * max(body.size_mm))], 0.0)
        if about is not None:
            points = world_of(np.argwhere(about.where) + [s.start for s in about.box], host.affine)
            metal = np.full(len(points), n["metal_hu"])
            pieces.append((about.box, about.full(body.cover(points)), about.full(metal)))
    return _joined(host, pieces)


def _joined(host: Volume, pieces: Sequence[tuple[Box, np.ndarray, np.ndarray]]) -> Changed:
    """The host with pieces, each a crop, its share and its HU, the later over the earlier."""
    i, j, k = (slice(min(box[a].start for box, *_ in pieces), max(box[a].stop for box, *_ in pieces)) for a in range(3))
    out = np.ascontiguousarray(host.hu[i, j, k], np.float32)
    touched, mask = np.zeros(out.shape, bool), np.zeros(out.shape, bool)
    for box, share, target in pieces:
        x, y, z = (slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, (i, j, k), strict=True))
        out[x, y, z] += share * (target - out[x, y, z])
        touched[x, y, z] |= share > 0
        mask[x, y, z] |= share > _MASK_SHARE
    return Changed((i, j, k), np.minimum(out, HU_MAX), touched, mask, None)


def _cava(plan: ExtentPlan, organs: LabelMap) -> np.ndarray:
    """The middle of the upper vena cava from top to bottom, (N, 3) RAS mm."""
    line = centreline(organs, "superior_vena_cava", 2)
    if len(line) < 2:
        raise _lacks(plan, "superior_vena_cava")
    return line[::-1]


def _neck(host: Volume, organs: LabelMap) -> np.ndarray:
    """From the top of the volume or the neck down to the upper vena cava, (N, 3) RAS mm."""
    vein = centreline(organs, "brachiocephalic_vein_right", 2)[::-1]
    if not len(vein):
        vein = centreline(organs, "superior_vena_cava", 2)[-1:] + [4.0, 4.0, 20.0]
    top = float(np.max(world_of(np.array([[0, 0, 0], np.array(host.hu.shape) - 1]), host.affine)[:, 2]))
    up = max(min(top - vein[0][2], 70.0), 0.0)
    start = vein[0] + np.array([[8.0, 6.0, up]])
    return np.concatenate([start, vein]) if up > 8 else vein


def _over_clavicle(organs: LabelMap, side: str) -> np.ndarray:
    """A point above and in front of the inner third of a clavicle."""
    clavicle = centreline(organs, f"clavicula_{side}", 0, 10.0)
    sign = -1.0 if side == "left" else 1.0
    if not len(clavicle):
        cava = centreline(organs, "superior_vena_cava", 2)
        return cava[-1] + [sign * 35.0, 25.0, 25.0]
    inner = clavicle[np.argsort(sign * clavicle[:, 0])][len(clavicle) // 3]
    return np.asarray(inner + [0.0, 6.0, 12.0])


def _pocket(host: Volume, organs: LabelMap, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Where a generator lies beneath the skin of the chest, RAS mm, and the direction out of the body there."""
    clavicle = centreline(organs, f"clavicula_{side}", 0, 10.0)
    sign = -1.0 if side == "left" else 1.0
    cava = centreline(organs, "superior_vena_cava", 2)
    if len(clavicle):
        below = clavicle[np.argsort(sign * clavicle[:, 0])][len(clavicle) // 2] + [0.0, 0.0, -42.0]
    else:
        below = cava[-1] + [sign * 70.0, 0.0, -20.0]
    inverse = np.linalg.inv(host.affine[:3, :3])
    i, j, k = np.rint(inverse @ (below - host.affine[:3, 3])).astype(int).clip(0, np.array(host.hu.shape) - 1)
    patch = host.hu[max(i - 4, 0) : i + 5, :, k]
    body = ndimage.binary_opening(patch > _SKIN_HU, iterations=2)
    column = np.flatnonzero(body.any(axis=0))
    if not len(column):
        raise InputError(f"device of the chest: no chest wall is seen where it would lie on the {side}; leave it out")
    ends = world_of(np.array([[i, column.min(), k], [i, column.max(), k]]), host.affine)
    skin = ends[ends[:, 1].argmax()]
    out = np.array([0.25 * sign, 0.95, 0.0])
    out /= np.linalg.norm(out)
    return skin - _DEEP_MM * out, out


def _between_ribs(organs: LabelMap, side: str, level: float, y: float) -> float:
    """The height near `level` that is farthest from ribs at the side of the chest."""
    heights = []
    for number in range(3, 11):
        index = np.argwhere(organs.mask(f"rib_{side}_{number}"))
        if len(index):
            rib = world_of(index, organs.affine)
            near = rib[np.abs(rib[:, 1] - y) < 10]
            heights += [float(near[:, 2].mean())] if len(near) else []
    heights = sorted(heights)
    gaps = [(0.5 * (a + b)) for a, b in zip(heights, heights[1:], strict=False)]
    return min(gaps, key=lambda z: abs(z - level)) if gaps else level


def _lacks(plan: ExtentPlan, name: str) -> InputError:
    return InputError(f"{plan.kind.replace('_', ' ')}: the label map has no {name}; label it, or leave the finding out")
