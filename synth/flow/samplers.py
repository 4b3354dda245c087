"""The sampler: from noise to data along the learned velocity."""

from __future__ import annotations

from collections.abc import Callable

import torch

from synth.flow.schedule import sampling_times

Velocity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def euler(
    velocity: Velocity,
    noise: torch.Tensor,
    steps: int,
    shift: float = 1.0,
    known: torch.Tensor | None = None,
    known_mask: torch.Tensor | None = None,
    start: float = 1.0,
    on_step: Callable[[], None] = lambda: None,
) -> torch.Tensor:
    """Integrate dx/dt = velocity(x, t) from t = `start` to 0 by Euler steps.

    Args:
        velocity: (x (B, C, X, Y, Z), t (B,)) -> (B, C, X, Y, Z).
        noise: x at t = start: pure noise at 1, a partly noised volume below (Meng et al. 2022).
        known, known_mask: clean values (B, C, ..) that hold where the mask (B, 1, ..) is 1, at every t, as in
            training.
    """
    times = start * sampling_times(steps, shift).to(noise.device)
    x = noise if known is None or known_mask is None else torch.where(known_mask > 0, known, noise)
    for t, after in zip(times[:-1], times[1:], strict=True):
        x = x + (after - t) * velocity(x, t.expand(len(x)))
        if known is not None and known_mask is not None:
            x = torch.where(known_mask > 0, known, x)
        on_step()
    return x
