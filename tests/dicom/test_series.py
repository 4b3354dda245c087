"""DICOM series in: the volume that was written, in the labels' axis order, and one line for what makes no volume."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from synth import cli
from synth.case.plan import host_name
from synth.dicom.ct import ct_series
from synth.dicom.identity import Identity
from synth.errors import InputError
from synth.provenance import sha256_of_input
from synth.volumes import nifti
from synth.volumes.geometry import to_ras
from synth.volumes.host import read_host
from synth.volumes.series import read_series
from synth.volumes.types import LabelMap, Volume
from tests import phantoms
from tests.dicom.conftest import a_case, oblique
from tests.hosts import chest

HERE = Identity(content="aa", patient_id="p", case="c", door="insert", prompt="", weights="bb")


def write(ct: Volume, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(ct_series(ct, HERE)):
        image.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    return folder


def same_world(found: Volume, expected: Volume) -> None:
    (hu, affine), (their_hu, their_affine) = to_ras(found.hu, found.affine), to_ras(expected.hu, expected.affine)
    np.testing.assert_array_equal(hu, their_hu)
    np.testing.assert_allclose(affine, their_affine, atol=1e-3)


@pytest.mark.parametrize("affine", [oblique(), phantoms.RAS_2MM], ids=["oblique", "ras"])
def test_what_was_written_is_read(affine: np.ndarray, tmp_path: Path) -> None:
    ct = a_case(affine).ct
    folder = write(ct, tmp_path / "series")
    (folder / "notes.txt").write_text("not DICOM")
    same_world(read_series(folder), ct)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "PIR"])
def test_a_series_gets_the_axis_order_of_its_labels(codes: str, tmp_path: Path) -> None:
    case = a_case(phantoms.RAS_2MM)
    image = nib.Nifti1Image(case.organs.ids, case.organs.affine)
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(tuple(codes))
    )
    image.as_reoriented(turn).to_filename(tmp_path / "labels.nii.gz")
    series = write(case.ct, tmp_path / "series")
    volume, labels = read_host(series, tmp_path / "labels.nii.gz", trust_labels=True)  # a box is no liver
    assert "".join(nib.aff2axcodes(volume.affine)) == codes
    same_world(volume, case.ct)
    assert labels.ids.shape == volume.hu.shape
    assert np.array_equal(to_ras(labels.ids, labels.affine)[0], to_ras(case.organs.ids, case.organs.affine)[0])


def test_other_series_and_what_makes_no_volume_are_one_line(tmp_path: Path) -> None:
    ct = a_case(phantoms.RAS_2MM).ct
    with pytest.raises(InputError, match="no CT images in it"):
        read_series(tmp_path)
    folder = write(ct, tmp_path / "series")
    other = folder / "0001.dcm"
    image = pydicom.dcmread(other)
    image.SeriesInstanceUID = "1.2.3"
    image.save_as(other)
    with pytest.raises(InputError, match="2 CT series .* of 1 images"):
        read_series(folder)
    other.unlink()  # now a slice is missing
    with pytest.raises(InputError, match="1 slice is missing, the first after 0000.dcm: .*; export the series again"):
        read_series(folder)


def test_a_scan_of_another_kind_and_a_localizer_are_passed_over(tmp_path: Path) -> None:
    ct = a_case(phantoms.RAS_2MM).ct
    folder = write(ct, tmp_path / "series")
    for name, (key, value) in {"mr": ("Modality", "MR"), "scout": ("ImageType", ["ORIGINAL", "LOCALIZER"])}.items():
        image = pydicom.dcmread(folder / "0000.dcm")
        image.SeriesInstanceUID, image.SOPInstanceUID = "1.2.4", "1.2.5"
        setattr(image, key, value)
        image.save_as(folder / f"{name}.dcm")
    same_world(read_series(folder), ct)


def test_a_series_is_known_by_its_content(tmp_path: Path) -> None:
    ct = a_case(phantoms.RAS_2MM).ct
    one, two = write(ct, tmp_path / "one"), write(ct, tmp_path / "two")
    (two / "0000.dcm").rename(two / "first.dcm")
    assert sha256_of_input(one) == sha256_of_input(two)
    (two / "0001.dcm").unlink()
    assert sha256_of_input(one) != sha256_of_input(two)
    assert host_name(one) == "one"


def test_a_lesion_goes_into_a_series_as_into_the_same_nifti(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ct, labels = chest()
    folder = write(ct, tmp_path / "scan")
    nifti.write_volume(tmp_path / "scan.nii.gz", ct)
    nifti.write_labels(tmp_path / "labels.nii.gz", LabelMap(labels.ids, labels.affine, labels.names))
    for host in (folder, tmp_path / "scan.nii.gz"):
        out = tmp_path / f"out_{host.name}"
        arguments = [str(host), "12 mm nodule in the left lung", "--organs", str(tmp_path / "labels.nii.gz")]
        assert cli.main(["insert", *arguments, "--out", str(out), "-q"]) == 0
    found, expected = (
        nifti.read_volume(next((tmp_path / f"out_{name}").glob("*/ct.nii.gz")), plausible=False)
        for name in ("scan", "scan.nii.gz")
    )
    assert np.array_equal(found.hu, expected.hu)
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-3)
    (manifest,) = (tmp_path / "out_scan").glob("*/manifest.json")
    assert json.loads(manifest.read_text())["inputs"]["ct"]["file"] == "scan"
