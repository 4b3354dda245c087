"""Numbers asked against numbers measured."""

from __future__ import annotations

import numpy as np
import pytest

from evals.asked_numbers import Pair, ranks


def pairs(noise: float, count: int = 40) -> list[Pair]:
    """Volumes that follow what was asked, but for noise."""
    rng = np.random.default_rng(0)
    asked = rng.uniform(50, 900, count)
    return [Pair("target volume, mL", a, 0.5 * a + noise * 200 * rng.standard_normal()) for a in asked]


def test_numbers_that_obey_rise_together_and_the_ratio_tells_of_a_common_error() -> None:
    (exact,) = ranks(pairs(0.0))
    assert exact.rho == pytest.approx(1.0) and exact.ratio == pytest.approx(0.5) and exact.missing == 0
    (noisy,), (chance,) = ranks(pairs(0.5)), ranks(pairs(50.0))
    assert chance.low < 0 < chance.high
    assert chance.rho < noisy.low < noisy.rho < noisy.high < 1.0


def test_what_was_not_found_is_counted_and_too_few_give_no_figure() -> None:
    some = [*pairs(0.0, 10), Pair("target volume, mL", 100.0, None)]
    assert (ranks(some)[0].found, ranks(some)[0].missing) == (10, 1)
    assert ranks(some[1:]) == []
    assert ranks([Pair("x", 5.0, float(i)) for i in range(20)]) == []  # always the same number asked


def test_the_rank_correlation_by_its_formula() -> None:
    """1 - 6 sum d^2 / (n (n^2 - 1)), where d is how many ranks a number is off; here two neighbours change places."""
    found = [2.0, 1.0, *range(3, 11)]
    (rank,) = ranks([Pair("x", asked, measured) for asked, measured in zip(range(1, 11), found, strict=True)])
    assert rank.rho == pytest.approx(1 - 6 * 2 / (10 * 99))
