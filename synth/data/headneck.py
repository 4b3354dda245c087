"""Source: head-and-neck planning CT in OpenKBP's folder layout (index.csv, CASE/{ct,organs,targets}.nii.gz)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from synth import nifti
from synth.errors import InputError
from synth.files.names import require_name
from synth.files.tables import read_csv
from synth.geometry import to_ras, voxel_spacing
from synth.regions import Region
from synth.types import Volume

# index.csv names the organs like this; label values in organs.nii.gz are 1 + the position here
_ORGANS_OF = {
    "Brainstem": "brainstem",
    "SpinalCord": "spinal_cord",
    "RightParotid": "parotid_gland_right",
    "LeftParotid": "parotid_gland_left",
    "Esophagus": "esophagus",
    "Larynx": "larynx",
    "Mandible": "mandible",
}
_PRESCRIBED_GY = (56, 63, 70)  # label values in targets.nii.gz are 1 + the position here


@dataclass(frozen=True)
class Patient:
    """Arrays (X, Y, Z) in RAS order; `spacing` mm; `annotated` names the organs that were drawn; `report`: as said.

    `organs`: numbers, 1 + position in the region's organs. `columns`: what a table says of the patient.
    """

    name: str
    hu: np.ndarray
    organs: np.ndarray
    dose: np.ndarray
    spacing: np.ndarray
    annotated: tuple[str, ...]
    report: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


def index_rows(root: Path, split: str) -> list[dict[str, str]]:
    """Rows of index.csv of one split; InputError where the table or a column that is needed is missing."""
    index = root / "index.csv"
    if not index.is_file():
        raise InputError(f"{root}: no index.csv; give the folder that holds train/, val/ and index.csv")
    table = read_csv(index, needs=["case", "split", "organs_annotated"])
    for row in table.rows:
        require_name(row["case"], f"{index}: case")
    return [row for row in table.rows if row["split"] == split]


def patients(root: Path, split: str, region: Region) -> Iterator[Patient]:
    """Every patient of a split (`train` or `val`) of the folder; InputError names a file that cannot be used."""
    known = [region.organs.index(name) + 1 if name in region.organs else 0 for name in _ORGANS_OF.values()]
    number = np.array([0, *known], np.uint8)
    for row in index_rows(root, split):
        folder = root / split / row["case"]
        ct = nifti.read_volume(folder / "ct.nii.gz", plausible=False)
        hu, affine = to_ras(ct.hu, ct.affine)
        organs = number[_ids(folder / "organs.nii.gz", ct, len(_ORGANS_OF))]
        targets = _ids(folder / "targets.nii.gz", ct, len(_PRESCRIBED_GY))
        dose = np.array([0, *_PRESCRIBED_GY], np.uint8)[targets]
        annotated = tuple(name for name in _annotated(row, root / "index.csv") if name in region.organs)
        yield Patient(row["case"], hu, organs, dose, voxel_spacing(affine), annotated)


def _ids(path: Path, ct: Volume, largest: int) -> np.ndarray:
    """Label values in RAS order, 0 to `largest`."""
    ids, affine = nifti.read_ids(path, like=ct)
    if (found := int(ids.max())) > largest:
        raise InputError(f"{path}: label value {found}; this layout has 0 to {largest}, renumber the labels")
    return to_ras(ids, affine)[0]


def _annotated(row: dict[str, str], index: Path) -> tuple[str, ...]:
    """Our names of the organs that were drawn in a patient."""
    words = [word for word in row["organs_annotated"].split(";") if word]
    if unknown := [word for word in words if word not in _ORGANS_OF]:
        raise InputError(f"{index}: {row['case']}: unknown organ '{unknown[0]}'; it may be {', '.join(_ORGANS_OF)}")
    return tuple(_ORGANS_OF[word] for word in words)
