"""The body of a vertebra, and how high it is in front and at the back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap

_CORD_MM = 5.0  # from the cord to the back of the body
_IN_FRONT = 0.45  # of a vertebra's extent: its body, where there is no cord to tell it by
BANDS = {"back": (0.1, 0.35), "front": (0.65, 0.9)}  # of the body's depth
_LEAST_VOXELS = 60


@dataclass(frozen=True)
class VertebralBody:
    """number: of its label. low, high: (3,) RAS mm of its borders. points: (N, 3) RAS mm of its voxels.

    upper, lower: its endplates, height at the back and its rise a mm forwards.
    """

    number: int
    upper: tuple[float, float]
    lower: tuple[float, float]
    low: np.ndarray
    high: np.ndarray
    points: np.ndarray
    slice_mm: float

    def height_mm(self, where: Literal["front", "back"]) -> float:
        """From the lower to the upper endplate in a band of the body; the mean of its columns."""
        first, last = (self.low[1] + share * (self.high[1] - self.low[1]) for share in BANDS[where])
        middle, half = 0.5 * (self.low[0] + self.high[0]), 0.3 * (self.high[0] - self.low[0])
        x, y, _ = self.points.T
        band = self.points[(y >= first) & (y <= last) & (np.abs(x - middle) <= half)]
        if not len(band):
            return 0.0
        columns = np.unique(np.round(band[:, :2], 2), axis=0, return_inverse=True)[1].reshape(-1)
        return float(len(band) / (columns.max() + 1)) * self.slice_mm


def body_of(organs: LabelMap, name: str, whole: bool = True) -> VertebralBody | None:
    """What of a vertebra's label lies in front of the cord; None where it is tiny, or not `whole` where it must be."""
    number = next((i for i, label in organs.names.items() if label == name), None)
    if number is None:
        return None
    index = np.argwhere(organs.ids == number)
    if len(index) < _LEAST_VOXELS or (whole and _is_cut(index, organs)):
        return None
    points = world_of(index, organs.affine)
    cord = world_of(np.argwhere(organs.mask("spinal_cord")), organs.affine)
    cord = cord[np.abs(cord[:, 2] - points[:, 2].mean()) < 12] if len(cord) else cord
    back = (
        float(np.quantile(cord[:, 1], 0.95)) + _CORD_MM
        if len(cord)
        else float(points[:, 1].min() + (1 - _IN_FRONT) * np.ptp(points[:, 1]))
    )
    body = points[points[:, 1] > back]
    if len(body) < _LEAST_VOXELS:
        return None
    low, high = np.quantile(body, [0.01, 0.99], axis=0)
    slice_mm = float(np.linalg.norm(organs.affine[:3, int(np.abs(organs.affine[2, :3]).argmax())]))
    upper, lower = (_endplate(body, back, side) for side in (np.maximum, np.minimum))
    return VertebralBody(number, upper, lower, np.array([low[0], back, low[2]]), high, body, slice_mm)


def _is_cut(index: np.ndarray, organs: LabelMap) -> bool:
    """Whether voxels (N, 3) reach a face of the volume."""
    return bool((index.min(axis=0) == 0).any() or (index.max(axis=0) + 1 == organs.ids.shape).any())


def _endplate(body: np.ndarray, back: float, side: np.ufunc) -> tuple[float, float]:
    """A line through the ends of the columns of a body, (N, 3) RAS mm, seen from the side."""
    columns, which = np.unique(np.round(body[:, :2], 2), axis=0, return_inverse=True)
    ends = np.full(len(columns), -np.inf if side is np.maximum else np.inf)
    side.at(ends, which.reshape(-1), body[:, 2])
    rise, height = np.polyfit(columns[:, 1] - back, ends, 1)
    return float(height), float(rise)


def height_lost(organs: LabelMap, name: str, whole: bool = True) -> float | None:
    """Height of a vertebral body that is missing in front, of that at its back; None where there is no body to see."""
    body = body_of(organs, name, whole)
    if body is None or not (back := body.height_mm("back")):
        return None
    return 1 - body.height_mm("front") / back
