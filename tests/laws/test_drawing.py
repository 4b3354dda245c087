"""Laws of drawing and of losses: CT is CT and dose is dose, contrast brightens, every weight weighs what it should."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from evals.benchmarks.made_up import REGION_YAML
from prompts import CaseRequest
from synth.case.plan import GeneratePlan, Sampling
from synth.case.weights_folder import LOOKS, TONE, Weights
from synth.draw import generated as drawing
from synth.draw.base import compose
from synth.models.condition import Condition
from synth.models.denoiser import Denoised, preconditioned
from synth.models.scaling import ct_from_network, dose_from_network
from synth.models.tone import KNOTS_HU, Tone
from synth.progress import Progress
from synth.regions import shipped
from synth.regions.region import parse
from synth.training.config import TrainConfig
from synth.training.tasks import Batch, batch_loss, time_weight
from tests.regions import HEAD_NECK, MEAN_CHANNELS, NAMES, REGION, encode
from tests.torso import phantom

VESSELS = NAMES.index("neck_vessels_hu")
CT, DOSE = 0.3, 0.7


class Known:
    """A network that knows its answer: CT as bright as vessels are said to be, dose as it is."""

    config = SimpleNamespace(channels=2, text_dim=384)
    region = REGION
    device = torch.device("cpu")
    prior = None

    def __call__(self, x: torch.Tensor, t: torch.Tensor, condition: Condition) -> Denoised:
        ct = CT + 0.1 * condition.facts[:, VESSELS]
        answer = torch.stack([ct, torch.full_like(ct, DOSE)], dim=1)[..., None, None, None].expand_as(x)
        velocity = (x - answer) / t.clamp(min=1e-3).view(-1, 1, 1, 1, 1)
        return Denoised(velocity, torch.zeros(len(x), 8, *x.shape[2:]))


def composed(contrast_guidance: float) -> tuple[float, float]:
    """Mean CT in intensity units and dose in steps of a case with contrast."""
    plan = GeneratePlan(
        case="c",
        seed=0,
        request=CaseRequest(),
        region="head_neck",
        spacing_mm=8.0,
        facts={"neck_vessels_hu": 110.0},
        sampling=Sampling(contrast_guidance=contrast_guidance, prior_guidance=0.0),
    )
    drawn = compose(plan, torch.zeros(1, MEAN_CHANNELS, *HEAD_NECK.shape_at(8.0)), Known())  # type: ignore[arg-type]
    return float(drawn.ct.mean()), float(drawn.dose.mean())


def test_ct_is_ct_and_dose_is_dose_and_contrast_guidance_brightens() -> None:
    brightness = encode({"neck_vessels_hu": 110.0})[VESSELS]
    ct, dose = composed(0.0)
    assert ct == pytest.approx(float(ct_from_network(torch.tensor(CT + 0.1 * brightness))), abs=1e-3)
    assert dose == pytest.approx(float(dose_from_network(torch.tensor(DOSE))), abs=1e-3)
    pushed, same = composed(1.5)
    assert pushed > ct + 0.01 and same == pytest.approx(dose, abs=1e-3)


def test_ct_is_drawn_on_the_scale_of_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Known()
    monkeypatch.setattr(Known, "__call__", _constant)
    model.region = parse(REGION_YAML + "ct: {mean: -0.5, sd: 0.6}\n")
    model.config = SimpleNamespace(channels=1, text_dim=384)
    plan = GeneratePlan(case="c", seed=0, request=CaseRequest(), region="made_up", spacing_mm=8.0, facts={},
                        sampling=Sampling(prior_guidance=0.0))  # fmt: skip
    drawn = compose(plan, None, model)  # type: ignore[arg-type]
    assert float(drawn.ct.mean()) == pytest.approx(-0.5 + 0.6 * CT, abs=1e-3)


def _constant(model: Known, x: torch.Tensor, t: torch.Tensor, condition: Condition) -> Denoised:
    velocity = (x - CT) / t.clamp(min=1e-3).view(-1, 1, 1, 1, 1)
    return Denoised(velocity, torch.zeros(len(x), 3, *x.shape[2:]))


class Reads(nn.Module):
    """Reads organs right on one side of t = 0.5, and wrong on the other."""

    def __init__(self, clean: bool) -> None:
        super().__init__()
        self.clean, self.nothing = clean, nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: Condition) -> Denoised:
        right = (t < 0.5) if self.clean else (t >= 0.5)
        logits = torch.zeros(len(x), 2, *x.shape[2:])
        logits[:, 1] = torch.where(right, 6.0, -6.0).view(-1, 1, 1, 1)
        return Denoised(torch.zeros_like(x) + self.nothing, logits)


def test_organs_count_most_at_the_clean_end_of_time() -> None:
    count, shape = 64, (2, 2, 2)
    maps = torch.zeros(count, 2 + 1, *shape)
    nothing = torch.zeros(count, 1)
    condition = Condition(nothing, nothing[:, None], nothing.bool(), nothing, maps)
    labels = torch.zeros(count, 2, *shape)
    labels[:, 1] = 1
    x0, body = torch.zeros(count, 2, *shape), torch.ones(count, 1, *shape)
    batch = Batch(x0, labels, body, torch.ones(count, 1), condition, tuple(range(count)))
    config = TrainConfig(network="base")

    def organs(clean: bool) -> float:
        return float(batch_loss(Reads(clean), batch, config)[1]["organs"])

    assert organs(clean=True) < 0.5 * organs(clean=False)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_every_time_counts_alike_in_units_of_the_network(t: float) -> None:
    """velocity = c_out F + rest: the weight takes back what an error of 1 in F is in the velocity."""
    at, sd = torch.tensor([t]), 0.5
    scale = preconditioned(torch.zeros(1, 1, 1, 1, 1), at, sd)[0]
    assert float(time_weight(at, sd) * scale.square()) == pytest.approx(1.0, rel=1e-5)


def test_each_region_is_drawn_on_the_tone_curve_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synth.draw import refine, trees

    (tmp_path / "shape").mkdir()
    phantom.model().save(tmp_path / "shape" / LOOKS)
    (tmp_path / "region.yaml").write_text(shipped("torso").text)
    (tmp_path / TONE).write_text(Tone({4.0: np.asarray(KNOTS_HU + 7)}).to_json())
    used: list[Tone] = []
    monkeypatch.setattr(Weights, "refine", lambda *_: None)
    monkeypatch.setattr(refine, "refine", lambda plan, drawn, fine, spacing, step, tone: used.append(tone) or drawn)
    monkeypatch.setattr(trees, "with_trees", lambda plan, drawn: drawn)
    plan = GeneratePlan(case="c", seed=0, request=CaseRequest(), region="chest", spacing_mm=4.0)
    drawing.draw(plan, Weights.open(tmp_path), Progress(quiet=True))
    assert used[0].curves[4.0][0] == KNOTS_HU[0] + 7
