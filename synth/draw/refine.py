"""Refine: coarse CT -> the seven detail bands of the next finer grid, over overlapping tiles, and its organs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F

from synth.case.plan import GeneratePlan
from synth.draw.base import asked_of
from synth.draw.drawn import Drawn
from synth.flow.guidance import sharpened
from synth.flow.samplers import euler
from synth.models import wavelet
from synth.models.condition import Condition, EncodedRequest, Known, coarse_of, told_refine
from synth.models.denoiser import Denoiser
from synth.models.scaling import ct_to_network, detail_from_network, detail_to_network
from synth.models.tiles import Place, blended
from synth.models.tone import Tone
from synth.regions import Region
from synth.regions.frame import FACTOR, Frame
from synth.seeding import derive, normal
from synth.shape.model import MEAN_SPACING_MM
from synth.threads import one_thread

_AIR_UNIT = -0.97  # a tile with nothing brighter is air and has no detail
_NO_TONE = Tone({})
_HALF_BELOW_MM = 2.0  # on finer grids organ fractions, which are most of the memory, are kept in 16 bits
_FORGIVEN = 0.05  # intensity units: SD of the noise that a drawn coarse volume is said to carry


def refine(
    plan: GeneratePlan,
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
def _one_level(plan: GeneratePlan, drawn: Drawn, model: Denoiser, on_step: Callable[[], None]) -> Drawn:
    finer = drawn.spacing / FACTOR
    condition = _told(plan, drawn, finer, model)
    noise = normal((1, 7, *drawn.ct.shape[2:]), derive(plan.refine_seed, f"{finer:g} mm"))
    velocity = tiled_velocity(model, condition, plan.sampling.detail_guidance)
    steps, shift = plan.sampling.refine_steps, plan.sampling.refine_shift
    details = euler(velocity, noise, steps, shift, on_step=on_step)
    del noise  # memory is scarcest from here on
    ct = wavelet.inverse(torch.cat([drawn.ct, detail_from_network(details)], dim=1)).clamp_(-1.0, 1.5)
    labels = drawn.labels
    if labels is not None and not _knows(model, drawn.region):  # as they were, on the finer grid
        labels = F.interpolate(labels, scale_factor=FACTOR, mode="trilinear", align_corners=False)
    elif _knows(model, drawn.region):
        labels = _tiled_labels(model, condition, details, torch.float32 if finer >= _HALF_BELOW_MM else torch.float16)
    if drawn.given is not None and labels is not None:
        labels = drawn.given.impose(labels, finer)
    return replace(drawn, spacing=finer, ct=ct, labels=labels)


def _knows(model: Denoiser, region: Region) -> bool:
    """Whether a network was trained on a region; of another it is told neither request nor place, and reads no organs:
    to it that is CT as any other, as the crops without labels are that it learned detail from."""
    return model.region.name == region.name


def _told(plan: GeneratePlan, drawn: Drawn, finer: float, model: Denoiser) -> Condition:
    """The request and the place in the frame, as far as the network knows the region."""
    if not _knows(model, drawn.region):
        return _condition(
            model, EncodedRequest.nothing(model.region, model.config.text_dim), None, finer, drawn.ct, None
        )
    scaffold = None if finer != MEAN_SPACING_MM else drawn.scaffold
    return _condition(model, asked_of(plan, model), drawn.frame, finer, drawn.ct, drawn.labels, scaffold)


@torch.no_grad()
def read_organs(ct: torch.Tensor, spacing: float, model: Denoiser) -> torch.Tensor:
    """Organ fractions (1, 1 + organs, X, Y, Z) that the network sees in a CT, told of nothing else.

    Args:
        ct: (1, 1, X, Y, Z) intensity units, the whole frame of the network's region at `spacing` mm.
    """
    bands = wavelet.forward(ct)
    labels = ct.new_zeros(1, model.region.classes, *bands.shape[2:])
    asked = EncodedRequest.nothing(model.region, model.config.text_dim)
    condition = _condition(model, asked, model.region.frame, spacing, bands[:, :1], labels)
    return _tiled_labels(model, condition, detail_to_network(bands[:, 1:]))


def _condition(
    model: Denoiser,
    asked: EncodedRequest,
    frame: Frame | None,
    finer: float,
    coarse: torch.Tensor,
    labels: torch.Tensor | None,
    scaffold: torch.Tensor | None = None,
) -> Condition:
    """What the network is told at the level of a spacing, the coarse CT being on the grid above it."""
    shape = tuple(coarse.shape[2:])
    return told_refine(
        asked,
        torch.full((1, 3), finer),
        torch.tensor([frame.lower_mm]) if frame else torch.full((1, 3), torch.nan),
        torch.full((1, len(model.region.organs)), float(frame is not None)),
        Known.nothing(model.config.channels, shape),
        coarse,
        background(shape, model.region.classes) if labels is None else labels,
        [_FORGIVEN],
        scaffold,
    )


def tiled_velocity(
    model: Denoiser, condition: Condition, detail_guidance: float = 0.0
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Velocity over overlapping tiles, blended; `condition.maps` covers the whole grid."""
    channels, data_sd = model.config.channels, model.config.data_sd

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        def tile(place: Place) -> torch.Tensor:
            part, maps = x[place], condition.maps[place]
            if _is_air(maps, channels):
                return part / t.clamp(min=1e-3)  # x_0 = 0
            out = _run(model, part, t, replace(condition, maps=maps)).velocity
            if data_sd is None:  # then nothing is known of its details
                return out
            at = t.to(out.device).expand(len(part))
            return sharpened(out, part.to(out.device), at, data_sd, detail_guidance)

        return blended(x.shape[2:], channels, tile, model.device)

    return velocity


def _tiled_labels(
    model: Denoiser, condition: Condition, details: torch.Tensor, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Organ fractions (1, 1 + organs, 2X, 2Y, 2Z) read off the finished details."""
    classes = model.region.classes

    def tile(place: Place) -> torch.Tensor:
        part, maps = details[place], condition.maps[place]
        if _is_air(maps, model.config.channels):
            return background([FACTOR * n for n in part.shape[2:]], classes)
        return _run(model, part, part.new_zeros(len(part)), replace(condition, maps=maps)).labels.softmax(dim=1)

    return blended(details.shape[2:], classes, tile, model.device, FACTOR, dtype)


def background(shape: Sequence[int], classes: int) -> torch.Tensor:
    """(1, classes, X, Y, Z) organ fractions where there is no organ."""
    labels = torch.zeros(1, classes, *shape)
    labels[:, 0] = 1
    return labels


def _is_air(maps: torch.Tensor, channels: int) -> bool:
    """Whether nothing in the coarse CT is tissue."""
    return bool((coarse_of(maps, channels) < ct_to_network(torch.tensor(_AIR_UNIT))).all())


def _run(model: Denoiser, x: torch.Tensor, t: torch.Tensor, condition: Condition):  # type: ignore[no-untyped-def]
    device = model.device
    x = x.to(device).contiguous(memory_format=torch.channels_last_3d)
    with one_thread():
        return model(x, t.to(device).expand(len(x)), condition.to(device))
