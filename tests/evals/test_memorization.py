"""Copies are found, new patients are not accused, and smoothness alone is no copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from evals import memorization_plots
from evals.memorization import Neighbours, below_held_out, compare, feature_neighbours, pixel_neighbours, verdict
from evals.result import Result, ResultPicture, read
from synth import cli
from tests.evals.sets_on_disk import body, write


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 5, stride=2), torch.nn.ReLU(), torch.nn.Conv2d(32, 24, 3))
    path = tmp_path_factory.mktemp("network") / "random.pt"
    torch.jit.script(layers.eval()).save(str(path))
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    return {"train": write(root / "train", range(24)), "held_out": write(root / "held_out", range(100, 114))}


def audit(folders: dict[str, Path], synthetic: Path, network: Path, out: Path) -> Result:
    code = cli.main([
        "evaluate", "memorization", "--train", str(folders["train"]), "--held-out", str(folders["held_out"]),
        "--synthetic", str(synthetic), "--network", str(network), "--trust", "--out", str(out), "--slices", "4", "-q",
        "--cache", str(out.parent / "cache"),
    ])  # fmt: skip
    assert code == 0
    return read(out / "memorization.json")


def test_noised_and_mirrored_copies_of_training_patients_are_found(
    folders: dict[str, Path], network: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    copies = write(tmp_path / "copies", range(0, 12), lambda hu: (hu + rng.normal(0, 10, hu.shape))[::-1])
    result = audit(folders, copies, network, tmp_path / "out")
    assert result.notes[0].startswith("Signs of memorization") and "ratio_pixel" in result.notes[0]
    closest = result.tables[1]
    assert all(row[0] == row[1] for row in closest.rows)  # copy p003 lies nearest to patient p003
    page = (tmp_path / "out/memorization.html").read_text()
    assert page.count("data:image/png") == 3


def test_new_patients_of_the_same_law_are_not_accused(
    folders: dict[str, Path], network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memorization_plots, "pairs", lambda *_: [])
    new = write(tmp_path / "new", range(200, 214))
    assert (
        audit(folders, new, network, tmp_path / "out").notes[0].startswith("Memorization is not shown, nor ruled out")
    )


def test_smooth_new_patients_may_be_near_but_are_no_copies(
    folders: dict[str, Path], network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memorization_plots, "distributions", lambda _: ResultPicture("", b""))
    monkeypatch.setattr(memorization_plots, "pairs", lambda *_: [])
    smooth = write(tmp_path / "smooth", range(200, 214), lambda hu: ndimage.gaussian_filter(hu, 0.8))
    assert not audit(folders, smooth, network, tmp_path / "out").notes[0].startswith("Signs of memorization")


def test_a_shifted_copy_is_a_copy_and_volumes_nearer_than_any_patient_are_listed() -> None:
    from types import SimpleNamespace

    rng = np.random.default_rng(0)
    volumes = [ndimage.gaussian_filter(rng.normal(0, 1000, (20, 20, 20)), 2) for _ in range(6)]
    train = SimpleNamespace(features=[SimpleNamespace(thumb=v) for v in volumes])
    for shift in ((1, -1, 0), (0, 0, 2)):
        copy = np.roll(volumes[2], shift, (0, 1, 2))
        probe = SimpleNamespace(features=[SimpleNamespace(thumb=copy)])
        found = pixel_neighbours(probe, train)  # type: ignore[arg-type]
        assert found.nearest[0] == 2 and found.closest[0] < 1e-3
    near = {"ratio_pixel": (np.array([0.1, 0.9]), np.array([0.8, 1.0]))}
    (note,) = below_held_out(near, ["a", "b"])
    assert note.startswith("1 of 2 lie nearer than any held-out patient") and "a (ratio_pixel)" in note


def test_distances_and_ratio_by_hand() -> None:
    found = Neighbours(np.array([[1.0, 2.0, 2.0, 4.0, 8.0]]), np.array([3]))
    assert found.closest.tolist() == [1.0] and found.ratio.tolist() == [0.25]


def test_pixel_neighbours_know_mirror_images_and_measure_hu() -> None:
    from types import SimpleNamespace

    volumes = [body(seed)[0].astype(np.float32) for seed in range(6)]
    train = SimpleNamespace(features=[SimpleNamespace(thumb=v) for v in volumes])
    probe = SimpleNamespace(features=[SimpleNamespace(thumb=volumes[4][::-1] + 25)])
    found = pixel_neighbours(probe, train)  # type: ignore[arg-type]
    assert found.nearest.tolist() == [4] and found.closest[0] == pytest.approx(25, rel=1e-4)


def test_feature_neighbours_by_hand() -> None:
    train = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1], [2, 0]]) - np.array([0.4, 0])  # mean 0
    found = feature_neighbours(np.array([[0.0, 5.0]]), train)
    assert found.nearest.tolist() == [2] and found.closest[0] == pytest.approx(1 - 1 / np.hypot(0.4, 1))


def test_the_test_holds_its_level_and_finds_what_is_there() -> None:
    rng = np.random.default_rng(2)
    null = [compare(rng.normal(size=20), rng.normal(size=20), resamples=20) for _ in range(200)]
    assert np.mean([t.p < 0.05 for t in null]) < 0.1 and np.mean([t.auc for t in null]) == pytest.approx(0.5, abs=0.02)
    near = compare(rng.normal(-2, 1, size=20), rng.normal(size=20))
    assert near.p < 1e-4 and near.low > 0.7 and near.below > 0.4
    assert verdict({"nearest_pixel": near, "ratio_pixel": null[0]}).startswith("Synthetic volumes are nearer")
    assert verdict({"ratio_feature": near}).startswith("Signs of memorization")
