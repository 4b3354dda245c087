"""Dose: the noise that a scan with fewer photons has beside that of the volume as it is.

Photons are counted (Poisson) and read out with electronic noise; what their logarithm differs from the expected is
noise of the sinogram, and is scaled so that with the noise that is there already it makes that of the lower dose
(Yu et al. 2012; Zeng et al. 2015). It is reconstructed alone and added, so what is there stays as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synth.scanner.projector import ARC_DEG, PITCH_MM, VIEWS, Geometry

# Photons of a ray through air, at full dose, for each mm of the slice, in one of `VIEWS` views of a cell of `PITCH_MM`:
# about 200 mAs at 120 kV, where XCIST has 5.5e5 of 70 keV (studies/scanner/judge.py).
PHOTONS = 5e5
ELECTRONIC = 3.0  # SD of the electronic noise, in photons; 3500 electrons, XCIST's default
_LEAST = 1.0  # photons: what a scanner takes the logarithm of at least
_SWING = 3.0  # a tube's current at most so many times its mean, and as many times less


def air_photons(geometry: Geometry, slice_mm: float) -> float:
    """Photons of an unattenuated ray at full dose; the dose of a turn is shared out among the views."""
    per_view = VIEWS / ARC_DEG * geometry.arc_deg / geometry.views
    return PHOTONS * slice_mm * geometry.pitch_mm / PITCH_MM * per_view


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
    counts = torch.poisson(expected, generator=generator)
    counts += ELECTRONIC * torch.randn(expected.shape, generator=generator)
    noise = (expected / counts.clamp(min=_LEAST)).log()
    at_full = torch.as_tensor(air).cpu() * (-(line if had is None else had.cpu())).exp()
    there = _variance(at_full) / _variance(expected)
    return (noise * (1 - there).clamp(min=0).sqrt()).to(attenuation.device)


def _variance(photons: Tensor) -> Tensor:
    """Of the logarithm of so many photons."""
    return (photons + ELECTRONIC**2) / photons**2
