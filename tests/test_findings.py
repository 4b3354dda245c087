"""Findings in generated CT: from words to masks, their siblings, and what becomes of words that are not drawn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from synth import cli
from synth.case import doors
from synth.case.folder import read_case
from synth.case.order import Order
from synth.case.plan import read_plan
from synth.case.weights_folder import Weights
from synth.errors import InputError
from synth.regions import shipped

PROMPT = "CT of the chest with a 50 mm mass in the right lower lobe and a moderate left pleural effusion"
OPTIONS = ["--spacing", "8", "--seed", "1", "--twin", "--quiet"]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A generated chest with two findings, and its healthy twin."""
    out = tmp_path_factory.mktemp("findings")
    assert cli.main(["generate", PROMPT, *OPTIONS, "--out", str(out)]) == 0
    return [out / "case_00000", out / "case_00000_healthy"]


def test_what_the_words_say_is_in_the_masks(family: list[Path]) -> None:
    """Measured on the masks alone: RAS x is positive on the patient's right."""
    case, *_ = read_case(family[0])
    mass, fluid = (np.argwhere(case.lesions.ids == i) @ np.diag(case.ct.spacing) for i in (1, 2))
    middle = np.argwhere(case.organs.mask("spinal_cord"))[:, 0].mean() * case.ct.spacing[0]
    right = np.sign(case.ct.affine[0, 0])
    assert right * (mass[:, 0].mean() - middle) > 20
    assert right * (fluid[:, 0].mean() - middle) < -20
    assert 40 <= np.ptp(mass[:, :2], axis=0).max() + 8 < 64
    lobe = case.organs.mask("lung_lower_lobe_right")
    assert lobe[case.lesions.ids == 1].mean() > 0.8
    assert case.organs.mask("lung_lower_lobe_left", "lung_upper_lobe_left")[case.lesions.ids == 2].sum() == 0
    assert -30 < np.median(case.ct.hu[case.lesions.ids == 2]) < 40


def test_the_report_holds_and_the_command_makes_it_again(
    family: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", *map(str, family)]) == 0
    text = (family[0] / "report.txt").read_text()
    assert "right lower lobe" in text
    assert "left pleural effusion" in text
    manifest = json.loads((family[1] / "manifest.json").read_text())
    assert "--twin" in manifest["command"]
    assert cli.main(["generate", PROMPT, *OPTIONS, "--out", str(tmp_path)]) == 0
    for folder in family:
        for name in ("ct.nii.gz", "organs.nii.gz", "lesions.nii.gz", "trees.nii.gz", "plan.json", "report.json"):
            assert (tmp_path / folder.name / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_twin_is_the_same_anatomy_without_findings(family: list[Path]) -> None:
    (case, *_), (twin, *_) = (read_case(folder) for folder in family)
    assert not twin.lesions.ids.any()
    plans = [read_plan((folder / "plan.json").read_text()) for folder in family]
    changed = np.argwhere(case.ct.hu != twin.ct.hu)
    reached = [np.linalg.norm((changed - p.centre) * case.ct.spacing, axis=1) <= p.ball_mm for p in plans[0].lesions]
    assert len(changed)
    assert np.any(reached, axis=0).all()
    assert plans[1].sibling is not None
    assert plans[1].sibling.case == family[0].name
    assert len(plans[0].lesions) == 2
    assert plans[1].lesions == ()


def test_vessels_end_where_the_mass_begins(family: list[Path]) -> None:
    case, *_ = read_case(family[0])
    twin, *_ = read_case(family[1])
    assert case.trees is not None
    assert twin.trees is not None
    assert not case.trees.ids[case.lesions.ids == 1].any()
    far = case.ct.hu == twin.ct.hu
    assert (case.trees.ids[far] == twin.trees.ids[far]).all()


def test_a_complete_case_is_left_and_a_missing_twin_is_drawn(family: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(family[0].parent, out)
    before = (out / "case_00000" / "ct.nii.gz").stat().st_mtime_ns
    shutil.rmtree(out / "case_00000_healthy")
    assert cli.main(["generate", PROMPT, *OPTIONS, "--out", str(out)]) == 0
    assert (out / "case_00000" / "ct.nii.gz").stat().st_mtime_ns == before
    for name in ("ct.nii.gz", "plan.json"):
        assert (out / "case_00000_healthy" / name).read_bytes() == (family[1] / name).read_bytes()


def test_each_word_is_drawn_or_named_with_the_reason() -> None:
    line = doors.ask("chest CT with mosaic attenuation, hiatal hernia and a pacemaker", "generate").line()
    assert "mosaic attenuation in the lung" in line.split("not drawn")[0]
    assert "hiatal hernia" in line.split("not drawn")[1]
    assert "pacemaker" in line.split("not drawn")[1]


def test_what_has_no_mask_in_a_region_is_not_drawn_there() -> None:
    torso, head_neck = (doors.generated(shipped(name)) for name in ("torso", "head_neck"))
    assert ("lung", "nodule") in torso - head_neck
    assert ("pancreas", "cyst") not in torso | head_neck
    assert ("mediastinum", "lymph node") in torso  # a space beside the aorta
    assert ("stomach", "hiatal hernia") not in torso  # for want of an esophagus


def test_a_request_that_no_reader_checked_is_refused() -> None:
    request = doors.ask("CT of the abdomen with a 2 cm cyst in the pancreas", "insert").request
    with pytest.raises(InputError, match="pancreas cyst.*no mask.*synthct insert"):
        Order(request, Weights.shipped("torso"))


@pytest.mark.parametrize("door", ["generate", "insert"])
@pytest.mark.parametrize(("segment", "number"), [("7", "7"), ("II", "2"), ("IVa", "4"), ("1", "1")])
def test_a_liver_segment_is_drawn(door: str, segment: str, number: str) -> None:
    reading = doors.ask(f"abdominal CT with a 3 cm lesion in segment {segment} of the liver", door)
    (request,) = reading.request.findings
    assert (request.segment, request.side) == (number, None)
    assert reading.findings[0].drawn and f"segment {number} of the liver" in reading.line()


@pytest.mark.slow
def test_a_place_that_no_anatomy_has_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = "CT of the chest with a 250 mm mass in the left upper lobe"
    assert cli.main(["generate", prompt, "--spacing", "8", "--out", str(tmp_path / "x"), "--quiet"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "the largest that fits" in lines[0]
    assert not (tmp_path / "x").exists()


def test_a_twin_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", "CT of the chest", "--twin", "--out", str(tmp_path / "x")]) == 2
    assert "twin or follow-up of what?" in capsys.readouterr().err
