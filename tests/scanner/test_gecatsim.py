"""The scanner's noise beside that of a validated simulator, where it is installed (the extra `judge`)."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gecatsim", reason="the extra judge is not installed")

from studies.scanner import judge  # noqa: E402


@pytest.mark.slow
def test_noise_is_that_of_xcist_in_place_and_grain() -> None:
    """SD by radius and noise power by frequency of a water cylinder, to 20%, of which one slice of theirs
    scatters 5; half the photons would be 41% off."""
    theirs, air = judge.xcist(1)
    mine = judge.ours(air, 3)
    edges = np.array([0, 30, 60, 95])
    np.testing.assert_allclose(mine.sd_by_radius(edges), theirs.sd_by_radius(edges), rtol=0.2)
    np.testing.assert_allclose(mine.power()[1], theirs.power()[1], rtol=0.2)
