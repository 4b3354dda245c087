"""Composing: the CT of a drawn torso, every place as the scans that lend it have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from synth.regions.frame import LOOK_MM
from synth.threads import each_alone
from synth.torso.looks import Sampler, on_frame, sampled
from synth.torso.model import TorsoModel
from synth.torso.places import Places

LEAST_SHARE = 1e-3  # of a voxel, that a scan lends
_BESIDE = 5  # coarse voxels, of which the middle one holds a block's middle: its other voxels are read from these too
_MOVED = 3  # the same in the grid of a scan, whose flow bends blocks a little


@dataclass(frozen=True)
class _Lender:
    """A scan, how much of every place it lends (1, 1, X, Y, Z), and the blocks of the field where it may lend any."""

    share: torch.Tensor
    sampler: Sampler
    blocks: np.ndarray


def composed(shares: Mapping[int, np.ndarray], model: TorsoModel, places: Places) -> np.ndarray:
    """(X, Y, Z) float32 intensity at places.

    Args:
        shares: (X, Y, Z) float32 at LOOK_MM, on the mean torso, of each scan: how much of every voxel is its.
    """
    lenders = _lenders(shares, model, places)
    side = round(LOOK_MM / places.spacing)
    out = np.empty(places.shape, np.float32)

    def slab(block: int) -> torch.Tensor:
        where = places.slab(side * block, side * (block + 1))
        shape = where.shape[1:]
        where = where.reshape(3, -1)
        grid = on_frame(where, model.frame)
        total = np.zeros(where.shape[1], np.float32)
        for lender in lenders:
            if lender.blocks[block].any():
                _add(total, lender, where, grid, _voxels(lender.blocks[block], side))
        out[side * block : side * (block + 1)] = total.reshape(shape).clip(0.0, 2.5) - 1.0
        return torch.empty(0)

    with each_alone(slab, torch.device("cpu")) as (slabs, _):
        slabs(range(places.shape[0] // side))
    return out


def _add(total: np.ndarray, lender: _Lender, where: np.ndarray, grid: torch.Tensor, at: np.ndarray) -> None:
    """What a scan lends to the places `at`, added to the total."""
    here = grid[:, :, :, torch.from_numpy(at)]
    weight = sampled(lender.share, here)[0]
    lent = np.flatnonzero(weight > LEAST_SHARE)
    if len(lent):
        values = lender.sampler.at(where[:, at[lent]], here[:, :, :, torch.from_numpy(lent)])
        total[at[lent]] += weight[lent] * values


def _voxels(blocks: np.ndarray, side: int) -> np.ndarray:
    """Flat indices of a slab's voxels (side, Y, Z) that lie in blocks (Y / side, Z / side)."""
    fine = blocks.repeat(side, 0).repeat(side, 1)
    return np.flatnonzero(np.broadcast_to(fine, (side, *fine.shape)))


def _lenders(shares: Mapping[int, np.ndarray], model: TorsoModel, places: Places) -> list[_Lender]:
    middles = replace(places, spacing=LOOK_MM).all()
    shape, middles = middles.shape[1:], middles.reshape(3, -1)
    grid = on_frame(middles, model.frame)
    cells = [
        (m / LOOK_MM).astype(np.int32).clip(0, n - 1)
        for m, n in zip(middles, model.frame.shape_at(LOOK_MM), strict=True)
    ]

    def lender(index: int) -> _Lender:
        look, displacement = model.looks[index], model.displacements[index]
        blocks = ndimage.maximum_filter(shares[index] > LEAST_SHARE, size=_BESIDE)[tuple(cells)]
        box = middles + sampled(displacement, grid) - look.corner_mm[:, None]
        tissue = ndimage.maximum_filter(look.tissue(), size=_MOVED, mode="nearest")
        blocks &= look.holds_tissue(box, tissue, more=_MOVED // 2)
        near = box[:, blocks] if blocks.any() else box[:, :1]
        sampler = Sampler(look, displacement, places.spacing, near)
        return _Lender(torch.from_numpy(shares[index])[None, None], sampler, blocks.reshape(shape))

    with each_alone(lender, torch.device("cpu")) as (lenders, _):
        return lenders(sorted(shares))
