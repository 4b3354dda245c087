"""Cases are drawn once, refused ones replaced, others' never mixed in; real patients are prepared and parted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from evals import volumes
from evals.utility import drawing, generator, preparing
from evals.utility.config import Drawing, Generator, UtilityConfig
from evals.utility.drawing import CaseDrawer
from synth.case import folder as case_folder
from synth.case.draft import RejectedError, Rejection
from synth.case.weights_folder import WEIGHTS_ENV, Weights
from synth.data.store import Store
from synth.errors import InputError
from synth.progress import Progress
from synth.provenance import sha256_of_file
from tests.evals.conftest import anatomy
from tests.regions import prior

QUIET = Progress(quiet=True)
PLAIN = Drawing(prompts=("CT of the head and neck",))


class Pipeline:
    """In place of the networks: writes the files of a case, refuses the numbers in `bad`."""

    def __init__(self, bad: tuple[int, ...] = ()) -> None:
        self.bad, self.drawn = bad, []

    def generate(
        self, prompt: str, *, count: int, start: int, seed: int, spacing: float, out: Path, weights: Path | None
    ) -> list[Path]:
        self.drawn.append(start)
        if start in self.bad:
            raise RejectedError(f"case {start} rejected", [Rejection("bad", None)] * 10)  # type: ignore[list-item]
        folder = out / f"case_{start:05d}"
        folder.mkdir(parents=True)
        for name in case_folder.FILES:
            (folder / name).write_text(json.dumps({"attempts": 2, "files": {}, "labels": {}}))
        return [folder]


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pipeline:
    (tmp_path / "weights").write_text("one")
    monkeypatch.setattr(Weights, "hashes", lambda _: {"base": sha256_of_file(tmp_path / "weights")})
    fake = Pipeline(bad=(1, 3))
    monkeypatch.setattr(drawing.pipeline, "generate", fake.generate)
    return fake


def test_refused_cases_are_replaced_and_nothing_is_drawn_twice(pipeline: Pipeline, tmp_path: Path) -> None:
    cost = CaseDrawer(tmp_path / "out", PLAIN, 4).run(QUIET)
    assert pipeline.drawn == [0, 1, 2, 3, 4, 5]
    assert (cost.refused, sum(cost.draws)) == (2, 4 * 2 + 2 * 10)
    (tmp_path / "out/case_00002/ct.nii.gz").unlink()  # as if it had been cut off
    for file in (tmp_path / "out/case_00002").iterdir():
        file.unlink()
    (tmp_path / "out/case_00002").rmdir()
    CaseDrawer(tmp_path / "out", PLAIN, 5).run(QUIET)
    assert pipeline.drawn[6:] == [2, 6]


def test_cases_of_other_weights_or_words_are_not_mixed_in(pipeline: Pipeline, tmp_path: Path) -> None:
    CaseDrawer(tmp_path / "out", PLAIN, 1).run(QUIET)
    with pytest.raises(InputError, match="drawn with another prompts; remove the folder"):
        CaseDrawer(tmp_path / "out", Drawing(prompts=("CT of the neck",)), 1).run(QUIET)
    (tmp_path / "weights").write_text("another")
    with pytest.raises(InputError, match="drawn with another weights"):
        CaseDrawer(tmp_path / "out", PLAIN, 2).run(QUIET)
    assert pipeline.drawn == [0]


def test_a_generator_that_draws_nothing_that_passes_is_named(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.bad = tuple(range(1000))
    with pytest.raises(InputError, match="20 of 20 cases refused, at last case 19 rejected"):
        CaseDrawer(tmp_path / "out", PLAIN, 4).run(QUIET)


@pytest.fixture
def openkbp(tmp_path: Path) -> Path:
    """A folder in OpenKBP's layout: seven training patients and two others; every third bone differs."""
    root = tmp_path / "openkbp"
    affine = np.diag([8.0, 8.0, 8.0, 1.0])
    affine[:3, 3] = (-130.0, -140.0, -90.0)
    rows = ["case,split,organs_annotated"]
    for number in range(9):
        split, name = "train" if number < 7 else "val", f"hn_{number}"
        hu, organs = anatomy(affine, (32, 32, 32), bone_hu=600.0 + 20 * number)
        (root / split / name).mkdir(parents=True)
        for file, array in (("ct", hu), ("organs", organs), ("targets", np.zeros_like(organs))):
            nib.Nifti1Image(array, affine).to_filename(root / split / name / f"{file}.nii.gz")
        rows.append(f"{name},{split},RightParotid;LeftParotid")
    (root / "index.csv").write_text("\n".join(rows) + "\n")
    return root


def prepare(openkbp: Path, tmp_path: Path) -> None:
    preparing.ensure_prepared(openkbp, *(tmp_path / f"data/patients/{split}" for split in ("train", "val")), QUIET)


def config(root: Path, tmp_path: Path, **more: object) -> UtilityConfig:
    folders = {
        f"real_{name}": tmp_path / f"data/patients/{split}" for name, split in (("train", "train"), ("test", "val"))
    }
    values = {"name": "d", "headneck": root, "synthetic": tmp_path / "s", **folders, **more}
    return UtilityConfig(organs=("parotid_gland_left", "parotid_gland_right"), **values)  # type: ignore[arg-type]


def test_patients_are_prepared_once_and_a_cut_off_preparation_is_made_again(
    openkbp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data/.preparing/patients/train").mkdir(parents=True)  # what a kill leaves
    prepare(openkbp, tmp_path)
    assert [len(Store(tmp_path / f"data/patients/{s}")) for s in ("train", "val")] == [7, 2]
    monkeypatch.setattr(preparing, "prepare", None)  # not called again
    prepare(openkbp, tmp_path)
    with pytest.raises(InputError, match="DIR/patients/train and DIR/patients/val"):
        preparing.ensure_prepared(openkbp, tmp_path / "elsewhere", tmp_path / "data/patients/val", QUIET)


def test_a_restricted_training_set_holds_its_patients_and_no_others(openkbp: Path, tmp_path: Path) -> None:
    prepare(openkbp, tmp_path)
    patients = volumes.find(tmp_path / "data/patients/train")[:6]
    out = preparing.restrict(patients, tmp_path / "few")
    names = {split: Store(out / "patients" / split).names() for split in ("train", "val")}
    assert names["train"] == [f"hn_{i}" for i in range(6)]
    assert names["val"] == [f"check_hn_{i}" for i in range(4)]  # the same patients, under names of their own
    assert len(json.loads((out / "prior.json").read_text())["patients"]) == 6


def test_networks_are_trained_on_these_patients_and_finished_ones_are_left(
    openkbp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(openkbp, tmp_path)
    patients = volumes.find(tmp_path / "data/patients/train")[:6]
    settings = Generator(patients=6, out=tmp_path / "gen", base_minutes=10, refine_minutes=5)
    called: list[tuple[str, float]] = []

    def train(name: str, _: Path, values: dict) -> None:
        assert len(Store(values["data"] / "patients/train")) == 6
        called.append((name, values["max_minutes"]))
        if name == "base" and len(called) == 1:
            values["out"].mkdir()
            (values["out"] / "log.jsonl").write_text('{"step": 9, "train": {}, "seconds": 240.0}\n')
            raise KeyboardInterrupt

    def export(_: Path, name: str, out: Path) -> Path:
        (out / name).mkdir(parents=True)
        return out / name

    monkeypatch.setattr(generator, "_shape", lambda g, _: (g.out / "weights/shape").mkdir())
    monkeypatch.setattr("synth.training.main.train", train)
    monkeypatch.setattr(generator.library, "export", export)
    with pytest.raises(KeyboardInterrupt):
        generator.train_generator(settings, patients)
    weights = generator.train_generator(settings, patients)
    assert called == [("base", 10.0), ("base", 6.0), ("refine", 5.0)]  # four of ten minutes were spent
    assert sorted(p.name for p in weights.iterdir()) == ["base", "prior.json", "refine", "region.yaml", "shape"]
    generator.train_generator(settings, patients)
    assert len(called) == 3
    with pytest.raises(InputError, match="was trained on other patients"):
        generator.train_generator(settings, patients[:5])


def test_minutes_are_added_up_over_runs(tmp_path: Path) -> None:
    rows = [{"seconds": 60}, {"validation": {}}, {"seconds": 180}, {"seconds": 30}, {"seconds": 90}]
    lines = [json.dumps({"step": step, **row}) + "\n" for step, row in enumerate(rows)]
    (tmp_path / "log.jsonl").write_text("".join(lines))
    (tmp_path / "empty.jsonl").touch()
    assert generator.minutes_spent(tmp_path / "empty.jsonl") == 0
    assert generator.minutes_spent(tmp_path / "log.jsonl") == pytest.approx((180 + 90) / 60)
    assert generator.minutes_spent(tmp_path / "none") == 0


def test_own_weights_bring_their_own_priors_and_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").touch()
    (tmp_path / "prior.json").write_text('{"patients": [{"brainstem_ml": 7.0}, {"brainstem_ml": 9.0}]}')
    with generator.in_use(tmp_path):
        own = Weights.covering("head_neck").prior
        assert own is not None and own.organ_range("brainstem", 0, 100) == (7.0, 9.0)
        assert os.environ[WEIGHTS_ENV] == str(tmp_path)
    assert Weights.covering("head_neck").prior == prior() and WEIGHTS_ENV not in os.environ


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"draw": PLAIN}, "give synthetic_cases"),
        ({"generator": {"patients": 40, "out": "g"}}, "give draw"),
        ({"generator": {"patients": 20, "out": "g"}, "draw": PLAIN, "synthetic_cases": 3}, "the largest of real_cases"),
        ({"generator": {"patients": 40, "out": "g"}, "draw": PLAIN, "synthetic_cases": 3}, "give patients_seed"),
        ({"control_cases": (7,)}, "control_cases 7: is not among real_cases"),
    ],
)
def test_studies_that_cannot_be_are_named(more: dict, named: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=named):
        config(tmp_path, tmp_path, **more)
