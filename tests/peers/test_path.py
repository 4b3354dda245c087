"""From words to a case with MAISI's architecture at 64^3.

With random weights the volume is noise: its checks must refuse it. That a CT which shows its organs is accepted is
tried with a decoder that draws what the labels say, behind the same networks.
"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

import synth
from synth import cli
from synth.case.folder import read_case
from synth.case.plan import PeerPlan, read_plan
from synth.peers import path, sampling
from synth.peers.checks import check_peer
from synth.peers.maisi import Maisi
from synth.volumes import labels
from tests.peers import chest, maisi_files

PROMPT = "chest CT of a 60-year-old man with a 32 mm solid nodule in the right upper lobe"
SMALL = ["--steps", "2", "--seed", "3", "-q"]


@pytest.fixture(scope="module", params=list(maisi_files.NAMINGS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return maisi_files.save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def rflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return maisi_files.save(tmp_path_factory.mktemp("rflow"), "rflow")


@pytest.fixture
def decoder_of_labels(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The networks draw as ever, then what the labels say stands in for their noise; what they drew is noted."""
    drawn, real = [], sampling.draw

    def draw(
        peer: Maisi, told: sampling.Conditioning, device: torch.device, on_step: sampling.OnStep = lambda: None
    ) -> np.ndarray:
        drawn.append(real(peer, told, device, on_step))
        return chest.like_the_labels(told)

    monkeypatch.setattr(sampling, "draw", draw)
    return drawn


def test_words_become_a_case_with_a_finding_report_and_checks(
    model: Path, tmp_path: Path, decoder_of_labels: list[np.ndarray]
) -> None:
    organs = chest.write(tmp_path)
    typed = ["generate", PROMPT, "--model", str(model), "--organs", str(organs), *SMALL, "--out", str(tmp_path / "out")]
    assert cli.main(typed) == 0
    folder = tmp_path / "out/case_00000"
    case, plan, report, manifest = read_case(folder)
    assert len(decoder_of_labels) == 1 and decoder_of_labels[0].std() > 1
    assert case.ct.hu.shape == (64, 64, 64) and np.allclose(case.ct.affine, chest.AFFINE)
    assert set(case.organs.names.values()) >= {"lung_upper_lobe_right", "liver", "spinal_cord"}
    told = next(s for s in report["sentences"] if s["section"] == "findings")
    assert told["facts"]["side"] == "right" and told["facts"]["segment"] == "upper"
    assert abs(told["facts"]["long_axis_mm"] - 32) <= 4
    assert all(check["ok"] for check in manifest["checks"])
    assert {c["name"] for c in manifest["checks"]} >= {"liver_median_hu", "body_share", "lung_upper_lobe_left_ml"}
    assert set(manifest["weights"]) == {"maisi_autoencoder", "maisi_unet", "maisi_controlnet", "refine"}
    peer = manifest["peer"]
    assert peer["words"]["findings"] == ["lung nodule"] and peer["masks"] == "organs"
    assert peer["words"]["not read"] == ["region: chest", "sex: male", "age: 60"]
    assert peer["beyond what it learned"] == ["x 4 mm", "y 4 mm"]
    assert cli.main(["check", str(folder)]) == 0
    made = read_plan(json.dumps(plan))
    assert isinstance(made, PeerPlan) and made.weights == Maisi.open(model).hashes()
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert cli.main(typed) == 0 and (folder / "manifest.json").stat().st_mtime_ns == before  # made already


def test_what_random_weights_draw_is_refused_by_its_checks(
    rflow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path, "ATTEMPTS", 2)
    organs = chest.write(tmp_path)
    typed = ["generate", PROMPT, "--model", str(rflow), "--organs", str(organs), *SMALL, "--out", str(tmp_path / "out")]
    assert cli.main(typed) == 2 and not (tmp_path / "out").exists()
    line = capsys.readouterr().err.strip()
    assert f"drawn 2 times with {rflow} and rejected, at last because" in line and "\n" not in line
    assert " is not within " in line and " checks fail); try another --seed, more --steps or other weights" in line
    peer, told = Maisi.open(rflow), chest.organs()
    hu = sampling.draw(peer, sampling.Conditioning(told.shape, (4.0,) * 3, 1, 2, told), torch.device("cpu"))  # type: ignore[arg-type]
    failed = {c.name for c in check_peer(chest.case_of(hu), sampling.HU[1]) if not c.ok}
    assert {"spinal_cord_median_hu", "liver_hu_5th_percentile", "share_at_highest_hu"} <= failed


def test_a_liver_of_air_and_organs_out_of_place_are_refused(
    rflow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted mistake: the CT shows the organs a hand's breadth from where the labels say."""
    monkeypatch.setattr(path, "ATTEMPTS", 1)
    monkeypatch.setattr(sampling, "draw", lambda peer, told, *_: np.roll(chest.like_the_labels(told), 20, axis=2))
    organs = chest.write(tmp_path)
    typed = ["generate", PROMPT, "--model", str(rflow), "--organs", str(organs), *SMALL, "--out", str(tmp_path / "out")]
    assert cli.main(typed) == 2
    assert "_median_hu = " in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["rflow", "ddpm"])
def test_the_same_seed_is_the_same_volume_on_one_and_two_threads(tmp_path: Path, variant: str) -> None:
    peer, ids = Maisi.open(maisi_files.save(tmp_path, variant)), np.where(chest.organs() > 0, 200, 0).astype(np.uint8)
    told = sampling.Conditioning((64, 64, 64), (4.0, 4.0, 4.0), 11, 2, ids)
    cpu, before = torch.device("cpu"), torch.get_num_threads()
    try:
        drawn = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            drawn.append(sampling.draw(peer, told, cpu))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*drawn)
    body = ids > 0
    assert (drawn[0][~body] == -1000).all()
    for other in (
        sampling.Conditioning(told.size, told.spacing, 12, 2, ids),
        sampling.Conditioning(told.size, (1.0, 1.0, 4.0), 11, 2, ids),
        sampling.Conditioning(told.size, told.spacing, 11, 2, np.where(body, 1, 0).astype(np.uint8)),
        sampling.Conditioning(told.size, told.spacing, 11, 3, ids),
    ):
        assert not np.array_equal(sampling.draw(peer, other, cpu)[body], drawn[0][body])


def test_a_large_latent_is_decoded_in_windows(rflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from borders windows say what the whole does, as far as norms that see a window alone allow."""
    peer, cpu = Maisi.open(rflow), torch.device("cpu")
    latent = torch.randn(1, 4, 24, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = sampling.decode(peer, latent, cpu)
        monkeypatch.setattr(sampling, "_ON_CPU", 16)
        parts = sampling.decode(peer, latent, cpu)
    assert parts.shape == whole.shape == (96, 64, 64)
    assert np.corrcoef(parts.ravel(), whole.ravel())[0, 1] > 0.95


def test_without_organs_there_is_a_ct_alone(
    rflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = np.where(chest.organs() > 0, 200, 0).astype(np.uint8)
    body = sampling.Conditioning((64, 64, 64), (4.0, 4.0, 4.0), 1, 1, ids)
    monkeypatch.setattr(sampling, "draw", lambda *_: chest.like_the_labels(body))
    typed = ["--model", str(rflow), "--masks", "none", "--size", "64,64,64", "--spacing", "4", *SMALL]
    assert cli.main(["generate", "chest CT", *typed, "--out", str(tmp_path / "out")]) == 0
    case, plan, _, manifest = read_case(tmp_path / "out/case_00000")
    assert not case.organs.names and not case.lesions.names and plan["masks"] == "none"
    assert "refine" not in manifest["weights"]
    assert cli.main(["generate", PROMPT, *typed, "--out", str(tmp_path / "two")]) == 2
    assert "'lung nodule' with --masks none: without organs there is no place for it" in capsys.readouterr().err


@pytest.mark.slow
def test_organs_that_we_draw_reach_it_where_they_lie(
    rflow: Path, tmp_path: Path, decoder_of_labels: list[np.ndarray]
) -> None:
    typed = ["--model", str(rflow), "--size", "96,96,96", "--spacing", "4", *SMALL, "--out", str(tmp_path / "out")]
    assert cli.main(["generate", "chest CT with a 32 mm solid nodule in the right upper lobe", *typed]) == 0
    case, plan, report, manifest = read_case(tmp_path / "out/case_00000")
    assert plan["masks"] == "ours" and manifest["peer"]["words"]["organs"] == ["region: chest"]
    assert {"organs_shape", "maisi_unet"} <= set(manifest["weights"])
    right, left = (case.organs.mask(f"lung_upper_lobe_{side}") for side in ("right", "left"))
    assert right.any() and np.argwhere(right)[:, 0].mean() > np.argwhere(left)[:, 0].mean()  # RAS
    assert np.median(case.ct.hu[right]) < -500 < np.median(case.ct.hu[case.organs.mask("heart")])
    told = next(s for s in report["sentences"] if s["section"] == "findings")
    assert (told["facts"]["side"], told["facts"]["segment"]) == ("right", "upper")


def test_a_mask_in_its_own_ids_keeps_its_tumour_as_a_finding(
    rflow: Path, tmp_path: Path, decoder_of_labels: list[np.ndarray]
) -> None:
    from synth.peers.conditions import to_maisi
    from synth.volumes.types import LabelMap

    ids = chest.organs()
    names = {n: name for n, name in labels.names().items() if n != 200 and (ids == n).any()}
    told, _ = to_maisi(LabelMap(np.where(ids == 200, 0, ids), chest.AFFINE, names), ids > 0)
    told[38:43, 30:35, 3:7] = 26  # a tumour in the liver
    nib.save(nib.Nifti1Image(told, chest.AFFINE), tmp_path / "theirs.nii.gz")
    typed = ["--model", str(rflow), "--organs", str(tmp_path / "theirs.nii.gz"), "--organ-ids", "maisi", *SMALL]
    assert cli.main(["generate", "CT of the chest", *typed, "--out", str(tmp_path / "out")]) == 0
    case = read_case(tmp_path / "out/case_00000")[0]
    assert list(case.lesions.names.values()) == ["liver_tumour_1"] and (case.lesions.ids > 0).sum() == 100


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--size", "64,64,60"], "MAISI draws multiples of 32 voxels"),
        (["--size", "64,64"], "--size 64,64: is not three numbers"),
        (["--size", "64,64,64", "--spacing", "2"], "field of 128 x 128 mm"),
        (["--masks", "organs"], "--masks organs: goes with a label map --organs"),
        (["--twin"], "--model: draws no siblings"),
        (["--weights", "elsewhere"], "takes no --weights"),
    ],
)
def test_what_cannot_be_asked_of_it(
    rflow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    typed = ["generate", PROMPT, "--model", str(rflow), *options, "--out", str(tmp_path / "out"), "-q"]
    assert cli.main(typed) == 2 and not (tmp_path / "out").exists()
    assert said in capsys.readouterr().err


def test_options_of_a_model_without_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", PROMPT, "--size", "64,64,64", "--out", str(tmp_path / "out"), "-q"]) == 2
    assert "--size: is for other people's weights" in capsys.readouterr().err


def test_organs_that_cannot_be_given(rflow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*options: str) -> str:
        typed = ["generate", PROMPT, "--model", str(rflow), "--organs", str(tmp_path / "organs.nii.gz"), *options]
        assert cli.main([*typed, "--out", str(tmp_path / "out"), "-q"]) == 2 and not (tmp_path / "out").exists()
        return capsys.readouterr().err

    chest.write(tmp_path)
    assert "says its own grid" in said("--size", "64,64,64")
    assert "--masks ours: goes without a label map" in said("--masks", "ours")
    ids = chest.organs()
    ids[ids == 200] = 0
    nib.save(nib.Nifti1Image(ids, chest.AFFINE), tmp_path / "organs.nii.gz")
    assert "no voxel is 200" in said()
    nib.save(nib.Nifti1Image(np.where(ids > 0, 200, 0).astype(np.uint8), chest.AFFINE), tmp_path / "organs.nii.gz")
    assert "holds no organ that MAISI knows" in said()
    (rflow / "models/controlnet_3d_rflow-ct.pt").rename(rflow / "aside")
    try:
        chest.write(tmp_path)
        assert "no ControlNet, which organs need" in said()
    finally:
        (rflow / "aside").rename(rflow / "models/controlnet_3d_rflow-ct.pt")


def test_python_draws_as_the_command_does(rflow: Path, tmp_path: Path, decoder_of_labels: list[np.ndarray]) -> None:
    organs = chest.write(tmp_path)
    case = synth.generate_with(rflow, PROMPT, seed=3, steps=2, organs=organs, quiet=True)
    typed = ["generate", PROMPT, "--model", str(rflow), "--organs", str(organs), *SMALL, "--out", str(tmp_path / "out")]
    assert cli.main(typed) == 0
    _, plan, _, manifest = read_case(tmp_path / "out/case_00000")
    assert case.plan == plan and case.manifest["files"] == manifest["files"]
