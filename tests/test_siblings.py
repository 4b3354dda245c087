"""Siblings of an inserted case: the healthy twin, the same lesion later, one attribute changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from synth import cli, pipeline
from synth.case.folder import FILES, read_case
from synth.case.plan import InsertPlan, read_plan
from synth.draw import findings as inserting
from synth.errors import InputError
from synth.lesions.shape import grow
from synth.lesions.sibling import Change, FollowUp, Twin
from tests import hosts

pytestmark = pytest.mark.usefixtures("tiny_path")

NODULE = "14 mm solid nodule in the right upper lobe"
LATER = FollowUp(days=90, growth=1.4)
CALCIFIED = Change(attribute="density", value="hyperdense")


def plan_in(folder: Path) -> InsertPlan:
    plan = read_plan((folder / "plan.json").read_text())
    assert isinstance(plan, InsertPlan)
    return plan


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def sentence_of(folder: Path, name: str) -> dict:
    return next(s for s in json.loads((folder / "report.json").read_text())["sentences"] if s["id"] == name)


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return hosts.write_chest(tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def family(tiny_path: None, chest: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The case, its twin, its follow-up, its changed sibling."""
    out = tmp_path_factory.mktemp("family")
    return pipeline.insert_with_siblings(*chest, NODULE, (Twin(), LATER, CALCIFIED), seed=2, out=out)


def test_every_sibling_is_a_whole_case_that_holds(family: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert [folder.name for folder in family] == [
        "chest_00002", "chest_00002_healthy", "chest_00002_90d", "chest_00002_density_hyperdense"
    ]  # fmt: skip
    assert all(sorted(content(folder)) == sorted(FILES) for folder in family)
    assert cli.main(["check", *map(str, family)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{folder}: holds" for folder in family]


def test_the_twin_is_the_host(family: list[Path]) -> None:
    case, plan, report, _ = read_case(family[1])
    host, organs = hosts.chest()
    np.testing.assert_array_equal(case.ct.hu, host.hu)
    np.testing.assert_array_equal(case.organs.ids, organs.ids)
    np.testing.assert_array_equal(case.ct.affine, read_case(family[0])[0].ct.affine)
    assert not case.lesions.ids.any() and plan["sibling"]["case"] == family[0].name
    assert any("No lesion" in sentence["text"] for sentence in report["sentences"])


def test_a_follow_up_is_the_same_lesion_larger(family: list[Path]) -> None:
    before, after = (read_case(folder)[0] for folder in (family[0], family[2]))
    one, later = plan_in(family[0]).lesions[0], plan_in(family[2]).lesions[0]
    assert later.size_mm == pytest.approx(1.4 * one.size_mm)
    assert (later.centre, later.seed, later.rotation, later.zones) == (one.centre, one.seed, one.rotation, one.zones)
    masks = [case.lesions.ids == 1 for case in (before, after)]
    assert (masks[0] & masks[1]).sum() > 0.97 * masks[0].sum()  # it lies where it lay
    outside = np.linalg.norm((np.indices(before.ct.hu.shape).T - later.centre) * before.ct.spacing, axis=-1).T
    where = outside > later.ball_mm
    np.testing.assert_array_equal(after.ct.hu[where], before.ct.hu[where])


def test_the_report_states_the_measured_change(family: list[Path]) -> None:
    stated = sentence_of(family[2], "lung_nodule_1_change")
    before, now = (sentence_of(folder, "lung_nodule_1")["facts"] for folder in (family[0], family[2]))
    assert (stated["section"], stated["masks"]) == ("comparison", ["lung_nodule_1"])
    facts = stated["facts"]
    assert (facts["prior_case"], facts["days"]) == (family[0].name, 90)
    assert (facts["prior_long_axis_mm"], facts["long_axis_mm"]) == (before["long_axis_mm"], now["long_axis_mm"])
    assert facts["long_axis_change_percent"] == pytest.approx(40, abs=15)  # voxels of 2 to 3 mm
    ratio = now["volume_ml"] / before["volume_ml"]
    assert facts["volume_change_percent"] == pytest.approx(100 * (ratio - 1), abs=0.01)
    assert facts["doubling_days"] == pytest.approx(90 * np.log(2) / np.log(ratio), rel=1e-3)
    assert f"against 90 days earlier: long axis {before['long_axis_mm']:.0f} to " in stated["text"]
    assert "COMPARISON\n" + stated["text"] in (family[2] / "report.txt").read_text()


def test_a_prior_that_says_something_else_is_named(
    family: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier, later = (Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in (family[0], family[2]))
    report = json.loads((later / "report.json").read_text())
    (stated,) = [s for s in report["sentences"] if s["section"] == "comparison"]
    stated["facts"]["prior_volume_ml"] *= 2
    (later / "report.json").write_text(json.dumps(report))
    assert cli.main(["check", str(later)]) == 1
    assert "lung_nodule_1_change" in (out := capsys.readouterr().out) and "prior_volume_ml is stated" in out
    shutil.rmtree(earlier)  # alone, the earlier sizes are taken as stated; what follows from them is still held
    assert cli.main(["check", str(later)]) == 1
    captured = capsys.readouterr()
    assert "is not beside it" in captured.err and "volume_change_percent is stated" in captured.out


def test_a_change_differs_within_the_lesion_alone(family: list[Path]) -> None:
    before, after = (read_case(folder)[0] for folder in (family[0], family[3]))
    np.testing.assert_array_equal(after.organs.ids, before.organs.ids)
    np.testing.assert_array_equal(after.lesions.ids, before.lesions.ids)
    host, organs = hosts.chest()
    grown = grow(plan_in(family[0]).lesions[0], host, organs)
    reached = np.zeros(host.hu.shape, bool)
    reached[grown.box] = grown.share > 0
    np.testing.assert_array_equal(after.ct.hu[~reached], before.ct.hu[~reached])
    facts = [sentence_of(folder, "lung_nodule_1")["facts"]["attributes"] for folder in (family[0], family[3])]
    assert [f["density"] for f in facts] == ["isodense", "hyperdense"] or facts[0]["density"] != facts[1]["density"]
    assert facts[1]["core_hu"] > facts[0]["core_hu"] + 100
    one, other = plan_in(family[0]).lesions[0], plan_in(family[3]).lesions[0]
    differing = {key for key, value in one.model_dump().items() if value != other.model_dump()[key]}
    assert differing == {"zones", "asked"}


def test_siblings_replay_and_are_left_alone(family: list[Path], chest: tuple[Path, Path], tmp_path: Path) -> None:
    again = pipeline.insert_with_siblings(*chest, NODULE, (LATER,), seed=2, out=tmp_path)
    assert content(again[1]) == content(family[2])
    plan = plan_in(family[3])
    case = inserting.inserted(plan, inserting.Host(*hosts.chest(), {}))
    np.testing.assert_array_equal(case.ct.hu, read_case(family[3])[0].ct.hu)
    before = {file.name: file.stat().st_mtime_ns for file in again[1].iterdir()}
    assert pipeline.insert_with_siblings(*chest, NODULE, (LATER,), seed=2, out=tmp_path) == again
    assert {file.name: file.stat().st_mtime_ns for file in again[1].iterdir()} == before
    with pytest.raises(InputError, match="holds another case"):
        other = FollowUp(days=90, growth=1.2)
        pipeline.insert_with_siblings(*chest, NODULE, (other,), seed=2, out=tmp_path)


def test_the_commands_make_the_siblings(family: list[Path]) -> None:
    commands = [read_case(folder)[3]["command"] for folder in family]
    assert commands[1] == f"{commands[0]} --twin"
    assert commands[2] == f"{commands[0]} --follow-up 90d --growth 1.4"
    assert commands[3] == f"{commands[0]} --change density=hyperdense"


def test_growth_that_does_not_fit_is_one_error_and_no_folder(chest: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not fit|rejected, because"):
        pipeline.insert_with_siblings(*chest, NODULE, (FollowUp(days=90, growth=9.0),), seed=2, out=tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == ["chest_00002"]
