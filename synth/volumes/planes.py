"""Axial, coronal and sagittal planes of a case, cut for the eye: which slices, which box, which way up.

Arrays here are in RAS order (flipped and transposed by `geometry.to_ras`, never resampled). Planes are drawn in
radiological convention: the patient's right is on the left of the picture, anterior or superior is up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synth.volumes import geometry
from synth.volumes.types import Case

_BODY_ABOVE = -300  # HU
_BODY_STRIDE_MM = 6.0  # the body is looked for on a coarse grid
_BODY_MARGIN_MM = 12.0
_LUNG_BELOW = -400  # HU: the median around a lesion in the lung lies below
_MIDLINE = ("spinal_cord", "brainstem", "trachea")

Window = tuple[int, int]  # HU, black and white
SOFT_TISSUE: Window = (-160, 240)  # level 40, width 400
LUNG: Window = (-1350, 150)  # level -600, width 1500
BONE: Window = (-450, 1050)  # level 300, width 1500
VESSELS: Window = (-100, 600)  # level 250, width 700
WINDOW_NAMES = {SOFT_TISSUE: "soft tissue", LUNG: "lung window", BONE: "bone window", VESSELS: "vessels"}
_IN_VESSELS = frozenset(("embolism", "dissection"))  # which bright blood shows
_FLUID = frozenset(("effusion", "ascites"))
_BRIGHT = frozenset(("calcification", "pacemaker", "port", "stone", "gallstone"))
_BONES = ("vertebrae", "rib", "sacrum", "sternum", "hip", "femur", "humerus", "scapula", "clavicula", "skull")
_GROWN = frozenset(("cardiomegaly", "splenomegaly", "aneurysm"))  # whose mask is all that their growth moved
_SHOWN, _SEEN_WORTH = 0.3, 0.25  # of its widest cut, and what a finding counts once so much of it is shown

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]  # (start, stop) along x, y, z


@dataclass(frozen=True)
class Plane:
    """One slice: `hu`, `organs`, `lesions` (rows, columns) with row 0 at the bottom, `pixel` (width, height) in mm.

    `edges`: the letters at left, right, bottom and top. `crossing`: column and row of the other two slices.
    """

    name: str
    hu: np.ndarray
    organs: np.ndarray
    lesions: np.ndarray
    pixel: tuple[float, float]
    edges: tuple[str, str, str, str]
    crossing: tuple[int, int]

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height in mm."""
        rows, columns = self.hu.shape
        return columns * self.pixel[0], rows * self.pixel[1]


@dataclass(frozen=True)
class RasCase:
    """The arrays of a case (X, Y, Z) in RAS order, and their spacing in mm."""

    hu: np.ndarray
    organs: np.ndarray
    lesions: np.ndarray
    spacing: tuple[float, float, float]
    organ_names: dict[int, str]
    lesion_names: dict[int, str]


def ras_case(case: Case) -> RasCase:
    """Views of the case's arrays in RAS order."""
    hu, affine = geometry.to_ras(case.ct.hu, case.ct.affine)
    organs, _ = geometry.to_ras(case.organs.ids, case.organs.affine)
    lesions, _ = geometry.to_ras(case.lesions.ids, case.lesions.affine)
    x, y, z = (float(s) for s in geometry.voxel_spacing(affine))
    return RasCase(hu, organs, lesions, (x, y, z), dict(case.organs.names), dict(case.lesions.names))


@dataclass(frozen=True)
class LesionBox:
    """The id of a lesion and the slices of its bounding box."""

    id: int
    box: tuple[slice, slice, slice]

    def extent_mm(self, spacing: tuple[float, float, float]) -> float:
        """The largest side of the bounding box."""
        return float(max((s.stop - s.start) * mm for s, mm in zip(self.box, spacing, strict=True)))


def lesions_of(case: RasCase) -> tuple[LesionBox, ...]:
    """Every named lesion that is there, in order of id."""
    boxes = ndimage.find_objects(case.lesions)
    there = [(i + 1, box) for i, box in enumerate(boxes) if box is not None and i + 1 in case.lesion_names]
    return tuple(LesionBox(number, (x, y, z)) for number, (x, y, z) in there)


def is_reach(case: RasCase, number: int) -> bool:
    """Whether a finding's mask is what it moved, not what it is."""
    return not _GROWN.isdisjoint(case.lesion_names.get(number, "").split("_"))


def window_of(case: RasCase, lesion: LesionBox) -> Window:
    """The window of the organ that a finding is in: of vessels, of bone and metal, of the lung, else of soft tissue."""
    words = set(case.lesion_names.get(lesion.id, "").split("_"))
    if words & _FLUID:
        return SOFT_TISSUE
    if words & _IN_VESSELS:
        return VESSELS
    near = tuple(slice(max(0, s.start - 3), s.stop + 3) for s in lesion.box)
    inside = case.lesions[near] == lesion.id
    if words & _BRIGHT or _in_bone(case, near, inside):
        return BONE
    shell = ndimage.binary_dilation(inside, iterations=2) & ~inside
    air = bool(shell.any()) and float(np.median(case.hu[near][shell])) < _LUNG_BELOW
    return LUNG if air or float(np.median(case.hu[near][inside])) < _LUNG_BELOW else SOFT_TISSUE


def _in_bone(case: RasCase, near: tuple[slice, ...], inside: np.ndarray) -> bool:
    """Whether most of what is labelled in a finding, or about it where nothing is, is bone."""
    bones = [i for i, name in case.organ_names.items() if name.split("_")[0] in _BONES]
    for where in (inside, ndimage.binary_dilation(inside)):
        ids = case.organs[near][where]
        if (ids > 0).any():
            return bool(np.isin(ids[ids > 0], bones).mean() > 0.5)
    return False


def slices_through(case: RasCase, lesions: Sequence[LesionBox]) -> tuple[int, int, int]:
    """The sagittal, coronal and axial index to show: those that show the findings best, else most organs.

    A slice is worth the share of its widest cut that it shows of each finding; what the axial slice shows well already
    counts less for the coronal one, and so on, so that all three together show as many as they can.
    """
    if not lesions:
        if not case.organs.any():
            x, y, z = ((start + stop) // 2 for start, stop in body_box(case))
            return x, y, z
        return _midline(case), _most_organs(case, 1), _most_organs(case, 2)
    weights = dict.fromkeys((lesion.id for lesion in lesions), 1.0)
    at = [0, 0, 0]
    for axis in (2, 1, 0):
        shares = {lesion.id: _shares(case, lesion, axis) for lesion in lesions}
        worth = sum(weights[number] * share for number, share in shares.items())
        at[axis] = int(np.argmax(worth))
        for number, share in shares.items():
            if share[at[axis]] > _SHOWN:
                weights[number] *= _SEEN_WORTH
    return at[0], at[1], at[2]


def middle_of(case: RasCase, lesion: LesionBox) -> tuple[int, int, int]:
    """The sagittal, coronal and axial index of a finding's widest cuts."""
    inside = case.lesions[lesion.box] == lesion.id
    x, y, z = (s.start + _fullest(inside, axis) for axis, s in enumerate(lesion.box))
    return x, y, z


def _shares(case: RasCase, lesion: LesionBox, axis: int) -> np.ndarray:
    """Of each slice along an axis, the area of a finding in it over that in its widest one."""
    inside = case.lesions[lesion.box] == lesion.id
    areas = inside.sum(axis=tuple(a for a in range(3) if a != axis))
    shares = np.zeros(case.lesions.shape[axis])
    shares[lesion.box[axis]] = areas / max(areas.max(), 1)
    return shares


def body_box(case: RasCase) -> Box:
    """The box of the largest connected piece of the body, with a margin; the whole grid where there is none."""
    strides = [max(1, round(_BODY_STRIDE_MM / s)) for s in case.spacing]
    body = case.hu[tuple(slice(None, None, n) for n in strides)] > _BODY_ABOVE
    pieces, count = ndimage.label(ndimage.binary_opening(body))
    if count == 0:
        x, y, z = ((0, n) for n in case.hu.shape)
        return x, y, z
    largest = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
    where = ndimage.find_objects(pieces, max_label=largest)[largest - 1]
    margins = [round(_BODY_MARGIN_MM / s) for s in case.spacing]
    x, y, z = (
        (max(0, s.start * n - m), min(size, s.stop * n + m))
        for s, n, m, size in zip(where, strides, margins, case.hu.shape, strict=True)
    )
    return x, y, z


def box_around(case: RasCase, lesion: LesionBox, width_mm: float) -> Box:
    """A cube of `width_mm` about the lesion's middle; it may reach beyond the grid (`cut` fills with air)."""
    x, y, z = (
        ((s.start + s.stop) // 2 - round(width_mm / 2 / mm), (s.start + s.stop) // 2 + round(width_mm / 2 / mm))
        for s, mm in zip(lesion.box, case.spacing, strict=True)
    )
    return x, y, z


# The axes across and up the picture, and the letters at its left, right, bottom and top. Both x and y run against
# the picture's columns: RAS x grows to the patient's right, y to anterior.
_LAYOUT = {
    "axial": (0, 1, ("R", "L", "P", "A")),
    "coronal": (0, 2, ("R", "L", "I", "S")),
    "sagittal": (1, 2, ("A", "P", "I", "S")),
}


def cut(case: RasCase, name: str, at: tuple[int, int, int], box: Box) -> Plane:
    """The plane `name` (axial, coronal, sagittal) through the voxel `at`, within `box`."""
    across, up, edges = _LAYOUT[name]
    index = tuple(slice(None) if axis in (across, up) else at[axis] for axis in range(3))
    (left, right), (bottom, top) = box[across], box[up]

    def picture(array: np.ndarray, fill: int) -> np.ndarray:
        plane = array[index]  # (across, up)
        sizes = plane.shape
        wanted = plane[max(0, left) : right, max(0, bottom) : top]
        pad = [(max(0, -left), max(0, right - sizes[0])), (max(0, -bottom), max(0, top - sizes[1]))]
        return np.pad(wanted, pad, constant_values=fill)[::-1].T

    return Plane(
        name,
        picture(case.hu, -1000),
        picture(case.organs, 0),
        picture(case.lesions, 0),
        (case.spacing[across], case.spacing[up]),
        edges,
        (right - 1 - at[across], at[up] - bottom),
    )


def _fullest(mask: np.ndarray, axis: int) -> int:
    others = tuple(a for a in range(3) if a != axis)
    return int(mask.sum(axis=others).argmax())


def _most_organs(case: RasCase, axis: int) -> int:
    """The slice that shows most organs; among equals, the one with most organ voxels."""
    slices = np.moveaxis(case.organs, axis, 0)
    counts = np.stack([np.bincount(s.ravel(), minlength=int(slices.max()) + 1)[1:] for s in slices])
    return int(((counts > 0).sum(axis=1) + counts.sum(axis=1) / (counts.sum() + 1)).argmax())


def _midline(case: RasCase) -> int:
    """The sagittal slice through the cord, brainstem or trachea, else through the middle of all organs."""
    middle = [i for i, name in case.organ_names.items() if name in _MIDLINE]
    mask = np.isin(case.organs, middle)
    if not mask.any():
        mask = case.organs > 0
    weights = mask.sum(axis=(1, 2))
    return int(np.searchsorted(np.cumsum(weights), weights.sum() / 2))
