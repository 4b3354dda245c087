"""A CT of the user's own, whatever it is kept as: a NIfTI file or a folder with a DICOM series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from synth.volumes import nifti
from synth.volumes.geometry import turned_like
from synth.volumes.label_check import require_match
from synth.volumes.types import LabelMap, Volume

ORGAN_FILE, LABEL_FILE = "organs.nii.gz", "labels.nii.gz"  # either name will do


def labels_of(folder: Path, names: Sequence[str] = (ORGAN_FILE, LABEL_FILE)) -> Path | None:
    """The label map of a case: the first of the names that is there."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_ct(path: Path) -> Volume:
    """HU and affine in RAS mm. Raises InputError as `nifti.read_volume` and `dicom.series.read_series` do."""
    if path.is_dir():
        from synth.volumes.series import read_series  # pydicom is an extra

        return read_series(path)
    return nifti.read_volume(path)


def read_host(
    ct: Path, organs: Path, organ_ids: Mapping[int, str] | None = None, *, trust_labels: bool = False
) -> tuple[Volume, LabelMap]:
    """A CT and its organ labels on one grid.

    A DICOM series has no axis order of its own: it gets that of the labels, whose converter chose one. Raises
    InputError as `read_ct` and `nifti.read_labels` do, and where the labels belong to another CT; `trust_labels` makes
    that a note.
    """
    volume = read_ct(ct)
    if ct.is_dir():
        volume = Volume(*turned_like(volume.hu, volume.affine, nifti.read_ids(organs)[1]))
    labels = nifti.read_labels(organs, like=volume, organ_ids=organ_ids)
    require_match(volume, labels, str(organs), trust=trust_labels)
    return volume, labels
