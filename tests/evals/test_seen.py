"""Dice of segmenters on generated volumes as a share of that on real ones."""

from __future__ import annotations

import numpy as np
import pytest

from evals.seen import ratio_interval, table


def test_the_ratio_is_of_means_over_organs_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(0)
    real = {"brainstem": rng.normal(0.8, 0.05, 30), "mandible": rng.normal(0.6, 0.05, 30)}
    generated = {organ: 0.5 * values[:20] for organ, values in real.items()}
    found = table(real, generated)
    assert found["all"]["ratio"]["value"] == pytest.approx(0.5, abs=0.02)
    assert found["all"]["ratio"]["low"] < found["all"]["ratio"]["value"] < found["all"]["ratio"]["high"] < 0.6
    assert found["brainstem"]["generated"]["cases"] == 20


def test_an_organ_that_is_nowhere_has_no_ratio_and_does_not_spoil_that_of_the_others() -> None:
    nowhere, some = np.full(12, np.nan), np.linspace(0.4, 0.8, 12)
    some_known = np.where(np.arange(12) % 3, some, np.nan)
    found = table({"larynx": nowhere, "brainstem": some}, {"larynx": some, "brainstem": some_known})
    assert found["larynx"]["ratio"] is None and found["larynx"]["real"] is None
    assert found["all"]["ratio"]["value"] == pytest.approx(found["brainstem"]["ratio"]["value"])
    assert ratio_interval([], [], 0) is None
    assert ratio_interval([np.zeros(5)], [np.ones(5)], 0) is None  # nothing is found on real ones
