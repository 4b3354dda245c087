"""The CT images of a folder: every file looked at, links followed, what is passed over counted, one series chosen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from synth.errors import InputError
from synth.files.content import files_below

ENHANCED = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # (legacy converted) Enhanced CT Image
_CT = ("1.2.840.10008.5.1.4.1.1.2", *ENHANCED)
_IMPLICIT_STARTS = (b"\x02\x00", b"\x08\x00")  # groups that a file without the 128 bytes of preamble begins with
_PREAMBLE = 132
_SHOWN = 3


@dataclass(frozen=True)
class Image:
    """A DICOM file that was read."""

    path: Path
    dataset: Dataset

    @property
    def name(self) -> str:
        """What to call it in one line."""
        return self.path.name


@dataclass
class _Found:
    """CT images by series, files that are damaged, and how many others were passed over as what."""

    series: dict[str, list[Image]] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def one_series(folder: Path) -> list[Image]:
    """The images of the only CT series below a folder. Raises InputError where there is none, or more than one."""
    found = _Found()
    for path in files_below(folder):
        _sort_in(path, found)
    if found.damaged:
        more = f" and {len(found.damaged) - 1} more" if len(found.damaged) > 1 else ""
        raise InputError(f"{folder}: {found.damaged[0]}{more}; copy the series again")
    if not found.series:
        passed = ", ".join(f"{number} {what}" for what, number in found.others.most_common())
        raise InputError(
            f"{folder}: no CT images in it ({passed or 'no files'}); hand over a DICOM series of a CT, or NIfTI"
        )
    if len(found.series) > 1:
        kinds = "; ".join(
            f"'{images[0].dataset.get('SeriesDescription', '')}' of {len(images)} images, from {images[0].name}"
            for images in list(found.series.values())[:_SHOWN]
        )
        raise InputError(f"{folder}: {len(found.series)} CT series ({kinds}); hand over a folder with one of them")
    return next(iter(found.series.values()))


def _sort_in(path: Path, found: _Found) -> None:
    """Put one file where it belongs."""
    if not path.is_file():
        found.others["broken links or no files"] += 1
        return
    try:
        dataset = _read(path)
    except Exception as error:  # whatever a damaged file makes the parser raise
        found.damaged.append(f"{path.name} cannot be read as DICOM ({_first_line(error)})")
        return
    if dataset is None and path.suffix == ".dcm" and not path.stat().st_size:
        found.damaged.append(f"{path.name} is empty")
    elif dataset is None:
        found.others["not DICOM"] += 1
    elif dataset.get("Modality", "CT") != "CT" or dataset.get("SOPClassUID", _CT[0]) not in _CT:
        found.others[f"of modality {dataset.get('Modality', 'unknown')}"] += 1
    elif "LOCALIZER" in str(dataset.get("ImageType")):
        found.others["localizers"] += 1
    elif "PixelData" not in dataset and not {str(dataset.get("SOPClassUID")), _stored(dataset)} & {*_CT}:
        found.others["without pixels"] += 1
    elif "PixelData" not in dataset:
        found.damaged.append(f"{path.name} holds no pixels (cut short?)")
    else:
        series = str(dataset.get("SeriesInstanceUID", ""))
        found.series.setdefault(series, []).append(Image(path, dataset))


def _stored(dataset: Dataset) -> str:
    """What the header of a file says it holds, which stands where the rest is cut off."""
    return str(dataset.file_meta.get("MediaStorageSOPClassUID")) if hasattr(dataset, "file_meta") else ""


def _read(path: Path) -> Dataset | None:
    """The data set of a file, with or without a preamble; None where it is no DICOM. Raises what the parser does."""
    with path.open("rb") as file:
        start = file.read(_PREAMBLE)
    if start[-4:] != b"DICM" and start[:2] not in _IMPLICIT_STARTS:
        return None
    try:
        dataset = pydicom.dcmread(path, force=True)
    except InvalidDicomError:
        return None
    if "TransferSyntaxUID" not in dataset.file_meta:  # without its header a file is told by how it parses
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    for element in (*dataset.file_meta, *dataset.iterall()):  # values are parsed when they are first asked for: now
        element.value  # noqa: B018
    return dataset if len(dataset) or start[-4:] == b"DICM" else None


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
