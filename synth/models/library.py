"""The weights that ship: bf16 safetensors in synth/weights/{shape,base,refine}, and torso/torso.npz."""

from __future__ import annotations

import json
import os
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

import torch
from diffusers.utils import SAFETENSORS_WEIGHTS_NAME

from synth.errors import InputError
from synth.frames import TORSO_REGIONS
from synth.models.denoiser import Denoiser
from synth.models.lesion_weights import WEIGHTS_ENV as WEIGHTS_ENV
from synth.models.precision import Precision, default_precision
from synth.models.weights import CONFIG, load_model
from synth.shape.model import ShapeModel
from synth.tone import Tone
from synth.torso.model import TORSO_FILE, TorsoModel

Network = Literal["base", "refine"]
Weights = Literal["shape", "base", "refine", "lesion"]
TONE = "tone.json"  # beside them: the curve that their grey values are drawn on, see synth.tone


def _root() -> Path:
    return Path(os.environ.get(WEIGHTS_ENV) or str(resources.files("synth").joinpath("weights")))


def weights_folder(network: Weights) -> Path:
    """Where a network's weights are; InputError if they are not there."""
    folder = _root() / network
    if not all((folder / name).is_file() for name in (CONFIG, SAFETENSORS_WEIGHTS_NAME)):
        raise InputError(
            f"{folder}: no weights of '{network}' here; unset {WEIGHTS_ENV} or train with `synthct train {network}`"
        )
    return folder


def weights_files(
    door: Literal["generate", "insert"], region: str | None = None, lesion: Path | None = None
) -> dict[str, Path]:
    """The files of weights that a case of this door and region is drawn with, lesions with `lesion` where it is given.

    Raises InputError if one is not there.
    """
    if lesion is not None:
        return {"lesion": lesion}
    if region in TORSO_REGIONS:
        return {"torso": torso_file(), "refine": weights_folder("refine") / SAFETENSORS_WEIGHTS_NAME}
    names: tuple[Weights, ...] = ("shape", "base", "refine") if door == "generate" else ("refine",)
    files: dict[str, Path] = {name: weights_folder(name) / SAFETENSORS_WEIGHTS_NAME for name in names}
    tone = _root() / TONE
    return files | {"tone": tone} if door == "generate" and tone.is_file() else files


def torso_file() -> Path:
    """The file of the torso model, there or not."""
    return _root() / "torso" / TORSO_FILE


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load(network: Network, precision: Precision | None = None) -> Denoiser:
    """The network, ready to draw in a precision (synth.models.precision has the default)."""
    return load_from(weights_folder(network), precision)


def load_from(folder: Path, precision: Precision | None = None) -> Denoiser:
    """The network whose weights are in a folder, for instance one of the user's own."""
    return _loaded(folder, precision or default_precision())


@cache
def _loaded(folder: Path, precision: Precision) -> Denoiser:
    model = load_model(Denoiser, folder)
    model.computed_in = getattr(torch, precision)
    return model.to(device(), memory_format=torch.channels_last_3d).eval().requires_grad_(False)


@cache
def load_shape() -> ShapeModel:
    """The shape model, on the CPU."""
    return load_model(ShapeModel, weights_folder("shape")).eval()


@cache
def load_torso() -> TorsoModel:
    """The torso model; InputError if it is not there."""
    return TorsoModel.read(torso_file())


@cache
def load_tone(torso: bool = False) -> Tone:
    """The tone curves of the weights, none where they have none."""
    return Tone.read(_root() / "torso" / TONE if torso else _root() / TONE)


def forget() -> None:
    """Let go of the weights in memory: the next `load` looks where they are now."""
    _loaded.cache_clear()
    load_shape.cache_clear()
    load_torso.cache_clear()
    load_tone.cache_clear()


def export(trained: Path, network: Weights, out: Path) -> Path:
    """Write trained weights as bf16 safetensors under out/network."""
    model = load_model(ShapeModel, trained).lean() if network == "shape" else load_model(Denoiser, trained)
    folder = out / network
    model.to(torch.bfloat16).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)  # where it was trained is nobody's business
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return folder
