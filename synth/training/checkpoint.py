"""Checkpoints that hold numbers and no code: safetensors and JSON, written aside and renamed when whole.

    checkpoint/  model.safetensors  ema.safetensors  optimizer.safetensors  progress.json

There are no random states in it: what a step draws follows from (seed, step, rank). The one before is kept beside it
as checkpoint.old. Tensors are whole, however many processes they were sharded over, so a run may go on with others.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor, distribute_tensor

from synth.errors import InputError
from synth.files.content import text_of
from synth.files.whole import aside, explained

logger = logging.getLogger(__name__)

FOLDER = "checkpoint"
_FORMAT = 1
_PROGRESS = "progress.json"
_PARTS = ("model", "ema", "optimizer")
Tensors = dict[str, torch.Tensor]


class TrainingProgress(BaseModel):
    """How far a run has come: optimiser steps, the best validation, and the sums since the last line of its log."""

    model_config = ConfigDict(strict=True, extra="forbid")

    step: int = Field(0, ge=0)
    best: float | None = None
    seconds: float = 0.0
    summed: int = 0
    sums: dict[str, float] = {}


@dataclass(frozen=True)
class State:
    """The tensors that a run consists of. `ema` are the averaged parameters, in the order of the model's."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    ema: list[torch.Tensor]

    def named(self, part: str) -> Tensors:
        """The live tensors of a part by name."""
        parameters = dict(self.model.named_parameters())
        if part == "model":
            return dict(self.model.state_dict())
        if part == "ema":
            return dict(zip(parameters, self.ema, strict=True))
        moments = ((name, self.optimizer.state[p]) for name, p in parameters.items() if p in self.optimizer.state)
        return {f"{key} {name}": value for name, state in moments for key, value in state.items()}


def write(out: Path, state: State, progress: TrainingProgress) -> None:
    """Write out/checkpoint; every process calls it, the first writes."""
    wholes = {part: whole(state.named(part)) for part in _PARTS}
    if _first():
        about = {"format": _FORMAT, **progress.model_dump()}
        about["best"] = None if progress.best == float("inf") else progress.best
        with replacing(out / FOLDER, keep=True) as partial:
            for part, tensors in wholes.items():
                save_file(tensors, partial / f"{part}.safetensors")
            (partial / _PROGRESS).write_text(json.dumps(about))
            _to_disk(partial)


def exists(out: Path) -> bool:
    """Whether a run has been here."""
    return any((out / name).exists() for name in (FOLDER, f"{FOLDER}.old"))


def read(out: Path, state: State) -> TrainingProgress | None:
    """Put the last whole checkpoint into `state`; None where there is none.

    Where the last one is damaged the one before is taken, and a note says so. Raises InputError where neither can be
    read, or the network in it is another one.
    """
    wrong = []
    for folder in (out / FOLDER, out / f"{FOLDER}.old"):
        if not folder.exists():
            continue
        try:
            found, progress = _read_folder(folder)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            wrong.append(f"{folder}: {_why(error)}")
            continue
        for note in wrong:
            logger.warning("%s; training goes on from %s, step %d", note, folder, progress.step)
        _put(found, state, folder)
        return progress
    if wrong:
        raise InputError(f"{'; '.join(wrong)}: a damaged checkpoint; remove it to begin again, or give another `out`")
    return None


def _read_folder(folder: Path) -> tuple[dict[str, Tensors], TrainingProgress]:
    if not (folder / _PROGRESS).is_file():
        raise ValueError(f"no {_PROGRESS}")
    about = json.loads(text_of(folder / _PROGRESS, _PROGRESS))  # may hold NaN, of a run that went astray
    if not isinstance(about, dict) or about.pop("format", None) != _FORMAT:
        raise ValueError(f"{_PROGRESS} does not say format {_FORMAT}, is it of another version?")
    progress = TrainingProgress.model_validate(about)
    return {part: _tensors(folder / f"{part}.safetensors") for part in _PARTS}, progress


def _tensors(file: Path) -> Tensors:
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file.name}: {error}") from error


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"no {Path(error.filename).name}" if error.filename else "a file is missing"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{_PROGRESS}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(error).split())


def _put(found: Mapping[str, Tensors], state: State, folder: Path) -> None:
    """Copy the tensors into the run's; InputError where they are of another network."""
    for part in ("model", "ema"):
        live = state.named(part)
        _require_same(found[part], live, folder / f"{part}.safetensors")
        for name, target in live.items():
            target.data.copy_(_like(found[part][name], target))
    _put_moments(found["optimizer"], state, folder / "optimizer.safetensors")


def _put_moments(found: Tensors, state: State, file: Path) -> None:
    table = state.optimizer.state_dict()
    numbers = {name: i for i, name in enumerate(name for name, _ in state.model.named_parameters())}
    parameters = dict(state.model.named_parameters())
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in found.items():
        kind, _, name = key.partition(" ")
        like = parameters.get(name)
        if like is None or (value.ndim and value.shape != like.shape):
            raise InputError(f"{file}: '{name}' is of another network than the configuration's; {_OTHER}")
        moments.setdefault(numbers[name], {})[kind] = value if not value.ndim else _moment(value, like)
    state.optimizer.load_state_dict({"state": moments, "param_groups": table["param_groups"]})


_OTHER = "give the `model` that it was trained with, or another `out`"


def _require_same(found: Tensors, live: Tensors, file: Path) -> None:
    odd = [name for name in found.keys() | live.keys() if name not in found or name not in live]
    odd += [name for name in found.keys() & live.keys() if found[name].shape != live[name].shape]
    if odd:
        raise InputError(f"{file}: '{sorted(odd)[0]}' is of another network than the configuration's; {_OTHER}")


def _like(value: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """A whole tensor as the target is: on its device, and sharded if it is."""
    value = value.to(target.device)
    if isinstance(target, DTensor):
        return distribute_tensor(value, target.device_mesh, target.placements)
    return value


def _moment(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """A moment in the memory layout of its parameter."""
    return torch.zeros_like(parameter).copy_(_like(value, parameter))


def whole(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """The tensors on the CPU, whole, on the first process; none elsewhere. Every process calls it."""
    gathered = {}
    for name, value in tensors.items():
        full = value.full_tensor() if isinstance(value, DTensor) else value
        if _first():
            gathered[name] = full.detach().cpu().contiguous().clone()
    return gathered


@contextmanager
def replacing(target: Path, keep: bool = False) -> Iterator[Path]:
    """An empty folder that takes the place of an older one at the end, which stays as `target`.old if asked.

    Killed in between, `target`.old still stands. Raises OutputError.
    """
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with aside(target) as partial:
            yield partial
            old = target.with_name(target.name + ".old")
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
                target.rename(old)
            partial.rename(target)
    if not keep:
        shutil.rmtree(old, ignore_errors=True)


def _to_disk(folder: Path) -> None:
    """Not only handed to the system: a machine may fail as a process may."""
    paths: Iterable[Path] = [*folder.iterdir(), folder]
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _first() -> bool:
    return not dist.is_initialized() or dist.get_rank() == 0
