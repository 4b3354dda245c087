"""A CT series on disk -> HU and affine. highdicom sorts the slices and refuses gaps, overlaps and tilt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synth import ct_likeness
from synth.errors import InputError
from synth.types import HU_MAX, HU_MIN, Volume

if TYPE_CHECKING:
    from pydicom import Dataset

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_series(folder: Path) -> Volume:
    """The one CT series of a folder: int16 HU (columns, rows, slices) and its affine in RAS mm.

    Files that are not DICOM, other modalities and localizers are passed over. Raises InputError where there is no CT
    or more than one, where slices are missing, doubled, tilted or of unequal spacing, and for numbers that are no HU.
    """
    try:
        import highdicom
    except ImportError as error:
        raise InputError(f"{folder}: DICOM needs two more packages; pip install 'synthct[dicom]'") from error
    slices = _one_series(folder)
    try:
        stack = highdicom.get_volume_from_series(slices, dtype=np.float64, apply_modality_transform=True)
    except (ValueError, RuntimeError, AttributeError, NotImplementedError) as error:
        why = str(error).rstrip(".") or type(error).__name__
        raise InputError(
            f"{folder}: {len(slices)} files make no volume ({why}); export the series again, uncompressed and whole, "
            "or convert it to NIfTI"
        ) from error
    hu = np.ascontiguousarray(stack.array.transpose(2, 1, 0))
    ct_likeness.require_ct(hu, str(folder))
    affine = _LPS_TO_RAS @ stack.affine[:, [2, 1, 0, 3]]
    return Volume(np.rint(hu).clip(HU_MIN, HU_MAX).astype(np.int16), affine)


def _one_series(folder: Path) -> list[Dataset]:
    """The slices of the only CT series below a folder."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    series: dict[str, list[Dataset]] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            dataset = pydicom.dcmread(file)
        except (InvalidDicomError, EOFError):
            continue
        localizer = "LOCALIZER" in dataset.get("ImageType", ())
        if dataset.get("Modality") == "CT" and "PixelData" in dataset and not localizer:
            series.setdefault(str(dataset.get("SeriesInstanceUID", "")), []).append(dataset)
    if not series:
        raise InputError(f"{folder}: no CT images in it; hand over a DICOM series of a CT, or a .nii.gz file")
    if len(series) > 1:
        found = "; ".join(f"'{s[0].get('SeriesDescription', '')}' of {len(s)} images" for s in series.values())
        raise InputError(f"{folder}: {len(series)} CT series ({found}); hand over a folder with one of them")
    return next(iter(series.values()))
