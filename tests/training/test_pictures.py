"""Pictures of training show what is drawn, in intensity units; trackers get the numbers of the log, or are refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from evals.benchmarks.made_up import REGION_YAML
from synth.errors import InputError
from synth.models.condition import Condition
from synth.models.denoiser import Denoised
from synth.models.scaling import ct_to_network, detail_to_network
from synth.regions.region import parse
from synth.training import trackers
from synth.training.config import TrainConfig
from synth.training.pictures import drawn, write_picture
from synth.training.tasks import Sample, collate
from tests.regions import REGION


class Knows(nn.Module):
    """Draws what it is told, whatever the noise."""

    def __init__(self, answer: torch.Tensor, refine: bool, region: object) -> None:
        super().__init__()
        self.answer, self.nothing = answer, nn.Parameter(torch.zeros(()))
        self.config, self.region = SimpleNamespace(refine=refine), region

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: Condition) -> Denoised:
        return Denoised((x - self.answer[: len(x)]) / t.view(-1, 1, 1, 1, 1), x)


def sample(region: object, x0: torch.Tensor, coarse: torch.Tensor | None) -> Sample:
    shape = x0.shape[1:]
    organs = torch.zeros(region.classes, *shape)  # type: ignore[attr-defined]
    return Sample(
        x0=x0,
        labels=organs,
        body=torch.ones(1, *shape),
        facts=torch.zeros(region.facts_dim),  # type: ignore[attr-defined]
        text=None,
        annotated=torch.zeros(len(region.organs)),  # type: ignore[attr-defined]
        spacing=torch.full((3,), 8.0),
        lower_mm=torch.zeros(3),
        known_mask=torch.zeros(1, *shape),
        seed=3,
        coarse=coarse,
        coarse_labels=None if coarse is None else organs,
    )


def test_base_is_shown_on_the_scale_of_its_region() -> None:
    region = parse(REGION_YAML + "ct: {mean: -0.5, sd: 0.6}\n")
    ct = torch.rand(1, 4, 4, 4)
    x0 = ct_to_network(ct, region.ct)
    batch = collate([sample(region, x0, None)] * 3, scale=region.ct)
    true, ours = drawn(Knows(batch.x0 + 1.0, False, region), Knows(batch.x0, False, region), batch, 2)
    torch.testing.assert_close(true, ct.expand(2, 1, -1, -1, -1))
    torch.testing.assert_close(ours - true, torch.full_like(true, 0.6))


def test_refine_is_shown_on_the_finer_grid() -> None:
    coarse, details = torch.full((1, 4, 4, 4), 0.2), torch.zeros(7, 4, 4, 4)
    details[0] = 0.1  # half of the difference along z
    batch = collate([sample(REGION, detail_to_network(details), coarse)])
    model = Knows(torch.zeros_like(batch.x0), True, REGION)
    true, ours = drawn(model, model, batch, 4)
    assert true.shape == ours.shape == (1, 1, 8, 8, 8)
    assert true[0, 0, 0, 0, :2].tolist() == pytest.approx([0.3, 0.1]) and ours.unique().tolist() == pytest.approx([0.2])


def test_right_is_on_the_left_and_front_above(tmp_path: Path) -> None:
    from matplotlib.image import imread

    true = torch.full((1, 1, 16, 16, 16), -1.0)
    true[0, 0, 12:, 12:] = 1.0  # right and in front
    write_picture(true, torch.full_like(true, -1.0), tmp_path / "pictures" / "p.png")
    picture = imread(tmp_path / "pictures" / "p.png")[..., 0]
    bright = np.argwhere((picture > 0.9) & (picture < 1.01))
    inside = picture[: len(picture) // 2]
    rows, columns = np.nonzero(inside < 0.1)
    corner = inside[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert len(bright) and corner[: len(corner) // 5, : corner.shape[1] // 5].mean() > 0.8
    assert corner[len(corner) // 2 :].mean() < 0.1


def test_the_log_is_numbers_of_one_level_for_a_tracker() -> None:
    row = {"step": 3, "train": {"loss": 0.5, "flow": 0.4}, "hours_left": 1}
    assert trackers.scalars(row) == {"train/loss": 0.5, "train/flow": 0.4, "hours_left": 1.0}
    flat = trackers.settings(TrainConfig(network="base"))
    assert flat["times.uniform"] == 0.5 and flat["network"] == "base" and flat["init"] == "None"


def test_a_tracker_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "get_available_trackers", lambda: ["tensorboard"])
    trackers.require("tensorboard")
    trackers.require(None)
    with pytest.raises(InputError, match="tracker wandb: is not installed; pip install wandb"):
        trackers.require("wandb")
