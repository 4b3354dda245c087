"""One thread for the networks while they draw, so that a case is the same whatever the number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")
_MOST = 16  # tiles at once: each takes under 100 MB


@contextmanager
def one_thread() -> Iterator[None]:
    """Convolutions of some processors add up in another order with every number of threads (oneDNN's blocking does).

    More are used by drawing several cases at once, in processes, or several tiles of a case (`each_alone`). On a GPU
    this changes nothing.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def each_alone(work: Callable[[T], R], device: torch.device) -> Iterator[tuple[Callable[[Sequence[T]], list[R]], int]]:
    """The same work for several things, as many at once as torch has threads, each on one; and how many that are.

    What comes out does not depend on it. On a GPU it is 1. Gradients are not kept.
    """
    workers = min(torch.get_num_threads(), _MOST) if device.type == "cpu" else 1
    alone = torch.no_grad()(work)
    with one_thread():
        if workers == 1:
            yield lambda things: [alone(thing) for thing in things], 1
            return
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield lambda things: list(pool.map(alone, things)), workers
