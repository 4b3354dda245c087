"""Drawing with MAISI: noise, a latent, HU. Schedulers and their steps are MONAI's; only what they are told is ours.

The latent has a quarter of the voxels along each axis. Rectified flow: the U-Net says x0 - noise (our own sign is
the other), times are those of MONAI's `RFlowScheduler` (Guo et al. 2025, MAISI-v2). DDPM: Ho et al. 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from synth.peers.conditions import bits, one_hot, span
from synth.peers.files import Variant
from synth.peers.maisi import Maisi
from synth.threads import one_thread

LATENT_MM, CHANNELS = 4, 4  # voxels a voxel of the latent along an axis; its channels
HU = (-1000.0, 1000.0)  # of the ends of what the decoder says, 0 and 1
STEPS: dict[Variant, int] = {"rflow": 30, "ddpm": 1000}  # as released
TRAIN_STEPS = 1000
_CT = 1  # class of the rectified flow's U-Net
_SPACING = 100.0  # times mm, as the networks are told it
_WINDOW, _OVERLAP = 48, 0.4  # latent voxels that are decoded at once, and share of them that two windows have in common
_ON_CPU = 64  # latent voxels along an axis that are decoded at once in main memory
OnStep = Callable[[], None]
Velocity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of a latent and a time


@dataclass(frozen=True)
class Conditioning:
    """What the networks are told: voxels along each axis, mm, seed of the noise, steps, and ids of MAISI (X, Y, Z) or
    none."""

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    seed: int
    steps: int
    ids: np.ndarray | None = None


def draw(peer: Maisi, told: Conditioning, device: torch.device, on_step: OnStep = lambda: None) -> np.ndarray:
    """HU (X, Y, Z) int16, -1000 to 1000; where ids are told, air outside the body.

    The same seed gives the same voxels on any number of threads of one machine.
    """
    with computing(device):
        latent = draw_latent(peer, told, device, on_step)
        share = decode(peer, latent, device)
    hu = HU[0] + share.clamp(0, 1).double().cpu().numpy() * (HU[1] - HU[0])
    if told.ids is not None:
        hu = np.where(told.ids > 0, hu, HU[0])
    return np.rint(hu).astype(np.int16)


def scheduler(variant: Variant, steps: int, latent: tuple[int, ...]) -> Any:
    """MONAI's scheduler, with its times set for a latent of so many voxels along each axis."""
    if variant == "rflow":
        from monai.networks.schedulers.rectified_flow import RFlowScheduler

        flow = RFlowScheduler(TRAIN_STEPS, use_discrete_timesteps=False, use_timestep_transform=True)
        flow.set_timesteps(steps, input_img_size_numel=int(np.prod(latent)))
        return flow
    return ddpm_scheduler(steps)


def ddpm_scheduler(steps: int) -> Any:
    """MONAI's, as MAISI's DDPM variant and its mask model learned it."""
    from monai.networks.schedulers.ddpm import DDPMScheduler

    ddpm = DDPMScheduler(
        TRAIN_STEPS, schedule="scaled_linear_beta", beta_start=0.0015, beta_end=0.0195, clip_sample=False
    )
    ddpm.set_timesteps(steps)
    return ddpm


def draw_latent(peer: Maisi, told: Conditioning, device: torch.device, on_step: OnStep = lambda: None) -> torch.Tensor:
    """(1, 4, X / 4, Y / 4, Z / 4), from noise that is drawn on the CPU in float32."""
    shape = tuple(n // LATENT_MM for n in told.size)
    rng = torch.Generator().manual_seed(told.seed)
    latent = torch.randn(1, CHANNELS, *shape, generator=rng).to(device)
    steps = scheduler(peer.variant, told.steps, shape)
    velocity = _network(peer, told, device)
    times = steps.timesteps
    for number, time in enumerate(times):
        said = velocity(latent, time)
        if peer.variant == "rflow":
            latent, _ = steps.step(said, time, latent, times[number + 1] if number + 1 < len(times) else 0)
        else:
            latent, _ = steps.step(said.cpu(), time, latent.cpu(), generator=rng)
            latent = latent.to(device)
        on_step()
    return latent


def _network(
    peer: Maisi, told: Conditioning, device: torch.device
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """What the U-Net says of a latent at a time, with the residuals of the ControlNet where there are organs."""
    unet = peer.network("unet", device)
    about: dict[str, torch.Tensor] = {"spacing_tensor": torch.tensor([told.spacing], device=device) * _SPACING}
    kind = {"class_labels": torch.full((1,), _CT, device=device)} if peer.variant == "rflow" else {}
    if peer.variant == "ddpm":
        top, bottom = (1, 1) if told.ids is None else span(told.ids)
        about |= {
            "top_region_index_tensor": one_hot(top).to(device),
            "bottom_region_index_tensor": one_hot(bottom).to(device),
        }
    control = None if told.ids is None else peer.network("controlnet", device)
    organs = None if told.ids is None else bits(told.ids).to(device)

    def said(latent: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        at = torch.as_tensor(time, device=device).reshape(1)
        more: dict[str, Any] = {}
        if control is not None:
            down, middle = control(x=latent, timesteps=at, controlnet_cond=organs, **kind)
            more = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        out: torch.Tensor = unet(x=latent, timesteps=at, **kind, **about, **more)
        return out

    return said


def decode(peer: Maisi, latent: torch.Tensor, device: torch.device) -> torch.Tensor:
    """(X, Y, Z), about 0 to 1, of a latent (1, 4, x, y, z), window by window where it is large."""
    from monai.inferers.utils import sliding_window_inference

    autoencoder = peer.network("autoencoder", device)
    latent = latent / peer.scale_factor
    most = _ON_CPU if device.type == "cpu" else _WINDOW
    decoder: Callable[..., torch.Tensor] = autoencoder.decode_stage_2_outputs  # type: ignore[assignment]
    if max(latent.shape[2:]) <= most:
        out: torch.Tensor = decoder(latent)
    else:
        window = [min(most, n) for n in latent.shape[2:]]
        out = sliding_window_inference(latent, window, 1, decoder, overlap=_OVERLAP, mode="gaussian")
    return out[0, 0].float()


@contextmanager
def computing(device: torch.device) -> Iterator[None]:
    """Without gradients; in half precision on a GPU, where it was trained so; on one thread of a CPU."""
    half = torch.autocast(device.type, torch.float16, enabled=device.type == "cuda")
    with torch.no_grad(), one_thread(), half:
        yield
