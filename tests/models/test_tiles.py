"""Tiles: as MONAI's sliding window blends them, whatever their number, and in 16 bits where asked."""

from __future__ import annotations

import pytest
import torch
from monai.inferers import sliding_window_inference

from synth.models import tiles
from synth.models.tiles import Place, blended, places

CPU = torch.device("cpu")


def work(part: torch.Tensor, factor: int) -> torch.Tensor:
    """Three channels that depend on where a tile ends, `factor` times as fine."""
    ramp = torch.linspace(0, 1, part.shape[2])[:, None, None]
    finer = torch.cat([part, part * ramp, part.flip(2)], dim=1)
    for axis in (2, 3, 4):
        finer = finer.repeat_interleave(factor, axis)
    return finer


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("shape", [(60, 50, 20), (30, 16, 100), (48, 48, 48)])
def test_it_is_monais_sliding_window_bit_for_bit(shape: tuple[int, int, int], factor: int) -> None:
    grid = torch.randn(1, 1, *shape)
    found = blended(shape, 3, lambda place: work(grid[place], factor), CPU, factor)
    size = places(shape)[1]
    overlap = [min(8 / n, 0.5) for n in size]
    wanted = sliding_window_inference(
        grid, size, 1, lambda part: work(part, factor), overlap=overlap, mode="gaussian", sigma_scale=0.2
    )
    assert isinstance(wanted, torch.Tensor) and torch.equal(found, wanted)


def test_in_16_bits_it_is_the_same_to_a_thousandth() -> None:
    grid = torch.rand(1, 1, 60, 50, 20)

    def tile(place: Place) -> torch.Tensor:
        return work(grid[place], 2)

    half = blended((60, 50, 20), 3, tile, CPU, 2, torch.float16)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), blended((60, 50, 20), 3, tile, CPU, 2), atol=2e-3, rtol=2e-3)


def test_tiles_cover_every_position_and_share_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "TILE", 12)
    monkeypatch.setattr(tiles, "_OVERLAP", 4)
    where, size = places((28, 12, 9))
    seen = torch.zeros(1, 1, 28, 12, 9)
    for place in where:
        assert seen[place].shape[2:] == tuple(size)
        seen[place] += 1
    assert seen.min() == 1 and seen.max() == 2 and size == [12, 12, 9]
