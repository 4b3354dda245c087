"""A linear Gaussian of flat vectors given facts: what the shape model and the prior of `base` are both fitted by."""

from __future__ import annotations

from typing import NamedTuple

import torch


class LinearGaussian(NamedTuple):
    """x ~ N(mean + facts @ slope, directions^T diag(variance) directions + diag(rest)).

    mean (D,); slope (F, D); directions (K, D), orthonormal; variance (K,) along them; rest (D,).
    """

    mean: torch.Tensor
    slope: torch.Tensor
    directions: torch.Tensor
    variance: torch.Tensor
    rest: torch.Tensor


@torch.no_grad()
def fit_linear_gaussian(flat: torch.Tensor, facts: torch.Tensor, rank: int, ridge: float) -> LinearGaussian:
    """Ridge regression on the facts, then the principal directions of what is left.

    Args:
        flat: (N, D); facts: (N, F); rank: directions wanted, of which no more than N are found; ridge: penalty in
            units of N, not put on the mean.
    """
    design = torch.cat([torch.ones(len(facts), 1), facts], dim=1)
    penalty = ridge * len(facts) * torch.eye(design.shape[1])
    penalty[0, 0] = 0
    weights = torch.linalg.solve(design.T @ design + penalty, design.T @ flat)
    left = flat - design @ weights
    _, values, directions = torch.svd_lowrank(left, q=min(rank, len(flat)), niter=4)
    rest = (left - left @ directions @ directions.T).square().mean(dim=0)
    return LinearGaussian(weights[0], weights[1:], directions.T, values.square() / len(flat), rest)
