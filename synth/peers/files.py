"""Which of MAISI's networks the files of a folder hold: told by the names of tensors, never by those of the files.

A file may be called anything but another of the networks: then files were exchanged, and which others is not known.

Nothing is unpickled but plain tensors (`weights_only`), nothing of a bundle is executed, no configuration is read.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from synth.errors import InputError
from synth.files.content import opened
from synth.models.weights import load_tensors, tensor_shapes
from synth.provenance import sha256_of_file

Role = Literal["autoencoder", "unet", "controlnet", "mask_autoencoder", "mask_unet", "later_mask_unet", "text_unet"]
Variant = Literal["rflow", "ddpm"]
Tensors = Mapping[str, torch.Tensor]

RECORD = "peer.json"  # of a folder that `synthct weights import` wrote
NAMES: dict[Role, str] = {
    "autoencoder": "autoencoder of CT",
    "unet": "diffusion U-Net",
    "controlnet": "ControlNet",
    "mask_autoencoder": "autoencoder of masks",
    "mask_unet": "diffusion U-Net of masks",
    "later_mask_unet": "diffusion U-Net of masks of a later release, which is told 19 numbers and is not read",
    "text_unet": "diffusion U-Net that is told a text",
}
_BELOW = ("", "models", "bundle", "bundle/models")  # of the folder that is named
_PICKLES, _SAFE = (".pt", ".pth", ".ckpt", ".bin"), ".safetensors"
_FEWEST = 10  # tensors of a network
_ZIP = b"PK\x03\x04"  # how a file of torch begins
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # and how one of before torch 1.6 does
_POINTER = b"version https://git-lfs"
_SCALE = "scale_factor"
_LATER = 19  # numbers that a mask U-Net is told which was announced with other networks around it


@dataclass(frozen=True)
class Held:
    """A file, the network that it holds, and beside it its `scale_factor`, where it has one."""

    path: Path
    role: Role
    variant: Variant | None
    shapes: Mapping[str, tuple[int, ...]]
    scale_factor: float | None = None

    def tensors(self) -> dict[str, torch.Tensor]:
        """Name -> tensor in float32 on the CPU; a file is mapped, not copied. Raises InputError."""
        if self.path.suffix == _SAFE:
            found = load_tensors(self.path)
        else:
            _require_sums(self.path)
            found = _network(_loaded(self.path), self.path)[0]
        for name, tensor in found.items():
            if not tensor.is_floating_point():
                kind = str(tensor.dtype).removeprefix("torch.")
                raise InputError(f"{self.path}: '{name}' is of {kind}, no weights; give the file as it was released")
        return {name: tensor.float() for name, tensor in found.items()}

    def sha256(self) -> str:
        """Of the file."""
        return sha256_of_file(self.path)


def weight_files(folder: Path) -> list[Path]:
    """Files of a folder, and of those below it that MAISI's are kept in, that may hold weights, in order.

    Told by their suffix alone: what cannot be opened, as a link to nothing, is for the reader to refuse.
    """
    places = [folder / below for below in _BELOW if (folder / below).is_dir()]
    files = {f for place in places for f in place.iterdir() if f.suffix.lower() in (*_PICKLES, _SAFE)}
    return sorted(files)


def read_file(path: Path) -> Held | None:
    """The network that a file holds; None for weights of another kind. Raises InputError for one that is no weights."""
    if path.suffix == _SAFE:
        shapes, scale = tensor_shapes(path), None
    else:
        tensors, scale = _network(_loaded(path), path)
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    told = _role(shapes)
    if told is None:
        return None
    _require_no_other_name(path, *told)
    return Held(path, *told, shapes, scale)


def _require_no_other_name(path: Path, role: Role, variant: Variant | None) -> None:
    """Raise InputError where a file is called another network, or another variant, than its tensors are."""
    called = _called(path)
    said = [other for other in get_args(Variant) if other in path.stem.lower()]
    if called is not None and called not in role:  # a later mask U-Net is one of masks, one that is told a text a U-Net
        what = f"{NAMES[called]} and holds {NAMES[role]}"
    elif variant is not None and said and variant not in said:
        what = f"of variant {said[0]} and holds one of {variant}"
    else:
        return
    raise InputError(f"{path}: is called {what}; files were exchanged or renamed: name each as it was released")


def _called(path: Path) -> Role | None:
    """The network that a file is called, None where its name says none."""
    words = path.stem.lower()
    if "controlnet" in words:
        return "controlnet"
    if "autoencoder" in words:
        return "mask_autoencoder" if "mask" in words else "autoencoder"
    if "unet" in words:
        return "mask_unet" if "mask" in words else "unet"
    return None


def _loaded(path: Path) -> Any:
    """What torch saved, of tensors, numbers and texts alone; mapped, so that a look costs nothing."""
    with opened(path, kind="a file of weights") as file:
        start = file.read(len(_POINTER))
    if start.startswith(_POINTER):
        raise InputError(f"{path}: is the pointer of a large file, not the file; fetch it (git lfs pull)")
    if not start.startswith((_ZIP, _LEGACY)):
        raise InputError(f"{path}: {'no file of torch' if start else 'is empty'}; copy it again")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=start.startswith(_ZIP))
    except Exception as error:  # whatever torch makes of damage, of another format and of what it will not unpickle
        reason = " ".join(str(error).split())
        if "weights_only" in reason.lower() or "unsupported" in reason.lower():
            raise InputError(
                f"{path}: holds more than tensors, and reading it could run what is in it; save its tensors alone "
                "(safetensors, or torch.save of a state_dict)"
            ) from error
        raise InputError(f"{path}: no whole file of torch ({reason[:80]}); copy it again") from error


def _require_sums(path: Path) -> None:
    """Raise InputError where a part of a zip is not what its checksum says: torch does not look."""
    if not zipfile.is_zipfile(path):
        return  # of before torch 1.6, without checksums
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path}: damaged ({' '.join(str(error).split())[:80]}); copy it again") from error
    if wrong is not None:
        raise InputError(f"{path}: damaged ({wrong} is not what its checksum says); copy it again")


def _network(content: Any, path: Path) -> tuple[dict[str, torch.Tensor], float | None]:
    """The tensors of the one network in a file, which may lie bare or in a table beside other things; its scale."""
    if isinstance(content, dict) and _is_network(content):
        return dict(content), None
    tables = {k: v for k, v in content.items() if _is_network(v)} if isinstance(content, dict) else {}
    if len(tables) != 1:
        found = f"{len(tables)} networks ({', '.join(map(str, tables))})" if tables else "no network"
        raise InputError(f"{path}: {found} in it; give files of one network each")
    return dict(next(iter(tables.values()))), _scale(content.get(_SCALE), path)


def _is_network(content: Any) -> bool:
    if not isinstance(content, Mapping) or len(content) < _FEWEST:
        return False
    return all(isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in content.items())


def _scale(value: Any, path: Path) -> float | None:
    if value is None:
        return None
    try:
        scale = float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: {_SCALE} is no number; copy the file again") from error
    if not math.isfinite(scale) or scale <= 0:
        raise InputError(f"{path}: {_SCALE} is {scale:g}; copy the file again")
    return scale


def _role(shapes: Mapping[str, tuple[int, ...]]) -> tuple[Role, Variant | None] | None:
    """By names and shapes of tensors; None where they are of no network of MAISI."""
    first = shapes.get("encoder.blocks.0.conv.conv.weight")
    if first is not None and "post_quant_conv.conv.weight" in shapes:
        return ("autoencoder" if first[1:2] == (1,) else "mask_autoencoder"), None
    if "conv_in.conv.weight" not in shapes or not any(name.startswith("down_blocks.") for name in shapes):
        return None
    variant: Variant = "rflow" if "class_embedding.weight" in shapes else "ddpm"
    if "controlnet_cond_embedding.conv_in.conv.weight" in shapes:
        return "controlnet", variant
    told = {shape[-1:] for name, shape in shapes.items() if name.endswith(".attn2.to_k.weight")}
    if told:
        if "spacing_layer.0.weight" not in shapes:
            return "mask_unet", None
        return ("later_mask_unet" if told == {(_LATER,)} else "text_unet"), None
    if "spacing_layer.0.weight" in shapes and (variant == "rflow" or "top_region_index_layer.0.weight" in shapes):
        return "unet", variant
    return None
