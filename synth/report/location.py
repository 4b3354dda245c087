"""Where things are: slice axis, patient's midline, poles of a kidney, halves of the liver, contrast phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synth.volumes import labels
from synth.volumes.geometry import slice_axis as slice_axis  # used as location.slice_axis
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_MIDLINE_STRUCTURES = ("spinal_cord", "brainstem", "larynx")
TELLTALE = (
    "aorta",
    "kidney_right",
    "kidney_left",
    "spleen",
    "heart",
    "inferior_vena_cava",
    "portal_vein_and_splenic_vein",
    "pulmonary_vein",
    "iliac_artery_right",
    "iliac_artery_left",
    "common_carotid_artery_right",
    "common_carotid_artery_left",
    "iliac_vena_right",
    "iliac_vena_left",
    "liver",
)
"""Organs whose HU tell whether contrast was given, the most telling first."""
_MAX_POINTS = 20_000  # enough for the principal axis of an organ
_BODY_HU = -300
_CAVA_MM = np.array([22.0, 69.0, 0.0])  # from the cord, RAS
_TO_GALLBLADDER_DEG = 45.0  # from the cava, to the right of straight ahead
CHEST_MM = 160.0  # height of lungs that are more than bases
NEAR_END_MM = 8.0  # of the field: what ends there may be cut
POLES = ("lower", "interpolar", "upper")

Box = tuple[slice, slice, slice]


def boxes(ids: np.ndarray) -> dict[int, Box]:
    """id -> bounding box of its voxels, for every id that is present in a label array (X, Y, Z)."""
    return {i + 1: box for i, box in enumerate(ndimage.find_objects(ids)) if box}


def present_boxes(organs: LabelMap) -> dict[str, tuple[int, Box]]:
    """Structure name -> (id, bounding box) for every named structure that has a voxel."""
    return {organs.names[i]: (i, box) for i, box in boxes(organs.ids).items() if i in organs.names}


def points_of(mask: np.ndarray, box: Box, affine: np.ndarray, limit: int | None = None) -> np.ndarray:
    """RAS mm of a cropped mask's voxels, (N, 3); every n-th of them where there are more than `limit`."""
    index = np.argwhere(mask)
    if limit and len(index) > limit:
        index = index[:: len(index) // limit + 1]
    return world_of(index + [s.start for s in box], affine)


def grown(box: Box, shape: tuple[int, ...], spacing: np.ndarray, by_mm: float) -> Box:
    """A box with a border of `by_mm` on each side, within the volume."""
    reach = np.ceil(by_mm / np.asarray(spacing)).astype(int)
    i, j, k = (
        slice(max(s.start - r, 0), min(s.stop + r, n)) for s, r, n in zip(box, reach.tolist(), shape, strict=True)
    )
    return i, j, k


def height_and_gap(ct: Volume, boxes: Sequence[Box]) -> tuple[float, float]:
    """From the lowest to the highest slice of some boxes, and from there to the head end of the field, mm."""
    if not boxes:
        return 0.0, 0.0
    axis = slice_axis(ct.affine)
    first, last = min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes)
    gap = ct.hu.shape[axis] - last if ct.affine[2, axis] > 0 else first
    mm = float(ct.spacing[axis])
    return (last - first) * mm, gap * mm


@dataclass(frozen=True)
class Poles:
    """The thirds of a kidney along its long axis, which is oriented upwards."""

    axis: np.ndarray
    cuts: tuple[float, float]

    @classmethod
    def of(cls, points: np.ndarray) -> Poles:
        """From the RAS mm of the kidney's voxels, (N, 3): its principal axis, cut into three of equal length."""
        points = points[:: max(len(points) // _MAX_POINTS, 1)]
        _, _, directions = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        axis = directions[0] * (1 if directions[0][2] >= 0 else -1)
        low, high = np.quantile(points @ axis, [0.0, 1.0])
        return cls(axis, (low + (high - low) / 3, low + 2 * (high - low) / 3))

    def part(self, points: np.ndarray) -> np.ndarray:
        """Index into POLES of RAS points, (..., 3) -> (...)."""
        return np.digitize(np.asarray(points) @ self.axis, self.cuts)


@dataclass(frozen=True)
class Cantlie:
    """The plane from gallbladder to inferior vena cava that parts the left from the right liver (Cantlie 1897).

    Taken upright, through the two structures' centroids: an approximation of the middle hepatic vein's plane. Where one
    is not labelled, `from_cord` takes its usual place.
    """

    origin: np.ndarray
    normal: np.ndarray  # horizontal, towards the patient's left

    @classmethod
    def of(cls, gallbladder: np.ndarray, cava: np.ndarray) -> Cantlie:
        """From RAS mm of the voxels of the gallbladder and of the vena cava, (N, 3) each."""
        along = (gallbladder.mean(axis=0) - cava.mean(axis=0)) * [1, 1, 0]
        normal = np.cross(along, [0.0, 0.0, 1.0])
        normal *= -np.sign(normal[0] or 1.0) / np.linalg.norm(normal)  # RAS: left is -x
        return cls(cava.mean(axis=0), normal)

    @classmethod
    def from_cord(cls, cord: np.ndarray, cava: np.ndarray | None) -> Cantlie:
        """From RAS mm of the spinal cord's voxels at the liver, (N, 3), and of the vena cava's where it is labelled.

        Of three labelled patients the cava lay 18 to 30 mm to the right of the cord and 62 to 73 mm in front of it; of
        one with a gallbladder that lay 50 degrees to the right of straight ahead.
        """
        middle = cord.mean(axis=0) + _CAVA_MM if cava is None else cava.mean(axis=0)
        angle = np.radians(_TO_GALLBLADDER_DEG)
        return cls.of(middle[None] + 60.0 * np.array([[np.sin(angle), np.cos(angle), 0.0]]), middle[None])

    def is_left(self, points: np.ndarray) -> np.ndarray:
        """Whether RAS points lie in the left liver, (..., 3) -> (...)."""
        return (np.asarray(points) - self.origin) @ self.normal > 0


def cantlie_plane(organs: LabelMap, present: Mapping[str, tuple[int, Box]]) -> Cantlie | None:
    """The plane, or None where neither gallbladder and vena cava nor the spinal cord are in the label map."""

    def of(name: str) -> np.ndarray | None:
        if name not in present:
            return None
        number, box = present[name]
        return points_of(organs.ids[box] == number, box, organs.affine, _MAX_POINTS)

    gallbladder, cava, cord, liver = (of(n) for n in ("gallbladder", "inferior_vena_cava", "spinal_cord", "liver"))
    if gallbladder is not None and cava is not None:
        return Cantlie.of(gallbladder, cava)
    if cord is None or liver is None:
        return None
    near = cord[(cord[:, 2] > liver[:, 2].min()) & (cord[:, 2] < liver[:, 2].max())]
    return Cantlie.from_cord(near, cava) if len(near) else None


def midline_x(organs: LabelMap, present: Mapping[str, tuple[int, Box]], hu: np.ndarray) -> float:
    """RAS x in mm of the patient's midline: cord, brainstem or larynx where labelled, else the middle of the body.

    Args:
        organs: the label map.
        present: of `present_boxes`.
        hu: (X, Y, Z), to find the body by.
    """
    for name in _MIDLINE_STRUCTURES:
        if name in present:
            number, box = present[name]
            return float(points_of(organs.ids[box] == number, box, organs.affine, _MAX_POINTS)[:, 0].mean())
    whole: Box = (slice(0, None), slice(0, None), slice(0, None))
    points = points_of(hu > _BODY_HU, whole, organs.affine, _MAX_POINTS)
    return float(points[:, 0].mean()) if len(points) else float(world_of(np.array(hu.shape) / 2, organs.affine)[0])


def is_enhanced(median_hu: Mapping[str, float]) -> bool | None:
    """Whether contrast was given, from HU by structure: above the middle of the table's native and venous ranges.

    The first of `TELLTALE` that is there decides; None where none is. The liver, last, is above its whole native range.
    """
    table = {s.name: max(s.hu_native[1], (s.hu_native[1] + s.hu_venous[0]) / 2) for s in labels.structures()}
    for name in TELLTALE:
        if name in median_hu:
            return median_hu[name] > table[name]
    return None


def list_names(names: Sequence[str], limit: int = 12) -> str:
    """`a, b, c and 7 more`, for messages of one line."""
    shown = ", ".join(names[:limit]) or "nothing"
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
