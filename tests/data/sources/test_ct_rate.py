"""CT-RATE: whatever is wrong with a volume's header and array, the right HU come out at the right mm."""

import csv

import nibabel as nib
import numpy as np
import pytest

from synth.data.sources import ct_rate
from synth.data.sources.listing import split_of, years
from synth.errors import InputError

SPACING = (2.0, 2.0, 3.0)
COLUMNS, ROWS, SLICES = 40, 36, 24
FLAGS = ("Cardiomegaly", "Pleural effusion")


def patient():
    """HU (columns, rows, slices) of LPS axes: air, a body with lungs, a bright ball on the patient's left, high up."""
    i, j, k = np.meshgrid(*(np.arange(n) for n in (COLUMNS, ROWS, SLICES)), indexing="ij")
    hu = np.full(i.shape, -1000, np.int16)
    hu[(np.abs(i - 20) < 16) & (np.abs(j - 18) < 14)] = 40
    hu[(np.abs(i - 12) < 5) & (np.abs(j - 18) < 7)] = -860
    hu[(i - 30) ** 2 + (j - 12) ** 2 + (k - 18) ** 2 < 16] = 700
    return hu


def metadata(**changes):
    row = {
        "RescaleSlope": "1",
        "RescaleIntercept": "-1024",
        "XYSpacing": str(list(SPACING[:2])),
        "ZSpacing": str(SPACING[2]),
        "ImageOrientationPatient": "[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]",
        "ImagePositionPatient": "[-40.0, -36.0, -300.0]",
        "Rows": str(ROWS),
        "Columns": str(COLUMNS),
        "NumberofSlices": str(SLICES),
        "PatientSex": "F",
        "PatientAge": "063Y",
    }
    return row | changes


def save(path, array, affine=None):
    image = nib.Nifti1Image(array, np.eye(4) if affine is None else affine)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def table(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["VolumeName", *columns])
        writer.writeheader()
        writer.writerows(rows)


def as_stored(defect):
    """(array, affine, changes of the metadata) of a patient with a defect."""
    hu, wrong = patient(), np.diag([0.5, 7.0, 1.0, 1.0])
    raw = (hu + 1024).astype(np.int16)
    padded = np.where(np.indices(hu.shape)[0] < 3, -7000, hu).astype(np.int16)
    return {
        "wrong affine, no rescale": (raw, wrong, {}),
        "rescaled already": (hu, wrong, {}),
        "slope two": (((hu + 1024) // 2).astype(np.int16), wrong, {"RescaleSlope": "2.0"}),
        "padding far below": (padded + 8192, wrong, {"RescaleIntercept": "-8192"}),
        "transposed": (raw.transpose(2, 1, 0), wrong, {}),
        "slices in front": (raw.transpose(2, 0, 1), wrong, {}),
        "floats": (raw.astype(np.float32), wrong, {}),
        "flipped in plane": (
            raw[::-1, ::-1],
            wrong,
            {"ImageOrientationPatient": "[-1, 0, 0, 0, -1, 0]", "ImagePositionPatient": "[38, 34, -300]"},
        ),
        "spacing as one number": (raw, wrong, {"XYSpacing": "2.0"}),
        "orientation not said": (raw, wrong, {"ImageOrientationPatient": "", "ImagePositionPatient": "nan"}),
    }[defect]


DEFECTS = [
    "wrong affine, no rescale", "rescaled already", "slope two", "padding far below", "transposed", "slices in front",
    "floats", "flipped in plane", "spacing as one number", "orientation not said",
]  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_known_defect_is_mended(tmp_path, defect):
    array, affine, changes = as_stored(defect)
    path = save(tmp_path / "train_1_a_1.nii.gz", np.ascontiguousarray(array), affine)
    mask = np.zeros(array.shape, np.uint8)
    expected = patient()[::-1, ::-1]  # LPS -> RAS
    scaled = array.astype(float) * float(changes.get("RescaleSlope", 1))
    mask[scaled >= scaled.max()] = 1  # the ball, as a segmenter of the file would find it
    save(tmp_path / "masks" / "train_1_a_1" / "spleen.nii.gz", mask, affine)
    scan = ct_rate.read_scan(path, metadata(**changes), tmp_path / "masks", "", {}, trust_labels=True)
    inside = expected > -1000
    tolerance = 1 if defect == "slope two" else 0
    assert scan.hu.dtype == np.int16 and np.abs(scan.hu[inside].astype(int) - expected[inside]).max() <= tolerance
    np.testing.assert_allclose(scan.spacing, SPACING)
    ball = np.argwhere(scan.hu > 500).mean(axis=0)  # on the patient's left, in front, high: x low, y and z high
    assert ball[0] < COLUMNS / 2 and ball[1] > ROWS / 2 and ball[2] > SLICES / 2
    assert np.array_equal(scan.organs.mask("spleen"), scan.hu > 500)


def test_left_is_left():
    """Columns run to the patient's left in DICOM; in RAS x runs to the right, so the ball lies at low x."""
    affine = ct_rate.geometry_of(metadata()).affine
    world = affine @ [30, 12, 18, 1]
    assert world[0] == pytest.approx(40 - 60) and world[1] == pytest.approx(36 - 24) and world[2] == pytest.approx(-246)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"RescaleSlope": ""}, "RescaleSlope"),
        ({"RescaleSlope": "0"}, "RescaleSlope 0"),
        ({"RescaleIntercept": "nan"}, "RescaleIntercept"),
        ({"RescaleIntercept": "-24"}, "no air at -1000 HU beside"),
        ({"XYSpacing": "[0.7, 0.7, 0.7]"}, "XYSpacing"),
        ({"XYSpacing": "[0, 0]"}, "no spacing"),
        ({"ZSpacing": "-3"}, "no spacing"),
        ({"ImageOrientationPatient": "[1, 0, 0, 1, 0, 0]"}, "no pair of directions"),
        ({"NumberofSlices": "25"}, "where the metadata say"),
    ],
)
def test_a_bad_row_is_named(tmp_path, changes, said):
    path = save(tmp_path / "v.nii.gz", (patient() + 1024).astype(np.int16))
    with pytest.raises(InputError, match=said):
        ct_rate.read_scan(path, metadata(**changes), None, "", {})


def archive(root):
    """Two patients of training, one of validation, and rows that are bad in every way."""
    raw = (patient() + 1024).astype(np.int16)
    names = ["train_1_a_1", "train_1_a_2", "train_2_a_1", "valid_1_a_1", "train_3_a_1", "train_4_a_1"]
    for name in names:
        part, number, scan, _ = name.split("_")
        save(root / "dataset" / part / f"{part}_{number}" / f"{part}_{number}_{scan}" / f"{name}.nii.gz", raw)
    rows = [{"VolumeName": f"{name}.nii.gz", **metadata()} for name in names if name != "train_3_a_1"]
    rows.append({**rows[-1], "ZSpacing": "5.0"})  # train_4_a_1 twice
    table(root / "metadata" / "all_metadata.csv", list(metadata()), rows)
    said = {"Findings_EN": 'A large heart,\nand "fluid" on the left.', "Impressions_EN": "Cardiomegaly."}
    reports = [{"VolumeName": f"{name}.nii.gz", "ClinicalInformation_EN": "x", **said} for name in names[:4]]
    table(root / "reports.csv", ["ClinicalInformation_EN", "Findings_EN", "Impressions_EN"], reports)
    flags = [{"VolumeName": f"{name}.nii.gz", "Cardiomegaly": "1", "Pleural effusion": "0"} for name in names]
    table(root / "labels.csv", FLAGS, flags)
    with (root / "labels.csv").open("a") as file:
        file.write("train_9_a_1.nii.gz,1\n")
    (root / "notes.csv").write_text("a,b\n1,2\n")


def test_the_archive_is_listed_with_its_reports_labels_and_what_is_left_out(tmp_path):
    archive(tmp_path)
    found = ct_rate.listing(tmp_path)
    assert {scan.name: scan.split for scan in found.scans} == {
        "train_1_a_1": "train",
        "train_1_a_2": "train",
        "train_2_a_1": "train",
        "valid_1_a_1": "val",
    }
    assert found.left_out == {
        "labels.csv line 8": "other cells than its header",
        "train_4_a_1": "two rows that differ in the metadata",
        "train_3_a_1": "no row in the metadata",
    }
    assert found.counts == {"volumes without row of metadata": 1, "volumes without row of reports": 2}
    scan = found.scans[0].read()
    assert scan.report == 'A large heart, and "fluid" on the left. Cardiomegaly.'
    assert scan.columns == {"Cardiomegaly": "1", "Pleural effusion": "0", "sex": "F", "age_years": "63"}
    assert scan.organs is None


def test_what_is_missing_altogether_is_said(tmp_path):
    with pytest.raises(InputError, match=r"no \.nii\.gz below it"):
        ct_rate.listing(tmp_path)
    save(tmp_path / "train_1_a_1.nii.gz", patient())
    with pytest.raises(InputError, match="no CSV with VolumeName"):
        ct_rate.listing(tmp_path)


def test_scans_of_a_patient_are_of_one_split_and_ages_are_years():
    parts = [split_of(f"patient {i}") for i in range(2000)]
    assert 0.12 < parts.count("val") / 2000 < 0.18 and set(parts) == {"train", "val"}
    assert [years(age) for age in ("063Y", "63", "006M", "", "abc", "900Y")] == ["63", "63", "0.5", "", "", ""]
