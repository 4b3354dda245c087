"""Intervals against what they must be."""

from __future__ import annotations

import numpy as np

from evals.bootstrap import Interval, apart, mean_interval


def test_the_interval_of_a_large_sample_is_the_normal_one() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    interval = mean_interval(values)
    assert interval is not None and interval.low is not None and interval.high is not None
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert abs(interval.low - (values.mean() - half)) < 0.15 * half
    assert abs(interval.high - (values.mean() + half)) < 0.15 * half


def test_what_was_not_measured_is_left_out_and_one_case_has_no_interval() -> None:
    assert mean_interval(np.array([np.nan, np.nan])) is None
    assert mean_interval(np.array([3.0, np.nan])) == Interval(mean=3.0, low=None, high=None, cases=1)
    both = mean_interval(np.array([1.0, 3.0, np.nan]))
    assert both is not None and (both.mean, both.low, both.high, both.cases) == (2.0, 1.0, 3.0, 2)


def test_the_same_values_give_the_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=10)
    assert mean_interval(values) == mean_interval(values) != mean_interval(values, seed=1)


def test_apart_only_where_intervals_do_not_meet() -> None:
    low, middle, high = (Interval(mean=m, low=m - 1, high=m + 1, cases=9) for m in (0.0, 1.5, 3.0))
    assert apart(low, high) and apart(high, low)
    assert not apart(low, middle) and not apart(low, None)
    assert not apart(low, Interval(mean=9.0, low=None, high=None, cases=1))
