"""Dose: the noise that a scan with fewer photons has beside that of the volume as it is.

Photons are counted (Poisson) and read out with electronic noise; what their logarithm differs from the expected is
noise of the sinogram, and is scaled so that with the noise that is there already it makes that of the lower dose
(Yu et al. 2012; Zeng et al. 2015). It is reconstructed alone and added, so what is there stays as it is.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synth.scanner.metal import spectrum
from synth.scanner.projector import PITCH_MM, VIEWS, Geometry
from synth.scanner.settings import Bowtie

# Photons of a ray through air, at full dose, for each mm of the slice, in one of `VIEWS` views of a cell of `PITCH_MM`:
# about 200 mAs at 120 kV, where XCIST has 5.5e5 of 70 keV (studies/scanner/judge.py).
PHOTONS = 5e5
ELECTRONIC = 3.0  # SD of the electronic noise, in photons; 3500 electrons, XCIST's default
_LEAST = 1.0  # photons: what a scanner takes the logarithm of at least
# Radius of the water cylinder that a bowtie makes up for, and its attenuation at the ends: about those of the filters
# that XCIST carries ("small", "medium").
_BOWTIE_MM = {Bowtie.head: 170.0, Bowtie.body: 240.0}
_THICKEST = 2.0
_FEW, _MOST_OF_FEW = 20.0, 80  # photons: expectations that are drawn exactly, and the most that they can give
_SWING = 3.0  # a tube's current at most so many times its mean, and as many times less


def air_photons(geometry: Geometry, slice_mm: float) -> float:
    """Photons of an unattenuated ray at full dose; the dose of a turn is shared out among the views."""
    per_view = VIEWS / geometry.whole_deg * geometry.arc_deg / geometry.views
    return PHOTONS * slice_mm * geometry.pitch_mm / PITCH_MM * per_view


def through(bowtie: Bowtie | None, distances: np.ndarray) -> Tensor:
    """Share of the photons that a bowtie filter lets through at distances from the isocentre in mm, float32.

    It makes up for the shorter way through water at the rim, as far as its thickness goes.
    """
    if bowtie is None:
        return torch.ones(len(distances))
    radius = _BOWTIE_MM[bowtie]
    spared = 2 * (radius - np.sqrt(np.clip(radius**2 - distances**2, 0, None))) * spectrum().at_reference("water")
    return torch.from_numpy(np.exp(-np.minimum(spared, _THICKEST)).astype(np.float32))


def modulated(attenuation: Tensor) -> Tensor:
    """Tube current of each view over the mean, (views, 1), for line attenuations (views, cells).

    With the root of what the densest ray lets through, which has the least noise for the dose (Gies et al. 1999).
    """
    wanted = (0.5 * (attenuation.amax(dim=-1, keepdim=True) - attenuation.max())).exp()
    current = (wanted / wanted.mean()).clamp(1 / _SWING, _SWING)
    return current / current.mean()


def missing_noise(
    attenuation: Tensor, dose: float, air: float | Tensor, seed: int, had: Tensor | None = None
) -> Tensor:
    """Noise of a sinogram of line attenuations (..., views, cells), in the same numbers.

    dose: share of the exposure. air: photons of an unattenuated ray at full dose. had: attenuations when the volume was
    taken, where they were others (no metal). The draw is on the CPU and the same on every device.
    """
    line = attenuation.cpu()
    expected = dose * torch.as_tensor(air).cpu() * (-line).exp()
    generator = torch.Generator().manual_seed(seed)
    counts = poisson(expected, torch.randn(expected.shape, generator=generator))
    counts += ELECTRONIC * torch.randn(expected.shape, generator=generator)
    noise = (expected / counts.clamp(min=_LEAST)).log()
    at_full = torch.as_tensor(air).cpu() * (-(line if had is None else had.cpu())).exp()
    there = _variance(at_full) / _variance(expected)
    return (noise * (1 - there).clamp(min=0).sqrt()).to(attenuation.device)


def poisson(expected: Tensor, normal: Tensor) -> Tensor:
    """Poisson numbers with these expectations from standard normal ones, of the same shape, float32.

    Each is the quantile at its normal number's: where two sinograms differ little, so does their noise, and a case's
    twin has the case's. Large ones by Cornish & Fisher 1938 to third order, small ones exactly.
    """
    root = expected.clamp(min=_FEW).sqrt()
    z = normal
    found = (expected + root * z + (z**2 - 1) / 6 + (z - z**3) / (72 * root)).round()
    few = expected < _FEW
    rate, below = expected[few].double(), torch.special.ndtr(normal[few].double())
    chance = (-rate).exp()
    total, number = chance.clone(), torch.zeros_like(rate)
    for k in range(1, _MOST_OF_FEW):
        number += below > total
        chance *= rate / k
        total += chance
    found[few] = number.float()
    return found


def _variance(photons: Tensor) -> Tensor:
    """Of the logarithm of so many photons."""
    return (photons + ELECTRONIC**2) / photons**2
