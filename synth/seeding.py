"""Seeds: every random step of every case has its own, derived from names, not from order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, *names: object) -> int:
    """A 63-bit seed from the base seed and the names of case, step and attempt."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_rng(seed: int) -> np.random.Generator:
    """A fresh numpy generator."""
    return np.random.default_rng(seed)


def normal(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Standard normal float32 on the CPU, the same on every device and number of processes."""
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
