"""What the networks are computed in: bfloat16 is close to float32, and asked for by name."""

from __future__ import annotations

import pytest
import torch

from synth.case.plan import Sampling
from synth.errors import InputError
from synth.models.condition import Condition, map_channels
from synth.models.denoiser import Denoiser
from synth.models.precision import PRECISION_ENV, default_precision
from tests.regions import FACTS_DIM, GRID_DIM, REGION


def _condition(generator: torch.Generator) -> Condition:
    shape = (8, 8, 8)
    return Condition(
        facts=torch.randn(1, FACTS_DIM, generator=generator),
        text=torch.randn(1, 3, 384, generator=generator),
        text_mask=torch.ones(1, 3, dtype=torch.bool),
        grid=torch.randn(1, GRID_DIM, generator=generator),
        maps=torch.randn(1, map_channels(2, False, REGION), *shape, generator=generator),
    )


@torch.no_grad()
def test_bfloat16_draws_nearly_the_same_and_gives_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = Denoiser(widths=(8, 16), blocks=(1, 1), embedding_dim=16, prior_shape=(8, 8, 8), prior_rank=2).eval()
    for p in model.parameters():  # what starts at zero would hide a difference
        p.copy_(torch.randn(p.shape, generator=generator) * 0.1)
    condition, x = _condition(generator), torch.randn(1, 2, 8, 8, 8, generator=generator)
    exact = model(x, torch.tensor([0.4]), condition)
    model.computed_in = torch.bfloat16
    quick = model(x, torch.tensor([0.4]), condition)
    for a, b in zip(exact, quick, strict=True):
        assert b.dtype == torch.float32
        assert 0 < (a - b).norm() / a.norm() < 0.03


def test_the_plan_says_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked in ("float32", "bfloat16"):
        monkeypatch.setenv(PRECISION_ENV, asked)
        assert Sampling().precision == asked
    monkeypatch.delenv(PRECISION_ENV)
    assert default_precision() in ("float32", "bfloat16")
    assert Sampling(precision="float32").precision == "float32"  # a plan that is read again is not asked anew


def test_an_unknown_precision_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRECISION_ENV, "fp16")
    with pytest.raises(InputError, match="SYNTHCT_PRECISION=fp16: unknown; use float32 or bfloat16"):
        Sampling()
