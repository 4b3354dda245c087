"""The networks draw on one thread, and others get theirs back."""

from __future__ import annotations

import pytest
import torch

from synth.models.threads import one_thread


def test_threads_are_one_inside_and_as_before_after() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with pytest.raises(ValueError, match="x"), one_thread():
            raise ValueError("x")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
