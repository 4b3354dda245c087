"""The weights that ship: bf16 safetensors in synth/weights/{base,refine}, run as float32 or bf16."""

from __future__ import annotations

import os
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

import torch

from synth.errors import InputError
from synth.models.denoiser import Denoiser

Network = Literal["base", "refine"]
WEIGHTS_ENV = "SYNTHCT_WEIGHTS"  # a folder with base/ and refine/ to use instead of the shipped ones


def weights_folder(network: Network) -> Path:
    """Where a network's weights are; InputError if they are not there."""
    root = Path(os.environ.get(WEIGHTS_ENV) or str(resources.files("synth").joinpath("weights")))
    folder = root / network
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{folder}: no weights of '{network}' here; unset {WEIGHTS_ENV} or train with `synthct train {network}`"
        )
    return folder


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@cache
def load(network: Network) -> Denoiser:
    """The network, ready to draw."""
    model: Denoiser = Denoiser.from_pretrained(weights_folder(network), torch_dtype=torch.float32)
    return model.to(device(), memory_format=torch.channels_last_3d).eval().requires_grad_(False)


def export(trained: Path, network: Network, out: Path) -> Path:
    """Write trained weights as bf16 safetensors under out/network."""
    model = Denoiser.from_pretrained(trained)
    folder = out / network
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder
