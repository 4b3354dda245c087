"""Looks: a scan comes back from its bands, and lands where its deformation carries the mean torso."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.models import intensity
from synth.regions.frame import FINE_MM
from synth.shape.deformation import exponential
from synth.torso.looks import DETAIL_STEP, NEAR_MM, Look, Sampler, on_frame, sampled
from synth.torso.model import TorsoModel
from synth.torso.scans import body_of
from tests.regions import TORSO
from tests.torso import phantom

GRID = (24, 16, 20)  # voxels of FINE_MM


def scan(corner_mm: tuple[float, float, float], velocity: np.ndarray | None = None, outline: bool = True) -> Look:
    """A soft block with a bright ball in it, at a corner of the frame."""
    x, y, z = np.indices(GRID)
    ball = (x - 8) ** 2 + (y - 8) ** 2 + (z - 12) ** 2 < 9
    still = np.zeros((3, *TORSO.shape), np.float32)
    return Look.of(np.where(ball, 400.0, 40.0), np.array(corner_mm), outline, still if velocity is None else velocity)


def centres(box: tuple[slice, slice, slice]) -> np.ndarray:
    """(3, N) mm from the frame's corner of voxels of FINE_MM."""
    grids = np.meshgrid(*(FINE_MM * (np.arange(s.start, s.stop) + 0.5) for s in box), indexing="ij")
    return np.stack(grids).reshape(3, -1).astype(np.float32)


@pytest.mark.parametrize("spacing", [2.0, 4.0, 8.0])
def test_a_look_comes_back_to_the_steps_of_its_bands(torso: TorsoModel, spacing: float) -> None:
    wanted = intensity.to_unit(phantom.volume(False, FINE_MM)[0]) + 1
    pool = round(spacing / FINE_MM)
    wanted = torch.nn.functional.avg_pool3d(torch.from_numpy(wanted)[None, None], pool)[0, 0].numpy()
    off = np.abs(torso.looks[0].volume(spacing) - wanted)
    widest = 3 * DETAIL_STEP
    assert off.max() < 0.005 + 2 * 7 * widest / 2  # every band of two levels may be off by half a step
    assert off.mean() < 0.01


def test_the_grain_of_a_scan_is_kept(torso: TorsoModel) -> None:
    """Lung and bone are the coarsest of intensity: 25 HU of grain there are a sixtieth and a thirtieth of a unit."""
    rng = np.random.default_rng(1)
    for level in (-860.0, 40.0, 600.0):
        hu = level + 25 * rng.standard_normal((32, 32, 32)).astype(np.float32)
        look = Look.of(hu, np.zeros(3), True, np.zeros((3, *TORSO.shape), np.float32))
        back = intensity.to_hu(look.volume(FINE_MM) - 1)
        assert np.corrcoef(back.ravel(), hu.ravel())[0, 1] > 0.9, level
        assert (back - hu).std() < 12, level


def test_steps_of_details_come_with_the_look(torso: TorsoModel) -> None:
    look = torso.looks[0]
    doubled = Look.from_arrays({**look.arrays(), "detail_step": np.array(2 * DETAIL_STEP)})
    off = [one.volume(FINE_MM) - one.volume(8.0).repeat(4, 0).repeat(4, 1).repeat(4, 2) for one in (look, doubled)]
    clear = (look.volume(FINE_MM) > 0.3) & (look.volume(FINE_MM) < 1.7)  # no end of the range is met
    np.testing.assert_allclose(off[1][clear], 2 * off[0][clear], atol=1e-4)
    assert "steps of 0" in str(Look.from_arrays({**look.arrays(), "detail_step": np.array(0.0)}).wrong(TORSO))
    assert look.wrong(TORSO) is None


def test_a_scan_lies_where_its_corner_says() -> None:
    corner = (96.0, 40.0, 200.0)
    look = scan(corner)
    box = tuple(slice(round(c / FINE_MM), round(c / FINE_MM) + n) for c, n in zip(corner, GRID, strict=True))
    found = look.at(centres(box), TORSO, FINE_MM).reshape(GRID)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, look.volume(FINE_MM)[: GRID[0], : GRID[1], : GRID[2]], atol=1e-3)
    middle = np.argwhere(found > (found.min() + found.max()) / 2).mean(axis=0)
    np.testing.assert_allclose(middle, (8, 8, 12), atol=0.5)


def test_the_flow_goes_from_the_mean_to_the_scan() -> None:
    """A place of the mean torso shows what the scan has where exp(-v) leads to."""
    shift = np.array([6.0, -4.0, 10.0], np.float32)
    velocity = np.ones((3, *TORSO.shape), np.float32) * shift[:, None, None, None]
    look = scan((96.0, 40.0, 200.0), velocity)
    ball = np.array([96.0, 40.0, 200.0]) + FINE_MM * (np.array([8, 8, 12]) + 0.5)
    bright, dark = (look.at((ball + s)[:, None].astype(np.float32), TORSO, FINE_MM)[0] for s in (shift, -shift))
    assert bright - dark > 0.2


def test_beyond_a_whole_outline_is_air_and_beyond_a_cut_one_is_not() -> None:
    beside = np.array([[96.0 - 20], [60.0], [220.0]], np.float32)
    assert scan((96.0, 40.0, 200.0)).at(beside, TORSO, FINE_MM)[0] == 0
    assert scan((96.0, 40.0, 200.0), outline=False).at(beside, TORSO, FINE_MM)[0] > 0.5


def test_values_at_points_are_those_of_the_grid() -> None:
    rng = np.random.default_rng(0)
    volume = torch.from_numpy(rng.standard_normal((3, *TORSO.shape)).astype(np.float32))
    index = np.stack([rng.integers(0, n, 50) for n in TORSO.shape])
    found = sampled(volume[None], on_frame((16.0 * (index + 0.5)).astype(np.float32), TORSO))
    np.testing.assert_allclose(found, volume.numpy()[:, index[0], index[1], index[2]], atol=1e-3)
    assert exponential(torch.zeros(1, 3, *TORSO.shape), TORSO).abs().max() == 0


def test_what_is_read_of_a_part_of_a_look_is_what_all_of_it_has() -> None:
    rng = np.random.default_rng(0)
    look = Look.of(
        400 * rng.standard_normal((96, 64, 80)), np.array([96.0, 40.0, 200.0]), True, np.zeros((3, *TORSO.shape))
    )
    box = np.array([[90.0], [60.0], [80.0]])
    where = (look.corner_mm[:, None] + box + rng.uniform(-NEAR_MM, NEAR_MM, (3, 200))).astype(np.float32)
    part = Sampler(look, look.displacement(TORSO), FINE_MM, box)
    assert part.voxels < 0.5 * look.volume(FINE_MM).size
    np.testing.assert_allclose(part.at(where, on_frame(where, TORSO)), look.at(where, TORSO, FINE_MM), atol=1e-5)


def test_the_couch_is_no_part_of_the_body() -> None:
    hu = np.full((60, 60, 30), -1000.0)
    x, y = np.indices((60, 60))
    hu[(x - 30) ** 2 + (y - 35) ** 2 < 400] = 40
    hu[5:55, 6:8] = 100  # the couch, 4 mm thick, not touching
    cleaned = body_of(hu)
    assert cleaned[30, 35, 10] == 40
    assert (cleaned[:, :9] == -1000).all()
