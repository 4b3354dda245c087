"""Who draws what: one batch of a step, shared among processes, and the same on any number of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Shard:
    """The part of a step's batch that process `rank` of `world` draws."""

    rank: int = 0
    world: int = 1

    def generators(self, rng: np.random.Generator, count: int) -> list[np.random.Generator]:
        """`count` generators of this process's own, of the `world * count` that a step spawns.

        Two processes of `count` spawn together what one spawns for `2 * count`.
        """
        return rng.spawn(self.world * count)[self.rank * count : (self.rank + 1) * count]


def mean_over_processes(value: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor without gradient over all processes; itself in a single one."""
    if not dist.is_initialized():
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
