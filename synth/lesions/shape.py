"""The lesion's surface: star-shaped about the centre, lobed and rough, clipped to the organ, with spicules.

The body and its edge are measured along the ray from the centre: `t` is the scale at which the surface passes a
point, so that one field serves every scale and the scale is solved for (`synth.lesions.body`). Voxels that the surface
or a spicule may cross are sampled more finely. Spicules are thin strands that leave the body; like a reader's outline,
the mask leaves them out. A layer along a wall (`synth.lesions.wall`) has another field `t` and the same solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import ndtr

from synth.errors import InputError
from synth.lesions.body import body_at, bounds, component, solve_scale
from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.placement import INVADED_HU, with_fat
from synth.lesions.strands import Strand, near_strands, reach_mm, strand_shares, strands_of
from synth.lesions.surface import length, scale_and_distance, surface_table, waves_at
from synth.lesions.wall import FAR, pool_field, wall_field
from synth.report.location import Box, slice_axis
from synth.report.location import grown as grown_box
from synth.volumes import labels
from synth.volumes.types import LabelMap, Volume

_FINEST_MM = 0.65  # sampling within a voxel
BONE_HU = 50  # structures at or above it in the label table are bone or cartilage and resist growth
_EDGE_MM = 3.0  # how far the widest usual edge reaches beyond the surface
_EDGE_FLOOR = 0.03  # shares below are 0, so that the edge ends
_EDGE_INSIDE, _EDGE_OUTSIDE = 3.0, 2.0  # SDs from the surface where the edge has set in; the floor is at 1.9
_HAZE_WIDTH, _HAZE_REACH = 2.5, 1.6  # SDs of the wider part of an edge, and how much further it reaches, of the rest's
_PLEURA_VOXELS, _PLEURA_HU = 2, -150.0  # between lung and chest wall: half-filled voxels that the label leaves out
_STEEPNESS = 2.5  # mm along the ray for a mm of way, at most: the surface is slanted to it
_WIDTH_OF_SIGMA = 2.5631  # 10-90% width of a Gaussian edge


@dataclass(frozen=True)
class Grown:
    """A lesion on a crop of the host's grid.

    box: the crop, slices of the host's axes.
    mask: (x, y, z) boolean, the body.
    share: (x, y, z) float32 from 0 to 1, how much of each voxel is lesion, its soft edge and spicules included.
    depth: (x, y, z) float32, 0 at the centre, 1 at the surface.
    """

    box: Box
    mask: np.ndarray
    share: np.ndarray
    depth: np.ndarray


def grow(plan: LesionPlan, host: Volume, organs: LabelMap) -> Grown:
    """Grow a planned lesion in its host. Raises InputError where the organ holds no lesion of the planned size."""
    box = ball_box(plan, host)
    if plan.wall_mm:
        box = _cut_to(box, _numbers(plan, organs), organs, host, plan.wall_mm)
    allowed = _allowed(plan, host, organs, box)
    return (
        _grow_wall(plan, host, organs, box, allowed) if plan.wall_mm else _grow_body(plan, host, organs, box, allowed)
    )


def _grow_body(plan: LesionPlan, host: Volume, organs: LabelMap, box: Box, allowed: np.ndarray) -> Grown:
    table = surface_table(plan)
    offsets = offsets_mm(plan, host.affine, box)
    t, distance = scale_and_distance(plan, table, offsets)
    allowed &= distance <= plan.ball_mm
    centre = _centre_in(plan, box)
    scale = solve_scale(plan, host, t, allowed, centre)
    strands = strands_of(plan, table, scale)
    mask = body_at(t, scale, allowed, centre)
    share = np.zeros(t.shape, np.float32)
    near = _near(plan, host, (t <= scale) & allowed, strands)
    share[near] = _share(plan, host, table, scale, strands, offsets[:, *near], t[near], distance[near])
    paintable = with_pleura(plan, host, organs, box, allowed) & (distance <= plan.ball_mm)
    return Grown(box, mask, _ended(share, paintable, centre), t / np.float32(scale))


def _near(plan: LesionPlan, host: Volume, mask: np.ndarray, strands: Sequence[Strand]) -> Box:
    """The part of the crop that a body's edge and its spicules can reach."""
    spicules = max((spicule.length + reach_mm(spicule) for spicule, _ in strands), default=0.0)
    edge = _EDGE_OUTSIDE * plan.margin_mm / _WIDTH_OF_SIGMA
    return grown_box(bounds(mask), mask.shape, host.spacing, edge + spicules + _slack(_shifts(host)))


def _slack(shifts: np.ndarray) -> float:
    """How much further outside, in mm along the ray, a point within a voxel can be than the voxel's centre."""
    return _STEEPNESS * float(np.linalg.norm(shifts, axis=1).max())


def _share(
    plan: LesionPlan,
    host: Volume,
    table: np.ndarray,
    scale: float,
    strands: Sequence[Strand],
    offsets: np.ndarray,
    t: np.ndarray,
    distance: np.ndarray,
) -> np.ndarray:
    """How much of each voxel is lesion before its edge is ended, (x, y, z) float32.

    The mean over a lattice of points in those voxels that the surface or a spicule may cross, else at the centre.
    `t` and `distance`, (x, y, z), are what `scale_and_distance` makes of `offsets`, (3, x, y, z).
    """
    sigma = np.float32(plan.margin_mm / _WIDTH_OF_SIGMA)
    shifts = _shifts(host)
    outside_mm = _outside_mm(t, distance, scale)
    beyond = _EDGE_OUTSIDE * sigma * (_HAZE_REACH if plan.haze else 1.0) + 2 * plan.ragged_mm
    some = outside_mm < _slack(shifts) + beyond
    sampled = some & (outside_mm > -_slack(shifts) - _EDGE_INSIDE * sigma - 2 * plan.ragged_mm)
    sampled |= near_strands(strands, offsets, distance, _slack(shifts), host.affine[:3, :3])
    share = np.zeros(t.shape, np.float32)
    share[some] = _edge(plan, outside_mm[some], sigma)
    at = np.flatnonzero(sampled)
    points, total = offsets.reshape(3, -1)[:, at], np.zeros(len(at), np.float32)
    aside = plan.ragged_mm * waves_at(plan, points, "ragged") if plan.ragged_mm else np.float32(0)
    spiky = strand_shares(strands, points, shifts) if strands else None
    for number, shift in enumerate(shifts):
        within = points + shift[:, None]
        edge = _edge(plan, _outside_mm(*scale_and_distance(plan, table, within), scale) + aside, sigma)
        total += edge if spiky is None else np.maximum(edge, spiky[number])
    share.ravel()[at] = total / len(shifts)
    return share


def _edge(plan: LesionPlan, outside_mm: np.ndarray, sigma: np.float32) -> np.ndarray:
    """How much is lesion so far outside its surface: a Gaussian edge, a part of it wider on the outside."""
    sharp: np.ndarray = ndtr(-outside_mm / sigma)
    if not plan.haze:
        return sharp
    return sharp + plan.haze * (ndtr(-outside_mm / (_HAZE_WIDTH * sigma)) - sharp).clip(0)


def _outside_mm(t: np.ndarray, distance: np.ndarray, scale: float) -> np.ndarray:
    """mm along the ray from the surface at a scale outwards to points."""
    return distance * (1 - np.float32(scale) / np.maximum(t, 1e-6))


def _grow_wall(plan: LesionPlan, host: Volume, organs: LabelMap, box: Box, allowed: np.ndarray) -> Grown:
    """A layer along the wall; its edge is a Gaussian blur of the mask, which has no rays to measure it along."""
    offsets = offsets_mm(plan, host.affine, box)
    allowed &= length(offsets) <= plan.ball_mm
    centre = _centre_in(plan, box)
    organ = np.isin(organs.ids[box], _numbers(plan, organs))
    if plan.pools:
        allowed = with_pleura(plan, host, organs, box, allowed)  # fluid reaches the wall, without a line of air
        t = pool_field(plan, organ, host.spacing, offsets, slice_axis(host.affine))
    else:
        t = wall_field(plan, organ, host.spacing, offsets)
    scale = (
        solve_scale(plan, host, t, allowed, centre) if plan.volume_ml is None else _of_volume(plan, host, t, allowed)
    )
    mask = body_at(t, scale, allowed, centre)
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), plan.margin_mm / _WIDTH_OF_SIGMA / host.spacing)
    weight = ndimage.gaussian_filter(allowed.astype(np.float32), plan.margin_mm / _WIDTH_OF_SIGMA / host.spacing)
    share = _ended(np.minimum(blurred / np.maximum(weight, 0.05), 1), allowed, centre)  # no edge where the organ ends
    return Grown(box, mask, share, (t / scale).clip(0, 10).astype(np.float32))


def _of_volume(plan: LesionPlan, host: Volume, t: np.ndarray, allowed: np.ndarray) -> float:
    """The scale at which fluid has the planned volume. Raises InputError where there is no room for it."""
    values = t[allowed & (t < FAR)]
    wanted = max(round((plan.volume_ml or 0.0) / host.voxel_ml), 1)
    if wanted >= len(values):
        room = len(values) * host.voxel_ml
        raise InputError(f"{plan.name} of {plan.volume_ml:.0f} mL: there is room for about {room:.0f} mL; ask for less")
    return float(np.partition(values, wanted)[wanted])


def _ended(share: np.ndarray, allowed: np.ndarray, centre: tuple[int, ...]) -> np.ndarray:
    """Shares that end: small ones are 0, as is what is not allowed or not connected to the centre."""
    share = ((share - _EDGE_FLOOR) / (1 - _EDGE_FLOOR)).clip(0, 1) * allowed
    return (share * component(share > 0, centre)).astype(np.float32)


def _centre_in(plan: LesionPlan, box: Box) -> tuple[int, int, int]:
    i, j, k = (int(c - s.start) for c, s in zip(plan.centre, box, strict=True))
    return i, j, k


def _numbers(plan: LesionPlan, organs: LabelMap) -> list[int]:
    return [number for number, name in organs.names.items() if name in plan.structures]


def ball_box(plan: LesionPlan, host: Volume) -> Box:
    """The crop of the host that holds the lesion's ball."""
    return _box_about(plan, host, plan.ball_mm)


def painted_box(plan: LesionPlan, grown: Grown, host: Volume) -> Box:
    """The part of a grown lesion's crop that its share lies in; the crop itself for a layer along a wall.

    Known from size and surface, not from where the share ends, so that the noise fields that are drawn on it stay the
    same when another width of the edge or another attenuation is asked for.
    """
    body = 0.5 * plan.size_mm * (1 + plan.lobe_depth + 3 * plan.roughness)
    strands = max(plan.spicule_mm, plan.attached_mm if plan.attached else 0.0)
    near = _box_about(plan, host, body + strands + _EDGE_MM + float(np.linalg.norm(host.spacing)) / 2)
    i, j, k = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(near, grown.box, strict=True))
    within = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip((i, j, k), grown.box, strict=True))
    holds_all = np.count_nonzero(grown.share[within]) == np.count_nonzero(grown.share)
    return (i, j, k) if holds_all and not plan.wall_mm else grown.box


def _box_about(plan: LesionPlan, host: Volume, radius_mm: float) -> Box:
    reach = np.ceil(radius_mm / host.spacing).astype(int)
    low = np.maximum(np.array(plan.centre) - reach, 0)
    high = np.minimum(np.array(plan.centre) + reach + 1, host.hu.shape)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def _cut_to(box: Box, numbers: list[int], organs: LabelMap, host: Volume, by_mm: float) -> Box:
    """The part of a box that holds the structures with some room round them."""
    parts = ndimage.find_objects(np.isin(organs.ids[box], numbers).view(np.uint8))
    if not parts:
        return box
    i, j, k = (slice(b.start + p.start, b.start + p.stop) for b, p in zip(box, parts[0], strict=True))
    wide = grown_box((i, j, k), host.hu.shape, host.spacing, by_mm)
    i, j, k = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, wide, strict=True))
    return i, j, k


def _allowed(plan: LesionPlan, host: Volume, organs: LabelMap, box: Box) -> np.ndarray:
    """Where the lesion may grow: its organ, the fat round it when it bulges, soft tissue when it invades."""
    ids = organs.ids[box]
    allowed = np.isin(ids, _numbers(plan, organs))
    if len(plan.structures) > 1:
        allowed |= ndimage.binary_closing(allowed, iterations=2) & (ids == 0)  # fissures and vessels between lobes
    if plan.bulges:
        allowed = with_fat(allowed, host.hu[box], ids)
    if plan.invades:
        bone = {s.name for s in labels.structures() if s.hu_native[0] >= BONE_HU}
        hard = np.isin(ids, [i for i, name in organs.names.items() if name in bone])
        tissue = allowed | (host.hu[box] > INVADED_HU)
        allowed |= ndimage.binary_closing(tissue, iterations=2) & ~hard  # bridges half-filled voxels at the pleura
    if not allowed[tuple(c - s.start for c, s in zip(plan.centre, box, strict=True))]:
        raise InputError(
            f"plan of {plan.name}: its centre {plan.centre} is not in {' or '.join(plan.structures)} of this host; "
            "plan the lesion again for this label map"
        )
    return allowed


def with_pleura(plan: LesionPlan, host: Volume, organs: LabelMap, box: Box, allowed: np.ndarray) -> np.ndarray:
    """Where a body may be painted, (x, y, z) boolean: also in the half-filled voxels between the lung's label and the
    chest wall, or a line of air would part a nodule from the pleura that it lies at."""
    if not any(name.startswith("lung") for name in plan.structures):
        return allowed
    ids = organs.ids[box]
    air = np.isin(ids, [i for i, name in organs.names.items() if name.startswith(("lung", "trachea"))])
    wide = ndimage.binary_dilation(allowed, iterations=_PLEURA_VOXELS)
    return np.asarray(allowed | (wide & ~air & (host.hu[box] < _PLEURA_HU)))


def offsets_mm(plan: LesionPlan, affine: np.ndarray, box: Box) -> np.ndarray:
    """RAS mm from the lesion's centre to every voxel of a crop, (3, x, y, z) float32."""
    axes = [np.arange(s.start, s.stop, dtype=np.float32) - c for s, c in zip(box, plan.centre, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    out: np.ndarray = affine[:3, :3].astype(np.float32) @ grid.reshape(3, -1)
    return out.reshape(grid.shape)


def _shifts(host: Volume) -> np.ndarray:
    """RAS mm from a voxel's centre to a lattice of points within it, (N, 3) float32."""
    parts = np.maximum(np.round(host.spacing / _FINEST_MM), 1).astype(int)
    within = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5 for n in parts], indexing="ij"), axis=-1)
    return (within.reshape(-1, 3) @ host.affine[:3, :3].T).astype(np.float32)
