"""The real chest CT that the studies of the scanner look at: LIDC-IDRI-0001 (CC BY 3.0), with its labels."""

from __future__ import annotations

import os
from pathlib import Path

from synth.volumes import nifti
from synth.volumes.types import LabelMap, Volume

CASE = "native/LIDC-IDRI-0001"


def data() -> Path:
    """`$SYNTHCT_DATA`, or ../shared/data beside the repository."""
    return Path(os.environ.get("SYNTHCT_DATA", Path(__file__).parents[3] / "shared/data"))


def chest() -> tuple[Volume, LabelMap]:
    """CT and labels. Raises InputError where the data are not there."""
    ct = nifti.read_volume(data() / CASE / "ct.nii.gz")
    return ct, nifti.read_labels(data() / CASE / "labels.nii.gz", like=ct)


def levels(ct: Volume, organs: LabelMap, low: int, high: int) -> tuple[Volume, LabelMap]:
    """The slices from `low` to below `high`."""
    affine = ct.affine.copy()
    affine[:3, 3] += affine[:3, 2] * low
    part = Volume(ct.hu[..., low:high].copy(), affine)
    return part, LabelMap(organs.ids[..., low:high].copy(), affine, organs.names)
