"""Batches of a run, step after step, drawn here or by worker processes: the same on any number of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from synth.errors import InputError
from synth.training.config import TrainConfig
from synth.training.tasks import Batch


class Draws(Protocol):
    """A task, as far as it draws."""

    def draw(self, rng: np.random.Generator, train: bool = True) -> Batch:
        """One batch."""
        ...


class _Steps(Dataset[list[Batch] | InputError]):
    """Step -> its batches, one for each accumulation. What is drawn follows from (seed, step, rank) alone."""

    def __init__(self, task: Draws, config: TrainConfig) -> None:
        self.task, self.config = task, config

    def __getitem__(self, step: int) -> list[Batch] | InputError:
        keys = ([self.config.seed, step, micro] for micro in range(self.config.accumulate))
        try:
            return [self.task.draw(np.random.default_rng(key)) for key in keys]
        except InputError as error:  # a worker would wrap it in its traceback
            return error


def step_batches(task: Draws, config: TrainConfig, start: int) -> Iterator[list[Batch]]:
    """The batches of steps `start` to `config.steps`; with `workers`, drawn ahead by so many processes."""
    loader = DataLoader(
        _Steps(task, config),
        sampler=range(start, config.steps),
        batch_size=None,
        num_workers=config.workers,
        multiprocessing_context="fork" if config.workers else None,  # they end when this process is killed
        collate_fn=_as_it_is,
        generator=torch.Generator(),
    )
    for drawn in loader:
        if isinstance(drawn, InputError):
            raise drawn
        yield drawn


def _as_it_is(drawn: list[Batch] | InputError) -> list[Batch] | InputError:
    return drawn
