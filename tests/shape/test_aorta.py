"""A drawn aorta has the blood of its level: no clot of another patient's, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

from synth.shape.trees.aorta import filled

SHAPE, MM = (60, 60, 40), 2.0
AFFINE = np.diag([MM, MM, MM, 1.0])
BLOOD = 400.0


def host(dark: float | None, at: tuple[int, int] = (30, 15)) -> tuple[np.ndarray, np.ndarray]:
    """A tube of 24 mm in soft tissue, bright but for its back where `dark` says of how many HU; the tube."""
    x, y, _ = np.indices(SHAPE)
    tube = np.hypot(x - at[0], y - at[1]) < 6
    hu = np.where(tube, BLOOD, 40.0)
    if dark is not None:
        hu[tube & (y < at[1]) & (np.indices(SHAPE)[2] > 12)] = dark
    return (hu + np.random.default_rng(1).normal(0, 8, SHAPE)).astype(np.float32), tube


def inner(at: tuple[int, int] = (30, 15)) -> np.ndarray:
    x, y, _ = np.indices(SHAPE)
    return np.asarray(np.hypot(x - at[0], y - at[1]) < 4)


def test_a_clot_becomes_blood_and_nothing_else_changes() -> None:
    hu, tube = host(dark=70.0)
    out = filled(hu, AFFINE, tube, front=60.0, heart_hu=BLOOD)
    assert (hu[inner()] < 150).mean() > 0.25
    assert (out[inner()] < 0.8 * BLOOD).mean() < 0.02
    assert out[inner()].std() < 40, "as even as blood"
    assert np.array_equal(out[~tube], hu[~tube])


@pytest.mark.parametrize(("dark", "front"), [(None, 60.0), (70.0, 15.0)], ids=["healthy", "ascending"])
def test_a_healthy_aorta_and_the_ascending_one_stay(dark: float | None, front: float) -> None:
    hu, tube = host(dark)
    assert np.array_equal(filled(hu, AFFINE, tube, front, BLOOD), hu)


def test_without_contrast_nothing_is_filled_though_bone_reaches_into_the_mask() -> None:
    hu, tube = host(dark=20.0)
    native = np.where(hu > 200, hu - BLOOD + 40, hu)
    native[tube & (np.indices(SHAPE)[1] < 14)] = 300.0
    assert np.array_equal(filled(native, AFFINE, tube, front=60.0, heart_hu=35.0), native)
    assert not np.array_equal(filled(native, AFFINE, tube, front=60.0, heart_hu=BLOOD), native)
