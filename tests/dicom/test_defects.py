"""Defects of real series, one each in a small made-up one: read right, or refused with cause, number and file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
import pytest

from synth.errors import InputError
from synth.volumes.series import read_series
from synth.volumes.types import HU_MIN, Volume
from tests.dicom.test_series import same_world, write
from tests.hosts import chest

Change = Callable[[pydicom.Dataset, int], None]
SLICES = 12
ODD = 4  # the slice that a defect is put into, file 0004.dcm
CT = Volume(np.ascontiguousarray(chest()[0].hu[:, :, 3 : 3 + SLICES]), chest()[0].affine)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(CT, tmp_path_factory.mktemp("clean") / "series")


@pytest.fixture
def series(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "series"))


def changed(folder: Path, change: Change, only: int | None = None) -> None:
    """Change the data set of each file, or of one."""
    for number, file in enumerate(sorted(folder.glob("*.dcm"))):
        if only is None or number == only:
            dataset = pydicom.dcmread(file)
            change(dataset, number)
            dataset.save_as(file)


def said(number: int, tag: str, value: object) -> Change:
    """Set a tag in the slice of this number."""
    return lambda dataset, n: setattr(dataset, tag, value) if n == number else None


def moved(mm: Callable[[int], tuple[float, float, float]]) -> Change:
    def change(dataset: pydicom.Dataset, number: int) -> None:
        place = np.asarray(dataset.ImagePositionPatient, float) + mm(number)
        dataset.ImagePositionPatient = [f"{v:.4f}" for v in place]

    return change


def stored(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def put(dataset: pydicom.Dataset, number: int) -> None:
        if number == ODD:
            dataset.PixelData = change(dataset.pixel_array).astype(np.int16).tobytes()

    return put


def _raw(dataset: pydicom.Dataset, tag: str, value: bytes) -> None:
    """A value that pydicom would not write itself."""
    dataset[tag] = pydicom.dataelem.RawDataElement(dataset[tag].tag, "DS", len(value), value, 0, False, True)


def _unsigned(dataset: pydicom.Dataset, number: int) -> None:
    if number == ODD:
        hu = dataset.pixel_array.astype(int) * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept)
        dataset.PixelRepresentation, dataset.RescaleSlope, dataset.RescaleIntercept = 0, 1, -1024
        dataset.PixelData = (hu + 1024).astype(np.uint16).tobytes()


TILT = np.tan(np.deg2rad(12)) * 3.0  # mm a slice of 3 mm
READ: dict[str, Change] = {
    "jitter of 0.05 mm": moved(lambda n: (0, 0, 0.05 * (-1) ** n)),
    "positions rounded to 0.1 mm": lambda d, n: setattr(
        d, "ImagePositionPatient", [f"{float(v):.1f}" for v in d.ImagePositionPatient]
    ),
    "one unsigned slice": _unsigned,
    "no modality": lambda d, n: delattr(d, "Modality"),
}


@pytest.mark.parametrize("change", READ.values(), ids=READ.keys())
def test_what_can_be_read_is_read_right(series: Path, change: Change) -> None:
    changed(series, change)
    found = read_series(series)
    np.testing.assert_array_equal(np.sort(found.hu.ravel()), np.sort(CT.hu.ravel()))
    np.testing.assert_allclose(found.spacing, CT.spacing, atol=0.02)


REFUSED: dict[str, tuple[Change, str]] = {
    "gantry tilt": (
        moved(lambda n: (0, TILT * n, 0)),
        r"tilted by 12.0 degrees: slices shift by 7.0 mm from 0000.dcm.*_Tilt",
    ),
    "one slice along by 0.5 mm": (
        moved(lambda n: (0, 0, 0.5 * (n == ODD))),
        r"unevenly spaced: 0003.dcm and 0004.dcm are 3.5 mm",
    ),
    "one slice aside by 0.5 mm": (moved(lambda n: (0.5 * (n == ODD), 0, 0)), "0004.dcm lies 0.5 mm beside the other"),
    "no position": (
        lambda d, n: d.pop("ImagePositionPatient") if n == ODD else None,
        "0004.dcm has no ImagePositionPatient",
    ),
    "no direction": (lambda d, n: d.pop("ImageOrientationPatient"), "0000.dcm has no ImageOrientationPatient"),
    "no intercept": (lambda d, n: d.pop("RescaleIntercept") if n == ODD else None, "0004.dcm has no RescaleIntercept"),
    "slope NaN": (
        lambda d, n: _raw(d, "RescaleSlope", b"nan ") if n == ODD else None,
        "0004.dcm.*(RescaleSlope|cannot)",
    ),
    "intercept inf": (lambda d, n: _raw(d, "RescaleIntercept", b"inf ") if n == ODD else None, "0004.dcm"),
    "intercept 1e30": (said(ODD, "RescaleIntercept", "1e30"), r"0004.dcm: up to 1e\+30 is no HU"),
    "intercept 1000 off": (said(ODD, "RescaleIntercept", "1000"), r"0004.dcm: it is \+1000 HU off its neighbours"),
    "intercept 75 off": (said(ODD, "RescaleIntercept", "75"), r"0004.dcm: it is \+75 HU off its neighbours"),
    "slope -1": (said(ODD, "RescaleSlope", "-1"), "0004.dcm: its numbers run the other way"),
    "slope 2": (said(ODD, "RescaleSlope", "2"), "0004.dcm: (its numbers are 2 times|it is)"),
    "inverted pixels": (stored(lambda p: -p), "0004.dcm: its numbers run the other way"),
    "MONOCHROME1": (
        said(ODD, "PhotometricInterpretation", "MONOCHROME1"),
        "0004.dcm: PhotometricInterpretation MONOCHROME1",
    ),
    "one spacing": (said(ODD, "PixelSpacing", "2"), "0004.dcm: PixelSpacing is 2, not 2 numbers"),
    "another spacing": (
        said(ODD, "PixelSpacing", [3, 3]),
        r"0004.dcm: PixelSpacing is .3.0, 3.0. where most .*1 of 12 differ",
    ),
    "another direction": (
        said(ODD, "ImageOrientationPatient", [0, 1, 0, 1, 0, 0]),
        "0004.dcm: ImageOrientationPatient is",
    ),
    "8-bit color": (said(ODD, "PhotometricInterpretation", "RGB"), "0004.dcm: PhotometricInterpretation RGB"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_read_is_one_line_with_cause_and_file(series: Path, change: Change, message: str) -> None:
    changed(series, change)
    with pytest.raises(InputError, match=message) as caught:
        read_series(series)
    assert str(series) in str(caught.value) and ";" in str(caught.value) and "\n" not in str(caught.value)


def test_missing_slices_are_counted(series: Path) -> None:
    for number in (3, 4, 8):
        (series / f"{number:04d}.dcm").unlink()
    with pytest.raises(InputError, match="3 slices are missing, the first after 0002.dcm: the next, 0005.dcm, is 9 mm"):
        read_series(series)


def test_equal_doubles_are_dropped_and_two_phases_refused(series: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(series / "0004.dcm", series / "copy.dcm")
    same_world(read_series(series), CT)
    assert "1 files are doubles of others and left aside: copy.dcm" in caplog.text
    for file in sorted(series.glob("0*.dcm")):
        dataset = pydicom.dcmread(file)
        dataset.SOPInstanceUID, dataset.AcquisitionNumber = dataset.SOPInstanceUID + ".2", 2
        dataset.PixelData = (dataset.pixel_array + 1).astype(np.int16).tobytes()
        dataset.save_as(series / f"venous_{file.name}")
    with pytest.raises(InputError, match=r"12 of 12 positions hold two different images.*AcquisitionNumber .* and 2\)"):
        read_series(series)


def test_two_slices_of_one_uid_are_refused(series: Path) -> None:
    uid = pydicom.dcmread(series / "0005.dcm").SOPInstanceUID
    changed(series, said(ODD, "SOPInstanceUID", uid))
    with pytest.raises(InputError, match="0004.dcm and 0005.dcm share one SOPInstanceUID"):
        read_series(series)


@pytest.mark.parametrize("value", [-2000, 63536])
def test_padding_is_what_the_scanner_did_not_see(series: Path, value: int, caplog: pytest.LogCaptureFixture) -> None:
    def pad(dataset: pydicom.Dataset, number: int) -> None:
        kind, mask = (np.uint16, 0) if value > 0 else (np.int16, 1)
        pixels = dataset.pixel_array.astype(int) * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept)
        pixels = pixels + 1024 if value > 0 else pixels
        pixels[:6] = value
        dataset.PixelRepresentation, dataset.RescaleSlope, dataset.RescaleIntercept = mask, 1, -1024 if value > 0 else 0
        dataset.PixelData = pixels.astype(kind).tobytes()
        dataset.add_new("PixelPaddingValue", "US" if value > 0 else "SS", value)

    changed(series, pad)
    found = read_series(series)
    assert (found.hu == HU_MIN).mean() == pytest.approx(6 / found.hu.shape[1], abs=0.01)
    assert found.hu.max() == CT.hu.max() and "% of the voxels are padding" in caplog.text


def test_files_without_a_preamble_and_behind_links_are_found(series: Path, tmp_path: Path) -> None:
    for file in series.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        del dataset.file_meta
        with file.open("wb") as out:
            pydicom.filewriter.write_dataset(_little(out), dataset)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/scan").symlink_to(series)
    (series / "loop").symlink_to(series)
    same_world(read_series(tmp_path / "linked"), CT)


def _little(out: BinaryIO) -> pydicom.filebase.DicomFileLike:
    file = pydicom.filebase.DicomFileLike(out)
    file.is_little_endian, file.is_implicit_VR = True, False
    return file


def test_an_enhanced_multi_frame_file_is_read(series: Path, tmp_path: Path) -> None:
    import highdicom
    from highdicom.legacy import LegacyConvertedEnhancedCTImage

    slices = [pydicom.dcmread(file) for file in sorted(series.glob("*.dcm"))]
    for one in slices:
        one.SeriesNumber, one.StudyID, one.AccessionNumber = 1, "1", "1"
    image = LegacyConvertedEnhancedCTImage(slices, highdicom.UID(), 2, highdicom.UID(), 1)
    (tmp_path / "enhanced").mkdir()
    image.save_as(tmp_path / "enhanced/frames.dcm")
    same_world(read_series(tmp_path / "enhanced"), CT)


def test_damaged_files_and_folders_without_ct_are_told(series: Path, tmp_path: Path) -> None:
    content = (series / "0004.dcm").read_bytes()
    before_pixels = content[: content.index(b"\xe0\x7f\x10\x00")]
    for cut in (content[: len(content) // 2], content[:300], before_pixels, b""):
        (series / "0004.dcm").write_bytes(cut)
        with pytest.raises(InputError, match=r"0004.dcm:? (its pixels )?(cannot be read|holds no pixels|is empty)"):
            read_series(series)
    folder = tmp_path / "none"
    folder.mkdir()
    (folder / "notes.txt").write_text("\x08\x00 not DICOM")
    (folder / "more.txt").write_text("not DICOM")
    changed(series, lambda d, n: setattr(d, "Modality", "MR"), only=0)
    shutil.copy(series / "0000.dcm", folder)
    with pytest.raises(InputError, match=r"no CT images in it \(.*1 of modality MR.*\)"):
        read_series(folder)
