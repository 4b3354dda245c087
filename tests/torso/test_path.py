"""The path of a torso with the made-up model: whole folders, the same for the same seed, and refusals in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from synth import cli, pipeline
from synth.case import folder as case_folder
from synth.case import library, order
from synth.case.plan import Sampling
from synth.case.weights_folder import LOOKS, WEIGHTS_ENV
from synth.errors import InputError
from synth.regions import shipped
from synth.torso.model import TorsoModel
from tests import networks

PROMPT = "contrast-enhanced CT of the chest and abdomen"


@pytest.fixture(scope="module", autouse=True)
def made_up_weights(torso: TorsoModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("weights")
    networks.refine(spread=0.0).save_pretrained(folder / "refine")
    (folder / "shape").mkdir()
    torso.save(folder / "shape" / LOOKS)
    (folder / "region.yaml").write_text(shipped("torso").text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_ENV, str(folder))
        patch.setattr(order, "default_sampling", lambda: Sampling(refine_steps=1))
        library.forget()
        yield
    library.forget()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline.generate(PROMPT, seed=1, spacing=4.0, out=tmp_path_factory.mktemp("drawn"))[0]


def test_a_case_has_organs_under_their_names_and_its_report_holds(drawn: Path) -> None:
    case, plan, _, manifest = case_folder.read_case(drawn)
    assert {"liver", "heart", "kidney_left", "kidney_right", "spleen"} <= set(case.organs.present())
    assert plan["region"] == "chest_abdomen"
    assert set(manifest["weights"]) == {"shape", "refine", "region"}
    assert "CT of the chest and abdomen" in (drawn / "report.txt").read_text()
    assert cli.main(["check", str(drawn)]) == 0
    assert 150 < float(np.median(case.ct.hu[case.organs.mask("heart")])) < 300


def test_the_same_seed_gives_the_same_files(drawn: Path, tmp_path: Path) -> None:
    again = pipeline.generate(PROMPT, seed=1, spacing=4.0, out=tmp_path)[0]
    for name in ("ct.nii.gz", "organs.nii.gz", "report.json", "manifest.json", "plan.json"):
        assert (again / name).read_bytes() == (drawn / name).read_bytes(), name


def test_organs_cannot_be_given(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="organs can be given in the head and neck"):
        pipeline.generate(PROMPT, out=tmp_path / "out", organs=tmp_path / "labels.nii.gz")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("CT of the chest with a 70 Gy target", "targets are drawn in the head and neck"),
        ("CT of the pelvis", "region 'pelvis': the shipped weights draw head_neck, chest, abdomen, chest_abdomen"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(
    prompt: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["generate", prompt, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_finding_that_is_not_drawn_is_refused_by_strict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = "CT of the chest with a fracture of the left sixth rib"
    assert cli.main(["generate", prompt, "--out", str(tmp_path / "out"), "--strict"]) == 2
    assert "fracture of the left sixth rib" in capsys.readouterr().err and not (tmp_path / "out").exists()
