"""The scanner's tests run on one thread: small FFT wait for each other on more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from synth.threads import one_thread


@pytest.fixture(autouse=True)
def on_one_thread() -> Iterator[None]:
    with one_thread():
        yield
