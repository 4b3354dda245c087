"""Counted cost of MAISI's networks (Guo et al. 2025), the system that a user would pick instead.

Built from MONAI's classes with the numbers of NVIDIA's released configuration (NVIDIA-Medtech/NV-Generate-CTMR,
configs/config_network_rflow.json and config_infer_16g_256x256x256.json), on the `meta` device: random weights that
take no memory, no data, nothing measured but FLOP. One evaluation of the U-Net and one decoding of the whole latent;
how often a case needs each (30 steps by their configuration; decoding over overlapping windows costs more) is left
to the reader. The ControlNet and the mask model, which run when masks are asked for, are not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch

from evals.benchmarks.cost import count_flops
from synth.errors import InputError

LATENT = (4, 64, 64, 64)  # of a volume of 256^3
Work = Callable[[], torch.Tensor]
_DOWNSAMPLING = 4
UNET: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 4,
    "out_channels": 4,
    "num_channels": (64, 128, 256, 512),
    "attention_levels": (False, False, True, True),
    "num_head_channels": (0, 0, 32, 32),
    "num_res_blocks": 2,
    "include_spacing_input": True,
    "num_class_embeds": 128,
    "resblock_updown": True,
    "include_fc": True,
}
# norm_float16 and num_splits save memory and change no product; they are left at what the meta device can run
AUTOENCODER: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 1,
    "latent_channels": 4,
    "num_channels": (64, 128, 256),
    "num_res_blocks": (2, 2, 2),
    "attention_levels": (False, False, False),
    "norm_num_groups": 32,
    "num_splits": 1,
    "dim_split": 1,
    "save_mem": False,
}


def count(latent: tuple[int, int, int, int] = LATENT) -> dict[str, Any]:
    """Parameters and FLOP of one evaluation of each network, as JSON values. Raises InputError without einops."""
    return {
        "output_voxels": _DOWNSAMPLING**3 * latent[1] * latent[2] * latent[3],
        "evaluations": {"unet": count_unet(latent), "decoder": count_decoder(latent)},
    }


def count_unet(latent: tuple[int, int, int, int] = LATENT) -> dict[str, int]:
    """One evaluation of the rectified-flow U-Net on a latent (C, X, Y, Z)."""
    return _counted(_unet(latent, torch.device("meta")))


def count_decoder(latent: tuple[int, int, int, int] = LATENT) -> dict[str, int]:
    """One decoding of a whole latent (C, X, Y, Z) to (1, 4 X, 4 Y, 4 Z); the parameters are the encoder's too."""
    return _counted(_decoder(latent, torch.device("meta")))


def evaluations(latent: tuple[int, int, int, int], device: torch.device) -> dict[str, Work]:
    """One evaluation of the U-Net and one decoding with random weights on a device, to be timed."""
    return {"unet": _unet(latent, device)[1], "decoder": _decoder(latent, device)[1]}


def _unet(latent: tuple[int, int, int, int], device: torch.device) -> tuple[torch.nn.Module, Work]:
    if find_spec("einops") is None:
        raise InputError("MAISI: MONAI's attention needs einops, which is not installed; pip install einops")
    from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi

    with device:
        model = DiffusionModelUNetMaisi(**UNET).eval()
        inputs = {"class_labels": torch.ones(1, dtype=torch.long), "spacing_tensor": torch.zeros(1, 3)}
        x, t = torch.zeros(1, *latent), torch.zeros(1)
    return model, lambda: model(x, t, **inputs)


def _decoder(latent: tuple[int, int, int, int], device: torch.device) -> tuple[torch.nn.Module, Work]:
    from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi

    with device:
        model = AutoencoderKlMaisi(**AUTOENCODER).eval()
        x = torch.zeros(1, *latent)
    return model, lambda: model.decode(x)


def _counted(of: tuple[torch.nn.Module, Work]) -> dict[str, int]:
    model, work = of
    with torch.device("meta"):  # what the network makes on its way, the embedding of time
        flop = count_flops(work)[1]
    return {"parameters": sum(p.numel() for p in model.parameters()), "flop": flop}
