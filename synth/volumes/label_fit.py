"""Do the outlines of a label map lie on the edges of its CT, or would they if they were moved or flipped?

Lung is darker than what surrounds it; bone, liver and a few others are brighter. The step across an outline, taken with
that sign, is therefore large where labels belong to the CT and vanishes within two voxels beside it: on 140 patients
with correct labels (head and neck, chest, abdomen; 0.7 to 5 mm) it is 57 HU or more, and no other place gives more than
0.85 of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from nibabel.orientations import aff2axcodes

from synth.volumes import anatomy
from synth.volumes.geometry import voxel_spacing
from synth.volumes.types import LabelMap, Volume

_SHIFTS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20)  # voxels, both ways along each axis; one voxel off is any outline's error
_CLIP = 300  # HU: air against tissue counts no more than bone against it
_FEWEST = 300  # faces: fewer say nothing
_MOST = 15_000  # faces along each axis that are looked at
_PATCH_MM = 100.0  # the middle one of three sides: a smaller volume may show one wall of an organ, which any place fits
_INSIDE = 0.7  # share of the faces that a move must leave within the volume
_BETTER = 1.1  # times the step as it stands: what another place must give to be believed
_HELD = 0.9  # of the step across each axis by itself: what another place must keep
_STEP = 25.0  # HU that another place must give
_NO_EDGE = 12.0  # HU: outlines that give less follow nothing
_TOWARDS = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "head", "I": "feet"}
_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}

Move = Callable[[np.ndarray], np.ndarray | int]  # index along an axis -> by how much it changes


@dataclass(frozen=True)
class _Faces:
    """Faces between a structure and what lies beside it: voxels (N, 3) on either side.

    axis: (N,) that the face lies across; sign: (N,) 1 where the near one is to be brighter, -1 where the far one is.
    """

    near: np.ndarray
    far: np.ndarray
    axis: np.ndarray
    sign: np.ndarray


@dataclass(frozen=True)
class _Step:
    """Mean step in HU across all faces, across those of each axis (3,), and across those of each axis where it should
    get brighter or darker (3, 2); NaN where there are few."""

    all: float
    by_axis: np.ndarray
    by_end: np.ndarray

    def better_than(self, other: _Step) -> bool:
        """Whether it is clearly larger, and no smaller across any axis: what is cut short fits by chance in one."""
        at_least = np.nan_to_num(_HELD * other.by_axis, nan=-np.inf)
        return self.all > max(_BETTER * other.all, _STEP) and bool((np.nan_to_num(self.by_axis) >= at_least).all())

    def better_at_both_ends(self, other: _Step, axis: int) -> bool:
        """Whether it is smaller at no end of structures along an axis: labels that are a voxel too small fit better at
        one end when they are moved."""
        return not bool((self.by_end[axis] < other.by_end[axis]).any())


def misfit(ct: Volume, labels: LabelMap) -> str | None:
    """How the labels would fit the CT better, in words; None where they fit, or where nothing can be told."""
    if np.sort(voxel_spacing(ct.affine) * ct.hu.shape)[1] < _PATCH_MM:
        return None
    faces = _faces(labels)
    if len(faces.sign) < _FEWEST:
        return None
    hu = np.ascontiguousarray(ct.hu)
    as_is = _step(hu, faces, 0, lambda index: 0)
    if as_is is None:
        return None
    best, how = as_is.all, ""
    for axis, move, words in _moves(ct):
        step = _step(hu, faces, axis, move)
        if step is None or step.all <= best or not step.better_than(as_is):
            continue
        if step.better_at_both_ends(as_is, axis):
            best, how = step.all, words
    if how:
        return f"the outlines fit the CT better {how} ({best:.0f} HU across them in place of {as_is.all:.0f})"
    if as_is.all < _NO_EDGE:
        return f"the outlines follow no edge of the CT ({as_is.all:.0f} HU across them)"
    return None


def _faces(labels: LabelMap) -> _Faces:
    edges = {number: anatomy.table()[name].edge for number, name in labels.names.items() if name in anatomy.table()}
    brightness = np.zeros(int(labels.ids.max(initial=0)) + 1, np.int8)
    for number, edge in edges.items():
        if number < len(brightness):
            brightness[number] = edge
    parts = [_faces_along(labels.ids, brightness, axis) for axis in range(3)]
    return _Faces(
        *(np.concatenate([getattr(part, field) for part in parts]) for field in ("near", "far", "axis", "sign"))
    )


def _faces_along(ids: np.ndarray, brightness: np.ndarray, axis: int) -> _Faces:
    """Up to `_MOST` faces across one axis, evenly taken, of a grid thinned along the others where it is large."""
    thin = max(1, int((ids.size / 4e6) ** 0.5))
    steps = tuple(1 if a == axis else thin for a in range(3))
    level = brightness[ids[tuple(slice(None, None, s) for s in steps)]]
    across = np.diff(level, axis=axis)
    where = np.argwhere(across != 0)
    where = where[:: len(where) // _MOST + 1]
    sign = -np.sign(across[tuple(where.T)]).astype(np.int8)
    near = where * steps
    return _Faces(near, near + (np.arange(3) == axis), np.full(len(where), axis), sign)


def _step(hu: np.ndarray, faces: _Faces, axis: int, move: Move) -> _Step | None:
    """The step across the faces, moved along one axis; None where too many leave the volume."""
    strides = np.array([hu.shape[1] * hu.shape[2], hu.shape[2], 1])
    inside, flat = np.ones(len(faces.sign), bool), []
    for side in (faces.near, faces.far):
        by = move(side[:, axis])
        inside &= (side[:, axis] + by >= 0) & (side[:, axis] + by < hu.shape[axis])
        flat.append(side @ strides + by * strides[axis])
    if inside.mean() < _INSIDE:
        return None
    near, far = (hu.ravel()[index[inside]].clip(-_CLIP, _CLIP).astype(np.float32) for index in flat)
    steps, across = (near - far) * faces.sign[inside], faces.axis[inside]
    counts = np.bincount(across, minlength=3)
    sums = np.bincount(across, weights=steps, minlength=3)
    by_axis = np.where(counts >= _FEWEST / 3, sums / np.maximum(counts, 1), np.nan)
    end = 2 * across + (faces.sign[inside] > 0)
    counts, sums = np.bincount(end, minlength=6), np.bincount(end, weights=steps, minlength=6)
    by_end = np.where(counts >= _FEWEST / 6, sums / np.maximum(counts, 1), np.nan).reshape(3, 2)
    return _Step(float(steps.mean()), by_axis, by_end)


def _moves(ct: Volume) -> Iterator[tuple[int, Move, str]]:
    """Where labels may have been meant to lie, each along one axis and with its words."""
    spacing, ends = voxel_spacing(ct.affine), aff2axcodes(ct.affine)
    for axis in range(3):
        up = str(ends[axis])
        for voxels in _SHIFTS:
            for by, towards in ((voxels, up), (-voxels, _OPPOSITE[up])):
                mm = f"{voxels} voxels ({voxels * spacing[axis]:.1f} mm)"
                yield axis, partial(_shift, by), f"moved {mm} towards the {_TOWARDS[towards]}"
        yield axis, partial(_flip, ct.hu.shape[axis] - 1), f"flipped {_TOWARDS[_OPPOSITE[up]]} to {_TOWARDS[up]}"


def _shift(by: int, index: np.ndarray) -> int:
    return by


def _flip(last: int, index: np.ndarray) -> np.ndarray:
    return last - 2 * index
