from __future__ import annotations

import pytest

from synth.torso.model import TorsoModel
from tests.torso import phantom


@pytest.fixture(scope="session")
def torso() -> TorsoModel:
    """The made-up model."""
    return phantom.model()
