"""Redraw: the detail of a painted lesion, drawn anew by `refine` so that its texture is the host's."""

from __future__ import annotations

import numpy as np
import torch

from synth import intensity, wavelet
from synth.facts import ORGANS
from synth.flow.samplers import euler
from synth.models.conditioning import CLASSES, FACTS_DIM, Condition, grid_vector, position_map, stack_maps
from synth.models.denoiser import Denoiser
from synth.models.scaling import ct_to_network, detail_from_network, detail_to_network
from synth.models.text import TEXT_DIM
from synth.plan import Sampling
from synth.refine import tiled_velocity
from synth.seeding import normal

_MULTIPLE = 8  # voxels: one Haar level, then the network halves twice


class RefineRedraw:
    """New detail bands where asked, given the painted coarse band and the host's own detail round it."""

    def __init__(self, model: Denoiser, sampling: Sampling) -> None:
        self.model, self.sampling = model, sampling

    @torch.no_grad()
    def __call__(self, hu: np.ndarray, where: np.ndarray, spacing: np.ndarray, seed: int) -> np.ndarray:
        """Crop (X, Y, Z) HU, where to redraw (X, Y, Z) bool, spacing (3,) mm -> crop (X, Y, Z) float32 HU."""
        padding = [(0, -n % _MULTIPLE) for n in hu.shape]
        unit = torch.from_numpy(intensity.to_unit(np.pad(hu, padding, mode="edge")))[None, None]
        redraw = torch.from_numpy(np.pad(where, padding))[None, None].float()
        bands = wavelet.forward(unit)
        coarse, details = bands[:, :1], detail_to_network(bands[:, 1:])
        known_mask = 1 - torch.nn.functional.max_pool3d(redraw, 2)
        velocity = tiled_velocity(self.model, _condition(coarse, details, known_mask, spacing))
        start = self.sampling.redraw_start
        noised = (1 - start) * details + start * normal(tuple(details.shape), seed)
        drawn = euler(
            velocity, noised, self.sampling.refine_steps, self.sampling.refine_shift, details, known_mask, start
        )
        unit = wavelet.inverse(torch.cat([coarse, detail_from_network(drawn)], dim=1))[0, 0]
        return intensity.to_hu(unit.numpy())[tuple(slice(0, n) for n in hu.shape)]


def _condition(coarse: torch.Tensor, details: torch.Tensor, known_mask: torch.Tensor, spacing: np.ndarray) -> Condition:
    """No request, no labels, no place: only the grid, the coarse CT and what is known."""
    shape = tuple(coarse.shape[2:])
    mm = torch.from_numpy(np.asarray(spacing)).float()[None]
    maps = stack_maps(
        details,
        known_mask,
        position_map(torch.full((1, 3), torch.nan), 2 * mm, shape),
        ct_to_network(coarse),
        torch.zeros(1, CLASSES, *shape),
    )
    return Condition(
        facts=torch.zeros(1, FACTS_DIM),
        text=torch.zeros(1, 1, TEXT_DIM),
        text_mask=torch.zeros(1, 1, dtype=torch.bool),
        grid=grid_vector(mm, torch.zeros(1, len(ORGANS)), torch.zeros(1, 1)),
        maps=maps,
    )
