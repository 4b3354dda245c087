"""The straight flow between data (t = 0) and noise (t = 1); Lipman et al. 2023, Liu et al. 2023."""

from __future__ import annotations

import torch


def interpolate(x0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """x_t = (1 - t) x_0 + t noise, t (B,)."""
    t = t.view(-1, *[1] * (x0.ndim - 1))
    return (1 - t) * x0 + t * noise


def draw_times(count: int, generator: torch.Generator, mean: float, scale: float, uniform: float) -> torch.Tensor:
    """Training times (count,): a share `uniform` is U(0, 1), the rest logit-normal (Esser et al. 2024, eq. 19).

    The uniform share matters here: contrasts inside the body are decided at t < 0.3, which a logit-normal
    centred on the outline's noise level hardly visits.
    """
    device = generator.device
    logit_normal = torch.sigmoid(mean + scale * torch.randn(count, generator=generator, device=device))
    flat = torch.rand(count, generator=generator, device=device)
    pick = torch.rand(count, generator=generator, device=device) < uniform
    return torch.where(pick, flat, logit_normal)


def sampling_times(steps: int, shift: float) -> torch.Tensor:
    """(steps + 1,) from 1 to 0; shift > 1 spends more steps near the noise (Esser et al. 2024, eq. 23)."""
    t = torch.linspace(1.0, 0.0, steps + 1)
    return shift * t / (1 + (shift - 1) * t)
