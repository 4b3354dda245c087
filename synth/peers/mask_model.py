"""MAISI's mask model: from noise and sizes of organs to a label map in its ids, 256^3 voxels of 1.5 mm, RAS.

A diffusion U-Net (Ho et al. 2020) is told the sizes by cross-attention and draws a latent; the autoencoder of masks
makes a channel a structure of it, the largest of which is taken (Guo et al. 2025). The schedule is MONAI's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch

from synth.peers import networks
from synth.peers.maisi import Maisi
from synth.peers.sampling import CHANNELS, LATENT_MM, TRAIN_STEPS, OnStep, computing, ddpm_scheduler
from synth.volumes.labels import maisi_channels

SIDE = 64  # latent voxels along each axis, as it learned them
MM = 1.5  # of a voxel of a mask
_STEP_S, _DECODE_S = 29, 400  # of one core
_CORE, _HALO = {"cpu": 22, "cuda": SIDE}, 4  # latent voxels that are decoded at once, and those around them
_SLAB = 16  # voxels whose channels are in memory at once


def field_mm() -> float:
    """Of a mask along each axis."""
    return SIDE * LATENT_MM * MM


def pieces() -> int:
    """That a mask is decoded in at most, for progress bars."""
    return int(np.ceil(SIDE / _CORE["cpu"])) ** 3


def minutes(steps: int) -> int:
    """That a mask takes on one core of a CPU, about."""
    return round((steps * _STEP_S + _DECODE_S) / 60)


def draw_ids(
    peer: Maisi, sizes: Sequence[float], seed: int, steps: int, device: torch.device, on_step: OnStep = lambda: None
) -> np.ndarray:
    """Ids of MAISI (X, Y, Z) uint8. sizes: ten, of synth.peers.sizes.

    The same seed gives the same ids on any number of threads of one machine. on_step: called after every step and
    every piece that is decoded.
    """
    with computing(device):
        latent = draw_latent(peer, sizes, seed, steps, device, on_step)
        channels = decode(peer, latent, device, on_step)
    return np.array(maisi_channels(), np.uint8)[channels]


def draw_latent(
    peer: Maisi, sizes: Sequence[float], seed: int, steps: int, device: torch.device, on_step: OnStep = lambda: None
) -> torch.Tensor:
    """(1, 4, 64, 64, 64), from noise that is drawn on the CPU in float32."""
    unet = networks.built(peer.files["mask_unet"], device)  # not kept: it is as large as all that draws the CT
    rng = torch.Generator().manual_seed(seed)
    latent = torch.randn(1, CHANNELS, SIDE, SIDE, SIDE, generator=rng)
    about = torch.tensor([[list(sizes)]], dtype=torch.float32, device=device)
    ddpm = ddpm_scheduler(steps)
    times = [int(time) for time in ddpm.timesteps]
    for time, following in zip(times, [*times[1:], None], strict=True):
        noise = unet(x=latent.to(device), timesteps=torch.tensor([time], device=device), context=about).float().cpu()
        if steps == TRAIN_STEPS:
            latent, _ = ddpm.step(noise, time, latent, generator=rng)
        else:
            latent = skipped(latent, noise, ddpm.alphas_cumprod, time, following)
        on_step()
    return latent.to(device)


def skipped(
    latent: torch.Tensor, noise: torch.Tensor, kept: torch.Tensor, time: int, following: int | None
) -> torch.Tensor:
    """The latent at a following time, None for that of no noise, of one with so much noise (DDIM: Song et al. 2021).

    DDPM's own steps cannot be left out. kept: cumulative product of the share of signal that is kept, by time.
    """
    share = kept[time]
    clean = (latent - (1 - share).sqrt() * noise) / share.sqrt()
    if following is None:
        return clean
    return kept[following].sqrt() * clean + (1 - kept[following]).sqrt() * noise


def decode(peer: Maisi, latent: torch.Tensor, device: torch.device, on_step: OnStep = lambda: None) -> np.ndarray:
    """Which channel is the largest (X, Y, Z) uint8, of a latent (1, 4, x, y, z), piece by piece on a CPU."""
    autoencoder: Any = networks.built(peer.files["mask_autoencoder"], device)
    latent = latent / peer.mask_scale()
    out = np.zeros([n * LATENT_MM for n in latent.shape[2:]], np.uint8)
    core = _CORE.get(device.type, _CORE["cpu"])
    for whole, inner, place in pieces_of(latent.shape[2:], core):
        features = autoencoder.post_quant_conv(latent[(slice(None), slice(None), *whole)])
        for block in autoencoder.decoder.blocks[:-1]:
            features = block(features)
        out[place] = _largest(autoencoder.decoder.blocks[-1], features)[inner]
        on_step()
    return out


Piece = tuple[tuple[slice, ...], tuple[slice, ...], tuple[slice, ...]]


def pieces_of(shape: Sequence[int], core: int) -> Iterator[Piece]:
    """Pieces of a latent: what is decoded, with a rim; what of the decoded voxels is kept; where they lie."""
    axes = []
    for count in shape:
        starts = range(0, count, core)
        axes.append([_along(start, min(start + core, count), count) for start in starts])
    for parts in product(*axes):
        whole, inner, place = zip(*parts, strict=True)
        yield whole, inner, place


def _along(start: int, stop: int, count: int) -> tuple[slice, slice, slice]:
    low, high = max(start - _HALO, 0), min(stop + _HALO, count)
    inner = slice((start - low) * LATENT_MM, (stop - low) * LATENT_MM)
    return slice(low, high), inner, slice(start * LATENT_MM, stop * LATENT_MM)


def _largest(last: torch.nn.Module, features: torch.Tensor) -> np.ndarray:
    """The largest channel (X, Y, Z) uint8 of the last convolution, slab by slab along x, each with a plane on both
    sides."""
    count, found = features.shape[2], []
    for start in range(0, count, _SLAB):
        stop = min(start + _SLAB, count)
        low, high = max(start - 1, 0), min(stop + 1, count)
        channels = last(features[:, :, low:high])[0, :, start - low : stop - low]
        found.append(channels.argmax(dim=0).to(torch.uint8).cpu())
    return torch.cat(found).numpy()
