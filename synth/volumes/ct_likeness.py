"""Are these numbers Hounsfield units? MR, normalised, 8-bit, windowed and rescaled images must not pass for CT."""

from __future__ import annotations

import logging

import numpy as np

from synth.errors import InputError
from synth.volumes.types import HU_MAX, HU_MIN

logger = logging.getLogger(__name__)

# Measured on 240 real CT (head and neck, thigh, chest, abdomen; whole and cropped to the body): lowest value -984 or
# less, share of air 0.11 or more, soft tissue and fat 0.45 or more of what is not air, above 700 HU 0.055 or less of
# it, at the highest value 6,000 voxels where that is what a scanner can hold and 2 elsewhere.
_AIR_BELOW = -150  # HU: air and lung, never tissue
_AIR_REACHES = -850  # the lowest value of a CT that holds any air
_AIR_SHARE = 0.002
_AIR_FLOOR = -1080  # HU: air that reads less is no air
_PADDING_BELOW = -1300  # HU: one value alone down there marks what the scanner did not see
_GAS_BELOW = -500  # HU: what air and lung are looked for in
_TISSUE_BELOW = 300  # HU: fat, fluid, muscle and enhanced organs lie between _AIR_BELOW and this
_TISSUE_SHARE = 0.15  # of the voxels that are not air
_DENSE_ABOVE = 700  # HU: cortical bone and metal
_DENSE_SHARE = 0.25
_WINDOW_TOP = 1500  # HU: a scanner holds more, a display window ends below
_SATURATED = 20  # voxels at the highest value, and
_SPIKE = 10  # times as many as at the values below it
_FARTHEST = 1e5  # HU: beyond what any padding or metal reads
_REMEDY = "hand over a CT in HU"
_WHOLE = 1e-3  # a stored float this near an integer is that integer

# A slice beside the next one, over points that they share
_POINTS = 4000
_BIN = 25.0  # HU: bins in which the most frequent difference is sought
_LEVEL = 0.15  # share of the points that it must have
# HU: two slices that differ by more do not go together, by less do; in 358 real CT no slice is 50 off the next.
_OFF, _EVEN = 60.0, 50.0
_ALIKE, _OPPOSED = 0.6, -0.35  # correlation of two slices
_SLOPE = (0.4, 1.8)
_LEAST = 0.005  # share of a slice's points that differ from most, for its spread to be compared


def require_ct(values: np.ndarray, what: str, *, remedy: str = _REMEDY, clipped: bool = False) -> None:
    """Raise InputError, naming `what` and ending in `remedy`, unless `values` (X, Y, Z) are plausible as HU.

    `clipped`: that they are cut off at the upper end is known.
    """
    low, high = float(values.min()), float(values.max())
    found = f"{what}: values {low:.4g} to {high:.4g}"
    if low >= 0 or high - low <= 10:
        raise InputError(f"{found} are no HU ({_kind(low, high)}); {remedy}")
    if max(-low, high) > _FARTHEST:
        raise InputError(f"{found} are no HU (a wrong slope or intercept?); {remedy}")
    levels, counts = _histogram(values)
    air = levels < _AIR_BELOW
    total, in_air = int(counts.sum()), int(counts[air].sum())
    if in_air < _AIR_SHARE * total:
        raise InputError(f"{found} hold no air or lung (MR or a normalised image?); {remedy}")
    if low > _AIR_REACHES:
        raise InputError(f"{found}: air is cut off at {low:.4g} (a window, or HU off?); {remedy}, not windowed")
    if (level := _air_level(levels, counts)) < _AIR_FLOOR:
        raise InputError(f"{found}: air reads {level:.0f} HU where it is -1000 (shifted or scaled numbers?); {remedy}")
    tissue = _share(counts, (levels >= _AIR_BELOW) & (levels < _TISSUE_BELOW), ~air)
    if tissue < _TISSUE_SHARE:
        raise InputError(f"{found} hold no soft tissue ({tissue:.1%} between -150 and 300); {remedy}")
    dense = _share(counts, levels > _DENSE_ABOVE, ~air)
    if dense > _DENSE_SHARE:
        raise InputError(
            f"{found}: {dense:.0%} of the body reads above {_DENSE_ABOVE} HU, as bone does (CT stored without "
            f"its intercept: HU = value - 1024? a network that draws noise?); {remedy}"
        )
    top, below = int(counts[-1]), float(counts[-1 - _SPIKE : -1].mean())
    if not clipped and high < _WINDOW_TOP and top > max(_SATURATED, _SPIKE * below):
        raise InputError(f"{found}: {top} voxels are cut off at {high:.4g} (a window?); {remedy}, not windowed")


def as_hu(array: np.ndarray, what: str) -> np.ndarray:
    """int16 HU; rounding and clipping are told, in a note that names `what`."""
    if array.dtype.kind == "f":
        rounded = np.round(array)
        if (worst := float(np.abs(array - rounded).max())) > _WHOLE:
            logger.warning("%s: HU are fractions (off by up to %.3f); read as the nearest integers", what, worst)
        array = rounded
    if below := int((array < HU_MIN).sum()):
        note = "%s: %d voxels below %d HU (down to %d, outside the scanner's field of view?) are read as %d"
        logger.warning(note, what, below, HU_MIN, array.min(), HU_MIN)
    if above := int((array > HU_MAX).sum()):
        note = "%s: %d voxels above %d HU (up to %d, metal?) are read as %d"
        logger.warning(note, what, above, HU_MAX, array.max(), HU_MAX)
    return np.clip(array, HU_MIN, HU_MAX).astype(np.int16)


def odd_slice(values: np.ndarray, axis: int) -> tuple[int, str] | None:
    """The first slice along an axis of HU (X, Y, Z) whose numbers do not go with its neighbours', and how; or None."""
    slices = np.moveaxis(values, axis, 0)
    thin = max(1, int((slices[0].size / _POINTS) ** 0.5))
    points = slices[:, ::thin, ::thin].reshape(len(slices), -1).astype(np.float32)
    beside = [_odd_beside(one, other) for one, other in zip(points[1:], points, strict=False)]
    for number in range(len(points)):
        around = beside[max(number - 1, 0) : number + 1]  # to the slice before and the slice after
        others = [*beside[max(number - 2, 0) : max(number - 1, 0)], *beside[number + 1 : number + 2]]
        if any(around) and "" not in around and "" in others:
            before = beside[number - 1] if number else None
            return number, before or _odd_beside(points[number], points[number + 1]) or ""
    return None


def _odd_beside(one: np.ndarray, other: np.ndarray) -> str | None:
    """How a slice differs from its neighbour as no anatomy does; "" where they go together, None where that is open."""
    if min(float(one.std()), float(other.std())) < 1:
        return None  # a slice of padding
    alike, slope = float(np.corrcoef(one, other)[0, 1]), float(one.std() / other.std())
    if alike < _OPPOSED:
        return "its numbers run the other way than its neighbours' (inverted)"
    bins = np.rint((one - other) / _BIN).astype(int)
    counts = np.bincount(bins - bins.min())
    level, share = (int(counts.argmax()) + int(bins.min())) * _BIN, float(counts.max() / len(bins))
    enough = min(_content(one), _content(other)) > _LEAST  # more than a few voxels where a field of view begins
    if alike > _ALIKE and not _SLOPE[0] < slope < _SLOPE[1] and enough:
        return f"its numbers are {slope:.2g} times its neighbours'"
    if share > _LEVEL and abs(level) > _OFF:
        return f"it is {level:+.0f} HU off its neighbours"
    return "" if abs(level) < _EVEN and alike > _ALIKE else None


def _content(points: np.ndarray) -> float:
    """Share of the points that are not as most are."""
    return float((np.abs(points - np.median(points)) > 1).mean())


def _histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole HU from the lowest to the highest, and the voxels at each; what lies above 16 bits is cut."""
    whole = np.rint(values.clip(-(2**15), 2**15 - 1)).astype(np.int32) if values.dtype.kind == "f" else values
    low = int(whole.min())
    counts = np.bincount((whole.ravel(order="K").clip(low, low + 2**16) - np.int64(low)).astype(np.int64))
    return low + np.arange(len(counts)), counts


def _air_level(levels: np.ndarray, counts: np.ndarray) -> float:
    """The most frequent level of gas, HU, without one value that pads; -1000 where there is none to speak of."""
    gas = np.where(levels < _GAS_BELOW, counts, 0)
    if levels[0] < _PADDING_BELOW and counts[0] > counts[1:100].max(initial=0):
        gas[0] = 0
    if gas.sum() < _AIR_SHARE / 10 * counts.sum():
        return -1000.0
    smooth = np.convolve(gas, np.ones(21), mode="same")
    return float(levels[int(smooth.argmax())])


def _share(counts: np.ndarray, part: np.ndarray, whole: np.ndarray) -> float:
    return float(counts[part].sum() / max(1, counts[whole].sum()))


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
