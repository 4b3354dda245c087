"""Film: from line integrals to counts with noise and blur, and to 16 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synth.seeding import numpy_rng

AIR_PHOTONS_MM2 = 5e5  # on the detector where nothing is in the way; assumed, a chest film at a usual dose
BLUR_MM = 0.15  # SD of the light's spread in the scintillator; MTF 50% at 1.2 cycles a mm
LEVELS = 65535
_SHOWN = (0.2, 99.8)  # percentiles of the attenuation that become black and white


@dataclass(frozen=True)
class Film:
    """pixels: (rows, columns) uint16, dense tissue bright; `low` and `high` are the attenuations at 0 and 65535."""

    pixels: np.ndarray
    low: float
    high: float

    def attenuation(self) -> np.ndarray:
        """Minus log of the counts over those in air, as the pixels hold it."""
        return self.low + self.pixels / LEVELS * (self.high - self.low)


def exposed(attenuation: np.ndarray, pixel_mm: float, seed: int) -> Film:
    """A film of line integrals (rows, columns): Poisson counts, blurred by the detector, their logarithm in 16 bits.

    What lies beyond the window of the film is black or white, as on a film.
    """
    air = AIR_PHOTONS_MM2 * pixel_mm**2
    counts = numpy_rng(seed).poisson(air * np.exp(-attenuation.astype(np.float64))).astype(np.float64)
    counts = ndimage.gaussian_filter(counts, BLUR_MM / pixel_mm, mode="nearest")
    seen = -np.log(np.maximum(counts, 1.0) / air)
    low, high = np.percentile(seen, _SHOWN)
    high = max(high, low + 1e-3)
    pixels = np.rint((seen - low) / (high - low) * LEVELS).clip(0, LEVELS).astype(np.uint16)
    return Film(pixels, float(low), float(high))
