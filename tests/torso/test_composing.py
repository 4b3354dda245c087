"""Composing: in blocks, and as every voxel by itself would have it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.shape.deformation import exponential, warp
from synth.torso import composing
from synth.torso.composing import LEAST_SHARE, composed
from synth.torso.looks import on_frame, sampled
from synth.torso.model import ATLAS_MM, TorsoModel
from synth.torso.places import Places
from tests.regions import TORSO

FIELD = (14, 26)


@pytest.fixture(scope="module")
def places() -> Places:
    """A torso that bends by up to 25 mm."""
    coarse = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, 5, 4, 6)).astype(np.float32))
    velocity = 25 * torch.nn.functional.interpolate(coarse, size=TORSO.shape, mode="trilinear")
    return Places(exponential(velocity, TORSO), 4.0, FIELD)


def shares(torso: TorsoModel) -> dict[int, np.ndarray]:
    """One scan on the right, the other on the left, faded over 48 mm."""
    right = np.clip((np.arange(torso.seen.shape[1]) - 27) / 6, 0, 1).astype(np.float32)[:, None, None]
    whole = np.ones(torso.seen.shape[1:], np.float32)
    return {0: right * whole, 1: (1 - right) * whole}


def test_blocks_leave_nothing_out(torso: TorsoModel, places: Places) -> None:
    found = composed(shares(torso), torso, places)
    where = places.all()
    flat = where.reshape(3, -1)
    wanted = np.zeros(flat.shape[1], np.float32)
    for i, share in shares(torso).items():
        weight = sampled(torch.from_numpy(share)[None, None], on_frame(flat, TORSO))[0]
        wanted += np.where(weight > LEAST_SHARE, weight, 0) * torso.looks[i].at(flat, TORSO, places.spacing)
    np.testing.assert_allclose(found, wanted.reshape(where.shape[1:]).clip(0, 2.5) - 1, atol=1e-5)
    assert found.std() > 0.3


def test_the_number_of_threads_changes_nothing(torso: TorsoModel, places: Places) -> None:
    before, volumes = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        volumes.append(composed(shares(torso), torso, places))
    torch.set_num_threads(before)
    np.testing.assert_array_equal(*volumes)


def test_places_are_where_a_warp_reads(places: Places) -> None:
    index = torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in TORSO.shape_at(4.0)), indexing="ij"))
    wanted = 4 * (warp(index[None] + 1, places.displacement, TORSO)[0].numpy() - 0.5)
    cut = slice(4 * FIELD[0], 4 * FIELD[1])
    inside = (slice(None), slice(12, -12), slice(12, -12))  # a warp is zero beyond the frame
    np.testing.assert_allclose(places.all()[inside], wanted[..., cut][inside], atol=0.02)
    whole = Places(places.displacement, 4.0).all()
    np.testing.assert_array_equal(whole[..., cut], places.all())


def test_nearest_labels(torso: TorsoModel, places: Places) -> None:
    index = np.floor(places.all() / ATLAS_MM).astype(int)
    kept = [i.clip(0, n - 1) for i, n in zip(index, torso.atlas.shape, strict=True)]
    np.testing.assert_array_equal(places.nearest(torso.atlas, ATLAS_MM), torso.atlas[tuple(kept)])


def test_what_blocks_read_beside_them_is_needed(
    torso: TorsoModel, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = composed(shares(torso), torso, places)
    monkeypatch.setattr(composing, "_BESIDE", 1)
    assert np.abs(composed(shares(torso), torso, places) - whole).max() > 0.005
