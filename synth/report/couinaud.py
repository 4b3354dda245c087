"""The eight segments of the liver by planes (Couinaud 1957), for label maps that hold the liver whole.

The hepatic veins run in three upright planes that meet at the inferior vena cava. The middle one is Cantlie's, from
the gallbladder; the right and the left one stand at the angle about the cava that leaves the sectors behind and before
them their usual shares of the volume. The fork of the portal vein parts upper segments from lower ones: at the top of
its label, or, without one, where lower segments have their usual share. Segment 1 is the left liver nearest to the
cava.

Shares: segments 4 and 2 + 3 have 17 and 16% of the liver, segment 1 has 2% (Abdalla 2004, Surgery 135:404, 102
livers); in 107 livers the order of volumes was 8, 7, 4, 5, 3, 6, 2, 1, with 26% of segment 8 (Mise 2014, HPB 16:439).
How much of the right liver lies behind, and how much of each sector below, is assumed in keeping with that order.
Segments of single patients differ much (8: 11 to 38%), so a border may be off by centimetres: the report calls them
approximate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synth.report.location import Box, Cantlie, cantlie_plane, points_of
from synth.volumes.types import LabelMap

_POSTERIOR = 0.42  # of the right liver: segments 6 and 7
_MEDIAL = 17 / 33  # of the left liver without segment 1: segment 4
_CAUDATE = 0.02  # of the liver
_LOWER = 0.33  # of the right liver: segments 5 and 6
_FORK = (0.15, 0.6)  # of the right liver below the portal vein's top: outside, its label ends elsewhere
_THIRD = 0.53  # of segments 2 and 3: segment 3
_MAX_POINTS = 40_000
_PORTAL = ("portal_vein_and_splenic_vein", "portal_veins")


@dataclass(frozen=True)
class Couinaud:
    """Planes in RAS mm. `right`, `left`: angles about the vena cava from Cantlie's plane to the patient's right and
    left, radians. `fork`: height that parts upper from lower segments; `caudate`: mm from the cava; `second`:
    height and depth together, above which the left lateral sector is segment 2."""

    plane: Cantlie
    right: float
    left: float
    fork: float
    caudate: float
    second: float

    @classmethod
    def of(cls, liver: np.ndarray, plane: Cantlie, portal_top: float | None = None) -> Couinaud:
        """From RAS mm of the liver's voxels, (N, 3); `portal_top`: height of the highest of the portal vein's."""
        is_left = plane.is_left(liver)
        right, left = liver[~is_left], liver[is_left]
        distance = _from_cava(left, plane)
        caudate = (
            float(np.quantile(distance, min(_CAUDATE * len(liver) / max(len(left), 1), 1.0))) if len(left) else 0.0
        )
        left = left[distance > caudate]
        at_left = float(np.quantile(_angle(left, plane), _MEDIAL)) if len(left) else 0.0
        lateral = left[_angle(left, plane) > at_left]
        below = float((right[:, 2] < portal_top).mean()) if portal_top is not None and len(right) else 0.0
        known = portal_top is not None and _FORK[0] <= below <= _FORK[1]
        heights = right if len(right) else liver
        return cls(
            plane=plane,
            right=float(np.quantile(_angle(right, plane), 1 - _POSTERIOR)) if len(right) else 0.0,
            left=at_left,
            fork=float(portal_top) if known and portal_top is not None else float(np.quantile(heights[:, 2], _LOWER)),
            caudate=caudate,
            second=float(np.quantile(_up_and_back(lateral), _THIRD)) if len(lateral) else 0.0,
        )

    def segment(self, points: np.ndarray) -> np.ndarray:
        """The numbers 1 to 8 of RAS points, (..., 3) -> (...)."""
        points = np.asarray(points, float)
        angle, above = _angle(points, self.plane), points[..., 2] >= self.fork
        posterior = angle > self.right
        right = np.where(above, np.where(posterior, 7, 8), np.where(posterior, 6, 5))
        lateral = np.where(_up_and_back(points) > self.second, 2, 3)
        left = np.where(angle > self.left, lateral, 4)
        left = np.where(_from_cava(points, self.plane) <= self.caudate, 1, left)
        return np.where(self.plane.is_left(points), left, right)


def couinaud(organs: LabelMap, present: Mapping[str, tuple[int, Box]]) -> Couinaud | None:
    """The planes of a label map's liver; None where Cantlie's plane is not known (`location.cantlie_plane`)."""
    plane = cantlie_plane(organs, present)
    if plane is None or "liver" not in present:
        return None
    tops = [float(_points(organs, present, name)[:, 2].max()) for name in _PORTAL if name in present]
    return Couinaud.of(_points(organs, present, "liver"), plane, max(tops, default=None))


def _points(organs: LabelMap, present: Mapping[str, tuple[int, Box]], name: str) -> np.ndarray:
    number, box = present[name]
    return points_of(organs.ids[box] == number, box, organs.affine, _MAX_POINTS)


def _angle(points: np.ndarray, plane: Cantlie) -> np.ndarray:
    """Radians about the cava from Cantlie's plane in front of it, 0 to pi on either side, (..., 3) -> (...)."""
    ahead = np.cross([0.0, 0.0, 1.0], plane.normal)
    ahead *= np.sign(ahead[1] or 1.0)  # RAS: the gallbladder lies in front of the cava
    offset = points - plane.origin
    return np.asarray(np.arctan2(np.abs(offset @ plane.normal), offset @ ahead))


def _from_cava(points: np.ndarray, plane: Cantlie) -> np.ndarray:
    """mm from the cava, which is taken upright, (..., 3) -> (...)."""
    return np.asarray(np.hypot(*np.moveaxis((points - plane.origin)[..., :2], -1, 0)))


def _up_and_back(points: np.ndarray) -> np.ndarray:
    """How high and far back points lie, mm: the left hepatic vein runs between segment 2 above and behind and 3."""
    return np.asarray((points[..., 2] - points[..., 1]) / np.sqrt(2))
