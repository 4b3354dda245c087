"""Source: head-and-neck planning CT in OpenKBP's folder layout (index.csv, CASE/{ct,organs,targets}.nii.gz)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from synth import facts as facts_table
from synth.errors import InputError
from synth.geometry import to_ras, voxel_spacing

# label values in organs.nii.gz are 1 + the position in facts.ORGANS; index.csv names them like this
_INDEX_NAMES = dict(
    zip(
        ("Brainstem", "SpinalCord", "RightParotid", "LeftParotid", "Esophagus", "Larynx", "Mandible"),
        facts_table.ORGANS,
        strict=True,
    )
)


@dataclass(frozen=True)
class Patient:
    """Arrays (X, Y, Z) in RAS order; `spacing` mm; `annotated` names the organs that were drawn."""

    name: str
    hu: np.ndarray
    organs: np.ndarray
    dose: np.ndarray
    spacing: np.ndarray
    annotated: tuple[str, ...]


def patients(root: Path, split: str) -> Iterator[Patient]:
    """Every patient of a split (`train` or `val`) of the folder."""
    index = root / "index.csv"
    if not index.is_file():
        raise InputError(f"{root}: no index.csv; give the folder that holds train/, val/ and index.csv")
    for row in csv.DictReader(index.read_text().splitlines()):
        if row["split"] != split:
            continue
        folder = root / split / row["case"]
        arrays = {}
        for name in ("ct", "organs", "targets"):
            image = nib.Nifti1Image.from_filename(folder / f"{name}.nii.gz")
            arrays[name], affine = to_ras(np.asarray(image.dataobj), image.affine)
        annotated = tuple(_INDEX_NAMES[n] for n in row["organs_annotated"].split(";") if n)
        dose = np.array([0, *facts_table.DOSES_GY], np.uint8)[arrays["targets"]]
        yield Patient(row["case"], arrays["ct"], arrays["organs"], dose, voxel_spacing(affine), annotated)
