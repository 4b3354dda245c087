"""Intervals that hold what they say, and a floor that is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from evals.distances import frechet
from evals.resampling import estimate, floor


def mean_gap(x: np.ndarray, y: np.ndarray):
    return lambda r, s: np.array([np.average(x, weights=r) - np.average(y, weights=s)])


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(100):
        x, y = rng.normal(0, 1, 30), rng.normal(1, 2, 30)
        (e,) = estimate(mean_gap(x, y), mean_gap(x, x), 30, 30, resamples=100, splits=2, seed=seed, least=-np.inf)
        held += e.low <= -1 <= e.high
    assert 0.86 <= held / 100 <= 0.99


def test_the_interval_holds_the_value_of_a_biased_distance() -> None:
    """FID of a bootstrap sample is above that of the set; a plain percentile interval would leave the value out."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 20, 30))

    def fid(r: np.ndarray, s: np.ndarray) -> np.ndarray:
        return np.array(
            [frechet(list(np.repeat(x, r.astype(int), 0)[:, None]), list(np.repeat(y, s.astype(int), 0)[:, None]))]
        )

    (e,) = estimate(fid, fid, 20, 20, resamples=60, splits=2)
    draws = [
        fid(*(np.bincount(rng.integers(20, size=20), minlength=20).astype(float) for _ in range(2)))[0]
        for _ in range(40)
    ]
    assert e.low < e.value < e.high and np.quantile(draws, 0.025) > e.value


def test_more_volumes_give_a_narrower_interval() -> None:
    rng = np.random.default_rng(2)
    widths = []
    for n in (10, 160):
        x, y = rng.normal(size=(2, n))
        (e,) = estimate(mean_gap(x, y), mean_gap(x, x), n, n, resamples=300, splits=2, least=-np.inf)
        widths.append(e.high - e.low)
    assert widths[1] < widths[0] / 2.5


def test_the_floor_splits_the_real_volumes_into_halves_that_share_none() -> None:
    seen = []

    def distance(r: np.ndarray, s: np.ndarray) -> np.ndarray:
        seen.append((r, s))
        return np.array([r.sum() * 100 + s.sum()])

    def among(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        assert not (a * b).any() and a.sum() == b.sum() == 3
        return np.array([7.0])

    (found,) = floor(distance, among, 7, 9, splits=4) or [None]
    assert found is not None and found.size == 3 and found.mean == found.low == found.high == 7
    assert found.matched == 303 and all(len(r) == 7 and len(s) == 9 for r, s in seen)


@pytest.mark.parametrize(("real", "synthetic"), [(3, 10), (10, 1)])
def test_there_is_no_floor_of_single_volumes(real: int, synthetic: int) -> None:
    assert floor(lambda r, s: np.zeros(1), lambda r, s: np.zeros(1), real, synthetic, splits=3) is None


def test_the_same_seed_gives_the_same_interval() -> None:
    x, y = np.random.default_rng(3).normal(size=(2, 12))
    a, b, c = (
        estimate(mean_gap(x, y), mean_gap(x, x), 12, 12, resamples=50, splits=3, seed=s, least=-np.inf)[0]
        for s in (1, 1, 2)
    )
    assert a == b and a.low != c.low
