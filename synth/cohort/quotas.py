"""Quotas: exact shares of a number of cases, in an order drawn from a seed."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from synth.errors import InputError

_RANGE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s*")


def apportion(number: int, weights: Mapping[str, float]) -> dict[str, int]:
    """`number` things shared out by weight: largest remainder (Hamilton's method), ties to the earlier key."""
    total = sum(weights.values())
    exact = {key: number * weight / total for key, weight in weights.items()}
    counts = {key: int(value) for key, value in exact.items()}
    order = sorted(exact, key=lambda key: counts[key] - exact[key])  # stable: earlier keys win ties
    for key in order[: number - sum(counts.values())]:
        counts[key] += 1
    return counts


def assign(number: int, weights: Mapping[str, float], rng: np.random.Generator) -> list[str]:
    """A key for each of `number` things: exactly `apportion`'s counts, in random order."""
    keys = list(weights)
    counts = apportion(number, weights)
    numbers = rng.permutation(np.repeat(np.arange(len(keys)), [counts[key] for key in keys]))
    return [keys[i] for i in numbers]


def bounds(text: str, what: str) -> tuple[float, float]:
    """`8-15` -> (8.0, 15.0); `12` -> (12.0, 12.0). InputError names `what`."""
    match = _RANGE.fullmatch(text)
    try:
        low, high = (float(match[1]), float(match[2])) if match else (float(text), float(text))
    except ValueError as error:
        raise InputError(f"{what} '{text}': write a number or a range, such as 8-15") from error
    if not 0 < low <= high:
        raise InputError(f"{what} '{text}': the lower end is more than 0 and at most the upper one")
    return low, high
