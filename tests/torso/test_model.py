"""The torso model: what is stored comes back, and modes are found in scans that each show a part."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from synth.case.weights_folder import LOOKS
from synth.errors import InputError
from synth.torso.model import TorsoModel, fit_modes
from synth.volumes import labels
from tests.regions import HEAD_NECK, TORSO


def test_a_model_is_read_as_it_was_written(torso: TorsoModel, tmp_path: Path) -> None:
    torso.save(tmp_path / LOOKS)
    read = TorsoModel.read(tmp_path / LOOKS, torso.frame)
    assert read.donors == torso.donors
    for field in fields(TorsoModel):
        if field.name not in ("donors", "looks", "frame"):
            np.testing.assert_array_equal(getattr(read, field.name), getattr(torso, field.name))
    for one, other in zip(read.looks, torso.looks, strict=True):
        for name, array in one.arrays().items():
            np.testing.assert_array_equal(array, other.arrays()[name])


def test_a_missing_model_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="synthct train shape"):
        TorsoModel.read(tmp_path / LOOKS, TORSO)


def test_a_model_of_another_frame_is_one_line(torso: TorsoModel, tmp_path: Path) -> None:
    torso.save(tmp_path / LOOKS)
    with pytest.raises(InputError, match=r"array 'atlas' has the shape .*; copy it again"):
        TorsoModel.read(tmp_path / LOOKS, HEAD_NECK)


def test_velocity_is_the_mean_plus_modes(torso: TorsoModel) -> None:
    still = torso.velocity(np.zeros(2)).numpy()
    moved = torso.velocity(np.array([2.0, 0.0])).numpy()
    assert np.abs(still).max() == 0
    wanted = 2 * torso.scale[0] * torso.modes[0, :, 0, 0, 0].astype(float)
    np.testing.assert_allclose(moved[0, :, 5, 5, 5], wanted, rtol=1e-4)


def test_modes_are_found_though_every_scan_shows_a_part() -> None:
    rng = np.random.default_rng(1)
    shape = (15, 11, 20)
    ramp = np.linspace(-1, 1, shape[2]) * np.ones((3, *shape))
    drawn = rng.standard_normal(24)
    velocities = (10 * drawn[:, None, None, None, None] * ramp).astype(np.float32)
    seen = np.zeros((24, *shape), np.float32)
    for i in range(24):
        seen[i, ..., (i % 3) * 5 : (i % 3) * 5 + 10] = 1
    mean, modes, scale, coefficients = fit_modes(velocities * seen[:, None], seen, rank=1, rounds=60)
    found = scale[0] * modes[0].astype(float)
    assert abs(np.corrcoef(found.ravel(), ramp.ravel())[0, 1]) > 0.95
    assert abs(np.corrcoef(coefficients[:, 0], drawn)[0, 1]) > 0.95
    assert np.abs(mean).max() < 6


def test_islands_beside_the_pelvis_are_no_bone(torso: TorsoModel) -> None:
    atlas = torso.atlas.copy()
    hip = labels.ids()["hip_left"]
    atlas[30:40, 30:40, 2:12], atlas[50:52, 30:32, 20:22] = hip, hip
    cleaned = replace(torso, atlas=atlas).organs
    assert (cleaned == hip).sum() == 1000
    assert (cleaned[cleaned != atlas] == 0).all()
