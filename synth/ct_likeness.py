"""Are these numbers Hounsfield units? MR, normalised, 8-bit and windowed images must not pass for CT."""

from __future__ import annotations

import numpy as np

from synth.errors import InputError

# Measured on 130 real CT (head and neck, thigh, chest, abdomen; whole and cropped to the body):
# lowest value -984 or less, share of air 0.11 or more, soft tissue and fat 0.45 or more of what is not air.
_AIR_BELOW = -150  # HU: air and lung, never tissue
_AIR_REACHES = -300  # the lowest value of a CT that holds any air
_AIR_SHARE = 0.002
_TISSUE_BELOW = 300  # HU: fat, fluid, muscle and enhanced organs lie between _AIR_BELOW and this
_TISSUE_SHARE = 0.15  # of the voxels that are not air
_REMEDY = "hand over a CT in HU"


def require_ct(values: np.ndarray, what: str) -> None:
    """Raise InputError, naming `what`, unless `values` (X, Y, Z) are plausible as HU."""
    low, high = float(values.min()), float(values.max())
    found = f"{what}: values {low:.4g} to {high:.4g}"
    if low >= 0 or high - low <= 10:
        raise InputError(f"{found} are no HU ({_kind(low, high)}); {_REMEDY}")
    air = values < _AIR_BELOW
    share = float(air.mean())
    if share < _AIR_SHARE:
        raise InputError(f"{found} hold no air or lung (MR or a normalised image?); {_REMEDY}")
    if low > _AIR_REACHES:
        raise InputError(f"{found}: air is cut off at {low:.4g} (a display window?); {_REMEDY}, not windowed")
    tissue = float((values[~air] < _TISSUE_BELOW).sum()) / max(1, int(air.size - air.sum()))
    if tissue < _TISSUE_SHARE:
        raise InputError(f"{found} hold no soft tissue ({tissue:.1%} between -150 and 300); {_REMEDY}")


def _kind(low: float, high: float) -> str:
    if low == high:
        return "one value everywhere"
    if low < 0:
        return "a normalised image"
    if high <= 1:
        return "normalised to 0..1"
    if high <= 255:
        return "an 8-bit image"
    return "MR, or CT stored without its intercept: HU = value - 1024"
