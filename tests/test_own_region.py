"""A region from nothing but a YAML: prepared, trained and drawn by the commands that users type."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evals.benchmarks.made_up import REGION_YAML, write_patients
from synth import cli
from synth.case.folder import read_case
from synth.case.weights_folder import Weights
from synth.data.dataset import load_subjects
from synth.draw import generated as drawing
from synth.provenance import Check
from synth.training.config import TrainConfig
from synth.training.placed import PlacedScaffolds
from synth.training.requests import TextBank
from synth.training.tasks import BaseTask

pytestmark = pytest.mark.slow

_TINY = "{widths: [8, 8, 16], blocks: [1, 1, 1], embedding_dim: 16, data_sd: 0.5}"
_TRAINED = ["steps=4", "batch=2", "volumes_a_frame=1", "validate_every=4", "log_every=4", "prior_rank=0"]


@pytest.fixture(autouse=True)
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four steps of training draw no anatomy."""
    monkeypatch.setattr(drawing, "check_generated", lambda *_: [Check("body_ml", 1.0, 0.0, 2.0)])


def run(*arguments: object) -> None:
    assert cli.main([str(a) for a in arguments]) == 0


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`--weights` of the region after four steps."""
    root = tmp_path_factory.mktemp("made_up")
    (root / "region.yaml").write_text(REGION_YAML)
    data, shape = root / "data", root / "shape"
    run(
        "prepare",
        "--region",
        root / "region.yaml",
        "--layout",
        "cases",
        "--from",
        write_patients(root / "patients", 14),
        "--out",
        data,
        "--trust-labels",  # organs as small as these are no adult's
        "-q",
    )
    (root / "shape_config.yaml").write_text("rank: 2\nrounds: [{pool: 2, sigma: 1.3, iterations: 4}]\n")
    run("train", "shape", "--config", root / "shape_config.yaml", f"data={data}", f"out={shape}")
    (root / "net.yaml").write_text(f"model: {_TINY}\n")
    for network in ("base", "refine"):
        run(
            "train",
            network,
            "--config",
            root / "net.yaml",
            f"data={data}",
            f"shape={shape}",
            f"out={root / network}",
            *_TRAINED,
        )
    return root


def test_patients_are_placed_and_facts_measured(weights: Path) -> None:
    subjects = load_subjects(weights / "data" / "patients" / "train")
    assert {s.region.name for s in subjects} == {"made_up"} and subjects[0].hu.shape == (32, 32, 32)
    for subject in subjects:
        heart = np.argwhere(subject.organs == 1).mean(axis=0)
        assert np.abs(heart - 15.5).max() < 1 and set(subject.facts) == {"top_mm", "area_cm2", "liver_ml"}
    prior = Weights.open(weights).prior
    assert prior is not None and len(prior.patients) == len(subjects)
    assert 0.1 < prior.region.fact("top_mm").scale < 50


def test_base_learns_ct_on_the_scale_that_was_measured(weights: Path) -> None:
    subjects = load_subjects(weights / "data" / "patients" / "train")
    config = TrainConfig(network="base", batch=16, shape=None)
    task = BaseTask(subjects, TextBank(0), PlacedScaffolds.load(weights / "shape"), config)
    batch = task.draw(np.random.default_rng(0))
    assert abs(float(batch.x0.mean())) < 0.2 and 0.8 < float(batch.x0.std()) < 1.2
    scaffold = batch.condition.maps[:, -task.region.classes]  # the deformed mean patient, which looks like them
    assert abs(float(scaffold.mean())) < 0.2 and 0.7 < float(scaffold.std()) < 1.2


@pytest.mark.parametrize("network", ["base", "refine"])
def test_training_shows_what_it_draws(weights: Path, network: str) -> None:
    from matplotlib.image import imread

    (picture,) = (weights / network / "pictures").iterdir()
    assert picture.name == "step_0000004.png" and imread(picture).std() > 0.1


def test_a_case_is_drawn_with_the_weights(weights: Path, tmp_path: Path) -> None:
    """Whose `base` has no Gaussian part."""
    assert Weights.open(weights).base().prior is None
    run("generate", "CT", "--weights", weights, "--spacing", 8, "--out", tmp_path, "-q")
    case, plan, _, manifest = read_case(tmp_path / "case_00000")
    assert case.ct.hu.shape == (16, 16, 16) and set(plan["facts"]) == {"top_mm", "area_cm2", "liver_ml"}
    np.testing.assert_allclose(case.ct.affine[:3, 3], -60.0)
    assert {"shape", "base", "refine", "prior", "region"} <= set(manifest["weights"])
    assert f"--weights {weights.name}" in manifest["command"]


def test_weights_that_changed_are_not_mixed_with_cases_of_before(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("generate", "CT", "--weights", weights, "--spacing", 8, "--out", tmp_path, "-q")
    manifest = json.loads((tmp_path / "case_00000" / "manifest.json").read_text())
    manifest["weights"]["base"]["sha256"] = "0" * 64
    (tmp_path / "case_00000" / "manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert cli.main(["generate", "CT", "--weights", str(weights), "--spacing", "8", "--out", str(tmp_path), "-q"]) == 2
    line = capsys.readouterr().err
    assert "was drawn with other weights ('base' of" in line and line.count("\n") == 1


@pytest.mark.parametrize("without", ["base", "shape", "refine"])
def test_what_is_not_there_is_done_without(weights: Path, tmp_path: Path, without: str) -> None:
    fewer = tmp_path / "weights"
    fewer.mkdir()
    for name in {"data", "shape", "base", "refine"} - {without}:
        (fewer / name).symlink_to(weights / name)
    run("generate", "CT", "--weights", fewer, "--spacing", 8, "--out", tmp_path / "out", "-q")
    used = read_case(tmp_path / "out" / "case_00000")[3]["weights"]
    assert without not in used or used[without]["sha256"] == Weights.shipped().hashes()[without]
