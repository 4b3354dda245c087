"""A deformation of the mean patient for organs that are given."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from synth.shape.deformation import exponential, warp
from synth.shape.model import ShapeModel
from synth.shape.register import smooth
from synth.threads import one_thread

_MISFIT_SD = 0.5  # of a voxel's organ fraction
_ROUNDS, _STEP_SD = 40, 0.25
_FINE_ROUNDS, _STEP_MM, _SIGMA = 30, 2.0, 1.3
_ROUGH_MM = 10.0  # SD of the own velocity's differences between neighbours
_DECIMALS = 3


def fit_velocity(
    model: ShapeModel, facts: torch.Tensor, start: torch.Tensor, organs: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """(1, 3, X, Y, Z) mm on the base grid: what carries the mean patient's organs onto given ones.

    First within the model: least squares of misfit and of distance to `start`. With `start` drawn from the model this
    draws from the posterior of shapes given the organs, exactly so where the deformation is linear
    (randomize-then-optimize, Bardsley et al. 2014): the same organs in different patients. Then by a smooth velocity of
    its own, for what the modes cannot follow.

    Args:
        facts: (1, F) encoded; start: (1, rank) in SD; organs: (K, X, Y, Z) fractions at 8 mm; known: (K,) bool.
    """
    mean, target = model.mean_organs.double()[known], organs.double()[known]
    frame = model.region.frame
    fixed = model.usual(facts).view(1, 3, *frame.shape)
    modes = model.sd.double()[:, None] * model.modes.double()

    def misfit(velocity: torch.Tensor) -> torch.Tensor:
        moved = warp(mean[None], exponential(velocity, frame), frame)[0]
        return (moved - target).square().sum() / _MISFIT_SD**2

    def of_modes(coefficients: torch.Tensor) -> torch.Tensor:
        return fixed + (coefficients @ modes).view_as(fixed)

    def improbable(coefficients: torch.Tensor) -> torch.Tensor:
        return misfit(of_modes(coefficients)) + (coefficients - start).square().sum()

    with one_thread():  # Adam makes much of little: in double, and rounded, other sums still reached the volume
        near = of_modes(_descend(improbable, start.double(), _ROUNDS, _STEP_SD))

    def rough(field: torch.Tensor) -> torch.Tensor:
        own = smooth(field, _SIGMA)
        bends = torch.stack([own.diff(dim=axis).square().sum() for axis in (2, 3, 4)]).sum()
        return misfit(near + own) + bends / _ROUGH_MM**2

    with one_thread():
        rest = _descend(rough, torch.zeros_like(near), _FINE_ROUNDS, _STEP_MM)
        velocity = near + smooth(rest, _SIGMA)
    return velocity.mul(10**_DECIMALS).round().div(10**_DECIMALS).float()


def _descend(
    loss: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, rounds: int, step: float
) -> torch.Tensor:
    """Adam with a falling step."""
    found = nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([found], lr=step, betas=(0.8, 0.95))
    for done in range(rounds):
        optimizer.param_groups[0]["lr"] = step * (1 - done / rounds)
        optimizer.zero_grad()
        loss(found).backward()
        optimizer.step()
    return found.detach()
