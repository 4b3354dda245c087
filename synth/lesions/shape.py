"""The lesion's surface: star-shaped about the centre, lobed and rough, clipped to the organ, with spicules.

The body and its edge are measured along the ray from the centre: `t` is the scale at which the surface passes a
point, so that one field serves every scale and the scale is solved for by bisection until the mask's longest
diameter in a slice is the planned one. Spicules are thin strands that leave the body; like a reader's outline,
the mask leaves them out.
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
from synth.report.diameters import axial_diameters
from synth.report.location import Box, slice_axis
from synth.types import LabelMap, Volume

_BISECTIONS = 16
_FINEST_MM = 0.65  # sampling within a voxel
_MAX_SAMPLES = 2_500_000
_BONE_HU = 50  # structures at or above it in the label table are bone or cartilage and resist growth
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
    allowed = _allowed(plan, host, organs, box)
    table = surface_table(plan)
    samples = _sample_offsets(plan, host, box)
    fields = [scale_and_distance(plan, table, offsets) for offsets in samples]
    typical, typical_distance = (np.median(np.stack(field), axis=0) for field in zip(*fields, strict=True))
    allowed &= typical_distance <= plan.ball_mm
    centre = tuple(int(c - s.start) for c, s in zip(plan.centre, box, strict=True))
    scale = _solve_scale(plan, host, typical, allowed, centre)
    strands = strands_of(plan, table, scale)
    share = np.zeros(typical.shape, np.float32)
    for offsets, (t, distance) in zip(samples, fields, strict=True):
        share += np.maximum(_edge(t, distance, scale, plan), strand_share(strands, offsets)) / len(fields)
    share = ((share - _EDGE_FLOOR) / (1 - _EDGE_FLOOR)).clip(0, 1) * allowed
    share *= _component(share > 0, centre)
    return Grown(box, _body(typical, scale, allowed, centre), share, (typical / scale).astype(np.float32))


def ball_box(plan: LesionPlan, host: Volume) -> Box:
    """The crop of the host that holds the lesion's ball."""
    reach = np.ceil(plan.ball_mm / host.spacing).astype(int)
    low = np.maximum(np.array(plan.centre) - reach, 0)
    high = np.minimum(np.array(plan.centre) + reach + 1, host.hu.shape)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def _allowed(plan: LesionPlan, host: Volume, organs: LabelMap, box: Box) -> np.ndarray:
    """Where the lesion may grow: its organ, the fat round it when it bulges, soft tissue when it invades."""
    ids = organs.ids[box]
    number = {name: i for i, name in organs.names.items()}
    allowed = np.isin(ids, [number[name] for name in plan.structures if name in number])
    if plan.bulges:
        allowed = with_fat(allowed, host.hu[box], ids)
    if plan.invades:
        bone = {s.name for s in labels.structures() if s.hu_native[0] >= _BONE_HU}
        hard = np.isin(ids, [i for i, name in organs.names.items() if name in bone])
        tissue = allowed | (host.hu[box] > INVADED_HU)
        allowed |= ndimage.binary_closing(tissue, iterations=2) & ~hard  # bridges half-filled voxels at the pleura
    if not allowed[tuple(c - s.start for c, s in zip(plan.centre, box, strict=True))]:
        raise InputError(
            f"plan of {plan.name}: its centre {plan.centre} is not in {' or '.join(plan.structures)} of this host; "
            "plan the lesion again for this label map"
        )
    return allowed


def _sample_offsets(plan: LesionPlan, host: Volume, box: Box) -> list[np.ndarray]:
    """RAS mm from the centre of a lattice of points within every voxel: one (x, y, z, 3) float32 for each."""
    size = np.array([s.stop - s.start for s in box])
    finest = max(_FINEST_MM, float(np.prod(size * host.spacing) / _MAX_SAMPLES) ** (1 / 3))
    parts = np.maximum(np.round(host.spacing / finest), 1).astype(int)
    grid = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij"), axis=-1) - plan.centre
    linear = host.affine[:3, :3]
    within = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5 for n in parts], indexing="ij"), axis=-1)
    return [((grid + shift) @ linear.T).astype(np.float32) for shift in within.reshape(-1, 3)]


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
        return axial_diameters(mask[ndimage.find_objects(mask.view(np.int8))[0]], host.spacing, axis).long_mm

    low, high = 0.0, 2 * plan.ball_mm
    if diameter(high) < plan.size_mm:
        raise InputError(
            f"{plan.name}: {plan.size_mm:.3g} mm does not fit at voxel {plan.centre}, where at most "
            f"{diameter(high):.3g} mm does; plan it again or ask for less"
        )
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if diameter(middle) >= plan.size_mm else (middle, high)
    return high


def _edge(t: np.ndarray, distance: np.ndarray, scale: float, plan: LesionPlan) -> np.ndarray:
    """Share of lesion at points: a Gaussian edge of the planned width across the surface, along the ray."""
    outside_mm = distance * (1 - scale / np.maximum(t, 1e-6))
    return ndtr(-outside_mm / (plan.margin_mm / _WIDTH_OF_SIGMA)).astype(np.float32)
