"""The networks draw on one thread, and others get theirs back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from prompts import CaseRequest
from synth.case.plan import GeneratePlan
from synth.draw.base import asked_of
from synth.models.text import TEXT_DIM
from synth.regions import shipped
from synth.threads import each_alone, one_thread


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_threads_are_one_inside_and_as_before_after() -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with pytest.raises(ValueError, match="x"), one_thread():
        raise ValueError("x")
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_work_is_done_as_often_at_once_as_there_are_threads_each_on_one() -> None:
    together = threading.Barrier(3)  # breaks, after its time, unless three come together

    def work(number: int) -> int:
        together.wait(timeout=60)
        return number * torch.get_num_threads()

    with each_alone(work, torch.device("cpu")) as (many, at_once):
        assert at_once == 3 and many([4, 5, 6]) == [4, 5, 6]
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_an_error_in_one_of_them_is_raised_and_threads_come_back() -> None:
    def work(number: int) -> int:
        raise ValueError(f"tile {number}")

    with pytest.raises(ValueError, match="tile"), each_alone(work, torch.device("cpu")) as (many, _):
        many([1, 2])
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_on_another_device_work_is_done_one_by_one() -> None:
    with each_alone(abs, torch.device("meta")) as (many, at_once):
        assert at_once == 1 and many([-1, 2]) == [1, 2]


def test_texts_of_any_length_are_told_alike_on_any_number_of_threads() -> None:
    model: Any = SimpleNamespace(region=shipped(), config=SimpleNamespace(text_encoder=None, text_dim=TEXT_DIM))
    words = [
        "CT",
        "of",
        "the",
        "neck",
        "without",
        "contrast",
        "of",
        "a",
        "large",
        "patient",
        "with",
        "a",
        "target",
        "on",
        "the",
        "left",
        "side",
        "and",
        "of",
        "a",
        "slim",
    ]

    def told(threads: int) -> list[torch.Tensor]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return [asked_of(plan_of(" ".join(words[:n])), model).text for n in range(2, len(words))]
        finally:
            torch.set_num_threads(before)

    assert all(torch.equal(a, b) for a, b in zip(told(1), told(2), strict=True))


def plan_of(prompt: str) -> GeneratePlan:
    """A plan that asks for a text."""
    request = CaseRequest(prompt=prompt)
    return GeneratePlan(region="head_neck", spacing_mm=8.0, case="a", seed=0, request=request, base_seed=0)
