"""One thread for the networks while they draw, so that a case is the same whatever the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Convolutions of some processors add up in another order with every number of threads (oneDNN's blocking does).

    Cases are drawn in parallel by processes. On a GPU this changes nothing.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
