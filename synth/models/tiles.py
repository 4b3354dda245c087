"""A network over overlapping tiles of a grid that is too large for it, blended by Gaussian weights.

As MONAI's sliding window does it, whose places and weights are used; but tiles are cut where they are needed, and
several are drawn at once: the grid is in memory once, and so is what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from monai.data.utils import compute_importance_map, dense_patch_slices

from synth.threads import each_alone

TILE = 48  # positions a side, at most
_OVERLAP = 8  # positions that neighbouring tiles share, at least
_MULTIPLE = 4  # the network halves twice
_SIGMA = 0.2  # of the weights, of the tile

Place = tuple[slice, ...]  # of a tile on the grid: all of batch and channels, then x, y, z
_ALL = (slice(None), slice(None))


def tile_size(positions: int) -> int:
    """Length of equal tiles that cover an axis with the least overlap beyond `_OVERLAP`: no work is done twice."""
    if positions <= TILE:
        return positions
    count = math.ceil((positions - _OVERLAP) / (TILE - _OVERLAP))
    length = math.ceil((positions + (count - 1) * _OVERLAP) / count)
    return math.ceil(length / _MULTIPLE) * _MULTIPLE


def places(shape: Sequence[int]) -> tuple[list[Place], list[int]]:
    """Where tiles lie on a grid (X, Y, Z), and their size."""
    size = [tile_size(n) for n in shape]
    step = [n if n == whole else max(1, int(n * (1 - _overlap_of(n)))) for n, whole in zip(size, shape, strict=True)]
    return [(*_ALL, *place) for place in dense_patch_slices(shape, size, step)], size


def _overlap_of(length: int) -> float:
    return min(_OVERLAP / length, 0.5)


def blended(
    shape: Sequence[int],
    channels: int,
    tile: Callable[[Place], torch.Tensor],
    device: torch.device,
    factor: int = 1,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """What tiles draw, blended where they overlap, on the CPU.

    Args:
        shape: (X, Y, Z) of the grid.
        channels: of what a tile draws.
        tile: a place -> (1, channels, x, y, z), `factor` times as fine as the grid.
        device: of the network; on a CPU as many tiles are drawn at once as torch has threads.
        factor: see `tile`.
        dtype: of what comes out, (1, channels, factor X, factor Y, factor Z).
    """
    where, size = places(shape)
    weight = compute_importance_map(tuple(size), mode="gaussian", sigma_scale=_SIGMA, device="cpu")[None, None]
    for axis in (2, 3, 4):
        weight = weight.repeat_interleave(factor, axis)
    out = torch.zeros(1, channels, *(factor * n for n in shape), dtype=dtype)
    total = torch.zeros(1, 1, *out.shape[2:], dtype=dtype)
    with each_alone(tile, device) as (tiles, at_once):
        for first in range(0, len(where), at_once):
            some = where[first : first + at_once]
            for place, drawn in zip(some, tiles(some), strict=True):
                finer = (*_ALL, *(slice(factor * s.start, factor * s.stop) for s in place[2:]))
                out[finer] += (drawn.cpu() * weight).to(dtype)
                total[finer] += weight.to(dtype)
    return out.div_(total)
