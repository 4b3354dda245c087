"""The lesion's surface: star-shaped about the centre, lobed and rough, clipped to the organ, with spicules.

The body and its edge are measured along the ray from the centre: `t` is the scale at which the surface passes a
point, so that one field serves every scale and the scale is solved for by bisection until the mask's longest
diameter in a slice is the planned one. Spicules are thin strands that leave the body; like a reader's outline,
the mask leaves them out. A layer along a wall (`synth.lesions.wall`) has another field `t` and the same solution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import ndtr

from synth import labels
from synth.errors import InputError
from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.placement import INVADED_HU, with_fat
from synth.lesions.strands import strand_share, strands_of
from synth.lesions.surface import scale_and_distance, surface_table
from synth.lesions.wall import wall_field
from synth.report.diameters import longest_in_slice
from synth.report.location import Box, slice_axis
from synth.report.location import grown as grown_box
from synth.types import LabelMap, Volume

_LIKELY_SCALE = (0.4, 0.75)  # of the size: where the scale nearly always lies
_SCALE_SHARE = 1e-3  # of the size: how closely the scale is found
_FINEST_MM = 0.65  # sampling within a voxel
_MAX_SAMPLES = 2_500_000
BONE_HU = 50  # structures at or above it in the label table are bone or cartilage and resist growth
_EDGE_FLOOR = 0.03  # shares below are 0, so that the edge ends
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
    return _grow_wall(plan, host, organs, box, allowed) if plan.wall_mm else _grow_body(plan, host, box, allowed)


def _grow_body(plan: LesionPlan, host: Volume, box: Box, allowed: np.ndarray) -> Grown:
    table = surface_table(plan)
    samples = _sample_offsets(plan, host, box)
    fields = [scale_and_distance(plan, table, offsets) for offsets in samples]
    typical, typical_distance = (np.median(np.stack(field), axis=0) for field in zip(*fields, strict=True))
    allowed &= typical_distance <= plan.ball_mm
    centre = _centre_in(plan, box)
    scale = _solve_scale(plan, host, typical, allowed, centre)
    strands = strands_of(plan, table, scale)
    share = np.zeros(typical.shape, np.float32)
    for offsets, (t, distance) in zip(samples, fields, strict=True):
        share += np.maximum(_edge(t, distance, scale, plan), strand_share(strands, offsets)) / len(fields)
    share = _ended(share, allowed, centre)
    return Grown(box, _body(typical, scale, allowed, centre), share, (typical / scale).astype(np.float32))


def _grow_wall(plan: LesionPlan, host: Volume, organs: LabelMap, box: Box, allowed: np.ndarray) -> Grown:
    """A layer along the wall; its edge is a Gaussian blur of the mask, which has no rays to measure it along."""
    offsets = offsets_mm(plan, host.affine, box)
    allowed &= np.linalg.norm(offsets, axis=-1) <= plan.ball_mm
    centre = _centre_in(plan, box)
    t = wall_field(plan, np.isin(organs.ids[box], _numbers(plan, organs)), host.spacing, offsets)
    scale = _solve_scale(plan, host, t, allowed, centre)
    mask = _body(t, scale, allowed, centre)
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), plan.margin_mm / _WIDTH_OF_SIGMA / host.spacing)
    weight = ndimage.gaussian_filter(allowed.astype(np.float32), plan.margin_mm / _WIDTH_OF_SIGMA / host.spacing)
    share = _ended(np.minimum(blurred / np.maximum(weight, 0.05), 1), allowed, centre)  # no edge where the organ ends
    return Grown(box, mask, share, (t / scale).clip(0, 10).astype(np.float32))


def _ended(share: np.ndarray, allowed: np.ndarray, centre: tuple[int, ...]) -> np.ndarray:
    """Shares that end: small ones are 0, as is what is not allowed or not connected to the centre."""
    share = ((share - _EDGE_FLOOR) / (1 - _EDGE_FLOOR)).clip(0, 1) * allowed
    return (share * _component(share > 0, centre)).astype(np.float32)


def _centre_in(plan: LesionPlan, box: Box) -> tuple[int, int, int]:
    i, j, k = (int(c - s.start) for c, s in zip(plan.centre, box, strict=True))
    return i, j, k


def _numbers(plan: LesionPlan, organs: LabelMap) -> list[int]:
    return [number for number, name in organs.names.items() if name in plan.structures]


def ball_box(plan: LesionPlan, host: Volume) -> Box:
    """The crop of the host that holds the lesion's ball."""
    reach = np.ceil(plan.ball_mm / host.spacing).astype(int)
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


def offsets_mm(plan: LesionPlan, affine: np.ndarray, box: Box) -> np.ndarray:
    """RAS mm from the lesion's centre to every voxel of a crop, (x, y, z, 3) float32."""
    axes = [np.arange(s.start, s.stop) - c for s, c in zip(box, plan.centre, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return (grid @ affine[:3, :3].T).astype(np.float32)


def _sample_offsets(plan: LesionPlan, host: Volume, box: Box) -> list[np.ndarray]:
    """RAS mm from the centre of a lattice of points within every voxel: one (x, y, z, 3) float32 for each."""
    size = np.array([s.stop - s.start for s in box])
    finest = max(_FINEST_MM, float(np.prod(size * host.spacing) / _MAX_SAMPLES) ** (1 / 3))
    parts = np.maximum(np.round(host.spacing / finest), 1).astype(int)
    grid = offsets_mm(plan, host.affine, box)
    within = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5 for n in parts], indexing="ij"), axis=-1)
    return [grid + (host.affine[:3, :3] @ shift).astype(np.float32) for shift in within.reshape(-1, 3)]


def _component(mask: np.ndarray, centre: tuple[int, ...]) -> np.ndarray:
    """The connected part of a mask that holds the centre."""
    parts, _ = ndimage.label(mask)
    return mask & (parts == parts[centre])


def _body(t: np.ndarray, scale: float, allowed: np.ndarray, centre: tuple[int, ...]) -> np.ndarray:
    """The mask at a scale; the centre belongs to it at every scale."""
    mask = (t <= scale) & allowed
    mask[centre] = True
    return _component(mask, centre)


def _solve_scale(plan: LesionPlan, host: Volume, t: np.ndarray, allowed: np.ndarray, centre: tuple[int, ...]) -> float:
    """The smallest scale at which the longest diameter in a slice is the planned size or more, by bisection."""
    axis = slice_axis(host.affine)

    def diameter(scale: float) -> float:
        mask = _body(t, scale, allowed, centre)
        return longest_in_slice(mask[ndimage.find_objects(mask.view(np.int8))[0]], host.spacing, axis)[1]

    low, high = _LIKELY_SCALE[0] * plan.size_mm, _LIKELY_SCALE[1] * plan.size_mm
    if diameter(low) >= plan.size_mm:
        low = 0.0
    if diameter(high) < plan.size_mm:
        low, high = high, 2 * plan.ball_mm
        if diameter(high) < plan.size_mm:
            raise InputError(
                f"{plan.name}: {plan.size_mm:.3g} mm does not fit at voxel {plan.centre}, where at most "
                f"{diameter(high):.3g} mm does; plan it again or ask for less"
            )
    while high - low > _SCALE_SHARE * plan.size_mm:
        middle = (low + high) / 2
        low, high = (low, middle) if diameter(middle) >= plan.size_mm else (middle, high)
    return high


def _edge(t: np.ndarray, distance: np.ndarray, scale: float, plan: LesionPlan) -> np.ndarray:
    """Share of lesion at points: a Gaussian edge of the planned width across the surface, along the ray."""
    outside_mm = distance * (1 - scale / np.maximum(t, 1e-6))
    return ndtr(-outside_mm / (plan.margin_mm / _WIDTH_OF_SIGMA)).astype(np.float32)
