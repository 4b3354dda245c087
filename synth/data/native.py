"""CT at native spacing, without labels: what teaches `refine` the detail of every grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from synth.data.sources import cases
from synth.files.arrays import SPACING, Wanted, read_arrays, write_arrays
from synth.files.tables import read_csv
from synth.models import intensity
from synth.volumes.geometry import to_ras, voxel_spacing

_CROP = 32  # training crops need this many voxels along each axis
_LEVELS = 2  # native spacing and one coarser


def prepare_native(folder: Path, out: Path, exclude: tuple[str, ...] = ()) -> int:
    """Write every CASE/ct.nii.gz, or DICOM series CASE/ct/, of a folder as .npz (hu, spacing); returns how many.

    Skips the names in `exclude`, and cases that an index.csv beside them marks
    `may_train_released_weights = no`.
    """
    kept = [case for case in training_cases(folder) if case.name not in exclude]
    out.mkdir(parents=True, exist_ok=True)
    for case in kept:
        volume = cases.read_plain(case)
        hu, affine = to_ras(volume.hu, volume.affine)
        write_arrays(out / f"{case.name}.npz", hu=hu.astype(np.int16), spacing=voxel_spacing(affine))
    return len(kept)


def training_cases(folder: Path) -> list[Path]:
    """The case folders that may train, by name; InputError where no case is there at all."""
    index = folder / "index.csv"
    rows = read_csv(index, needs=["case"]).rows if index.is_file() else ()
    barred = {r["case"] for r in rows if r.get("may_train_released_weights", "yes") != "yes"}
    return [case for case in cases.folders(folder) if case.name not in barred]


def load_native(folder: Path) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Every .npz as (intensity (1, X, Y, Z) half, spacing (3,)), at native spacing and once coarser."""
    volumes = []
    for file in sorted(folder.glob("*.npz")):
        data = read_arrays(file, {"hu": Wanted(3), "spacing": SPACING}, remedy="prepare it again")
        ct = torch.from_numpy(intensity.to_unit(data["hu"]))[None]
        spacing = torch.from_numpy(data["spacing"]).float()
        for _ in range(_LEVELS):
            if min(ct.shape[1:]) < _CROP:
                break
            volumes.append((ct.half(), spacing))
            ct, spacing = torch.nn.functional.avg_pool3d(ct[None], 2)[0], spacing * 2
    return volumes
