"""The body of a lesion: the connected mask at a scale, and the scale at which it has the planned size.

`t` is the scale at which the surface passes each voxel (`synth.lesions.surface`, `synth.lesions.wall`), so the mask
grows with the scale, which is found by bisection until the mask's longest diameter in a slice is the planned one.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.lesion_plan import LesionPlan
from synth.report.diameters import longest_in_slice, reaches_in_slice
from synth.report.location import Box, slice_axis
from synth.volumes.types import Volume

_LIKELY_SCALE = (0.4, 0.75)  # of the size: where the scale nearly always lies
_SCALE_SHARE = 1e-3  # of the size: how closely the scale is found


def component(mask: np.ndarray, centre: tuple[int, ...]) -> np.ndarray:
    """The connected part of a mask that holds the centre."""
    if not mask[centre]:
        return np.zeros_like(mask)
    box = bounds(mask)
    parts, _ = ndimage.label(mask[box])
    out = np.zeros_like(mask)
    out[box] = parts == parts[tuple(c - s.start for c, s in zip(centre, box, strict=True))]
    out &= mask
    return out


def bounds(mask: np.ndarray) -> Box:
    """The smallest box that holds a mask (X, Y, Z) that is not empty."""
    found = []
    for axis in range(3):
        there = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        found.append(slice(int(there[0]), int(there[-1]) + 1))
    i, j, k = found
    return i, j, k


def body_at(t: np.ndarray, scale: float, allowed: np.ndarray, centre: tuple[int, ...]) -> np.ndarray:
    """The mask at a scale; the centre belongs to it at every scale."""
    mask = (t <= scale) & allowed
    mask[centre] = True
    return component(mask, centre)


def solve_scale(plan: LesionPlan, host: Volume, t: np.ndarray, allowed: np.ndarray, centre: tuple[int, ...]) -> float:
    """The smallest scale at which the longest diameter in a slice is the planned size or more, by bisection."""
    axis = slice_axis(host.affine)
    low, high = (share * plan.size_mm for share in _LIKELY_SCALE)
    likely = body_at(t, high, allowed, centre)
    if not reaches_in_slice(likely, host.spacing, axis, plan.size_mm):
        low, high = high, 2 * plan.ball_mm
        likely = body_at(t, high, allowed, centre)
        if not reaches_in_slice(likely, host.spacing, axis, plan.size_mm):
            largest = longest_in_slice(likely, host.spacing, axis)[1]
            raise InputError(
                f"{plan.name}: {plan.size_mm:.3g} mm does not fit at voxel {plan.centre}, where at most "
                f"{largest:.3g} mm does; plan it again or ask for less"
            )
    box = bounds(likely)  # smaller scales lie within
    t, allowed = t[box], allowed[box]
    inner = tuple(c - s.start for c, s in zip(centre, box, strict=True))

    def reaches(scale: float) -> bool:
        parts, _ = ndimage.label((t <= scale) & allowed)
        inside = parts == parts[inner] if parts[inner] else np.zeros_like(allowed)
        return reaches_in_slice(inside, host.spacing, axis, plan.size_mm)

    if low < high and reaches(low):
        low = 0.0
    while high - low > _SCALE_SHARE * plan.size_mm:
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high
