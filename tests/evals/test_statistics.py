"""What is measured on one volume, against closed forms and hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from evals import measures, statistics
from evals.protocol import Protocol
from evals.statistics import FREQUENCIES, HU_EDGES, Measured, measure, noise_power, power_spectrum
from evals.volumes import ReadVolume
from synth.volumes.types import LabelMap

SPACING = np.array([2.0, 2.0, 3.0])


def subject(hu: np.ndarray, ids: np.ndarray | None = None) -> ReadVolume:
    affine = np.diag([*SPACING, 1.0])
    organs = None if ids is None else LabelMap(ids, affine, {2: "kidney_right", 5: "liver"})
    return ReadVolume("s", "0", hu.astype(np.int16), affine, organs)


def test_white_noise_has_a_flat_spectrum_of_its_variance() -> None:
    """NPS = SD^2 dx dy, at every frequency that the fitted plane leaves; a quiet quarter is a little below."""
    hu = np.random.default_rng(0).normal(50, 20, (96, 96, 20))
    spectrum = noise_power(hu, SPACING)[FREQUENCIES // 2 :]
    expected = 20**2 * 2 * 2
    assert np.nanmean(spectrum) == pytest.approx(0.85 * expected, rel=0.1) and np.nanstd(spectrum) < 0.15 * expected


def test_noise_power_does_not_count_a_slope_nor_bone_nor_air() -> None:
    hu = np.random.default_rng(1).normal(50, 10, (64, 64, 10))
    plain = noise_power(hu, SPACING)
    slope = hu + np.arange(64).reshape(-1, 1, 1)
    slope[:16] = -1000
    slope[16:24] = 900
    assert np.nanmean(noise_power(slope, SPACING)) == pytest.approx(np.nanmean(plain), rel=0.1)
    assert np.isnan(noise_power(np.full((64, 64, 10), -1000.0), SPACING)).all()


def test_a_wave_shows_at_its_frequency() -> None:
    x = np.arange(64).reshape(-1, 1, 1) * SPACING[0]
    hu = np.broadcast_to(50 * np.sin(2 * np.pi * 0.1 * x), (64, 32, 24))
    nyquist = 0.5 / SPACING.max()
    assert np.nanargmax(power_spectrum(hu, SPACING)) == int(0.1 / nyquist * FREQUENCIES)


def test_halving_the_amplitude_is_6_decibels() -> None:
    noise = np.random.default_rng(2).normal(50, 20, (6, 48, 48, 8))
    full, half = (np.stack([noise_power(v * f, SPACING) for v in noise]) for f in (1.0, 0.5))
    assert measures.decibels(full, half) == pytest.approx(20 * np.log10(2), abs=1e-6)
    assert measures.decibels(full, full) == 0


def test_organs_by_hand() -> None:
    hu, ids = np.full((20, 20, 12), -1000.0), np.zeros((20, 20, 12), np.uint8)
    hu[2:18, 2:18] = 0
    ids[4:6, 4:6, 2:4], ids[12:16, 4:6, 2:4] = 5, 2
    hu[ids == 5], hu[ids == 2] = 60, 100
    found = measure(subject(hu, ids))
    voxel_ml = 2 * 2 * 3 / 1000
    assert found.organ_ml == {"kidney_right": 16 * voxel_ml, "liver": 8 * voxel_ml}
    assert found.gap_mm == {"kidney_right - liver": pytest.approx((13.5 - 4.5) * 2)}
    assert found.organ_hu["liver"][np.searchsorted(HU_EDGES, 60, side="right") - 1] == 1
    assert found.hu.sum() == pytest.approx(1)
    back = Measured.from_arrays(found.to_arrays())
    assert back.organ_ml == found.organ_ml and (back.hu == found.hu).all() and back.gap_mm == found.gap_mm


def test_histogram_distance_is_scipy_s_and_a_shift_is_its_hu() -> None:
    rng = np.random.default_rng(3)
    values = [rng.normal(0, 80, 5000), rng.normal(64, 80, 5000)]
    a, b = (np.stack([statistics._histogram(v, HU_EDGES)] * 5) for v in values)
    found = measures._histograms(HU_EDGES)(a, b)
    centres = (HU_EDGES[1:] + HU_EDGES[:-1]) / 2
    assert found == pytest.approx(wasserstein_distance(centres, centres, a[0], b[0]), abs=1e-6)
    assert found == pytest.approx(64, abs=4)


def test_slices_are_where_the_protocol_says_and_windows_reach_both_ends() -> None:
    hu = np.broadcast_to(np.arange(20) * 10, (10, 12, 20))
    protocol = Protocol("windows", (10, 12, 20), None, 3, 1.0)
    stacks = dict(protocol.stacks(subject(hu)))
    assert {k: v.shape for k, v in stacks.items()} == {
        "axial": (3, 3, 10, 12), "sagittal": (3, 3, 12, 20), "coronal": (3, 3, 10, 20),
    }  # fmt: skip
    soft = stacks["axial"][:, 1, 0, 0]  # window -160..240 of 0, 100 (slice 10 of 0..19), 190
    assert soft == pytest.approx([(v + 160) / 200 - 1 for v in (0, 100, 190)], abs=1e-6)


def test_maisi25d_is_monai_s_pipeline() -> None:
    """Padding, cropping, clipping and resampling as MONAI's own transforms do; small shape to keep it quick."""
    import torch
    from monai.data import MetaTensor
    from monai.transforms import CenterSpatialCrop, Compose, ScaleIntensityRange, Spacing, SpatialPad

    hu = np.random.default_rng(4).normal(0, 800, (21, 34, 15)).round()
    shape = (48, 48, 40)
    protocol = Protocol("maisi25d", shape, 1.0, None, 0.4)
    theirs = Compose([
        Spacing(pixdim=(1.0, 1.0, 1.0), mode="bilinear"),
        SpatialPad(spatial_size=shape, mode="constant", value=-1000),
        CenterSpatialCrop(roi_size=shape),
        ScaleIntensityRange(a_min=-1000, a_max=1000, b_min=-1000, b_max=1000, clip=True),
    ])(MetaTensor(torch.from_numpy(hu)[None].float(), affine=torch.diag(torch.tensor([*SPACING, 1.0]))))  # fmt: skip
    ours = protocol.volume(subject(hu))
    assert np.allclose(ours, theirs[0].numpy(), atol=1e-2)
    axial = dict(protocol.stacks(subject(hu)))["axial"]
    assert axial.shape == (int(0.7 * 40) - int(0.3 * 40), 3, 48, 48)
    blue, _, red = axial.min(axis=(0, 2, 3))
    assert (blue, red) == pytest.approx((-0.406, -0.485), abs=1e-6)  # min-max, then the mean in BGR order
