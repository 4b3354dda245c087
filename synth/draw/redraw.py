"""Redraw: the detail of a painted lesion, drawn anew so that its texture is the host's, or a real tumour's."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from synth.case.plan import Sampling
from synth.draw.refine import tiled_velocity
from synth.flow.samplers import euler
from synth.models import intensity, wavelet
from synth.models.condition import Condition, EncodedRequest, Known, told_refine
from synth.models.denoiser import Denoiser
from synth.models.scaling import detail_from_network, detail_to_network
from synth.seeding import derive, normal

_NETWORK_MULTIPLE = 4  # positions: the network halves twice
_LEVELS = 3  # that `lesion` is trained on
_COARSEST_MM = 16.0
_ACROSS = 3.0  # coarsest blocks that a lesion is thick, at least: they keep the attenuation that was planned
_INSIDE_NOISE = 0.01  # intensity units: SD of what is wrong in the coarse CT that `lesion` drew itself


class RefineRedraw:
    """New detail bands where asked, given the painted coarse band and the host's own detail round it."""

    def __init__(self, model: Denoiser, sampling: Sampling) -> None:
        self.model, self.sampling = model, sampling

    def __call__(self, hu: np.ndarray, where: np.ndarray, spacing: np.ndarray, seed: int) -> np.ndarray:
        """Crop (X, Y, Z) HU, where to redraw (X, Y, Z) bool, spacing (3,) mm -> crop (X, Y, Z) float32 HU."""
        unit, redraw = _padded(hu, where, 2 * _NETWORK_MULTIPLE)
        bands = wavelet.forward(unit)
        start = self.sampling.redraw_start
        drawn = _details(self.model, self.sampling, bands, redraw, spacing, seed, start)
        unit = wavelet.inverse(torch.cat([bands[:, :1], drawn], dim=1))
        return _cropped(unit, hu.shape)


class LesionRedraw:
    """The inside drawn as that of real tumours: all detail from a grid of up to 16 mm down, by a `lesion` network.

    Painting says the mean of each of the coarsest blocks, surroundings are known, and every finer grid follows from the
    one before. Voxels of a coarser grid that lie partly outside stay as painted. The smaller a lesion, the finer the
    grid that drawing starts from.
    """

    context = 32  # voxels of host round the lesion that it sees

    def __init__(self, model: Denoiser, sampling: Sampling) -> None:
        self.model, self.sampling = model, sampling

    def __call__(self, hu: np.ndarray, where: np.ndarray, spacing: np.ndarray, seed: int) -> np.ndarray:
        """Crop (X, Y, Z) HU, where to redraw (X, Y, Z) bool, spacing (3,) mm -> crop (X, Y, Z) float32 HU."""
        levels = levels_of(where, spacing)
        unit, redraw = _padded(hu, where, _NETWORK_MULTIPLE * 2**levels)
        grids = [(unit, redraw)]
        for _ in range(levels):
            unit, redraw = F.avg_pool3d(unit, 2), (F.avg_pool3d(redraw, 2) == 1).float()
            grids.append((unit, redraw))
        drawn = grids[-1][0]
        for level in reversed(range(levels)):
            painted, redraw = grids[level]
            bands = wavelet.forward(painted)
            bands[:, :1] = drawn
            told = 0.0 if level == levels - 1 else _INSIDE_NOISE
            of_level = derive(seed, "level", level)
            details = _details(
                self.model,
                self.sampling,
                bands,
                redraw,
                spacing * 2**level,
                of_level,
                start=1.0,
                coarse_noise=told,
                guidance=self.sampling.detail_guidance,
            )
            finer = wavelet.inverse(torch.cat([drawn, details], dim=1))
            drawn = _with_known(finer, drawn, painted, redraw).clamp(-1.0, 1.5)
        return _cropped(drawn, hu.shape)


def _with_known(drawn: torch.Tensor, means: torch.Tensor, painted: torch.Tensor, redraw: torch.Tensor) -> torch.Tensor:
    """The drawn grid where `redraw` is 1, what was there elsewhere; all (1, 1, 2X, 2Y, 2Z), `means` (1, 1, X, Y, Z).

    Blocks keep their `means`: where a block holds both, what is drawn is shifted, or bone outside would lighten it.
    """
    share = F.avg_pool3d(redraw, 2)
    missing = means - F.avg_pool3d(torch.where(redraw > 0, drawn, painted), 2)
    shift = F.interpolate(missing / share.clamp(min=1 / 8) * (share > 0), scale_factor=2)
    return torch.where(redraw > 0, drawn + shift, painted)


def levels_of(where: np.ndarray, spacing: np.ndarray) -> int:
    """How many grids are drawn: one, and more while the coarsest blocks stay small against the lesion, and to 16 mm."""
    thick = 2 * float(ndimage.distance_transform_edt(np.pad(where, 1), sampling=spacing).max())
    in_plane = float(np.sort(spacing)[1])
    levels = 1
    while levels < _LEVELS and 2 ** (levels + 1) * in_plane <= min(_COARSEST_MM + 1e-6, thick / _ACROSS):
        levels += 1
    return levels


def _padded(hu: np.ndarray, where: np.ndarray, multiple: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Intensity and what is to be redrawn, (1, 1, X, Y, Z) of sizes that are multiples."""
    padding = [(0, -n % multiple) for n in hu.shape]
    unit = torch.from_numpy(intensity.to_unit(np.pad(hu, padding, mode="edge")))[None, None]
    return unit, torch.from_numpy(np.pad(where, padding))[None, None].float()


def _cropped(unit: torch.Tensor, shape: tuple[int, ...]) -> np.ndarray:
    return intensity.to_hu(unit[0, 0].numpy())[tuple(slice(0, n) for n in shape)]


@torch.no_grad()
def _details(
    model: Denoiser,
    sampling: Sampling,
    bands: torch.Tensor,
    redraw: torch.Tensor,
    spacing: np.ndarray,
    seed: int,
    start: float,
    coarse_noise: float = 0.0,
    guidance: float = 0.0,
) -> torch.Tensor:
    """Detail bands (1, 7, X, Y, Z), noised to the time `start` and drawn anew in the blocks that `redraw` touches.

    Args:
        bands: (1, 8, X, Y, Z), coarse CT and details as they are.
        redraw: (1, 1, 2X, 2Y, 2Z), 1 where to redraw.
        spacing: of the finer grid, mm, (3,).
        coarse_noise: SD of it that is told of the coarse CT, in intensity units.
        guidance: `detail_guidance`, for what is drawn from noise alone.
    """
    coarse, details = bands[:, :1], detail_to_network(bands[:, 1:])
    known_mask = 1 - F.max_pool3d(redraw, 2)
    velocity = tiled_velocity(model, _condition(model, coarse, details, known_mask, spacing, coarse_noise), guidance)
    noised = (1 - start) * details + start * normal(tuple(details.shape), seed)
    drawn = euler(velocity, noised, sampling.refine_steps, sampling.refine_shift, details, known_mask, start)
    return detail_from_network(drawn)


def _condition(
    model: Denoiser,
    coarse: torch.Tensor,
    details: torch.Tensor,
    known_mask: torch.Tensor,
    spacing: np.ndarray,
    coarse_noise: float,
) -> Condition:
    """No request, no labels, no place: only the grid, the coarse CT and what is known."""
    return told_refine(
        EncodedRequest.nothing(model.region, model.config.text_dim),
        torch.from_numpy(np.asarray(spacing)).float()[None],
        torch.full((1, 3), torch.nan),
        torch.zeros(1, len(model.region.organs)),
        Known(details, known_mask),
        coarse,
        torch.zeros(1, model.region.classes, *coarse.shape[2:]),
        [coarse_noise],
    )
