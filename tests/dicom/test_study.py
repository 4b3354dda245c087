"""A case as DICOM, read again by highdicom, pydicom and MONAI: same HU, same places, same masks, same numbers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes as standard

from synth.dicom.study import identity_of, study
from synth.scanner import Kernel, Scanner
from synth.scanner.scan import scan
from synth.volumes.geometry import to_ras
from synth.volumes.types import Case, LabelMap
from tests import phantoms
from tests.dicom.conftest import MANIFEST, PLAN, a_case, oblique, report_of

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write(case: Case, folder: Path, **manifest: Any) -> Path:
    report = report_of(case)
    study(case, report, identity_of(PLAN, report, MANIFEST | manifest, "set-1")).write(folder)
    return folder


@pytest.fixture(scope="module")
def case() -> Case:
    return a_case(oblique())


@pytest.fixture(scope="module")
def folder(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(case, tmp_path_factory.mktemp("dicom") / "case")


@pytest.fixture(scope="module")
def series(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(file) for file in sorted((folder / "ct").iterdir())]


def same_world(array: np.ndarray, affine: np.ndarray, case: Case, of: np.ndarray) -> None:
    """The same values at the same places, whatever the order of axes."""
    (ours, our_affine), (theirs, their_affine) = to_ras(of, case.ct.affine), to_ras(array, affine)
    np.testing.assert_array_equal(theirs, ours)
    np.testing.assert_allclose(their_affine, our_affine, atol=1e-3)


@pytest.mark.parametrize("affine", [oblique(), phantoms.RAS_2MM], ids=["oblique", "ras"])
def test_the_series_is_the_volume(affine: np.ndarray, tmp_path: Path) -> None:
    case = a_case(affine)
    files = sorted((write(case, tmp_path / "out") / "ct").iterdir())
    read = highdicom.get_volume_from_series([pydicom.dcmread(file) for file in files])
    same_world(np.asarray(read.array), LPS_TO_RAS @ read.affine, case, case.ct.hu)


def test_monai_reads_the_same_volume(case: Case, folder: Path) -> None:
    from monai.transforms import LoadImage

    read = LoadImage(reader="PydicomReader", image_only=True)(str(folder / "ct"))
    same_world(read.numpy(), read.affine.numpy(), case, case.ct.hu)


def test_slices_lie_as_a_reader_expects_them(series: list[pydicom.Dataset]) -> None:
    """Rows run to the left, columns to the back, the slices upwards, each file after the one below it."""
    row, column = np.reshape(series[0].ImageOrientationPatient, (2, 3)).astype(float)
    assert row[0] > 0.9 and column[1] > 0.9 and np.dot(row, column) == pytest.approx(0, abs=1e-6)
    heights = [float(np.dot(np.cross(row, column), np.array(s.ImagePositionPatient, float))) for s in series]
    np.testing.assert_allclose(np.diff(heights), float(series[0].SliceThickness), atol=1e-6)
    assert [s.InstanceNumber for s in series] == list(range(1, len(series) + 1))


def test_a_scanner_shows_in_thickness_kernel_and_derivation(case: Case, series: list[pydicom.Dataset]) -> None:
    scanner = Scanner(name="thick", slice_mm=5.0, kernel=Kernel.smooth, noise_hu=4)
    scanned = scan(case, scanner, 1)
    plan = PLAN | {"scanner": scanner.model_dump(mode="json")}
    report = report_of(scanned)
    images = study(scanned, report, identity_of(plan, report, MANIFEST, "set-1")).series
    spaced = np.diff([np.array(image.ImagePositionPatient, float) for image in images], axis=0)
    np.testing.assert_allclose(np.linalg.norm(spaced, axis=1), 5, atol=1e-4)
    assert {(float(image.SliceThickness), image.ConvolutionKernel) for image in images} == {(5.0, "SMOOTH")}
    assert "thick: 5 mm slices, smooth kernel, noise of 4 HU added" in images[0].DerivationDescription
    assert "ConvolutionKernel" not in series[0] and "scanner" not in series[0].DerivationDescription


def affine_of(series: list[pydicom.Dataset]) -> np.ndarray:
    """(slice, row, column) to RAS mm, by the header of the first and second slice (PS3.3 C.7.6.2.1.1)."""
    first, second = (np.array(s.ImagePositionPatient, float) for s in series[:2])
    along_row, along_column = np.reshape(series[0].ImageOrientationPatient, (2, 3)).astype(float)
    affine = np.eye(4)
    between_rows, between_columns = (float(v) for v in series[0].PixelSpacing)
    affine[:3, :3] = np.stack([second - first, along_column * between_rows, along_row * between_columns], axis=1)
    affine[:3, 3] = first
    return LPS_TO_RAS @ affine


def segments(folder: Path, name: str, series: list[pydicom.Dataset]) -> Iterator[tuple[Any, np.ndarray]]:
    """Description and mask (slices, rows, columns) of each segment, slice by slice of the CT."""
    seg = highdicom.seg.segread(folder / f"{name}.dcm")
    slices = [s.SOPInstanceUID for s in series]
    for number in seg.segment_numbers:
        pixels = seg.get_pixels_by_source_instance(
            slices, segment_numbers=[number], assert_missing_frames_are_empty=True
        )
        yield seg.get_segment_description(number), pixels[..., 0] > 0


@pytest.mark.parametrize("name", ["organs", "lesions"])
def test_segments_are_the_masks_slice_by_slice_of_the_ct(
    case: Case, folder: Path, series: list[pydicom.Dataset], name: str
) -> None:
    source = case.organs if name == "organs" else case.lesions
    nested = {"planning_target_56gy": ("planning_target_56gy", "planning_target_70gy")}
    found = set()
    for described, mask in segments(folder, name, series):
        label = described.segment_label
        same_world(mask, affine_of(series), case, source.mask(*nested.get(label, (label,))))
        found.add(label)
    assert found == set(source.present())


def test_a_segment_s_own_volume_lies_where_the_mask_does(case: Case, folder: Path) -> None:
    """By the positions in the segmentation itself, without the CT."""
    seg = highdicom.seg.segread(folder / "lesions.dcm")
    number = seg.get_segment_numbers(segment_label="liver_cyst_1")[0]
    read = seg.get_volume(segment_numbers=[number], combine_segments=True)
    world = [np.argwhere(np.asarray(read.array) > 0), np.argwhere(case.lesions.mask("liver_cyst_1"))]
    affines = [LPS_TO_RAS @ read.affine, case.ct.affine]
    places = [np.sort(i @ a[:3, :3].T + a[:3, 3], axis=0) for i, a in zip(world, affines, strict=True)]
    np.testing.assert_allclose(*places, atol=1e-3)


def test_segments_carry_snomed_codes_side_and_site(folder: Path, series: list[pydicom.Dataset]) -> None:
    organs = {d.segment_label: d for d, _ in segments(folder, "organs", series)}
    kidney = organs["kidney_left"]
    assert (kidney.segmented_property_type.value, kidney.segmented_property_type.scheme_designator) == (
        "64033007",
        "SCT",
    )
    modifier = kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert modifier.CodeValue == "7771000"
    lesions = {d.segment_label: d for d, _ in segments(folder, "lesions", series)}
    cyst = lesions["liver_cyst_2"]
    assert cyst.segmented_property_type.value == "367643001"
    assert cyst.segmented_property_category == standard.cid7150.MorphologicallyAbnormalStructure
    assert cyst.anatomic_regions[0].value == "10200004"  # the liver
    assert lesions["planning_target_70gy"].segmented_property_type.value == "228793007"


def test_the_structured_report_holds_what_was_measured(case: Case, folder: Path) -> None:
    facts = {s["id"]: s["facts"] for s in report_of(case)["sentences"]}
    content = highdicom.sr.srread(folder / "report.dcm").content
    seg = highdicom.seg.segread(folder / "lesions.dcm")
    groups = {g.tracking_identifier: g for g in content.get_volumetric_roi_measurement_groups()}
    assert set(groups) == {*case.organs.present(), *case.lesions.present()}
    cyst = groups["liver_cyst_1"]
    (longest,) = cyst.get_measurements(name=standard.cid7469.LongAxis)
    assert longest.value == pytest.approx(facts["liver_cyst_1"]["long_axis_mm"]) and longest.unit.value == "mm"
    mean, sd = cyst.get_measurements(name=standard.cid7469.AttenuationCoefficient)
    assert (mean.value, sd.value) == (facts["liver_cyst_1"]["mean_hu"], facts["liver_cyst_1"]["sd_hu"])
    assert mean.unit == standard.UCUM.HounsfieldUnit and mean.derivation == standard.cid7464.Mean
    assert cyst.finding_sites[0].value.value == "10200004"
    pointed = cyst.referenced_segment
    assert pointed[0].referenced_sop_instance_uid == seg.SOPInstanceUID
    assert seg.get_segment_description(pointed[0].referenced_segment_numbers[0]).segment_label == "liver_cyst_1"
    said = {e.name.meaning: e.value.meaning for e in cyst.get_qualitative_evaluations()}
    assert said["density"] == facts["liver_cyst_1"]["attributes"]["density"]
    (volume,) = groups["planning_target_56gy"].get_measurements(name=standard.cid7469.Volume)
    assert volume.value == pytest.approx(facts["planning_target_56gy"]["volume_ml"])


def test_every_object_says_that_it_is_synthetic(folder: Path) -> None:
    files = [*sorted((folder / "ct").iterdir()), *sorted(folder.glob("*.dcm"))]
    read = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    for dataset in read:
        assert dataset.SyntheticData == "YES" and dataset.SeriesDescription.startswith("SYNTHETIC ")
        assert dataset.PatientID == "set-1" and dataset.PatientIdentityRemoved == "YES"
        (equipment,) = dataset.ContributingEquipmentSequence
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109100"  # Synthesizing Equipment
        assert "a cyst in the liver, ö" in equipment.ContributionDescription
    assert len({dataset.StudyInstanceUID for dataset in read}) == 1
    assert len({dataset.SOPInstanceUID for dataset in read}) == len(read)
    assert read[0].ImageType[0] == "DERIVED" and "Synthetic lesions" in read[0].DerivationDescription


def test_the_same_case_gives_the_same_bytes_and_another_one_other_uids(
    case: Case, folder: Path, tmp_path: Path
) -> None:
    again = write(case, tmp_path / "again")
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.dcm"))
    assert len(names) == len(list((folder / "ct").iterdir())) + 3
    for name in names:
        assert (folder / name).read_bytes() == (again / name).read_bytes(), name
    other = write(case, tmp_path / "other", files={"ct.nii.gz": {"sha256": "changed"}})
    uids = [pydicom.dcmread(f / "report.dcm").SOPInstanceUID for f in (folder, other)]
    assert uids[0] != uids[1]


def test_a_case_without_lesions_has_no_segmentation_of_them(tmp_path: Path) -> None:
    case = phantoms.case()
    bare = Case(case.ct, case.organs, LabelMap(np.zeros_like(case.lesions.ids), case.ct.affine, {}))
    written = write(bare, tmp_path / "bare")
    assert sorted(p.name for p in written.iterdir()) == ["ct", "organs.dcm", "report.dcm"]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian: dicom3tools)")
@pytest.mark.parametrize("name", ["ct/0001.dcm", "organs.dcm", "lesions.dcm", "report.dcm"])
def test_dciodvfy_finds_no_error(folder: Path, name: str) -> None:
    """Save that its edition of the standard may be older than Synthetic Data (0008,001C)."""
    done = subprocess.run(["dciodvfy", folder / name], capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error") and "(0x0008,0x001c)" not in line]
    assert done.stderr and errors == []
