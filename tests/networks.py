"""Tiny random networks of the real classes: every step of the path runs at once, and draws nothing in particular."""

from __future__ import annotations

import torch

from synth.models.denoiser import Denoiser
from synth.shape.model import ShapeModel
from tests.regions import HEAD_NECK

# channels in eights, as the real ones: convolutions over others depend on the number of threads
SIZE = {"widths": (8, 8, 16), "blocks": (1, 1, 1), "embedding_dim": 8, "heads": 2}


def shape() -> ShapeModel:
    """A box of soft tissue that hardly moves."""
    model = ShapeModel(rank=2)
    model.mean_ct[0, 32:96, 16:64, 16:88] = 1.1
    model.modes.normal_(std=1.0, generator=torch.Generator().manual_seed(2))
    return model.eval()


def base(seed: int = 0, spread: float = 0.1) -> Denoiser:
    """A base network for the head-and-neck frame, all weights normal(0, spread)."""
    torch.manual_seed(seed)
    return _spread(Denoiser(channels=2, prior_shape=HEAD_NECK.shape, prior_rank=2, **SIZE), spread)


def refine(seed: int = 1, spread: float = 0.1) -> Denoiser:
    """A refine network; `spread` 0 leaves its output the closed-form velocity of white detail."""
    torch.manual_seed(seed)
    return _spread(Denoiser(channels=7, refine=True, data_sd=0.5, **SIZE), spread)


def _spread(model: Denoiser, spread: float) -> Denoiser:
    """The layers that start at zero would hide what reaches the output."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    return model.eval().requires_grad_(False)
