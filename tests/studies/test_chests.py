"""The study of chests against known truth: power under a Gaussian, and which way a slice lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studies import chests
from synth.volumes import nifti
from synth.volumes.types import Volume


def test_a_gaussian_takes_the_power_that_it_must() -> None:
    """|exp(-2 pi^2 s^2 f^2)|^2 of each frequency, here between the ends of the band."""
    noise = [np.random.default_rng(0).normal(-1000, 50, (12, chests.SIZE, chests.SIZE)).astype(np.float32)]
    ratio = chests.power(chests.blurred(noise, 3.0)) / chests.power(noise)
    for found, (low, high) in zip(ratio, chests.BANDS, strict=True):
        most, least = (np.exp(-4 * (np.pi * 3.0 * f) ** 2) for f in (low, high))
        assert 0.9 * least < found < 1.1 * most


@pytest.mark.parametrize("codes", [(1, 1), (-1, -1)])
def test_front_is_up_and_the_patients_right_on_the_left(tmp_path: Path, codes: tuple[int, int]) -> None:
    hu = np.full((100, 80, 60), -1000, np.int16)
    hu[15:85, 15:65] = 40
    hu[22:46, 22:58, 5:55] = hu[54:78, 22:58, 5:55] = -850
    hu[78:84, 58:64] = 900  # at the right, in front
    hu += np.random.default_rng(0).integers(-9, 9, hu.shape, dtype=np.int16)
    turned = np.ascontiguousarray(hu[:: codes[0], :: codes[1]])
    affine = np.diag([2.0 * codes[0], 2.0 * codes[1], 2.0, 1.0])
    affine[:2, 3] = [0 if c > 0 else 2.0 * (n - 1) for c, n in zip(codes, hu.shape[:2], strict=True)]
    nifti.write_volume(tmp_path / "ct.nii.gz", Volume(turned, affine))
    slices = chests.drawn_slices(tmp_path / "ct.nii.gz")
    rows, columns = np.nonzero(slices.mean(axis=0) > 600)
    assert len(slices) == chests.SLICES
    assert rows.mean() < chests.SIZE / 2 - 10 and columns.mean() < chests.SIZE / 2 - 10
