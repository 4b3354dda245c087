"""CT with the outline of a real tumour: what teaches the `lesion` network the inside of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from synth.data.native import training_cases
from synth.data.sources.cases import read_plain
from synth.errors import InputError
from synth.files.arrays import SPACING, Wanted, read_arrays, write_arrays
from synth.models import intensity
from synth.volumes import nifti
from synth.volumes.geometry import to_ras, voxel_spacing
from synth.volumes.host import LABEL_FILE, ORGAN_FILE, labels_of

FOLDER = "lesion"  # of a training set
_HELD_OUT = 4  # every fourth case, by name, validates


@dataclass(frozen=True)
class Tumour:
    """A CT and its tumour at native spacing, RAS.

    ct: (1, X, Y, Z) intensity units, half precision; mask: (1, X, Y, Z) bool; spacing: (3,) mm.
    """

    name: str
    ct: torch.Tensor
    mask: torch.Tensor
    spacing: torch.Tensor


def prepare_tumours(folder: Path, out: Path, label: int) -> dict[str, int]:
    """Write CT and tumour of every case of a folder as .npz (hu, lesion, spacing) under out/train and out/val.

    A case has its labels in labels.nii.gz, or organs.nii.gz; `label` is the tumour's id. Every fourth case is held out
    to validate, the last one of fewer than four. Returns how many each split has. Raises InputError, before anything is
    written, for fewer than two cases, and for a case without labels, without that label, or on two grids.
    """
    cases = training_cases(folder)
    if len(cases) < 2:
        raise InputError(f"--lesions {folder}: one case; training holds one out, so give two or more")
    held_out = cases[_HELD_OUT - 1 :: _HELD_OUT] or cases[-1:]
    found = list(_read(cases, label))
    for split in ("train", "val"):
        (out / split).mkdir(parents=True, exist_ok=True)
    for case, (hu, mask, spacing) in zip(cases, found, strict=True):
        split = "val" if case in held_out else "train"
        write_arrays(out / split / f"{case.name}.npz", hu=hu, lesion=mask, spacing=spacing)
    return {"train": len(cases) - len(held_out), "val": len(held_out)}


def _read(cases: list[Path], label: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """HU int16, mask and spacing of each case, RAS."""
    for case in cases:
        labels = labels_of(case, (LABEL_FILE, ORGAN_FILE))
        if labels is None:
            raise InputError(f"{case / LABEL_FILE}: no such file; put the tumour's outline there, on the CT's grid")
        ct = read_plain(case)
        hu, affine = to_ras(ct.hu, ct.affine)
        mask = to_ras(nifti.read_ids(labels, like=ct)[0], ct.affine)[0] == label
        if not mask.any():
            raise InputError(f"{labels}: no voxel of label {label}; name the tumour's with --lesion-id")
        yield hu.astype(np.int16), mask, voxel_spacing(affine)


def load_tumours(folder: Path) -> list[Tumour]:
    """Every prepared .npz of a folder, by name."""
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise InputError(f"{folder}: no prepared tumours (*.npz); run `synthct prepare --lesions FOLDER` first")
    tumours = []
    for file in files:
        wanted = {"hu": Wanted(3), "lesion": Wanted(3, "b"), "spacing": SPACING}
        data = read_arrays(file, wanted, remedy="prepare it again")
        if data["hu"].shape != data["lesion"].shape or not data["lesion"].any():
            raise InputError(f"{file}: the tumour's mask is empty, or of another shape than the CT; prepare it again")
        ct = torch.from_numpy(intensity.to_unit(data["hu"]))[None].half()
        mask = torch.from_numpy(data["lesion"])[None]
        tumours.append(Tumour(file.stem, ct, mask, torch.from_numpy(data["spacing"]).float()))
    return tumours
