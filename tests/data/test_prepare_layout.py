"""`prepare --layout`: scans as they lie on disk become a store, with flags, age and report; all is counted."""

import csv

import numpy as np
import pytest

from synth.cli import main
from synth.data.dataset import load_subjects, region_at
from synth.data.prepare import list_scans, prepare
from synth.data.store import Store
from synth.errors import InputError
from synth.regions.region import parse
from synth.volumes import nifti
from synth.volumes.types import LabelMap, Volume
from tests.data.sources import test_ct_rate as ct_rate

REGION = """
name: thorax
frame: {shape: [8, 8, 4], lower_mm: [-64, -64, -32]}
anchor: {lungs: middle}
organs: [spleen]
symmetric: false
facts:
  spleen_ml: {organ_volume: {organ: spleen}, log: true}
  cardiomegaly: {column: {column: Cardiomegaly}, centre: 0, scale: 1}
  sex: {column: {column: sex, values: {F: 0, M: 1}}, centre: 0, scale: 1}
  age: {column: {column: age_years}}
"""


def test_ct_rate_becomes_a_store_with_facts_of_its_tables(tmp_path, capsys):
    ct_rate.archive(tmp_path / "archive")
    (tmp_path / "region.yaml").write_text(REGION)
    mask = (ct_rate.patient() > 500).astype(np.uint8)
    ct_rate.save(tmp_path / "masks" / "train_1_a_1" / "spleen.nii.gz", mask)
    ct_rate.save(tmp_path / "masks" / "train_1_a_2" / "spleen.nii.gz", mask[:-1])
    options = ["--layout", "ct_rate", "--from", str(tmp_path / "archive"), "--masks", str(tmp_path / "masks")]
    command = ["prepare", *options, "--region", str(tmp_path / "region.yaml"), "--out", str(tmp_path / "data")]
    command += ["--trust-labels"]  # a ball of 700 HU is no spleen
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "ct_rate/train: 2" in said and "ct_rate/val: 1" in said and "left_out.csv: 4" in said
    with (tmp_path / "data" / "left_out.csv").open() as file:
        reasons = {row["name"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons["train_1_a_2"].startswith("mask spleen.nii.gz: (39, 36, 24) voxels")
    assert reasons["train_3_a_1"] == "no row in the metadata"

    subjects = load_subjects(tmp_path / "data" / "patients" / "train")
    assert [s.name for s in subjects] == ["train_1_a_1", "train_2_a_1"]
    first, second = subjects
    volume = float((mask > 0).sum()) * 12 / 1000
    assert first.facts == pytest.approx({"spleen_ml": volume, "cardiomegaly": 1, "sex": 0, "age": 63}, rel=0.2)
    assert second.facts.keys() == {"cardiomegaly", "sex", "age"} and second.annotated.tolist() == [0.0]
    assert first.report.startswith("A large heart") and first.annotated.tolist() == [1.0]
    ball = np.argwhere(first.hu > 400).mean(axis=0)
    assert np.abs(ball - np.argwhere(first.organs == 1).mean(axis=0)).max() < 1
    assert ball[0] < np.argwhere((first.hu < -700) & (first.hu > -900)).mean(axis=0)[0]  # left of the lung
    region = region_at(tmp_path / "data")
    assert region.fact("age").centre == pytest.approx(63, abs=0.1)  # measured, for the file does not say it
    assert main(command) == 0 and "ct_rate/train: 2" in capsys.readouterr().out  # nothing is done twice


def case(root, name, report=None):
    hu = ct_rate.patient()[::-1, ::-1]
    noise = np.random.default_rng(0).integers(-40, 40, hu.shape).astype(np.int16)
    hu = np.where(hu > 500, hu + noise, hu)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    (root / name).mkdir(parents=True)
    nifti.write_volume(root / name / "ct.nii.gz", Volume(np.ascontiguousarray(hu), affine))
    if report:
        (root / name / "report.txt").write_text(report)
        ids = np.ascontiguousarray((hu > 500).astype(np.uint8))
        nifti.write_labels(root / name / "organs.nii.gz", LabelMap(ids, affine, {1: "spleen"}))
    return root / name


def test_cases_with_a_table_of_reports_sex_age_and_labels(tmp_path):
    root = tmp_path / "cases"
    for name in ("a", "b", "c", "d"):
        case(root, name, "From the folder." if name == "b" else None)
    (root / "d" / "ct.nii.gz").write_bytes(b"no volume")
    table = "case;patient;split;report;sex;age;Cardiomegaly\n".replace(";", ",")
    table += "a,p1,train,From the table.,male,71,1\nb,p2,train,,F,060Y,0\nc,p3,val,,,,\nd,p4,train,,,,\n"
    table += "no_folder,p5,train,,,,\nnor_one,p6,train,,,,\n"
    case(root, "unsaid", "From the folder.").rename(root / "e")
    (root / "table.csv").write_text(table)
    found = list_scans("cases", root, None, None, None, trust_labels=True)
    counts = prepare(found, "cases", parse(REGION), tmp_path / "data")
    assert (counts["cases/train"], counts["cases/val"]) == (3, 1)
    assert (counts["cases without row of the table"], counts["row of the table without case"]) == (1, 2)
    first, second, _ = Store(tmp_path / "data" / "patients" / "train")
    assert (first.report, second.report) == ("From the table.", "From the folder.")
    assert first.facts == {"cardiomegaly": 1.0, "sex": 1.0, "age": 71.0}
    assert {k: second.facts[k] for k in ("cardiomegaly", "sex", "age")} == {
        "cardiomegaly": 0.0,
        "sex": 0.0,
        "age": 60.0,
    }
    assert Store(tmp_path / "data" / "patients" / "train").left_out["d"].startswith(str(root / "d"))


def test_a_region_that_no_scan_can_be_placed_in_is_said(tmp_path):
    case(tmp_path / "cases", "a")
    by_liver = REGION.replace("lungs: middle", "midpoint: [liver]").replace("[spleen]", "[spleen, liver]")
    (tmp_path / "cases" / "table.csv").write_text("case,split\na,train\n")
    found = list_scans("cases", tmp_path / "cases", None, None, None)
    for _ in range(2):  # what may be mended is tried again
        with pytest.raises(InputError, match="no scan to train on is left: a: .*no liver to place it by"):
            prepare(found, "cases", parse(by_liver), tmp_path / "data")
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("layout", "changes", "said"),
    [
        ("ct_rate", {"table": "t.csv"}, "--table: ct_rate has a table"),
        ("cases", {"masks": "."}, "cases has its masks in"),
        ("cases", {"root": "nowhere"}, "no such folder"),
        ("cases", {"table": "none.csv"}, "no such file"),
    ],
)
def test_options_that_do_not_go_together_are_named(tmp_path, layout, changes, said):
    case(tmp_path / "cases", "a")
    given = {"root": tmp_path / "cases", "masks": None, "table": None, "organ_ids": None}
    given |= {key: tmp_path / value for key, value in changes.items()}
    with pytest.raises(InputError, match=said):
        list_scans(layout, **given)
