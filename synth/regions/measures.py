"""Measures: how a fact is measured, what it is in the mirror, what a jitter makes of it. Three in one object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from scipy import ndimage

from synth.volumes import labels

BODY_HU = -300
_BONE_HU = 220
_SAMPLED_MM = 4.0  # at which attenuation is measured: coarser grids blur vessels
_BONE_MARGIN_VOXELS, _SKIN_MARGIN_VOXELS = 2, 3
_SOFT_HU = -20  # darker is fat or air
_FEWEST_VOXELS = 100
_AXES = {"right": (0, 1), "left": (0, -1), "front": (1, 1), "back": (1, -1), "up": (2, 1), "down": (2, -1)}

Towards = Literal["right", "left", "front", "back", "up", "down"]


@dataclass(frozen=True)
class Placed:
    """A volume on an isotropic RAS grid with the anchor at the origin.

    hu: (X, Y, Z) HU; affine: (4, 4) mm; organs: (X, Y, Z) number of organ, 1 + its position in the region, by
    `numbers`; dose: (X, Y, Z) prescribed dose in Gy, nested, the highest wins; annotated: organs that were drawn;
    columns: what a table says of the patient.
    """

    hu: np.ndarray
    affine: np.ndarray
    organs: np.ndarray | None = None
    dose: np.ndarray | None = None
    annotated: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def body(self) -> np.ndarray:
        """(X, Y, Z) bool."""
        return self.hu > BODY_HU

    @cached_property
    def empty(self) -> bool:
        """Whether there is no body: a generated volume may have none, and is then rejected by its numbers."""
        return not self.body.any()

    @property
    def spacing(self) -> float:
        """In mm."""
        return float(self.affine[0, 0])

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return self.spacing**3 / 1000

    @cached_property
    def axes(self) -> tuple[np.ndarray, ...]:
        """RAS mm of the voxels along x, y, z."""
        return tuple(self.affine[i, 3] + self.spacing * np.arange(n) for i, n in enumerate(self.hu.shape))

    @cached_property
    def heights(self) -> np.ndarray:
        """z in mm of the slices that show body."""
        return self.axes[2][self.body.any(axis=(0, 1))]


class Moved(Protocol):
    """What a measure has to know of a jitter: per-axis scale, shift in mm, and by how much it lifts a height in mm."""

    @property
    def scale(self) -> np.ndarray: ...
    @property
    def shift_mm(self) -> np.ndarray: ...
    def rise(self, height: float) -> float: ...


class Measure(Protocol):
    """`of` is None where it cannot be measured. `outline`: measured on the CT's body alone."""

    @property
    def outline(self) -> bool: ...
    def of(self, placed: Placed) -> float | None: ...
    def mirror(self) -> tuple[Measure, float]:
        """The measure that has the value in the mirror image, and the value's factor there."""
        ...

    def jittered(self, value: float, moved: Moved) -> float:
        """The value after a jitter, to first order: no rotation, and of a bend only where the scan ends."""
        ...


@dataclass(frozen=True)
class _Kept:
    """What a mirror and a jitter leave alone."""

    outline = False

    def mirror(self) -> tuple[Measure, float]:
        return self, 1.0  # type: ignore[return-value]

    def jittered(self, value: float, moved: Moved) -> float:
        return value


@dataclass(frozen=True)
class Reach(_Kept):
    """mm from the anchor to the end of the body in a direction; of the part `in_front_of_mm` alone, where given."""

    towards: Towards
    in_front_of_mm: float | None = None
    outline = True

    def of(self, placed: Placed) -> float | None:
        axis, sign = _AXES[self.towards]
        body = placed.body
        if self.in_front_of_mm is not None:
            body = body[:, placed.axes[1] > self.in_front_of_mm]
        others = tuple(i for i in range(3) if i != axis)
        along = placed.axes[axis]
        if axis == 1 and self.in_front_of_mm is not None:
            along = along[along > self.in_front_of_mm]
        shown = along[body.any(axis=others)]
        if not len(shown):
            return 0.0
        return float(shown.max()) if sign > 0 else float(-shown.min())

    def mirror(self) -> tuple[Measure, float]:
        other: dict[str, Towards] = {"right": "left", "left": "right"}
        return replace(self, towards=other.get(self.towards, self.towards)), 1.0

    def jittered(self, value: float, moved: Moved) -> float:
        axis, sign = _AXES[self.towards]
        value_moved = value * moved.scale[axis] + sign * moved.shift_mm[axis]
        return value_moved + sign * moved.rise(sign * value) if axis == 2 else value_moved


@dataclass(frozen=True)
class Width(_Kept):
    """mm from right to left of all body in the lowest part of the field, where shoulders are if they are in it."""

    lowest_mm: float
    outline = True

    def of(self, placed: Placed) -> float | None:
        if placed.empty:
            return 0.0
        z, low = placed.axes[2], placed.heights.min()
        shown = placed.body[:, :, (z >= low) & (z < low + self.lowest_mm)].any(axis=(1, 2))
        return float(shown.sum() * placed.spacing)

    def jittered(self, value: float, moved: Moved) -> float:
        return value * moved.scale[0]


@dataclass(frozen=True)
class Area(_Kept):
    """cm2: median cross-section of the body between two heights."""

    between_mm: tuple[float, float]
    outline = True

    def of(self, placed: Placed) -> float | None:
        if placed.empty:
            return 0.0
        z, (low, high) = placed.axes[2], self.between_mm
        shown = (z > low) & (z < high)
        if not shown.any():
            return None
        return float(np.median((placed.body.sum(axis=(0, 1)) * placed.spacing**2 / 100)[shown]))

    def jittered(self, value: float, moved: Moved) -> float:
        return value * moved.scale[0] * moved.scale[1]


@dataclass(frozen=True)
class _Scaled(_Kept):
    def jittered(self, value: float, moved: Moved) -> float:
        sx, sy, sz = moved.scale
        return value * (sx * sy * sz)


@dataclass(frozen=True)
class BodyVolume(_Scaled):
    """mL of body in the field."""

    outline = True

    def of(self, placed: Placed) -> float | None:
        return float(placed.body.sum() * placed.spacing**3 / 1000)


@dataclass(frozen=True)
class OrganVolume(_Scaled):
    """mL of an organ; unknown where it was not annotated or is not there."""

    organ: str

    def of(self, placed: Placed) -> float | None:
        if placed.organs is None or self.organ not in placed.annotated:
            return None
        return float((placed.organs == placed.numbers[self.organ]).sum()) * placed.voxel_ml or None

    def mirror(self) -> tuple[Measure, float]:
        return OrganVolume(labels.mirror(self.organ)), 1.0


@dataclass(frozen=True)
class DoseVolume(_Scaled):
    """mL that are prescribed a dose or more; 0 where nothing is prescribed just this dose."""

    dose_gy: int

    def of(self, placed: Placed) -> float | None:
        if placed.dose is None:
            return None
        if not (placed.dose == self.dose_gy).any():
            return 0.0
        return float((placed.dose >= self.dose_gy).sum()) * placed.voxel_ml


@dataclass(frozen=True)
class DoseBalance(_Kept):
    """(left - right) / (left + right) of what is prescribed a dose or more, about the anchor's sagittal plane."""

    dose_gy: int

    def of(self, placed: Placed) -> float | None:
        if placed.dose is None or not (placed.dose == self.dose_gy).any():
            return None
        per_slice, x = (placed.dose >= self.dose_gy).sum(axis=(1, 2)), placed.axes[0]
        left, right = float(per_slice[x < 0].sum()), float(per_slice[x > 0].sum())
        return (left - right) / max(left + right, 1.0)

    def mirror(self) -> tuple[Measure, float]:
        return self, -1.0


@dataclass(frozen=True)
class Attenuation(_Kept):
    """HU: a percentile of the soft tissue deep in a box, away from bone: its vessels, if they are enhanced.

    The box is |x|, y, z in mm. In the necks of 191 patients the 95th has two peaks, at 60 HU and about 110 HU. Unknown
    where the grid is coarser than 4 mm or hardly any tissue is in the box; finer grids are averaged to 4 mm.
    """

    percentile: float
    box_mm: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

    def of(self, placed: Placed) -> float | None:
        hu, affine = _at_sampling(placed.hu, placed.affine)
        if affine[0, 0] > _SAMPLED_MM + 1e-3:
            return None
        axes = [affine[i, 3] + affine[i, i] * np.arange(n) for i, n in enumerate(hu.shape)]
        x, y, z = np.meshgrid(np.abs(axes[0]), axes[1], axes[2], indexing="ij", sparse=True)
        box = np.ones(hu.shape, bool)
        for axis, (low, high) in zip((x, y, z), self.box_mm, strict=True):
            box &= (axis > low) & (axis < high)
        near_bone = ndimage.binary_dilation(hu > _BONE_HU, iterations=_BONE_MARGIN_VOXELS)
        deep = ndimage.binary_erosion(hu > BODY_HU, iterations=_SKIN_MARGIN_VOXELS)
        values = hu[box & deep & ~near_bone & (hu > _SOFT_HU)]
        return float(np.percentile(values, self.percentile)) if values.size >= _FEWEST_VOXELS else None


def _at_sampling(hu: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finer grids averaged to 4 mm, as the networks' grids are nested."""
    factor = round(_SAMPLED_MM / float(affine[0, 0]))
    if factor < 2:
        return hu, affine
    shape = [n // factor for n in hu.shape]
    cut = hu[tuple(slice(n * factor) for n in shape)].astype(np.float32)
    pooled = cut.reshape([k for n in shape for k in (n, factor)]).mean(axis=(1, 3, 5))
    coarse = affine.copy()
    coarse[:3, :3] *= factor
    coarse[:3, 3] += affine[:3, :3].sum(axis=1) * (factor - 1) / 2
    return pooled, coarse


@dataclass(frozen=True)
class Column(_Kept):
    """What a table says of the patient: a number, or the number that `values` has for a word (F: 0, M: 1)."""

    column: str
    values: Mapping[str, float] = field(default_factory=dict, hash=False)

    def of(self, placed: Placed) -> float | None:
        word = str(placed.columns.get(self.column, "")).strip()
        try:
            value = float(self.values.get(word, word))
        except ValueError:
            return None
        return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Said(_Kept):
    """1 where the report finds something, 0 where not; unknown without a report, and where it is only possible.

    finding: a line of prompts/words/findings.yaml; organ: where it has to be, None for anywhere.
    """

    finding: str
    organ: str | None = None

    @property
    def column(self) -> str:
        """Of Placed.columns, "report: nodule in lung"."""
        return f"report: {self.finding}{f' in {self.organ}' if self.organ else ''}"

    def of(self, placed: Placed) -> float | None:
        return {"0": 0.0, "1": 1.0}.get(placed.columns.get(self.column, ""))
