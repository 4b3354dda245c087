"""Networks in memory: loaded once from a folder, written as the bf16 safetensors that are kept."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import torch

from synth.models.denoiser import Denoiser
from synth.models.parts import CONFIG, TENSORS, Part
from synth.models.precision import Precision, default_precision
from synth.models.tone import Tone
from synth.models.weights import load_model
from synth.shape.model import ShapeModel

_KEPT = 16  # of each kind: training goes on in a folder, and what it was is read no more
_Stamp = tuple[tuple[int, int], ...]


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_from(folder: Path, precision: Precision | None = None) -> Denoiser:
    """The network whose weights are in a folder, for instance one of the user's own."""
    return _loaded(folder, precision or default_precision(), _stamp(folder / CONFIG, folder / TENSORS))


@lru_cache(maxsize=_KEPT)
def _loaded(folder: Path, precision: Precision, _: _Stamp) -> Denoiser:
    model = load_model(Denoiser, folder)
    model.computed_in = getattr(torch, precision)
    return model.to(device(), memory_format=torch.channels_last_3d).eval().requires_grad_(False)


def load_shape_from(folder: Path) -> ShapeModel:
    """The shape model whose weights are in a folder, on the CPU."""
    return _loaded_shape(folder, _stamp(folder / CONFIG, folder / TENSORS))


@lru_cache(maxsize=_KEPT)
def _loaded_shape(folder: Path, _: _Stamp) -> ShapeModel:
    return load_model(ShapeModel, folder).eval()


def load_tone(file: Path) -> Tone:
    """The tone curves of a file, none where there is none."""
    return _loaded_tone(file, _stamp(file))


@lru_cache(maxsize=_KEPT)
def _loaded_tone(file: Path, _: _Stamp) -> Tone:
    return Tone.read(file)


def _stamp(*files: Path) -> _Stamp:
    """Changes with the files: a manifest names the hashes of those on disk, so they must be what draws."""
    found = [file.stat() if file.is_file() else None for file in files]
    return tuple((0, 0) if state is None else (state.st_mtime_ns, state.st_size) for state in found)


def forget() -> None:
    """Let go of the weights in memory: the next load reads the files as they are now."""
    _loaded.cache_clear()
    _loaded_shape.cache_clear()
    _loaded_tone.cache_clear()


def export(trained: Path, network: Part, out: Path) -> Path:
    """Write trained weights as bf16 safetensors under out/network."""
    model = load_model(ShapeModel, trained).lean() if network == "shape" else load_model(Denoiser, trained)
    folder = out / network
    model.to(torch.bfloat16).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)  # where it was trained is nobody's business
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return folder
