"""`synthct scan` and Scand: pairs on one grid, clean files bit for bit, settings told, bad input in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from synth import cli, provenance
from synth.case import folder as case_folder
from synth.errors import InputError
from synth.scanner.transform import Scand
from synth.volumes import nifti
from tests import phantoms


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return case_folder.write_case(
        tmp_path / "case_00007",
        phantoms.case(),
        plan_json="{}",
        report_json='{"sentences": []}',
        report_text="Nothing.\n",
        preview_png=b"",
        manifest=provenance.manifest(command="", seeds={}, weights={}, device="cpu"),
    )


def test_a_case_keeps_every_file_and_gets_a_scan(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "scan",
        str(case),
        "--dose",
        "0.25",
        "--views",
        "90",
        "--seed",
        "4",
        "--out",
        str(tmp_path / "o"),
        "-q",
    ]
    assert cli.main(arguments) == 0
    folder = tmp_path / "o/case_00007"
    assert capsys.readouterr().out.strip() == str(folder)
    for name in case_folder.FILES:
        if name != case_folder.MANIFEST:
            assert (folder / name).read_bytes() == (case / name).read_bytes()
    read, _, _, manifest = case_folder.read_case(folder)
    assert not case_folder.altered_files(folder, manifest)
    scan = nifti.read_volume(folder / "scan.nii.gz", plausible=False)
    np.testing.assert_array_equal(scan.affine, read.ct.affine)
    assert scan.hu.shape == read.ct.hu.shape and (scan.hu != read.ct.hu).mean() > 0.2
    assert manifest["scan"]["settings"] == {"dose": 0.25, "views": 90} and manifest["scan"]["seed"] == 4
    assert manifest["scan"]["command"] == "synthct scan case_00007 --dose 0.25 --views 90 --seed 4"
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert cli.main(arguments) == 0  # again: left alone
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    assert cli.main([*arguments, "--kernel", "soft"]) == 2
    assert "is another scan; choose another --out" in capsys.readouterr().err


def test_a_ct_alone_is_a_pair_too(tmp_path: Path) -> None:
    nifti.write_volume(tmp_path / "chest.nii.gz", phantoms.body())
    out = tmp_path / "o"
    assert cli.main(["scan", str(tmp_path / "chest.nii.gz"), "--slice-mm", "6", "--out", str(out), "-q"]) == 0
    assert sorted(f.name for f in (out / "chest").iterdir()) == ["ct.nii.gz", "manifest.json", "scan.nii.gz"]
    manifest = json.loads((out / "chest/manifest.json").read_text())
    assert manifest["scan"]["settings"] == {"slice_mm": 6.0} and manifest["inputs"]["ct"]["file"] == "chest.nii.gz"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no setting given"),
        (["--dose", "0"], "--dose 0.0: input should be greater than 0"),
        (["--dose", "1.5"], "--dose 1.5: input should be less than or equal to 1"),
        (["--views", "0"], "--views 0: input should be greater than or equal to 1"),
        (["--angle", "300"], "--angle 300.0: "),
        (["--kernel", "B30f"], "--kernel B30f: input should be 'smooth', 'standard' or 'sharp'"),
        (["--metal", "hip"], "metal 'hip': the labels have no femur_left or femur_right"),
        (["--sirt", "5"], "reconstruction needs views or angle"),
        (["--slice-mm", "1"], "slice_mm 1: the volume has 16 slices of 3 mm; ask for 3 to 48 mm"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], said: str, case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["scan", str(case), *options, "--out", str(tmp_path / "o"), "-q"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "o").exists()


def test_what_is_no_ct_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nifti.write_labels(tmp_path / "mask.nii.gz", phantoms.case().organs)
    assert cli.main(["scan", str(tmp_path / "mask.nii.gz"), "--dose", "0.5", "-q", "--out", str(tmp_path / "o")]) == 2
    assert "are no HU" in capsys.readouterr().err


def test_scand_draws_anew_and_repeats_by_seed() -> None:
    ct = phantoms.body()
    image = MetaTensor(torch.from_numpy(ct.hu[None].astype(np.float32)), affine=torch.from_numpy(ct.affine))
    one, same = (Scand("ct", [{"dose": 0.2}, {"views": 60}], scan_key="low").set_random_state(5) for _ in range(2))
    drawn, again, other = (t({"ct": image})["low"] for t in (one, same, one))
    assert isinstance(drawn, MetaTensor) and drawn.dtype == image.dtype and drawn.shape == image.shape
    assert torch.equal(drawn, again) and not torch.equal(drawn, other)
    never = Scand("ct", [{"dose": 0.2}], prob=0.0)({"ct": image})
    assert torch.equal(never["ct"], image)
    with pytest.raises(InputError, match="metal 'hip' needs organ labels under 'organs'"):
        Scand("ct", [{"metal": "hip"}])({"ct": image})
    with pytest.raises(InputError, match="Scand: settings dose"):
        Scand("ct", [{"dose": 3}])


def test_plans_say_what_was_asked_for() -> None:
    from prompts import parse
    from synth.case.plan import InsertPlan, plan_of
    from synth.scanner import Scanner

    low = Scanner(name="low", dose=0.2, angle_deg=150)
    plan = InsertPlan(case="x", seed=0, request=parse("9 mm nodule in the left lung"), scanner=low)
    assert json.loads(plan.to_json())["scanner"] == {
        **{"slice_mm": None, "kernel": "standard", "noise_hu": 0.0, "dose": 0.2, "angle_deg": 150.0, "name": "low"}
    }
    assert plan_of(json.loads(plan.to_json())).scanner == low
