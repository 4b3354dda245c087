"""The modulation transfer of an image of a disc, measured on its edge."""

from __future__ import annotations

import numpy as np
from scipy.signal.windows import tukey

from synth.scanner.projector import Geometry
from tests.scanner.discs import Ellipse, radius

_STEP_MM, _REACH_MM, _LONG = 0.05, 6.0, 4096


def edge_mtf(image: np.ndarray, geometry: Geometry, disc: Ellipse) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in cycles a mm and MTF, from all pixels about the edge by distance, in steps of 0.05 mm.

    The steps' own transfer is taken out, and the taper is flat over what an edge spreads, so that it adds none.
    """
    r = radius(geometry, disc.x, disc.y)
    bins = np.arange(disc.a - _REACH_MM, disc.a + _REACH_MM, _STEP_MM)
    number, total = np.histogram(r, bins)[0], np.histogram(r, bins, weights=image)[0]
    spread = -np.diff(total / number) * tukey(len(bins) - 2, 0.4)
    frequency = np.fft.rfftfreq(_LONG, _STEP_MM)
    found = np.abs(np.fft.rfft(spread, _LONG)) / np.sinc(frequency * _STEP_MM) ** 2  # of a mean and of a difference
    return frequency, found / found[0]
