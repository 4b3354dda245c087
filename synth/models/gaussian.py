"""The Gaussian part of the answer, in closed form: what a linear model of the training volumes knows.

If volumes were Gaussian about their scaffold given the facts, x_0 ~ N(scaffold + mu(facts), U diag(lambda) U^T +
diag(rest)), the flow's velocity would be known exactly. Near the noise end it nearly is (Wang & Vastola 2024), so the
network is asked only for what this misses.
"""

from __future__ import annotations

import torch
from torch import nn

from synth.models.linear import fit_linear_gaussian

_FLOOR = 1e-5  # variance below which a direction is fixed


class GaussianPart(nn.Module):
    """mu(facts) = mean + slope @ facts, `rank` principal directions, a variance of each voxel for the rest.

    Args:
        size: C * X * Y * Z of the volumes, flattened in this order.
        facts_dim: length of the encoded facts.
        rank: number of principal directions.
    """

    mean: torch.Tensor
    slope: torch.Tensor
    basis: torch.Tensor
    variance: torch.Tensor
    rest: torch.Tensor

    def __init__(self, size: int, facts_dim: int, rank: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("slope", torch.zeros(facts_dim, size))
        self.register_buffer("basis", torch.zeros(rank, size))
        self.register_buffer("variance", torch.ones(rank))
        self.register_buffer("rest", torch.ones(size))

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, facts: torch.Tensor, scaffold: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Estimate of x_0 and velocity E[noise - x_0 | x_t] under the Gaussian.

        Args:
            x: (B, C, X, Y, Z) at time t (B,); facts: (B, facts_dim); scaffold: (B, C, X, Y, Z), see synth.shape.

        Returns:
            x_0 and velocity, both (B, C, X, Y, Z). With signal variance s the posterior means are linear in the
            innovation x_t - (1 - t) mu: noise = t / ((1-t)^2 s + t^2), x_0 = mu + (1-t) s / ((1-t)^2 s + t^2).
        """
        mu = self.mean + facts @ self.slope + scaffold.flatten(1)
        t = t[:, None]
        innovation = x.flatten(1) - (1 - t) * mu
        scores = innovation @ self.basis.T
        outside = innovation - scores @ self.basis
        inside_gain, outside_gain = _gain(t, self.variance), _gain(t, self.rest)
        noise = (scores * inside_gain) @ self.basis + outside * outside_gain
        data = (scores * inside_gain * self.variance) @ self.basis + outside * outside_gain * self.rest
        x0 = mu + (1 - t) * data
        return x0.view_as(x), (t * noise - x0).view_as(x)

    @torch.no_grad()
    def fit(self, volumes: torch.Tensor, facts: torch.Tensor, ridge: float) -> None:
        """Ridge regression on the facts, then principal directions of what is left.

        Args:
            volumes: (N, C, X, Y, Z) less their scaffolds; facts: (N, facts_dim); ridge: penalty, in units of N.
        """
        fitted = fit_linear_gaussian(volumes.flatten(1), facts, len(self.variance), ridge)
        found = len(fitted.variance)  # directions beyond the number of volumes stay zero
        self.mean.copy_(fitted.mean)
        self.slope.copy_(fitted.slope)
        self.basis[:found] = fitted.directions
        self.variance[:found] = fitted.variance.clamp(min=_FLOOR)
        self.rest.copy_(fitted.rest.clamp(min=_FLOOR))


def _gain(t: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """1 / variance of x_t."""
    return 1 / ((1 - t).square() * variance + t.square())
