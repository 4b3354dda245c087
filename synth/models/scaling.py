"""Network units of each channel: roughly unit variance over the training patients (measured once)."""

from __future__ import annotations

import torch

from synth.regions.region import HEAD_NECK_CT, CtScale

_DETAIL_SD = 0.08  # intensity units, inside the body, 0.7 to 8 mm
_DOSE_GAIN = 1.2  # targets fill little of the frame; their step must stand above the noise early


def ct_to_network(unit: torch.Tensor, scale: CtScale = HEAD_NECK_CT) -> torch.Tensor:
    """Intensity units -> network units: of `base` by the scale of its region, of `refine`, which any region may borrow,
    always by that of head and neck."""
    return (unit - scale.mean) / scale.sd


def ct_from_network(x: torch.Tensor, scale: CtScale = HEAD_NECK_CT) -> torch.Tensor:
    """Inverse of `ct_to_network`."""
    return x * scale.sd + scale.mean


def dose_to_network(steps: torch.Tensor) -> torch.Tensor:
    """Dose in steps of the region's doses (0 to 3, fractional where averaged) -> the dose channel.

    Equal steps, so that nested targets separate.
    """
    return _DOSE_GAIN * steps


def dose_from_network(x: torch.Tensor) -> torch.Tensor:
    """Inverse of `dose_to_network`."""
    return x / _DOSE_GAIN


def detail_to_network(bands: torch.Tensor) -> torch.Tensor:
    """Detail bands in intensity units -> network units."""
    return bands / _DETAIL_SD


def detail_from_network(x: torch.Tensor) -> torch.Tensor:
    """Inverse of `detail_to_network`."""
    return x * _DETAIL_SD
