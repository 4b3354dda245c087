"""Preparing training data: anchors and places in mm, facts of a body of known sizes, and whose data may be used."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from synth import cli
from synth.data.native import prepare_native
from synth.data.prepare import Others, list_scans, place, prepare
from synth.data.sources import openkbp
from synth.data.store import Store
from synth.errors import InputError
from tests.regions import DOSES_GY, HEAD_NECK, ORGANS, REGION

SPACING = (8.0, 10.0, 6.0)
VESSELS = REGION.fact("neck_vessels_hu").measure
SHAPE = (40, 24, 40)
LEFT, RIGHT = (slice(12, 15), slice(10, 13), slice(24, 29)), (slice(25, 28), slice(10, 13), slice(26, 31))
ANCHOR_MM = np.array([19.5 * 8, 11 * 10, 27 * 6])  # midway between the middles of the two blocks, index * spacing
INDEX = ("case", "split", "organs_annotated")


def write(path: Path, array: np.ndarray) -> None:
    """Save an array in RAS order as a file in LAS order, so that orientation counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-SPACING[0], SPACING[1], SPACING[2], 1.0])
    nib.save(nib.Nifti1Image(array[::-1], affine), path)


def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU, organs and targets: a box of soft tissue with a bright point, two parotids, a target on the left."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[6:34, 4:20, 2:36] = 40
    hu[30, 8, 10] = 3000
    organs, targets = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    organs[RIGHT], organs[LEFT] = 3, 4
    targets[8:12, 8:12, 12:20], targets[9:11, 9:11, 14:18] = 1, 3
    return hu, organs, targets


def patient(root: Path, split: str, case: str, annotated: str = "RightParotid;LeftParotid") -> None:
    for name, array in zip(("ct", "organs", "targets"), arrays(), strict=True):
        write(root / split / case / f"{name}.nii.gz", array)
    new = not (root / "index.csv").exists()
    with (root / "index.csv").open("a", newline="") as file:
        table = csv.writer(file)
        table.writerows([INDEX, (case, split, annotated)] if new else [(case, split, annotated)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    patient(tmp_path / "headneck", "train", "hn_001")
    patient(tmp_path / "headneck", "val", "hn_002")
    return tmp_path / "headneck"


@pytest.fixture
def native(tmp_path: Path) -> Path:
    folder = tmp_path / "chest"
    for case in ("open", "closed", "unsaid"):
        write(folder / case / "ct.nii.gz", arrays()[0])
    (folder / "index.csv").write_text("case,may_train_released_weights\nopen,yes\nclosed,no\n")
    return folder


def scan(root: Path, split: str = "train"):
    (listed,) = (one for one in openkbp.listing(root).scans if one.split == split)
    return listed.read()


def test_a_patient_is_read_in_ras_with_doses_in_gy(root: Path) -> None:
    found = scan(root)
    hu, organs, targets = arrays()
    np.testing.assert_array_equal(found.hu, hu)
    np.testing.assert_array_equal(found.organs.mask("parotid_gland_right"), organs == 3)
    np.testing.assert_array_equal(found.organs.mask("parotid_gland_left"), organs == 4)
    np.testing.assert_array_equal(found.dose, np.array([0, *DOSES_GY])[targets])
    np.testing.assert_allclose(found.spacing, SPACING)
    assert set(found.organs.names.values()) == {"parotid_gland_right", "parotid_gland_left"}


def test_the_anchor_is_midway_between_the_parotids(root: Path) -> None:
    found = scan(root)
    right, left = (found.organs.mask(f"parotid_gland_{side}") for side in ("right", "left"))
    masks = {"parotid_gland_right": right, "parotid_gland_left": left}
    np.testing.assert_allclose(REGION.find_anchor(found.hu, found.spacing, masks), ANCHOR_MM)
    one_sided = masks | {"parotid_gland_left": np.zeros_like(left)}
    assert REGION.find_anchor(found.hu, found.spacing, one_sided) is None


def test_a_point_lands_at_its_mm_from_the_anchor() -> None:
    point = np.zeros(SHAPE, np.float32)
    index = np.array([30, 8, 10])
    point[tuple(index)] = 1.0
    placed = place(point, np.array(SPACING), ANCHOR_MM, HEAD_NECK, 0.0, order=1)
    assert placed.shape == HEAD_NECK.shape_at(4.0)
    centre = np.average(np.argwhere(placed > 0), axis=0, weights=placed[placed > 0])
    mm = centre * 4.0 + HEAD_NECK.affine_at(4.0)[:3, 3]
    np.testing.assert_allclose(mm, index * SPACING - ANCHOR_MM, atol=1.0)


def test_what_lies_outside_the_scan_is_filled() -> None:
    placed = place(np.full(SHAPE, 40.0), np.array(SPACING), ANCHOR_MM, HEAD_NECK, -1000.0, order=1)
    assert placed[0, 0, 0] == -1000 and placed[64, 45, 60] == 40


def test_facts_of_a_body_of_known_sizes() -> None:
    """A box of 200 x 160 x 200 mm, wider below; a mandible of 64 mL; a target with three quarters on the left."""
    affine, shape = HEAD_NECK.affine_at(4.0), HEAD_NECK.shape_at(4.0)
    x, y, z = (affine[i, 3] + 4.0 * index for i, index in enumerate(np.ogrid[tuple(map(slice, shape))]))
    hu = np.full(shape, -1000, np.int16)
    hu[(abs(x) < 100) & (abs(y) < 80) & (z > -140) & (z < 60)] = 40
    hu[(abs(x) < 200) & (abs(y) < 80) & (z > -140) & (z < -100)] = 40
    organs, dose = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    organs[(abs(x) < 20) & (y > 40) & (y < 80) & (z > 0) & (z < 40)] = 1 + ORGANS.index("mandible")
    dose[(x > -60) & (x < 20) & (abs(y) < 20) & (abs(z) < 20)] = 56
    dose[(x > -60) & (x < -20) & (abs(y) < 20) & (abs(z) < 20)] = 70
    facts = REGION.measure(REGION.placed(hu, affine, organs, dose, ("mandible", "larynx")))
    expected = {
        "top_mm": 58.0, "bottom_mm": 138.0, "face_top_mm": 58.0, "front_mm": 78.0, "back_mm": 78.0,
        "shoulder_width_mm": 400.0, "neck_area_cm2": 320.0, "body_ml": 6400.0 + 1280.0,
        "neck_vessels_hu": 40.0, "target_56_ml": 128.0, "target_56_side": 0.5, "target_63_ml": 0.0,
        "target_70_ml": 64.0, "target_70_side": 1.0, "mandible_ml": 64.0,
    }  # fmt: skip
    assert facts == pytest.approx(expected)  # the larynx was annotated but is not there: no fact


def _neck_with_vessels(spacing: float, blood_hu: int) -> tuple[np.ndarray, np.ndarray]:
    """A cylinder of muscle with vessels of 16 mm left and right, a bone beside one of them, and a bright skin."""
    affine, shape = HEAD_NECK.affine_at(spacing), HEAD_NECK.shape_at(spacing)
    x, y, z = (affine[i, 3] + spacing * index for i, index in enumerate(np.ogrid[tuple(map(slice, shape))]))
    hu = np.full(shape, -1000, np.int16)
    radius = np.sqrt(x**2 + y**2) + 0 * z
    hu[radius < 80] = 300  # skin, and what is near bone, is left out
    hu[radius < 74] = 55
    hu[((abs(x) - 36) ** 2 + (y - 10) ** 2 + 0 * z) < 64] = blood_hu
    hu[(abs(x) < 16) & (abs(y + 20) < 16) & (z < 1e6)] = 900
    return hu, affine


@pytest.mark.parametrize("spacing", [4.0, 2.0])
@pytest.mark.parametrize(("blood", "low", "high"), [(55, 54, 56), (160, 120, 161), (45, 54, 56)])
def test_contrast_is_read_off_the_vessels_of_the_neck(spacing: float, blood: int, low: float, high: float) -> None:
    value = VESSELS.of(REGION.placed(*_neck_with_vessels(spacing, blood)))
    assert value is not None and low <= value <= high


def test_contrast_is_not_read_where_vessels_are_blurred_or_no_neck_is() -> None:
    assert VESSELS.of(REGION.placed(*_neck_with_vessels(8.0, 160))) is None
    hu, affine = _neck_with_vessels(4.0, 160)
    assert VESSELS.of(REGION.placed(np.full_like(hu, -1000), affine)) is None


def test_a_volume_without_a_body_has_facts_too() -> None:
    affine, shape = HEAD_NECK.affine_at(4.0), HEAD_NECK.shape_at(4.0)
    empty = np.zeros(shape, np.uint8)
    facts = REGION.measure(REGION.placed(np.full(shape, -1000, np.int16), affine, empty, empty))
    assert facts["body_ml"] == facts["shoulder_width_mm"] == facts["top_mm"] == 0.0


def prepared(root: Path, out: Path, **others: object) -> dict[str, int]:
    return prepare(list_scans("openkbp", root), "openkbp", REGION, out, **others)


def test_prepare_writes_patients_their_prior_and_counts(root: Path, native: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    counts = prepared(root, out, others=Others(native=(native,)))
    assert counts == {"openkbp/train": 1, "openkbp/val": 1, "native/chest": 2}
    (entry,) = Store(out / "patients/train")
    assert entry.hu.dtype == np.int16 and entry.hu.shape == HEAD_NECK.shape_at(4.0)
    assert set(np.unique(entry.dose)) == {0, 56, 70}
    assert entry.annotated == ["parotid_gland_right", "parotid_gland_left"] and entry.source == "openkbp"
    (prior,) = json.loads((out / "prior.json").read_text())["patients"]
    assert prior == {name: round(value, 2) for name, value in entry.facts.items()}
    assert prior["parotid_gland_left_ml"] == pytest.approx(3 * 3 * 5 * np.prod(SPACING) / 1000, rel=0.1)


def test_organs_that_were_not_annotated_give_no_fact(root: Path, tmp_path: Path) -> None:
    prepared(root, tmp_path / "out")
    (entry,) = Store(tmp_path / "out/patients/val")
    assert entry.facts["body_ml"] > 1000 and (entry.organs == 1 + ORGANS.index("mandible")).sum() == 0
    assert [name for name in ORGANS if f"{name}_ml" in entry.facts] == ["parotid_gland_right", "parotid_gland_left"]


def test_a_licence_that_forbids_training_is_respected(native: Path, tmp_path: Path) -> None:
    assert prepare_native(native, tmp_path / "out", exclude=("unsaid",)) == 1
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["open.npz"]
    with np.load(tmp_path / "out/open.npz") as data:
        np.testing.assert_array_equal(data["hu"], arrays()[0])
        np.testing.assert_allclose(data["spacing"], SPACING)


def test_the_command_prints_the_counts(
    root: Path, native: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["prepare", "--layout", "openkbp", "--from", str(root), "--native", str(native)]
    assert cli.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines() == ["openkbp/train: 1", "openkbp/val: 1", "native/chest: 2"]
    assert cli.main(["prepare", "--help"]) == 0
    assert "Example: synthct prepare" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --layout and --from, --native or --lesions"),
        (["--layout", "cases"], "give --layout and --from together"),
        (["--layout", "cases", "--from", "{empty}"], "no CASE/ct.nii.gz and no CASE/ct/"),
        (["--lesions", "nowhere"], "--lesions nowhere: no such folder"),
        (["--layout", "openkbp", "--from", "nowhere"], "--from nowhere: no such folder"),
        (["--layout", "openkbp", "--from", "{root}", "--native", "nowhere"], "--native nowhere: no such folder"),
        (["--layout", "openkbp", "--from", "{root}", "--table", "t.csv"], "--table: openkbp has a table"),
        (["--layout", "openkbp", "--from", "{chest}"], "index.csv: no column 'split'"),
        (["--layout", "openkbp", "--from", "{empty}"], "no index.csv"),
        (["--native", "{empty}"], "no CASE/ct.nii.gz"),
        (["--native", "{chest}", "--native", "{chest}"], "is in"),
        (["--native", "{chest}", "--organ-ids", "1=liver"], "are of patients; give --layout and --from too"),
    ],
)
def test_what_cannot_be_prepared_is_one_line(
    root: Path, native: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"root": root, "chest": native, "empty": tmp_path / "empty"}
    out = tmp_path / "out"
    assert cli.main(["prepare", *(a.format(**places) for a in arguments), "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("synthct: error: ") and err.count("\n") == 1 and said in err
    assert not out.exists()


def test_broken_patients_are_left_out_by_name(root: Path, tmp_path: Path) -> None:
    (root / "train/hn_001/targets.nii.gz").unlink()
    with pytest.raises(InputError, match=r"targets\.nii\.gz: no such file"):
        scan(root)
    write(root / "train/hn_001/targets.nii.gz", np.full(SHAPE, 4, np.uint8))
    with pytest.raises(InputError, match=r"targets\.nii\.gz: label value 4; this layout has 0 to 3"):
        scan(root)
    patient(root, "train", "hn_003")
    patient(root, "val", "hn_004", "Heart")
    assert prepared(root, tmp_path / "out")["openkbp/train"] == 1
    left_out = (tmp_path / "out/left_out.csv").read_text()
    assert "label value 4" in left_out and "unknown organ 'Heart'" in left_out


def test_a_split_without_training_patients_is_an_error(tmp_path: Path) -> None:
    patient(tmp_path / "set", "val", "hn_001")
    with pytest.raises(InputError, match="no scan to train on is listed"):
        prepared(tmp_path / "set", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_ct_leaves_nothing_and_what_was_there_stays(
    native: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["prepare", "--native", str(native), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.npz")}
    first, *_, last = sorted(native.rglob("ct.nii.gz"))
    first.parent.rename(first.parent.with_name("a new one"))
    last.write_bytes(last.read_bytes()[:200])
    assert before and cli.main(arguments) == 2
    assert str(last) in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert not [path for path in tmp_path.rglob(".*")]
