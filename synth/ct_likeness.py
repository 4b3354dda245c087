"""Are these numbers Hounsfield units? MR, normalised, 8-bit, windowed and rescaled images must not pass for CT."""

from __future__ import annotations

import numpy as np

from synth.errors import InputError

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
_REMEDY = "hand over a CT in HU"

# A slice beside its neighbours, over points that they share
_POINTS = 4000
_ALIKE = 0.7  # correlation of the neighbours: less says nothing
_OFFSET = 150.0  # HU by which a slice may differ from the mean of its neighbours
_END_OFFSET = 400.0  # the same of the first and last slice, which have one neighbour
_SLOPE = (0.55, 1.7)


def require_ct(values: np.ndarray, what: str) -> None:
    """Raise InputError, naming `what`, unless `values` (X, Y, Z) are plausible as HU."""
    low, high = float(values.min()), float(values.max())
    found = f"{what}: values {low:.4g} to {high:.4g}"
    if low >= 0 or high - low <= 10:
        raise InputError(f"{found} are no HU ({_kind(low, high)}); {_REMEDY}")
    levels, counts = _histogram(values)
    air = levels < _AIR_BELOW
    total, in_air = int(counts.sum()), int(counts[air].sum())
    if in_air < _AIR_SHARE * total:
        raise InputError(f"{found} hold no air or lung (MR or a normalised image?); {_REMEDY}")
    if low > _AIR_REACHES:
        raise InputError(f"{found}: air is cut off at {low:.4g} (a window, or HU off?); {_REMEDY}, not windowed")
    if (level := _air_level(levels, counts)) < _AIR_FLOOR:
        raise InputError(f"{found}: air reads {level:.0f} HU where it is -1000 (shifted or scaled numbers?); {_REMEDY}")
    tissue = _share(counts, (levels >= _AIR_BELOW) & (levels < _TISSUE_BELOW), ~air)
    if tissue < _TISSUE_SHARE:
        raise InputError(f"{found} hold no soft tissue ({tissue:.1%} between -150 and 300); {_REMEDY}")
    dense = _share(counts, levels > _DENSE_ABOVE, ~air)
    if dense > _DENSE_SHARE:
        raise InputError(
            f"{found}: {dense:.0%} of the body reads above {_DENSE_ABOVE} HU, as bone does (CT stored without "
            f"its intercept: HU = value - 1024?); {_REMEDY}"
        )
    top, below = int(counts[-1]), float(counts[-1 - _SPIKE : -1].mean())
    if high < _WINDOW_TOP and top > max(_SATURATED, _SPIKE * below):
        raise InputError(f"{found}: {top} voxels are cut off at {high:.4g} (a window?); {_REMEDY}, not windowed")


def odd_slice(values: np.ndarray, axis: int) -> tuple[int, str] | None:
    """The first slice along an axis of HU (X, Y, Z) whose numbers do not go with its neighbours', and how; or None.

    Offsets and slopes are those of a line through the points that it shares with the mean of its neighbours.
    """
    slices = np.moveaxis(values, axis, 0)
    thin = max(1, int((slices[0].size / _POINTS) ** 0.5))
    points = slices[:, ::thin, ::thin].reshape(len(slices), -1).astype(np.float32)
    for number in range(len(points)):
        if (how := _oddity(points, number)) is not None:
            return number, how
    return None


def _oddity(points: np.ndarray, number: int) -> str | None:
    beside = points[[i for i in (number - 1, number + 1) if 0 <= i < len(points)]]
    one, mean = points[number], beside.mean(axis=0)
    if len(points) < 3 or min(float(side.std()) for side in (one, *beside)) < 1:
        return None  # a slice of padding, or nothing to compare with
    if len(beside) == 2 and np.corrcoef(*beside)[0, 1] < _ALIKE:
        return None
    alike = float(np.corrcoef(one, mean)[0, 1])
    if alike < -_ALIKE / 2:
        return "its numbers run the other way than its neighbours' (inverted)"
    slope = float(one.std() / mean.std())
    if alike > _ALIKE and not _SLOPE[0] < slope < _SLOPE[1]:
        return f"its numbers are {slope:.2g} times its neighbours'"
    offset = float(np.median(one - mean))
    apart = 0.0 if len(beside) < 2 else abs(float(np.median(beside[0] - beside[1])))
    if alike > _ALIKE and abs(offset) > (_OFFSET if len(beside) == 2 else _END_OFFSET) and apart < _OFFSET / 2:
        return f"it is {offset:+.0f} HU off its neighbours"
    return None


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
