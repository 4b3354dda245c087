"""Source: head-and-neck planning CT as OpenKBP lies on disk (Babier et al. 2021).

index.csv                           columns case, split (train, val) and organs_annotated
SPLIT/CASE/ct.nii.gz
SPLIT/CASE/organs.nii.gz            1 to 7 in the order of `_ORGANS`
SPLIT/CASE/targets.nii.gz           1 to 3: prescribed 56, 63 and 70 Gy
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from synth.data.sources.listing import Listed, Listing, SourceScan
from synth.errors import InputError
from synth.files.names import require_name
from synth.files.tables import read_csv
from synth.volumes import nifti
from synth.volumes.geometry import to_ras, voxel_spacing
from synth.volumes.types import LabelMap, Volume

_ORGANS = {
    "Brainstem": "brainstem",
    "SpinalCord": "spinal_cord",
    "RightParotid": "parotid_gland_right",
    "LeftParotid": "parotid_gland_left",
    "Esophagus": "esophagus",
    "Larynx": "larynx",
    "Mandible": "mandible",
}
_PRESCRIBED_GY = (56, 63, 70)
_SPLITS = ("train", "val")


def listing(root: Path) -> Listing:
    """The cases of index.csv. Raises InputError where the table or a column that is needed is missing."""
    index = root / "index.csv"
    if not index.is_file():
        raise InputError(f"{root}: no index.csv; give the folder that holds train/, val/ and index.csv")
    found = Listing()
    for row in read_csv(index, needs=["case", "split", "organs_annotated"]).rows:
        case, split = row["case"], row["split"]
        require_name(case, f"{index}: case")
        words = [word for word in row["organs_annotated"].split(";") if word]
        unknown = [word for word in words if word not in _ORGANS]
        if unknown:
            found.left_out[case] = f"unknown organ '{unknown[0]}' in index.csv; it may be {', '.join(_ORGANS)}"
        elif split in _SPLITS:
            found.scans.append(Listed(case, split, partial(read_scan, root / split / case, tuple(words))))
    return found


def read_scan(folder: Path, annotated: tuple[str, ...]) -> SourceScan:
    """A case in RAS order, with the organs that were annotated in it. Raises InputError for a file that is no such."""
    ct = nifti.read_volume(folder / "ct.nii.gz", plausible=False)
    hu, affine = to_ras(ct.hu, ct.affine)
    ids = _ids(folder / "organs.nii.gz", ct, len(_ORGANS))
    names = {i: ours for i, (word, ours) in enumerate(_ORGANS.items(), start=1) if word in annotated}
    targets = _ids(folder / "targets.nii.gz", ct, len(_PRESCRIBED_GY))
    dose = np.array([0, *_PRESCRIBED_GY], np.uint8)[targets]
    return SourceScan(hu, voxel_spacing(affine), LabelMap(ids, affine, names), dose)


def _ids(path: Path, ct: Volume, largest: int) -> np.ndarray:
    """Label values in RAS order, 0 to `largest`."""
    ids, affine = nifti.read_ids(path, like=ct)
    if (found := int(ids.max())) > largest:
        raise InputError(f"{path}: label value {found}; this layout has 0 to {largest}, renumber the labels")
    return to_ras(ids, affine)[0]
