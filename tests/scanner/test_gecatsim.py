"""The scanner's noise beside that of a validated simulator, where it is installed (the extra `judge`)."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gecatsim", reason="the extra judge is not installed")

from studies.scanner import judge  # noqa: E402
from synth.scanner.settings import Bowtie  # noqa: E402


@pytest.mark.slow
@pytest.mark.parametrize("bowtie", [None, Bowtie.body])
def test_noise_is_that_of_xcist_in_place_and_grain(bowtie: Bowtie | None) -> None:
    """SD by radius and noise power by frequency of a water cylinder, to 15%; half the photons would be 41% off."""
    theirs, air = judge.xcist(6, bowtie=bowtie is not None)
    edges = np.array([0, 30, 60, 95])
    for geometry in (judge.PARALLEL, judge.FAN):
        mine = judge.ours(air, 8, geometry, bowtie)
        np.testing.assert_allclose(mine.sd_by_radius(edges), theirs.sd_by_radius(edges), rtol=0.15)
        np.testing.assert_allclose(mine.power()[1], theirs.power()[1], rtol=0.15)
