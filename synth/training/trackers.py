"""TensorBoard or Weights & Biases beside log.jsonl, through the trackers of accelerate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelerate.tracking import get_available_trackers

from synth.errors import InputError
from synth.training.config import TrainConfig

_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}


def require(tracker: str | None) -> None:
    """Raise InputError where a tracker is not installed: accelerate would go on without it in silence."""
    if tracker is not None and tracker not in {str(name) for name in get_available_trackers()}:
        raise InputError(f"tracker {tracker}: is not installed; pip install {_PACKAGES[tracker]}, or set tracker=null")


def scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """A line of the log as numbers with names of one level: `train/loss`."""
    flat: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}/{key}": float(number) for key, number in value.items()}
        elif name != "step":
            flat[name] = float(value)
    return flat


def settings(config: TrainConfig) -> dict[str, str | float | int | bool]:
    """The configuration as trackers take it: numbers and words with names of one level."""
    rows = config.model_dump(mode="json")
    flat: dict[str, str | float | int | bool] = {}
    for name, value in rows.items():
        parts = {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
        flat |= {key: part if isinstance(part, bool | int | float) else str(part) for key, part in parts.items()}
    return flat
