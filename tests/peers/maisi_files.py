"""MAISI's networks with random weights, tiny ones, as the files that NVIDIA and MONAI name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi
from monai.apps.generation.maisi.networks.controlnet_maisi import ControlNetMaisi
from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet

NV_RFLOW = {
    "autoencoder": "models/autoencoder_v1.pt",
    "unet": "models/diff_unet_3d_rflow-ct.pt",
    "controlnet": "models/controlnet_3d_rflow-ct.pt",
}
NV_DDPM = {
    "autoencoder": "models/autoencoder_v1.pt",
    "unet": "models/diff_unet_3d_ddpm-ct.pt",
    "controlnet": "models/controlnet_3d_ddpm-ct.pt",
}
BUNDLE = {
    "autoencoder": "models/autoencoder_epoch273.pt",
    "unet": "models/diff_unet_ckpt_epoch19350.pt",
    "controlnet": "models/controlnet_current.pt",
}
OLD_BUNDLE = {
    "autoencoder": "models/autoencoder_epoch273.pt",
    "unet": "models/input_unet3d_data-all_steps1000size512ddpm_random_current_inputx_v1.pt",
    "controlnet": "models/controlnet-20datasets-e20wl100fold0bc_noi_dia_fsize_current.pt",
}
OF_MASKS = {
    "mask_autoencoder": "models/mask_generation_autoencoder.pt",
    "mask_unet": "models/mask_generation_diffusion_unet.pt",
}  # the same in both releases
MASK_SCALE = 1.5
NAMINGS = {"rflow": NV_RFLOW, "ddpm": NV_DDPM, "bundle": BUNDLE, "old": OLD_BUNDLE}
VARIANTS = {"rflow": "rflow", "ddpm": "ddpm", "bundle": "rflow", "old": "ddpm"}
_LEVELS: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 4,
    "num_channels": (32, 32, 32, 64),
    "attention_levels": (False, False, True, True),
    "num_head_channels": (0, 0, 32, 32),
    "num_res_blocks": 1,
}
_OF = {
    "rflow": {"num_class_embeds": 128, "resblock_updown": True, "include_fc": True},
    "ddpm": {"resblock_updown": False, "include_fc": False},
}


def autoencoder() -> torch.nn.Module:
    torch.manual_seed(1)
    return AutoencoderKlMaisi(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        latent_channels=4,
        num_channels=(32, 32, 32),
        num_res_blocks=(1, 1, 1),
        attention_levels=(False, False, False),
        norm_num_groups=32,
        num_splits=1,
        save_mem=False,
    )


def unet(variant: str) -> torch.nn.Module:
    torch.manual_seed(2)
    regions = {"include_top_region_index_input": True, "include_bottom_region_index_input": True}
    more = regions if variant == "ddpm" else {}
    return shaken(
        DiffusionModelUNetMaisi(**_LEVELS, out_channels=4, include_spacing_input=True, **_OF[variant], **more)
    )


def controlnet(variant: str) -> torch.nn.Module:
    torch.manual_seed(3)
    return shaken(
        ControlNetMaisi(
            **_LEVELS,
            conditioning_embedding_in_channels=8,
            conditioning_embedding_num_channels=(8, 32, 64),
            use_checkpointing=False,
            **_OF[variant],
        )
    )


def mask_autoencoder(channels: int = 125) -> AutoencoderKlMaisi:
    torch.manual_seed(4)
    return AutoencoderKlMaisi(
        spatial_dims=3,
        in_channels=8,
        out_channels=channels,
        latent_channels=4,
        num_channels=(32, 32, 32),
        num_res_blocks=(1, 1, 1),
        attention_levels=(False, False, False),
        norm_num_groups=32,
        use_convtranspose=True,
        num_splits=1,
        save_mem=False,
    ).eval()


def mask_unet(sizes: int = 10) -> torch.nn.Module:
    torch.manual_seed(5)
    return shaken(
        DiffusionModelUNet(
            spatial_dims=3,
            in_channels=4,
            out_channels=4,
            channels=(32, 32, 32, 64),
            attention_levels=(False, False, True, True),
            num_head_channels=(0, 0, 32, 32),
            num_res_blocks=1,
            with_conditioning=True,
            upcast_attention=True,
            cross_attention_dim=sizes,
        )
    )


def save_masks(folder: Path) -> Path:
    """The two files that draw masks; the folder."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    torch.save(mask_autoencoder().state_dict(), folder / OF_MASKS["mask_autoencoder"])
    about = {"scale_factor": torch.tensor(MASK_SCALE), "epoch": 7}
    torch.save({"unet_state_dict": mask_unet().state_dict(), **about}, folder / OF_MASKS["mask_unet"])
    return folder


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """Random weights in the layers that start at zero too, so that what goes in shows in what comes out."""
    with torch.no_grad():
        for weights in model.parameters():
            if not weights.any():
                weights.normal_(0, 0.05)
    return model


def save(folder: Path, naming: str = "rflow") -> Path:
    """The three files of a variant below a folder, under one of their namings; the folder."""
    names, variant = NAMINGS[naming], VARIANTS[naming]
    (folder / "models").mkdir(parents=True, exist_ok=True)
    torch.save(autoencoder().state_dict(), folder / names["autoencoder"])
    about = {"epoch": 7, "loss": 0.1, "num_train_timesteps": 1000, "scale_factor": torch.tensor(1.25)}
    weights = unet(variant).state_dict()
    if variant == "ddpm":  # as released: projections without a layer
        weights = {**weights, "down_blocks.2.attentions.0.attn.out_proj.weight": torch.zeros(32, 32)}
    torch.save({"unet_state_dict": weights, **about}, folder / names["unet"])
    torch.save({"controlnet_state_dict": controlnet(variant).state_dict(), "epoch": 7}, folder / names["controlnet"])
    return folder
