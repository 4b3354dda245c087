"""Scans that each show a part: prepared, put in register and drawn by the commands that any region goes through."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synth import cli
from synth.case.folder import read_case
from synth.case.weights_folder import LOOKS, Weights
from synth.data.dataset import load_subjects
from synth.draw import generated as drawing
from synth.provenance import Check
from synth.torso import scans
from synth.training.config import TrainConfig
from synth.training.main import make_task
from synth.volumes import labels, nifti
from synth.volumes.types import LabelMap, Volume
from tests.regions import TORSO
from tests.torso import phantom

pytestmark = pytest.mark.slow

PARTS = {"whole": (0, 160, "train"), "low": (16, 96, "train"), "held": (60, 140, "val")}
# on a finer grid than a draw's, as configs/train/patchwork.yaml ends
_ROUND = "{pool: 2, sigma: 2.0, grid_mm: 8, iterations: 1}"
_TINY = "{widths: [8, 8, 16], blocks: [1, 1, 1], embedding_dim: 16, data_sd: 0.5}"
_TRAINED = ("steps=2", "batch=2", "volumes_a_frame=1", "validate_every=2", "log_every=2", "pictures=0")


def run(*arguments: object) -> None:
    assert cli.main([str(a) for a in arguments]) == 0


def write_scans(folder: Path) -> Path:
    """Parts of one made-up body at 4 mm, with noise, the first with labels; `thin` is too thin to be placed."""
    hu, ids = phantom.volume(False)
    hu = hu + 5 * np.random.default_rng(0).standard_normal(hu.shape)
    rows = ["case,split,contrast"]
    for name, (low, high, split) in {**PARTS, "thin": (60, 70, "train")}.items():
        (folder / name).mkdir(parents=True)
        part = np.s_[:, :, low:high]
        affine = TORSO.affine_at(4.0)
        nifti.write_volume(folder / name / "ct.nii.gz", Volume(hu[part].astype(np.int16), affine))
        if name == "whole":
            names = {i: n for i, n in labels.names().items() if (ids == i).any()}
            nifti.write_labels(folder / name / "organs.nii.gz", LabelMap(ids[part], affine, names))
        rows.append(f"{name},{split},no")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `prepare` and `train shape|refine` made of the scans."""
    root = tmp_path_factory.mktemp("scans")
    source = write_scans(root / "source")
    data, shape = root / "data", root / "shape"
    with pytest.MonkeyPatch.context() as patch:  # how far a search goes is not what is tested here
        patch.setattr(scans, "_SIDE_STEPS", (0,))
        patch.setattr(scans, "_LIKELY", 1)
        run(
            "prepare", "--region", "torso", "--layout", "cases", "--from", source, "--out", data, "--trust-labels", "-q"
        )
    (root / "shape.yaml").write_text(f"rank: 1\nrounds: [{_ROUND}]\n")
    run("train", "shape", "--config", root / "shape.yaml", f"data={data}", f"out={shape}")
    (root / "refine.yaml").write_text(f"model: {_TINY}\n")
    out = root / "refine"
    run("train", "refine", "--config", root / "refine.yaml", f"data={data}", f"shape={shape}", f"out={out}", *_TRAINED)
    return root


def test_every_scan_lies_where_it_was_cut_out(root: Path) -> None:
    placed = json.loads((root / "data" / "scans" / "placed.json").read_text())
    whole = np.array(placed["whole"])
    assert placed.keys() == PARTS.keys()
    for name, (low, _, _) in PARTS.items():
        assert np.abs(np.array(placed[name]) - whole - [0, 0, low]).max() <= 2, name  # a voxel of the search


def test_patients_lie_as_their_scans_were_placed(root: Path) -> None:
    """The top of the liver, which the region is anchored by, comes to the height of the origin."""
    hu = phantom.volume(False)[0]
    found = {s.name: s for split in ("train", "val") for s in load_subjects(root / "data" / "patients" / split)}
    placed = json.loads((root / "data" / "scans" / "placed.json").read_text())
    for name, (low, high, _) in PARTS.items():
        x, y, z = placed[name]
        z -= low
        there = np.s_[30 + x : 90 + x, 20 + y : 60 + y, low + 10 + z : high - 10 + z]
        here = np.s_[30:90, 20:60, low + 10 : high - 10]
        assert np.abs(found[name].hu[there] - hu[here]).mean() < 8, name
    assert "thin,too thin a slab to be placed" in (root / "data" / "left_out.csv").read_text()


def test_scans_that_are_placed_already_are_not_searched_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (root / "data" / "scans" / "placed.json").read_bytes()
    monkeypatch.setattr("synth.data.scans.offsets", lambda *_: pytest.fail("searched again"))
    run("prepare", "--region", "torso", "--layout", "cases", "--from", root / "source", "--out", root / "data",
        "--trust-labels", "-q")  # fmt: skip
    assert (root / "data" / "scans" / "placed.json").read_bytes() == before


def test_no_network_is_told_a_patchwork_besides(root: Path) -> None:
    config = TrainConfig(network="refine", data=root / "data", shape=root / "shape")
    assert make_task(config, "train", None).placed is None


def test_what_was_trained_draws(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "check_generated", lambda *_: [Check("liver_ml", 1.0, 0.0, 2.0)])
    weights = Weights.open(root)
    assert weights.region.name == "torso" and weights.looks == root / "shape" / "weights" / LOOKS
    model = weights.patchwork
    assert model is not None and [d.name for d in model.donors] == ["low", "whole"]
    assert not any(d.enhanced for d in model.donors)
    run("generate", "CT of the abdomen", "--weights", root, "--spacing", 4, "--out", root / "drawn", "-q")
    case, _, _, manifest = read_case(root / "drawn" / "case_00000")
    assert set(manifest["weights"]) == {"shape", "refine", "region"}
    assert json.loads((root / "drawn" / "case_00000" / "plan.json").read_text())["region"] == "abdomen"
    assert 30 < float(np.median(case.ct.hu[case.organs.mask("liver")])) < 90


@pytest.mark.parametrize(
    ("setting", "said"),
    [("rank=2", "rank 2: 2 scans have fewer modes"), ('unfit=["nobody"]', "'nobody': no such scan")],
)
def test_a_fit_that_cannot_be_is_one_line(
    root: Path, capsys: pytest.CaptureFixture[str], setting: str, said: str
) -> None:
    config = ["train", "shape", "--config", str(root / "shape.yaml"), f"data={root / 'data'}", f"out={root / 'x'}"]
    assert cli.main([*config, setting]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_weights_of_scans_without_their_region_are_one_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "shape").mkdir()
    (tmp_path / "shape" / LOOKS).write_bytes((root / "shape" / "weights" / LOOKS).read_bytes())
    with pytest.raises(Exception, match=r"region.yaml of 'scaffold: patchwork'.* is missing; copy it there"):
        Weights.open(tmp_path)
