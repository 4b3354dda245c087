"""Reconstruction kernels: what they do to the slice, and the noise that they leave in it.

A kernel is a modulation transfer function (MTF) with 50% at a frequency of its own: a Gaussian, or near one. It is that
from the object to the values at the pixels' centres, which are points of a continuous image and add no aperture. A
slice that was reconstructed with one kernel is given another by the ratio of the two MTF (Ohkubo et al. 2011).

Noise of filtered back-projection has the power f * MTF(f)^2 (Riederer, Pelc & Chesler 1978), folded at the frequency of
the pixels (Kijewski & Judy 1987), which makes it all but white where pixels are large.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from scipy import fft

from synth.scanner.settings import Kernel

# Frequency at which the MTF is 50%, cycles a mm. Assumed: about those of body, soft and bone kernels.
_MTF50 = {Kernel.smooth: 0.3, Kernel.standard: 0.4, Kernel.sharp: 0.6}
_BOOST = 3.0  # a sharp kernel makes at most 4 of what was there: beyond, it would be noise alone
_NO_MORE = 1.5  # cycles a mm: no kernel passes anything above


def transfer(kernel: Kernel, frequency: np.ndarray) -> np.ndarray:
    """MTF of a kernel over that of the standard one at frequencies in cycles a mm.

    A sharp one is an unsharp mask, bounded, with 50% of the object where the kernel states it.
    """
    half = _MTF50[kernel]
    fall = math.log(2) * (half**-2 - _MTF50[Kernel.standard] ** -2)
    if fall >= 0:
        return np.asarray(np.exp(-fall * frequency**2))
    needed = math.exp(-fall * half**2) - 1  # what the mask adds there
    return np.asarray(1 + _BOOST * (1 - (1 - needed / _BOOST) ** ((frequency / half) ** 2)))


def mtf(kernel: Kernel, frequency: np.ndarray) -> np.ndarray:
    """MTF of a kernel at frequencies in cycles a mm: how much of a wave in the object is in the image."""
    return np.exp(-math.log(2) * (frequency / _MTF50[Kernel.standard]) ** 2) * transfer(kernel, frequency)


def filtered(slice_hu: np.ndarray, spacing: tuple[float, float], kernel: Kernel) -> np.ndarray:
    """A slice (X, Y) in HU, of the standard kernel, as another one would have it; float64.

    The borders are mirrored (cosine transform), so that the two sides of the field of view do not mix.
    """
    x, y = (np.arange(n) / (2 * n * mm) for n, mm in zip(slice_hu.shape, spacing, strict=True))
    wave = fft.dctn(slice_hu.astype(np.float64), norm="ortho", workers=1)
    return np.asarray(fft.idctn(wave * transfer(kernel, np.hypot(x[:, None], y)), norm="ortho", workers=1))


def noise_power(shape: tuple[int, int], spacing: tuple[float, float], kernel: Kernel) -> np.ndarray:
    """Noise power of a slice (X, Y) at the frequencies of `rfft2`, (X, Y // 2 + 1); its mean over all of them is 1."""
    axes = [fft.fftfreq(n, mm) for n, mm in zip(shape, spacing, strict=True)]
    folds = [range(-math.ceil(_NO_MORE * mm), math.ceil(_NO_MORE * mm) + 1) for mm in spacing]
    power = np.zeros(shape)
    for i, j in product(*folds):
        f = np.hypot((axes[0] + i / spacing[0])[:, None], axes[1] + j / spacing[1])
        power += f * mtf(kernel, f) ** 2
    return power[:, : shape[1] // 2 + 1] / power.mean()


def noise(power: np.ndarray, shape: tuple[int, int], sd_hu: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of a slice (X, Y) with this power and SD, in HU."""
    white = fft.rfft2(rng.standard_normal(shape), workers=1)
    return np.asarray(sd_hu * fft.irfft2(white * np.sqrt(power), s=shape, workers=1))
