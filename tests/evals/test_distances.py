"""Distances between sets against closed forms, MONAI and hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evals.distances import frechet, gaussian_kernels, manifold, polynomial_kernels


def volumes(x: np.ndarray) -> list[np.ndarray]:
    """One slice a volume."""
    return [row[None] for row in x]


def gaussian(mean: np.ndarray, covariance: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A sample whose mean and covariance are exactly the given ones."""
    x = np.random.default_rng(seed).normal(size=(count, len(mean)))
    x -= x.mean(axis=0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def test_frechet_of_gaussians_is_the_closed_form() -> None:
    """Commuting covariances: |m1 - m2|^2 + sum (sqrt(a) - sqrt(b))^2 over their eigenvalues."""
    a, b = np.array([4.0, 1.0, 9.0, 0.25]), np.array([1.0, 1.0, 16.0, 2.25])
    mean = np.array([1.0, -2.0, 0.0, 0.5])
    x, y = gaussian(np.zeros(4), np.diag(a), 50, 0), gaussian(mean, np.diag(b), 70, 1)
    expected = mean @ mean + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet(volumes(x), volumes(y)) == pytest.approx(expected, abs=1e-9)


def test_frechet_of_a_line_and_a_line_across_it() -> None:
    """Singular covariances that share nothing: the sum of the two variances."""
    x, y = np.zeros((3, 5)), np.zeros((3, 5))
    x[:, 0], y[:, 1] = [-1, 0, 1], [-2, 0, 2]
    assert frechet(volumes(x), volumes(y)) == pytest.approx(1 + 4, abs=1e-12)


@pytest.mark.parametrize(("n", "m", "d"), [(40, 60, 12), (300, 200, 64)])
def test_frechet_agrees_with_monai(n: int, m: int, d: int) -> None:
    from monai.metrics.fid import FIDMetric

    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(n, d)), rng.normal(0.3, 1.4, size=(m, d)) @ rng.normal(size=(d, d)) / np.sqrt(d)
    theirs = float(FIDMetric()(torch.from_numpy(y), torch.from_numpy(x)))
    assert frechet(volumes(x), volumes(y)) == pytest.approx(theirs, abs=1e-4)


def test_identical_sets_are_at_distance_0_and_order_does_not_matter() -> None:
    x = np.random.default_rng(3).normal(size=(30, 100))
    assert frechet(volumes(x), volumes(x[::-1])) == pytest.approx(0, abs=1e-8)
    kernels = gaussian_kernels(x, x)
    assert kernels.mmd2() == pytest.approx(0, abs=2 / len(x))
    assert manifold(x, x).precision.all() and manifold(x, x).coverage.all()


def test_frechet_counts_slices_of_a_volume_like_any_other() -> None:
    x, y = np.random.default_rng(4).normal(size=(2, 24, 6))
    grouped = [x[i : i + 4] for i in range(0, 24, 4)]
    assert frechet(grouped, volumes(y)) == pytest.approx(frechet(volumes(x), volumes(y)), abs=1e-12)


def test_kid_by_hand() -> None:
    """Two volumes of one slice on each side, d = 1: (x y + 1)^3."""
    kernels = polynomial_kernels(volumes(np.array([[0.0], [1.0]])), volumes(np.array([[2.0], [-1.0]])))
    within = 1 + (-1) ** 3  # (0 * 1 + 1)^3 and (2 * -1 + 1)^3
    cross = (1 + 27 + 1 + 0) / 4  # (0, 2), (1, 2), (0, -1), (1, -1)
    assert kernels.mmd2() == pytest.approx(within - 2 * cross)


def test_kid_is_unbiased_and_its_slices_may_depend_on_each_other() -> None:
    """Same law on both sides: mean 0 over many draws, though all slices of a volume are nearly the same."""
    rng = np.random.default_rng(5)

    def draw() -> list[np.ndarray]:
        return [rng.normal(size=(1, 4)) + 0.1 * rng.normal(size=(3, 4)) for _ in range(8)]

    values = np.array([polynomial_kernels(draw(), draw()).mmd2() for _ in range(600)])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    naive = []
    for _ in range(200):  # the same with every slice a volume of its own: what must not be done
        a, b = (volumes(np.concatenate(draw())) for _ in range(2))
        naive.append(polynomial_kernels(a, b).mmd2())
    assert np.mean(naive) > 5 * np.std(naive) / np.sqrt(len(naive))


def test_kid_of_one_slice_a_volume_agrees_with_monai_in_the_kernel_s_feature_space() -> None:
    """MONAI's unbiased MMD has a linear kernel; (x y / d + 1)^3 is linear in explicit features for d = 1."""
    from monai.metrics.mmd import MMDMetric

    def explicit(t: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.ones_like(t), 3**0.5 * t, 3**0.5 * t**2, t**3], dim=1)

    x, y = np.random.default_rng(6).normal(size=(2, 20, 1))
    theirs = float(MMDMetric(y_mapping=explicit)(torch.from_numpy(x), torch.from_numpy(y)))
    assert polynomial_kernels(volumes(x), volumes(y)).mmd2() == pytest.approx(theirs, abs=1e-4)


def test_bootstrap_copies_of_a_volume_are_no_pairs() -> None:
    kernels = polynomial_kernels(volumes(np.eye(3)), volumes(np.eye(3)))
    twice = kernels.mmd2(np.array([2.0, 1.0, 0.0]), np.ones(3))
    assert twice == pytest.approx(1.0 + 1.0 - 2 * kernels.cross[:, :].T @ np.array([2, 1, 0]) @ np.ones(3) / 9)


def test_gaussian_mmd_sees_a_shift_and_a_spread() -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(60, 5))
    same, shifted, wide = rng.normal(size=(60, 5)), rng.normal(1, 1, size=(60, 5)), rng.normal(0, 2, size=(60, 5))
    assert abs(gaussian_kernels(x, same).mmd2()) < 0.01 < gaussian_kernels(x, wide).mmd2()
    assert gaussian_kernels(x, shifted).mmd2() > 0.05


def test_manifold_by_hand() -> None:
    """Real at 0, 1, .. 5 on a line, k = 1, so every radius is 1; synthetic at 0.5, 0.6 (radius 0.1) and 9."""
    real = np.arange(6.0)[:, None]
    found = manifold(real, np.array([[0.5], [0.6], [9.0]]), k=1)
    assert found.precision.tolist() == [1, 1, 0]
    assert found.density.tolist() == [2, 2, 0]  # 0.5 and 0.6 are both within 1 of 0 and of 1
    assert found.recall.tolist() == [0, 1, 1, 1, 1, 1]  # 9 reaches 8.4 to either side, 0.6 only 0.1
    assert found.coverage.tolist() == [1, 1, 0, 0, 0, 0]


def test_manifold_tells_collapse_from_coverage() -> None:
    rng = np.random.default_rng(8)
    real, collapsed, far = rng.normal(size=(80, 3)), rng.normal(0, 0.1, size=(80, 3)), rng.normal(20, 1, size=(80, 3))
    assert manifold(real, collapsed).precision.mean() > 0.95 and manifold(real, collapsed).recall.mean() < 0.2
    assert manifold(real, far).precision.mean() == 0 and manifold(real, far).coverage.mean() == 0
    assert manifold(real, rng.normal(size=(80, 3))).density.mean() == pytest.approx(1, abs=0.25)


def test_too_few_for_a_metric_is_an_error_not_a_number() -> None:
    with pytest.raises(ValueError, match="have no covariance"):
        frechet([np.zeros((1, 3))], [np.zeros((4, 3))])
    with pytest.raises(ValueError, match="no 5 neighbours"):
        manifold(np.zeros((5, 2)), np.zeros((9, 2)))
    assert np.isnan(polynomial_kernels([np.ones((2, 3))], volumes(np.eye(3))).mmd2())
