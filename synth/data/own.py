"""Source: patients of your own, a folder each.

CASE/ct.nii.gz        or CASE/ct/ with the DICOM series
CASE/organs.nii.gz    ids of labels.csv (TotalSegmentator's), or what --organ-ids names; optional where the region is
                      placed by air or by the body
CASE/targets.nii.gz   optional: prescribed dose of the planning targets in Gy, 0 outside
CASE/report.txt       optional: what was said of the scan
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from synth import nifti
from synth.data.headneck import Patient
from synth.errors import InputError
from synth.geometry import to_ras, voxel_spacing
from synth.reading import read_ct, read_host
from synth.regions import Region
from synth.types import LabelMap, Volume

_HELD_OUT = 0.15  # share of the patients, by the hash of the name: a patient stays where it is as others come


def cases(root: Path) -> list[Path]:
    """The folders that hold a CT, by name; InputError where there is none."""
    found = [
        folder for folder in sorted(root.iterdir()) if (folder / "ct.nii.gz").is_file() or (folder / "ct").is_dir()
    ]
    if not found:
        raise InputError(f"{root}: no CASE/ct.nii.gz and no CASE/ct/ in it; give the folder that holds the cases")
    return found


def read_case(folder: Path) -> Volume:
    """The CT of a case folder, whatever its numbers are like."""
    ct = folder / "ct"
    return read_ct(ct) if ct.is_dir() else nifti.read_volume(folder / "ct.nii.gz", plausible=False)


def split_of(case: str) -> str:
    """`train`, or `val` for about one in seven."""
    number = int.from_bytes(hashlib.sha256(case.encode()).digest()[:8], "big")
    return "val" if number / 2**64 < _HELD_OUT else "train"


def patients(
    folders: list[Path], region: Region, organ_ids: Mapping[int, str] | None = None, trust_labels: bool = False
) -> Iterator[Patient]:
    """Each patient in RAS order. An organ without a voxel counts as not annotated. InputError names a bad file."""
    for folder in folders:
        ct = folder / "ct"
        file = ct if ct.is_dir() else folder / "ct.nii.gz"
        volume, labels = _read(file, folder / "organs.nii.gz", organ_ids, trust_labels)
        hu, affine = to_ras(volume.hu, volume.affine)
        report = folder / "report.txt"
        yield Patient(
            name=folder.name,
            hu=hu,
            organs=to_ras(region.numbers(labels), labels.affine)[0],
            dose=to_ras(_dose(folder / "targets.nii.gz", volume, region), volume.affine)[0],
            spacing=voxel_spacing(affine),
            annotated=tuple(name for name in region.organs if name in labels.names.values()),
            report=" ".join(report.read_text(encoding="utf-8").split()) if report.is_file() else "",
        )


def _read(ct: Path, organs: Path, organ_ids: Mapping[int, str] | None, trust_labels: bool) -> tuple[Volume, LabelMap]:
    """CT and labels; no labels where there is no file of them."""
    if organs.is_file():
        return read_host(ct, organs, organ_ids, trust_labels=trust_labels)
    volume = read_ct(ct)
    return volume, LabelMap(np.zeros(volume.hu.shape, np.uint8), volume.affine, {})


def _dose(path: Path, ct: Volume, region: Region) -> np.ndarray:
    if not path.is_file():
        return np.zeros(ct.hu.shape, np.uint8)
    ids, _ = nifti.read_ids(path, like=ct)
    if unknown := sorted(set(np.unique(ids).tolist()) - {0, *region.doses_gy}):
        levels = ", ".join(map(str, region.doses_gy))
        raise InputError(f"{path}: value {unknown[0]}; give the prescribed dose in Gy, one of 0, {levels}")
    return ids.astype(np.uint8)
