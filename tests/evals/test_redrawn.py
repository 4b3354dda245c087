"""Real patients drawn again: what a stage keeps is kept, and processes share the drawing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evals import redrawn, steps
from evals.redrawn import COARSE, FINE, REAL, Redrawer
from synth.case.plan import Sampling
from synth.data.dataset import PreparedPatient, pool
from synth.models import intensity
from synth.training.placed import PlacedScaffolds
from synth.volumes.nifti import read_volume
from tests import networks
from tests.regions import HEAD_NECK, ORGANS, REGION

FEW = Sampling(base_steps=1, refine_steps=1, precision="float32")


@pytest.fixture
def patient() -> PreparedPatient:
    shape = HEAD_NECK.shape_at(4.0)
    hu = np.full(shape, -1000, np.int16)
    hu[40:80, 20:60, 10:80] = np.random.default_rng(0).integers(-100, 300, (40, 40, 70))
    nothing = np.zeros(shape, np.uint8)
    return PreparedPatient(
        REGION, "p", hu, nothing, nothing, torch.zeros(len(ORGANS)), {"top_mm": 80.0, "bottom_mm": 150.0}
    )


@pytest.fixture
def redrawer(monkeypatch: pytest.MonkeyPatch, patient: PreparedPatient) -> Redrawer:
    for name in ("base", "refine"):
        model = getattr(networks, name)(spread=0.02)
        monkeypatch.setattr(redrawn.Weights, name, lambda self, precision, model=model: model)
    still = {patient.name: torch.zeros(3, *HEAD_NECK.shape)}
    return Redrawer(FEW, 0, PlacedScaffolds(networks.shape(), still))


def unit(hu: np.ndarray, times: int) -> torch.Tensor:
    ct = torch.from_numpy(intensity.to_unit(hu))[None]
    for _ in range(times):
        ct = pool(ct)
    return ct


@pytest.mark.parametrize(("stage", "halvings"), [(FINE, 1), (COARSE, 2)])
def test_what_is_kept_of_a_patient_is_the_mean_of_what_is_drawn(
    redrawer: Redrawer, patient: PreparedPatient, stage: str, halvings: int
) -> None:
    drawn = redrawer.draw(stage, patient, 0)
    kept = [unit(hu, halvings)[:, 12:18, 6:14, 4:18] for hu in (drawn.hu, patient.hu)]  # in air, detail is cut off
    torch.testing.assert_close(*kept, atol=5e-3, rtol=0)
    assert not np.array_equal(drawn.hu, patient.hu)
    np.testing.assert_array_equal(redrawer.draw(REAL, patient, 0).hu, patient.hu)


def test_what_is_drawn_is_not_drawn_again(redrawer: Redrawer, patient: PreparedPatient, tmp_path: Path) -> None:
    redrawn.draw_set(redrawer, FINE, [patient], tmp_path / "set")
    (file,) = (tmp_path / "set").glob("*.nii.gz")
    np.testing.assert_array_equal(read_volume(file, plausible=False).hu, redrawer.draw(FINE, patient, 0).hu)
    before = file.stat().st_mtime_ns
    redrawn.draw_set(redrawer, FINE, [patient], tmp_path / "set")
    assert file.stat().st_mtime_ns == before


def test_each_network_is_varied_beside_the_usual_steps_of_the_other() -> None:
    pairs = steps.pairs(16, 3)
    assert pairs[0] == (16, 3) and len(set(pairs)) == len(pairs)
    assert {(n, 3) for n in steps.STEPS} | {(16, n) for n in steps.STEPS} | {(4, 2), (32, 8)} == set(pairs)


def test_a_table_shows_figures_with_their_intervals() -> None:
    text = redrawn.as_text(
        {"4 + 2": {"kid mean": (123.4, 20.04, 230.0), "ms_ssim": (0.7512, None, None)}}, ["kid mean", "ms_ssim", "fid"]
    )
    assert text.splitlines()[-1] == "| 4 + 2 | 123 (20 to 230) | 0.751 |  |"
