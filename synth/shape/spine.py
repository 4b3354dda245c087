"""The spine of a deformed mean patient: a line along the cord, volumes read along it, and vertebrae painted on it.

A mean over patients has no single vertebra: each patient's stand somewhere else. Read along the cord, straightened,
they are a row of stripes, which `synth.shape.vertebrae` lays one over another; their mean is a pattern of vertebrae,
and where it lies on a patient's own line is a curve of few modes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates
from scipy.spatial import cKDTree

from synth.regions import Frame, Region

STEP_MM = 2.0  # along the line
LENGTH = 150  # positions along the line, from the skull base down
FRONT_MM = np.arange(-45.0, 25.0, 3.0)  # to the front of the line
SIDE_MM = np.arange(-26.0, 27.0, 4.0)
SHAPE = (LENGTH, len(FRONT_MM), len(SIDE_MM))

_ORGANS_SPACING_MM = 8.0
_LOWEST_MM = 8.0
_CORD_LEAST = 0.5  # voxels of cord in a slice that counts
_DEGREE = 5
_SMOOTH = 5.0  # steps
_FADE = (8, 3, 3)  # steps over which a painted pattern ends


@dataclass(frozen=True)
class Line:
    """Points from the top down, 2 mm apart, and unit vectors along, to the front and to the side: (3, n) each, mm
    from the frame's lower corner."""

    points: np.ndarray
    along: np.ndarray
    front: np.ndarray
    side: np.ndarray


def cord_curve(cord: np.ndarray, region: Region) -> np.ndarray | None:
    """(3, n) mm from the frame's lower corner, from the top down: a smooth line through the mean cord; None where
    hardly any cord was annotated, or the region has no spine.

    Args:
        cord: (X, Y, Z) fraction of spinal cord of the mean patient at 8 mm.
    """
    if region.spine is None:
        return None
    top = region.spine.top_mm - region.frame.lower_mm[2]  # above the frame's floor: the foramen magnum
    weight = cord.sum(axis=(0, 1))
    behind = (np.arange(cord.shape[1]) + 0.5) * _ORGANS_SPACING_MM
    height = (np.arange(cord.shape[2]) + 0.5) * _ORGANS_SPACING_MM
    seen = (weight > _CORD_LEAST) & (height < top + 16)
    if seen.sum() < 2 * _DEGREE:
        return None
    centre = np.einsum("xyz,y->z", cord, behind)[seen] / weight[seen]
    curve = np.polynomial.Polynomial.fit(height[seen], centre, _DEGREE)
    z = np.arange(top, _LOWEST_MM, -1.0)
    inside = np.clip(z, height[seen].min(), height[seen].max())
    y = curve(inside) + curve.deriv()(inside) * (z - inside)
    return np.stack([np.full_like(z, region.frame.size_mm[0] / 2), y, z])


def carried(curve: np.ndarray, displacement: np.ndarray, frame: Frame) -> Line:
    """The curve of the mean patient where a deformation takes it.

    Args:
        curve: (3, n) mm; displacement: (3, X, Y, Z) mm from mean to patient: `exponential(-velocity)`.
    """
    spacing = frame.size_mm[0] / displacement.shape[1]
    at = curve / spacing - 0.5
    moved = curve + np.stack([map_coordinates(d.astype(float), at, order=1, mode="nearest") for d in displacement])
    moved = gaussian_filter1d(moved, 2 * _SMOOTH, axis=1, mode="nearest")
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(moved, axis=1), axis=0))])
    steps = np.arange(0, length[-1], STEP_MM)[:LENGTH]
    points = np.stack([np.interp(steps, length, axis) for axis in moved])
    along = _unit(gaussian_filter1d(np.gradient(points, axis=1), _SMOOTH, axis=1, mode="nearest"))
    side = _unit(np.array([[1.0], [0.0], [0.0]]) - along * along[0])
    return Line(points, along, np.cross(side.T, along.T).T * _forward(side, along), side)


def _forward(side: np.ndarray, along: np.ndarray) -> float:
    """Sign that turns side x along to the front (+y)."""
    return float(np.sign(np.cross(side.T, along.T)[:, 1].mean()))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=0))


def strip(volume: np.ndarray, line: Line, frame: Frame) -> np.ndarray:
    """A volume of the frame (X, Y, Z), any spacing, read along a line: SHAPE, NaN beyond the end of the line."""
    spacing = frame.size_mm[0] / volume.shape[0]
    place = (
        line.points[:, :, None, None]
        + line.front[:, :, None, None] * FRONT_MM[None, None, :, None]
        + line.side[:, :, None, None] * SIDE_MM
    )
    out = np.full(SHAPE, np.nan, np.float32)
    out[: place.shape[1]] = map_coordinates(volume, place / spacing - 0.5, order=1, mode="nearest")
    return out


def painted(pattern: np.ndarray, places: np.ndarray, line: Line, shape: tuple[int, ...], frame: Frame) -> np.ndarray:
    """A pattern of vertebrae laid along a line of a patient: (X, Y, Z) to add to its CT.

    Args:
        pattern: SHAPE, intensity; places: (LENGTH,) where along the line, in steps, each row of it stands; shape: of a
            grid of the frame.
    """
    spacing = frame.size_mm[0] / shape[0]
    out = np.zeros(shape, np.float32)
    reach = max(np.abs(FRONT_MM).max(), np.abs(SIDE_MM).max()) + spacing
    low = np.maximum(np.floor((line.points.min(axis=1) - reach) / spacing), 0).astype(int)
    high = np.minimum(np.ceil((line.points.max(axis=1) + reach) / spacing).astype(int), shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    voxels = (np.asarray(np.mgrid[box]).reshape(3, -1) + 0.5) * spacing
    _, nearest = cKDTree(line.points.T).query(voxels.T)
    offset = voxels - line.points[:, nearest]
    beyond, front, side = ((offset * v[:, nearest]).sum(axis=0) for v in (line.along, line.front, line.side))
    row = np.interp(nearest + beyond / STEP_MM, np.maximum.accumulate(places), np.arange(LENGTH), left=-1, right=LENGTH)
    at = [row, *((v - axis[0]) / (axis[1] - axis[0]) for v, axis in ((front, FRONT_MM), (side, SIDE_MM)))]
    out[box] = map_coordinates(_faded(pattern), at, order=1, mode="constant").reshape(out[box].shape)
    return out


def _faded(pattern: np.ndarray) -> np.ndarray:
    for axis, (count, fade) in enumerate(zip(pattern.shape, _FADE, strict=True)):
        distance = np.minimum(np.arange(count), np.arange(count)[::-1]) / fade
        pattern = pattern * np.clip(distance, 0, 1).reshape([-1 if a == axis else 1 for a in range(3)])
    return pattern
