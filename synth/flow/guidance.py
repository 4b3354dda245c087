"""Guidance: towards what is asked, and away from what knows nothing."""

from __future__ import annotations

import torch

from synth.flow.samplers import Velocity
from synth.models.condition import Condition
from synth.models.denoiser import Denoiser, preconditioned


def asked(model: Denoiser, condition: Condition) -> Velocity:
    """Velocity of what is asked, as the model has it."""
    return lambda x, t: model(x, t, condition).velocity


def away_from(velocity: Velocity, model: Denoiser, condition: Condition, scale: float) -> Velocity:
    """Velocity pushed away from what the model says of another condition, by `scale` of the difference.

    Against nothing asked at all this is classifier-free guidance (Ho & Salimans 2022, eq. 6), which strengthens all
    that is asked at once; against the same but for one fact, it strengthens that fact alone.
    """
    if scale == 0.0:
        return velocity

    def pushed(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        known = velocity(x, t)
        return known + scale * (known - model(x, t, condition).velocity)

    return pushed


def away_from_prior(velocity: Velocity, model: Denoiser, condition: Condition, scale: float) -> Velocity:
    """Velocity pushed away from that of the model's own Gaussian prior, by `scale` of the difference; see `sharpened`.

    As it stands where the model has no prior.
    """
    prior = model.prior
    if scale == 0.0 or prior is None:
        return velocity

    def pushed(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        known = velocity(x, t)
        return known + scale * (known - prior(x, t, condition.facts, model.scaffold_of(condition))[1])

    return pushed


def sharpened(velocity: torch.Tensor, x: torch.Tensor, t: torch.Tensor, data_sd: float, scale: float) -> torch.Tensor:
    """Velocity (B, C, X, Y, Z) pushed away from that of white data of the same SD, by `scale` of the difference.

    Guidance by a weaker model (Karras et al. 2024), which is known in closed form here and so costs nothing. A network
    of few training steps draws details with too little variance; this gives it back where the network sees structure.
    """
    return velocity + scale * (velocity - preconditioned(x, t, data_sd)[1])
