"""Refine: coarse CT -> the seven detail bands of the next finer grid, over overlapping tiles, and its organs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from monai.inferers import sliding_window_inference

from synth import wavelet
from synth.compose import Drawn, no_request, request_tensors
from synth.facts import ORGANS
from synth.flow.guidance import sharpened
from synth.flow.samplers import euler
from synth.frames import FACTOR, Frame
from synth.models.conditioning import CLASSES, Condition, grid_vector, position_map, stack_maps
from synth.models.denoiser import Denoiser
from synth.models.scaling import ct_to_network, detail_from_network, detail_to_network
from synth.models.threads import one_thread
from synth.plan import CasePlan
from synth.seeding import derive, normal
from synth.shape.model import MEAN_SPACING_MM
from synth.shape.scaffold import refine_maps
from synth.tone import Tone

TILE = 48  # coarse positions a side, at most
_OVERLAP = 8  # positions that neighbouring tiles share, at least
_MULTIPLE = 4  # the network halves twice
_AIR_UNIT = -0.97  # a tile with nothing brighter is air and has no detail
_NO_TONE = Tone({})
_FORGIVE = 0.5  # coarse-noise level told to the network for a drawn coarse volume, in units of training


def refine(
    plan: CasePlan,
    drawn: Drawn,
    model: Denoiser,
    spacing: float,
    on_step: Callable[[], None] = lambda: None,
    tone: Tone = _NO_TONE,
) -> Drawn:
    """Halve the spacing until it is `spacing`, each level on its tone curve."""
    while drawn.spacing > spacing + 1e-6:
        drawn = _one_level(plan, drawn, model, on_step)
        drawn = replace(drawn, ct=tone(drawn.ct, drawn.spacing))
    return drawn


@torch.no_grad()
def _one_level(plan: CasePlan, drawn: Drawn, model: Denoiser, on_step: Callable[[], None]) -> Drawn:
    finer = drawn.spacing / FACTOR
    condition = _told(plan, drawn, finer)
    noise = normal((1, 7, *drawn.ct.shape[2:]), derive(plan.refine_seed, f"{finer:g} mm"))
    velocity = tiled_velocity(model, condition, plan.sampling.detail_guidance)
    start = 1.0
    if drawn.details is not None:
        start = plan.sampling.redraw_start
        noise = (1 - start) * drawn.details + start * noise
    steps, shift = plan.sampling.refine_steps, plan.sampling.refine_shift
    details = euler(velocity, noise, steps, shift, start=start, on_step=on_step)
    if drawn.atlas is not None:
        labels = background([FACTOR * n for n in drawn.ct.shape[2:]])
    else:
        labels = _tiled_labels(model, condition, details)
    if drawn.given is not None:
        labels = drawn.given.impose(labels, finer)
    bands = torch.cat([drawn.ct, detail_from_network(details)], dim=1)
    ct = wavelet.inverse(bands).clamp(-1.0, 1.5)
    return replace(drawn, spacing=finer, ct=ct, labels=labels, details=None)


def _told(plan: CasePlan, drawn: Drawn, finer: float) -> Condition:
    """The request and the place in the frame; of the torso neither, for `refine` learned it from crops without."""
    if drawn.atlas is not None:
        return _condition(no_request(), None, finer, drawn.ct, drawn.labels, None)
    scaffold = None if drawn.scaffold is None or finer != MEAN_SPACING_MM else refine_maps(drawn.scaffold)
    return _condition(request_tensors(plan), drawn.frame, finer, drawn.ct, drawn.labels, scaffold)


@torch.no_grad()
def read_organs(ct: torch.Tensor, frame: Frame, spacing: float, model: Denoiser) -> torch.Tensor:
    """Organ fractions (1, CLASSES, X, Y, Z) that the network sees in a CT, told of nothing else.

    Args:
        ct: (1, 1, X, Y, Z) intensity units, a whole frame at `spacing` mm.
    """
    bands = wavelet.forward(ct)
    labels = ct.new_zeros(1, CLASSES, *bands.shape[2:])
    condition = _condition(no_request(), frame, spacing, bands[:, :1], labels, None)
    return _tiled_labels(model, condition, detail_to_network(bands[:, 1:]))


def _condition(
    request: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    frame: Frame | None,
    finer: float,
    coarse: torch.Tensor,
    labels: torch.Tensor,
    scaffold: torch.Tensor | None,
) -> Condition:
    """What the network is told at the level of a spacing, the coarse CT being on the grid above it."""
    shape, spacing = tuple(coarse.shape[2:]), torch.full((1, 3), finer)
    nothing = torch.zeros(1, 1, *shape)
    lower = torch.tensor([frame.lower_mm]) if frame else torch.full((1, 3), torch.nan)
    maps = stack_maps(
        nothing.expand(-1, 7, -1, -1, -1),
        nothing,
        position_map(lower, spacing * FACTOR, shape),
        ct_to_network(coarse),
        labels,
        scaffold,
    )
    annotated = torch.full((1, len(ORGANS)), float(frame is not None))
    grid = grid_vector(spacing, annotated, torch.full((1, 1), _FORGIVE))
    return Condition(*request, grid, maps)


def tiled_velocity(
    model: Denoiser, condition: Condition, detail_guidance: float = 0.0
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Velocity over overlapping tiles, blended; `condition.maps` covers the whole grid."""
    channels, data_sd = model.config.channels, model.config.data_sd

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        def tile(block: torch.Tensor) -> torch.Tensor:
            x, maps = block[:, :channels], block[:, channels:]
            if bool((_coarse_of(maps) < ct_to_network(torch.tensor(_AIR_UNIT))).all()):
                return x / t.clamp(min=1e-3)  # x_0 = 0
            out = _run(model, x, t, replace(condition, maps=maps)).velocity
            if data_sd is None:  # then nothing is known of its details
                return out
            return sharpened(out, x, t.expand(len(x)), data_sd, detail_guidance)

        return _slide(torch.cat([x, condition.maps], dim=1), tile)

    return velocity


def _tiled_labels(model: Denoiser, condition: Condition, details: torch.Tensor) -> torch.Tensor:
    """Organ fractions (1, CLASSES, 2X, 2Y, 2Z) read off the finished details."""
    channels = model.config.channels

    def tile(block: torch.Tensor) -> torch.Tensor:
        x, maps = block[:, :channels], block[:, channels:]
        if bool((_coarse_of(maps) < ct_to_network(torch.tensor(_AIR_UNIT))).all()):
            return background([2 * n for n in x.shape[2:]]).to(x).expand(len(x), -1, -1, -1, -1)
        return _run(model, x, x.new_zeros(len(x)), replace(condition, maps=maps)).labels.softmax(dim=1)

    return _slide(torch.cat([details, condition.maps], dim=1), tile)


def background(shape: Sequence[int]) -> torch.Tensor:
    """(1, CLASSES, X, Y, Z) organ fractions where there is no organ."""
    labels = torch.zeros(1, CLASSES, *shape)
    labels[:, 0] = 1
    return labels


def _coarse_of(maps: torch.Tensor) -> torch.Tensor:
    """The coarse CT among the stacked maps: known (7), mask (1), position (4), coarse."""
    return maps[:, 12:13]


def _run(model: Denoiser, x: torch.Tensor, t: torch.Tensor, condition: Condition):  # type: ignore[no-untyped-def]
    device = model.device
    x = x.to(device).contiguous(memory_format=torch.channels_last_3d)
    with one_thread():
        return model(x, t.to(device).expand(len(x)), condition.to(device))


def tile_size(positions: int) -> int:
    """Length of equal tiles that cover an axis with the least overlap beyond `_OVERLAP`: no work is done twice."""
    if positions <= TILE:
        return positions
    count = math.ceil((positions - _OVERLAP) / (TILE - _OVERLAP))
    length = math.ceil((positions + (count - 1) * _OVERLAP) / count)
    return math.ceil(length / _MULTIPLE) * _MULTIPLE


def _slide(stacked: torch.Tensor, tile: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    roi = [tile_size(n) for n in stacked.shape[2:]]
    overlap = [min(_OVERLAP / n, 0.5) for n in roi]
    out = sliding_window_inference(
        stacked, roi, sw_batch_size=1, predictor=tile, overlap=overlap, mode="gaussian", sigma_scale=0.2
    )
    assert isinstance(out, torch.Tensor)
    return out.cpu()
