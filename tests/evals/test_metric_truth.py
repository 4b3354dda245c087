"""Every registered metric against a known truth and an order of damage, so that each could fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.distance import cdist, pdist

from evals import measures
from evals.agreement import Rate
from evals.distances import gaussian_kernels, manifold
from evals.diversity import ms_ssim, pair_similarity
from evals.memorization import Neighbours, pixel_neighbours
from evals.registry import METRICS
from evals.statistics import GRADIENT_EDGES, Measured, measure
from evals.utility import scoring
from evals.utility.config import UtilityConfig
from evals.utility.data import Labelled
from evals.volumes import ReadVolume
from synth.errors import InputError
from tests.evals.sets_on_disk import AFFINE, body

HERE = Path(__file__).parent
# Where each metric is held against numbers that are known by other means, and where damage must make it worse.
TRUTH = {
    "fid": "test_frechet_of_gaussians_is_the_closed_form",
    "kid": "test_kid_by_hand",
    "mmd": "test_mmd_of_gaussians_is_the_closed_form",
    "hu": "test_histogram_distance_is_scipy_s_and_a_shift_is_its_hu",
    "organ_hu": "test_damage_scores_worse_in_order",
    "gradient": "test_gradients_of_two_ramps_differ_by_their_slopes",
    "power_spectrum": "test_twice_the_contrast_is_6_decibels_of_power",
    "noise_power": "test_halving_the_amplitude_is_6_decibels",
    "organ_volume": "test_organs_that_grow_and_part_are_measured_in_ml_and_mm",
    "organ_gap": "test_organs_that_grow_and_part_are_measured_in_ml_and_mm",
    **dict.fromkeys(("precision", "recall", "density", "coverage"), "test_manifold_by_hand"),
    "ms_ssim": "test_ms_ssim_is_monai_s_and_one_of_a_volume_with_itself",
    "nearest_pixel": "test_pixel_neighbours_know_mirror_images_and_measure_hu",
    "nearest_feature": "test_feature_neighbours_by_hand",
    **dict.fromkeys(("ratio_pixel", "ratio_feature"), "test_distances_and_ratio_by_hand"),
    "agreement": "test_wilson_interval_by_its_formula",
    "rank": "test_the_rank_correlation_by_its_formula",
    **dict.fromkeys(("dsc", "surface_dice", "hd95"), "test_scores_are_those_of_monai_s_classes"),
    "volume_error": "test_scores_by_hand",
    **dict.fromkeys(
        ("lesion_recall", "lesion_precision", "false_positives"), "test_hits_misses_and_false_alarms_by_hand"
    ),
}
_FIDELITY = ("fid", "kid", "mmd", "hu", "organ_hu", "gradient", "power_spectrum", "noise_power")
_OF_SCORES = ("dsc", "surface_dice", "hd95", "volume_error", "lesion_recall", "lesion_precision", "false_positives")
DAMAGE = {
    **dict.fromkeys(_FIDELITY, "test_damage_scores_worse_in_order"),
    **dict.fromkeys(("organ_volume", "organ_gap"), "test_organs_that_grow_and_part_are_measured_in_ml_and_mm"),
    **dict.fromkeys(("precision", "recall", "density", "coverage"), "test_manifold_gets_worse_as_a_set_moves_away"),
    "ms_ssim": "test_ms_ssim_falls_with_noise_and_rises_with_sameness",
    **dict.fromkeys(("nearest_pixel", "ratio_pixel"), "test_a_copy_is_nearer_the_less_it_is_noised"),
    **dict.fromkeys(
        ("nearest_feature", "ratio_feature"), "test_noised_and_mirrored_copies_of_training_patients_are_found"
    ),
    "agreement": "test_a_case_that_does_not_obey_is_told_by_the_attribute",
    "rank": "test_numbers_that_obey_rise_together_and_the_ratio_tells_of_a_common_error",
    **dict.fromkeys(_OF_SCORES, "test_scores_get_worse_as_a_segmentation_moves_away"),
}


def test_every_metric_has_its_truth_and_its_damage() -> None:
    assert set(TRUTH) == set(DAMAGE) == set(METRICS)
    text = "".join(path.read_text() for path in HERE.rglob("test_*.py"))
    assert not [name for name in {*TRUTH.values(), *DAMAGE.values()} if f"def {name}(" not in text]


def test_mmd_of_gaussians_is_the_closed_form() -> None:
    """E k(x, y) = (s^2 / (s^2 + 2))^(d/2) exp(-|m|^2 / (2 (s^2 + 2))) for unit normals whose means are m apart."""
    rng, d, gap = np.random.default_rng(0), 3, 1.5
    off = []
    for _ in range(150):
        x, y = rng.normal(size=(2, 24, d))
        y[:, 0] += gap
        s2 = float(np.median(pdist(x))) ** 2
        expected = 2 * (s2 / (s2 + 2)) ** (d / 2) * (1 - np.exp(-(gap**2) / (2 * (s2 + 2))))
        off.append(gaussian_kernels(x, y).mmd2() - expected)
    assert (
        abs(np.mean(off)) < 3 * np.std(off) / np.sqrt(len(off)) + 0.005 < 0.03
    )  # the scale is of x, so nearly unbiased


def test_mmd_agrees_with_monai_in_the_kernel_s_feature_space() -> None:
    """The Gram matrix of both sets, factored, gives features whose linear kernel is the Gaussian one."""
    from monai.metrics.mmd import MMDMetric

    x, y = np.random.default_rng(1).normal(size=(2, 15, 4)) + np.array([0.0, 0.5])[:, None, None]
    both, scale = np.concatenate([x, y]), float(np.median(pdist(x)))
    values, vectors = np.linalg.eigh(np.exp(-(cdist(both, both) ** 2) / (2 * scale**2)))
    features = torch.from_numpy(vectors * np.sqrt(values.clip(0)))
    theirs = float(MMDMetric()(features[:15], features[15:]))
    assert gaussian_kernels(x, y).mmd2() == pytest.approx(theirs, abs=1e-4)


def ramp(slope: float) -> Measured:
    """Of a block of soft tissue that rises along x by `slope` HU a mm."""
    x = np.arange(40).reshape(-1, 1, 1) * 2.0
    hu = np.broadcast_to(slope * (x - 40), (40, 12, 12))
    return measure(ReadVolume("r", "r", np.rint(hu).astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0]), None))


def test_gradients_of_two_ramps_differ_by_their_slopes() -> None:
    found = measures._histograms(GRADIENT_EDGES)
    slow, fast, faster = (np.stack([ramp(s).gradient] * 5) for s in (3.0, 7.0, 13.0))  # in the middle of bins
    assert found(slow, fast) == pytest.approx(4, abs=0.1) and found(slow, faster) == pytest.approx(10, abs=0.3)
    assert found(slow, slow) == 0


def test_twice_the_contrast_is_6_decibels_of_power() -> None:
    texture = ndimage.gaussian_filter(np.random.default_rng(2).normal(0, 1, (32, 32, 32)), 1.0)
    hu = 20 * texture / texture.std()
    powers = [
        np.stack([measure(ReadVolume("p", "p", np.rint(f * hu).astype(np.int16), AFFINE, None)).power] * 5)
        for f in (1, 2)
    ]
    assert measures.decibels(powers[1], powers[0]) == pytest.approx(20 * np.log10(2), abs=0.15)


def organs(grow: float, part: float) -> list[Measured]:
    """Six volumes with two organs, their volumes and gap changed by so much."""
    plain = ramp(1.0)
    return [
        Measured(
            plain.hu, plain.gradient, plain.power, plain.noise, {},
            {"kidney_right": 150.0 + i, "liver": 1400.0 + 10 * i + grow}, {"kidney_right - liver": 80.0 + i + part},
        )
        for i in range(6)
    ]  # fmt: skip


def test_organs_that_grow_and_part_are_measured_in_ml_and_mm() -> None:
    values = []
    for change in (0.0, 12.0, 30.0):
        found = measures.compare(organs(0, 0), organs(change, -change), resamples=20, splits=2)
        values.append((found["organ_volume", "liver"].value, found["organ_gap", "kidney_right - liver"].value))
        assert found["organ_volume", "kidney_right"].value == 0
    assert values == [pytest.approx((c, c)) for c in (0.0, 12.0, 30.0)]


def test_manifold_gets_worse_as_a_set_moves_away() -> None:
    rng = np.random.default_rng(3)
    real, other = rng.normal(size=(2, 60, 3))
    found = [manifold(real, other + step) for step in (0.0, 1.0, 2.0, 6.0)]
    for name in ("precision", "recall", "density", "coverage"):
        values = [float(getattr(m, name).mean()) for m in found]
        assert values == sorted(values, reverse=True) and values[0] > 0.8 and values[-1] == 0, (name, values)


def test_ms_ssim_is_monai_s_and_one_of_a_volume_with_itself() -> None:
    from monai.metrics.regression import compute_ms_ssim

    a, b = body(0)[0].astype(np.float32), body(1)[0].astype(np.float32)
    x, y = (torch.from_numpy((v + 1000) / 2000)[None, None] for v in (a, b))
    theirs = compute_ms_ssim(
        x, y, spatial_dims=3, data_range=1.0, kernel_size=5, weights=(0.0448, 0.2856, 0.3001), kernel_sigma=1.5
    )
    assert ms_ssim(a, b) == pytest.approx(float(theirs), abs=1e-4) and ms_ssim(a, b) < 0.99
    assert ms_ssim(a, a) == pytest.approx(1, abs=1e-6)


def test_ms_ssim_of_volumes_too_small_for_its_scales_is_refused() -> None:
    assert ms_ssim(*np.zeros((2, 20, 20, 20))) == pytest.approx(1)
    with pytest.raises(InputError, match="20 x 20 x 19 voxels, which is fewer than 20 along an axis"):
        ms_ssim(*np.zeros((2, 20, 20, 19)))


def test_ms_ssim_falls_with_noise_and_rises_with_sameness() -> None:
    rng = np.random.default_rng(4)
    a = body(0)[0]
    noised = [ms_ssim(a, a + rng.normal(0, sd, a.shape)) for sd in (5, 50, 400)]
    assert noised == sorted(noised, reverse=True)
    patients = [body(seed)[0] for seed in range(6)]
    alike = [0.9 * patients[0] + 0.1 * p for p in patients]
    assert pair_similarity(alike).mean > pair_similarity(patients).mean + 0.02


def test_a_copy_is_nearer_the_less_it_is_noised() -> None:
    from types import SimpleNamespace

    rng = np.random.default_rng(5)
    patients = [body(seed)[0].astype(np.float32) for seed in range(8)]
    train = SimpleNamespace(features=[SimpleNamespace(thumb=v) for v in patients])
    found: list[Neighbours] = []
    for sd in (5, 40, 150):
        copy = SimpleNamespace(features=[SimpleNamespace(thumb=patients[2] + rng.normal(0, sd, patients[2].shape))])
        found.append(pixel_neighbours(copy, train))  # type: ignore[arg-type]
    for values in ([f.closest[0] for f in found], [f.ratio[0] for f in found]):
        assert values == sorted(values) and values[0] < values[-1] / 2
    assert found[0].closest[0] == pytest.approx(5, rel=0.05) and found[0].nearest.tolist() == [2]


def test_wilson_interval_by_its_formula() -> None:
    """Wilson 1927: (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n)."""
    n, k, z = 20, 17, 1.959964
    p = k / n
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [100 * (middle + sign * half) / (1 + z**2 / n) for sign in (-1, 1)]
    rate = Rate("finding side", ("prompt", "volume"), n, k)
    assert rate.percent == 85 and list(rate.interval) == pytest.approx(expected, abs=1e-4)


def settings() -> UtilityConfig:
    folders = {"real_train": "r", "real_test": "t", "synthetic": "s"}
    return UtilityConfig(name="m", organs=("lesion", "brainstem"), tolerance_mm=3.0, **folders)  # type: ignore[arg-type]


def blob(shift: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """A ragged blob of class 1 (a lesion) and one of class 2, moved by so many voxels."""
    rough = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, (36, 30, 24)), 1.5)
    x, y, z = np.indices(rough.shape)
    classes = np.zeros(rough.shape, np.uint8)
    for number, (a, b, c) in ((1, (10, 14, 11)), (2, (25, 15, 12))):
        classes[(x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 < 30 * (1 + 2 * rough)] = number
    classes[classes == 1] = np.where(ndimage.label(classes == 1)[0][classes == 1] == 1, 1, 0)
    return np.roll(classes, shift, axis=(0, 1, 2))


def truth() -> Labelled:
    classes = blob((0, 0, 0))
    return Labelled("t", "t", classes / 2.0, classes, np.array([True, True]), np.array([2.0, 1.5, 3.0]))


def test_scores_are_those_of_monai_s_classes() -> None:
    """On the whole grid, where ours crop to what is labelled."""
    from monai.metrics import DiceMetric, HausdorffDistanceMetric, SurfaceDiceMetric

    volume, moved = truth(), blob((2, -1, 1), seed=1)
    found = scoring.score(moved, volume, settings())["brainstem"]
    a, b = (torch.from_numpy(m == 2)[None, None].float() for m in (moved, volume.classes))
    spacing = tuple(volume.spacing.tolist())
    theirs = {
        "dsc": DiceMetric()(a, b),
        "surface_dice": SurfaceDiceMetric([3.0], include_background=True)(a, b, spacing=spacing),
        "hd95": HausdorffDistanceMetric(include_background=True, percentile=95)(a, b, spacing=spacing),
    }
    assert {name: found[name] for name in theirs} == pytest.approx({n: float(v) for n, v in theirs.items()}, abs=1e-4)
    assert 0.3 < found["dsc"] < 0.9 and found["hd95"] > 2


def test_scores_get_worse_as_a_segmentation_moves_away() -> None:
    volume = truth()
    found = [scoring.score(blob((s, 0, 0)), volume, settings())["brainstem"] for s in (0, 1, 3, 6)]
    for name, sign in (("dsc", -1), ("surface_dice", -1), ("hd95", 1)):
        values = [sign * f[name] for f in found]
        assert values == sorted(values) and values[0] < values[2] < values[3], name  # one voxel is within the tolerance
    shrunk = [np.where(ndimage.binary_erosion(volume.classes == 2, iterations=n or -1), 2, 0) if n else volume.classes
              for n in (0, 1, 2)]  # fmt: skip
    errors = [scoring.score(m.astype(np.uint8), volume, settings())["brainstem"]["volume_error"] for m in shrunk]
    assert errors[0] == 0 < errors[1] < errors[2]
    near, far = (scoring.score(blob((s, 0, 0)), volume, settings())["lesion"] for s in (1, 12))
    assert near["lesion_recall"] == near["lesion_precision"] == 100 and near["false_positives"] == 0
    assert far["lesion_recall"] == far["lesion_precision"] == 0 and far["false_positives"] == 1
