"""Real lung nodules in crops of 51 mm, each with a reader's outline and ratings, as the report takes a case.

The crops are of LIDC-IDRI (Armato 2011, CC BY 3.0); DIR/index.csv has a row each and DIR/CASE/ holds ct.nii.gz and
labels.nii.gz (1 = nodule). A crop has no label of the lung: it is found from HU here, and called by the name of one
lobe, for the crop says neither side nor lobe.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.volumes import labels, nifti
from synth.volumes.types import Case, LabelMap, Volume

RATINGS = ("texture", "spiculation", "lobulation", "margin", "sphericity")
LUNG = "lung_upper_lobe_right"
NODULE = "lung_nodule_1"
_AIR_HU = -500.0
_LEAST_ML = 1.0  # of connected air that is lung and no gas elsewhere
_CLOSED_MM = 4  # vessels and fissures up to twice as wide belong to the lung


@dataclass(frozen=True)
class Nodule:
    """One real nodule.

    patient: of LIDC-IDRI. ratings: 1 to 5 by RATINGS. diameter_mm: of the ball of the reader's own volume, measured on
    the scan's own slices. hu, mask: (X, Y, Z) int16 HU and boolean on 1 mm voxels.
    """

    name: str
    patient: str
    ratings: Mapping[str, int]
    diameter_mm: float
    hu: np.ndarray
    mask: np.ndarray
    affine: np.ndarray

    @property
    def half(self) -> int:
        """0: limits are set on it; 1: it is reported. By a hash of the patient."""
        return hashlib.sha256(self.patient.encode()).digest()[0] % 2

    @cached_property
    def lung(self) -> np.ndarray:
        """(X, Y, Z) boolean: air-filled lung with what runs in it, and the nodule."""
        return lung_of(self.hu, self.mask)

    def organs(self) -> LabelMap:
        """The lung as a label map."""
        return LabelMap((self.lung * labels.ids()[LUNG]).astype(np.uint8), self.affine, labels.names())

    def case(self) -> Case:
        """The crop as a case, the nodule its one lesion."""
        lesions = LabelMap(self.mask.astype(np.uint8), self.affine, {1: NODULE})
        return Case(Volume(self.hu, self.affine), self.organs(), lesions)


def lung_of(hu: np.ndarray, nodule: np.ndarray) -> np.ndarray:
    """Air of `_LEAST_ML` or more, its vessels and the nodule, (X, Y, Z) boolean on 1 mm voxels."""
    parts, number = ndimage.label(ndimage.gaussian_filter(hu.astype(np.float32), 1.0) < _AIR_HU)
    size = np.bincount(parts.ravel(), minlength=number + 1)
    air = (size >= 1000 * _LEAST_ML)[parts] & (parts > 0)
    wide = np.pad(air | nodule, _CLOSED_MM, mode="edge")
    depth = ndimage.distance_transform_edt(~wide)
    closed = ndimage.distance_transform_edt(depth <= _CLOSED_MM) > _CLOSED_MM
    inner = (slice(_CLOSED_MM, -_CLOSED_MM),) * 3
    return np.asarray(closed[inner] | air | nodule)


def read_nodules(folder: Path) -> list[Nodule]:
    """Every nodule of the folder, in order of its name. Raises InputError without index.csv or with a missing file."""
    table = folder / "index.csv"
    if not table.is_file():
        raise InputError(f"--data {folder}: no index.csv in it; hand over the folder of the nodules")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [_read(folder / row["case"], row) for row in sorted(rows, key=lambda row: row["case"])]


def _read(folder: Path, row: Mapping[str, str]) -> Nodule:
    ct = nifti.read_volume(folder / "ct.nii.gz", plausible=False)  # cut off at 400 HU
    ids = nifti.read_labels(folder / "labels.nii.gz", like=ct).ids
    ratings = {name: int(row[name]) for name in RATINGS}
    return Nodule(folder.name, row["lidc_id"], ratings, float(row["equiv_diam_mm"]), ct.hu, ids == 1, ct.affine)
