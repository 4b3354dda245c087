"""Weights from disk: safetensors alone, complete and finite. Nothing is unpickled."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch
from diffusers.utils import SAFETENSORS_WEIGHTS_NAME
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from synth.errors import InputError
from synth.files.content import opened
from synth.files.documents import read_table

CONFIG = "config.json"
_REMEDY = "copy them again, or train again"
_LEAST_LIMIT = 4096  # numbers of a config up to this are never too large
_SHOWN = 200

M = TypeVar("M", bound=torch.nn.Module)


def load_model(kind: type[M], folder: Path) -> M:
    """A diffusers model in float32 from config.json and its safetensors.

    Raises InputError, in one line, where a file is missing, damaged or of another model, where a tensor is missing,
    left over or of another shape, and where a weight is NaN or infinite.
    """
    config = read_table(folder / CONFIG, remedy=_REMEDY)
    _require_types(kind, config, folder / CONFIG)
    _require_modest(config, tensor_shapes(folder / SAFETENSORS_WEIGHTS_NAME), folder / CONFIG)
    quiet = logging.getLogger("diffusers")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)  # it prints what is raised here
    try:
        model, info = kind.from_pretrained(  # type: ignore[attr-defined]
            folder, torch_dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # whatever diffusers makes of a damaged folder
        raise InputError(f"{folder}: no weights of a {kind.__name__} ({_one_line(error)}); {_REMEDY}") from error
    finally:
        quiet.setLevel(level)
    if wrong := [f"{what.replace('_', ' ')} {_one_line(found)}" for what, found in info.items() if found]:
        raise InputError(f"{folder}: no weights of a {kind.__name__} ({wrong[0]}); {_REMEDY}")
    require_finite(model.state_dict(), folder)
    return model


def load_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a safetensors file, on the CPU. Raises InputError, also for one that is not finite."""
    with _safe(file) as content:
        tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118  # no dictionary
    require_finite(tensors, file)
    return tensors


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape, from the header of a safetensors file. Raises InputError."""
    with _safe(file) as content:
        return {name: tuple(content.get_slice(name).get_shape()) for name in content.keys()}  # noqa: SIM118


def require_finite(tensors: Mapping[str, torch.Tensor], where: Path) -> None:
    """Raise InputError where a weight is NaN or infinite: what it draws is refused as if the patient were at fault."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(f"{where}: '{name}' holds NaN or infinite weights; {_REMEDY}")


@contextmanager
def _safe(file: Path) -> Iterator[Any]:
    with opened(file, kind="a safetensors file"):
        pass  # that it is a regular file: the library maps whatever it is given
    try:
        with safe_open(file, framework="pt") as content:
            yield content
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: damaged ({_one_line(error)}); {_REMEDY}") from error


def _require_types(kind: type[M], config: Mapping[str, Any], what: Path) -> None:
    """Every value of a config is of the type that the model's argument has."""
    for name, hint in get_type_hints(kind.__init__).items():
        if name in config:
            try:
                TypeAdapter(hint).validate_json(json.dumps(config[name]), strict=True)
            except ValidationError as error:
                raise InputError(f"{what}: {name} is {str(config[name])[:40]!r}, no {hint}; {_REMEDY}") from error


def _require_modest(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], what: Path) -> None:
    """No number of a config may be larger than anything in the weights: it would be built before it is compared."""
    limit = max(_LEAST_LIMIT, len(shapes), *(max(shape, default=0) for shape in shapes.values()))
    for key, value in config.items():
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, (int, float)) and abs(number) > limit:
                raise InputError(f"{what}: {key} {number} is more than the weights have; {_REMEDY}")


def _one_line(found: object) -> str:
    return " ".join(str(found).split())[:_SHOWN]
