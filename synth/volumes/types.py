"""Volume and LabelMap: arrays that know their grid and what their numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synth.errors import InputError
from synth.volumes import geometry

HU_MIN, HU_MAX = -1024, 3071  # what 12 bits of a scanner can hold


@dataclass(frozen=True)
class Volume:
    """A CT: `hu` (X, Y, Z) int16 in Hounsfield units and an RAS `affine` (4, 4) in mm."""

    hu: np.ndarray
    affine: np.ndarray

    def __post_init__(self) -> None:
        if self.hu.ndim != 3:
            raise InputError(f"volume: shape {self.hu.shape} has {self.hu.ndim} axes; a CT volume has 3")
        if self.hu.dtype != np.int16:
            raise TypeError(f"volume: dtype {self.hu.dtype}; HU are int16")
        object.__setattr__(self, "affine", geometry.check_affine(self.affine, "volume"))

    def __repr__(self) -> str:
        spacing = " x ".join(f"{mm:.3g}" for mm in self.spacing)
        return f"<Volume: {_sizes(self.hu)} voxels of {spacing} mm, {self.hu.min()} to {self.hu.max()} HU>"

    @property
    def spacing(self) -> np.ndarray:
        """Voxel spacing in mm, (3,)."""
        return geometry.voxel_spacing(self.affine)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in mL."""
        return float(np.prod(self.spacing)) / 1000.0


@dataclass(frozen=True)
class LabelMap:
    """A label map: `ids` (X, Y, Z) unsigned integers, 0 = background, and `names` of the ids."""

    ids: np.ndarray
    affine: np.ndarray
    names: Mapping[int, str]

    def __post_init__(self) -> None:
        if self.ids.ndim != 3:
            raise InputError(f"label map: shape {self.ids.shape} has {self.ids.ndim} axes; a label map has 3")
        if self.ids.dtype.kind != "u":
            raise TypeError(f"label map: dtype {self.ids.dtype}; ids are unsigned integers")
        object.__setattr__(self, "affine", geometry.check_affine(self.affine, "label map"))

    def __repr__(self) -> str:
        return f"<LabelMap: {_sizes(self.ids)} voxels; {', '.join(self.present()) or 'nothing labelled'}>"

    def mask(self, *names: str) -> np.ndarray:
        """Boolean (X, Y, Z): voxels of any of the named structures."""
        wanted = [i for i, name in self.names.items() if name in names]
        return np.isin(self.ids, wanted)

    def present(self) -> list[str]:
        """Names of the structures that have at least one voxel, in order of id."""
        return [self.names[int(i)] for i in np.unique(self.ids) if int(i) in self.names and i != 0]


def _sizes(array: np.ndarray) -> str:
    return " x ".join(map(str, array.shape))


@dataclass(frozen=True)
class Case:
    """What the path ends with: CT, organs and lesions (one id a lesion) on one grid.

    trees: airways and vessels within the organs, where they were grown (synth/draw/trees.py).
    """

    ct: Volume
    organs: LabelMap
    lesions: LabelMap
    trees: LabelMap | None = None

    def __post_init__(self) -> None:
        for what, labels in (("organs", self.organs), ("lesions", self.lesions), ("trees", self.trees)):
            if labels is not None and not geometry.same_grid(
                self.ct.hu.shape, self.ct.affine, labels.ids.shape, labels.affine
            ):
                raise InputError(
                    f"{what}: grid {labels.ids.shape} differs from the CT's {self.ct.hu.shape}; "
                    "resample the labels onto the CT's grid (nearest neighbour)"
                )
