"""Losses: the flow's velocity, and the organs read off it."""

from __future__ import annotations

from collections.abc import Callable

import torch

Reduce = Callable[[torch.Tensor], torch.Tensor]


def _alone(value: torch.Tensor) -> torch.Tensor:
    return value


def velocity_loss(
    predicted: torch.Tensor,
    x0: torch.Tensor,
    noise: torch.Tensor,
    weight: torch.Tensor,
    of_time: torch.Tensor | float = 1.0,
    mean: Reduce = _alone,
) -> torch.Tensor:
    """Weighted mean of |v - (noise - x0)|^2 (Lipman et al. 2023, eq. 23).

    `weight` (B, 1, X, Y, Z) >= 0 says where it counts and averages to one; `of_time` (B, 1, 1, 1, 1) scales each
    volume's error. `mean` over the parts of a batch, of what it is divided by: the mean of the parts' losses is then
    that of the whole batch.
    """
    error = of_time * (predicted - (noise - x0)).square().mean(dim=1, keepdim=True)
    return (weight * error).sum() / mean(weight.sum()).clamp(min=1e-6)


def label_loss(
    logits: torch.Tensor,
    fractions: torch.Tensor,
    annotated: torch.Tensor,
    weight: torch.Tensor,
    mean: Reduce = _alone,
) -> torch.Tensor:
    """Cross-entropy against label fractions; an organ that was not annotated may be anywhere in the background.

    Args:
        logits: (B, K, X, Y, Z), class 0 = background.
        fractions: (B, K, X, Y, Z), the share of each class in the voxel; 0 for organs not annotated.
        annotated: (B, K - 1) 1 where the organ was drawn in this patient.
        weight: (B,) of each volume.
        mean: as of `velocity_loss`.
    """
    log_p = logits.log_softmax(dim=1)
    missing = (1 - annotated).bool()[:, :, None, None, None]
    background = torch.cat([log_p[:, :1], log_p[:, 1:].masked_fill(~missing, -torch.inf)], dim=1).logsumexp(dim=1)
    organs = (fractions[:, 1:] * log_p[:, 1:]).sum(dim=1)
    loss = -(fractions[:, 0] * background + organs).mean(dim=(1, 2, 3))
    return (weight * loss).sum() / mean(weight.sum()).clamp(min=1e-6)
