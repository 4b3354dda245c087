"""Classifier-free guidance."""

from __future__ import annotations

import torch

from synth.flow.samplers import Velocity
from synth.models.conditioning import Condition
from synth.models.denoiser import Denoiser


def guided(model: Denoiser, condition: Condition, scale: float) -> Velocity:
    """Velocity under guidance: v_null + scale (v_request - v_null); Ho & Salimans 2022, eq. 6."""
    if scale == 1.0:
        return lambda x, t: model(x, t, condition).velocity
    both = Condition.cat([condition, condition.without_request()])

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        asked, null = model(torch.cat([x, x]), torch.cat([t, t]), both).velocity.chunk(2)
        out: torch.Tensor = null + scale * (asked - null)
        return out

    return velocity
