"""Diffeomorphisms of a frame: stationary velocity fields, their exponentials, and volumes resampled by them."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from synth.regions.frame import Frame

_SQUARINGS = 5


def exponential(velocity: torch.Tensor, frame: Frame) -> torch.Tensor:
    """Displacement of the flow of a stationary velocity for unit time (scaling and squaring, Arsigny et al. 2006).

    Args:
        velocity: (B, 3, X, Y, Z) on any grid of the frame, in mm along each axis.

    Returns:
        (B, 3, X, Y, Z) mm; exponential(-velocity) inverts it.
    """
    displacement = velocity / 2**_SQUARINGS
    for _ in range(_SQUARINGS):
        displacement = displacement + _sample(displacement, displacement, "border", frame)
    return displacement


def warp(image: torch.Tensor, displacement: torch.Tensor, frame: Frame) -> torch.Tensor:
    """image(x + displacement(x)), zero beyond the frame.

    Args:
        image: (B, C, X, Y, Z) on any grid of the frame; displacement: (B, 3, ..) mm on any other.
    """
    return _sample(image, displacement, "zeros", frame)


def mirror(velocity: torch.Tensor) -> torch.Tensor:
    """The velocity of the mirror image: right and left exchanged."""
    return velocity.flip(2) * velocity.new_tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1, 1)


def _sample(image: torch.Tensor, displacement: torch.Tensor, beyond: str, frame: Frame) -> torch.Tensor:
    per_mm = (2 / displacement.new_tensor(frame.size_mm)).view(1, 3, 1, 1, 1)  # grid_sample's frame runs from -1 to 1
    normalised = displacement * per_mm
    if image.shape[2:] != displacement.shape[2:]:
        normalised = F.interpolate(normalised, size=image.shape[2:], mode="trilinear", align_corners=False)
    still = F.affine_grid(torch.eye(3, 4, device=image.device)[None], [1, 1, *image.shape[2:]], align_corners=False)
    grid = still + normalised.permute(0, 2, 3, 4, 1).flip(-1)  # its axes are reversed
    return F.grid_sample(image, grid, mode="bilinear", padding_mode=beyond, align_corners=False)
