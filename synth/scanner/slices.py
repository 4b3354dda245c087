"""Thick slices: the mean of what each holds, on a grid of their own; masks go by the share that they fill.

Slices that overlap are as many means as there are places; a profile weighs what each holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from synth.errors import InputError
from synth.scanner.settings import Profile

_SAME = 0.01  # slices whose thickness differs by this share are left as they are
_EXACT = 1e-6  # voxels
_HALF = 0.5  # of a voxel: so much of it must be labelled


@dataclass(frozen=True)
class Slab:
    """One thick slice: the thin ones that it covers, `first` to `first + len(weights) - 1`, and their shares."""

    first: int
    weights: np.ndarray

    def thin(self, volume: np.ndarray) -> np.ndarray:
        """Its thin slices (X, Y, K) of a volume (X, Y, Z)."""
        return volume[..., self.first : self.first + len(self.weights)]

    def mean(self, thin: np.ndarray) -> np.ndarray:
        """Weighted mean over the last axis, float64. Term by term: a matrix product may round by number of threads."""
        return np.asarray(sum(weight * thin[..., k] for k, weight in enumerate(self.weights)), dtype=np.float64)


@dataclass(frozen=True)
class Slicing:
    """Thick slices along a voxel axis; what is left over is cut off in equal parts at both ends.

    affine: of the thick grid, (4, 4) mm.
    """

    axis: int
    slabs: tuple[Slab, ...]
    affine: np.ndarray

    @classmethod
    def of(
        cls,
        shape: tuple[int, ...],
        affine: np.ndarray,
        axis: int,
        slice_mm: float | None,
        increment_mm: float | None = None,
        profile: Profile = Profile.box,
    ) -> Slicing:
        """The slices of a volume, as far apart as they are thick or by `increment_mm`.

        Raises InputError where they, or their distance, would be less than the volume's own, or more than it.
        """
        if increment_mm is not None or profile is not Profile.box:
            return cls._overlapping(shape, affine, axis, slice_mm, increment_mm, profile)
        number, spacing = shape[axis], float(np.linalg.norm(affine[:3, axis]))
        ratio = 1.0 if slice_mm is None else slice_mm / spacing
        if abs(ratio - 1) <= _SAME:
            return cls(axis, tuple(Slab(i, np.ones(1)) for i in range(number)), affine)
        if not 1 < ratio <= number:
            raise InputError(
                f"slice_mm {slice_mm:g}: the volume has {number} slices of {spacing:g} mm; "
                f"ask for {spacing:g} to {number * spacing:g} mm, or leave it out"
            )
        count = int(number / ratio + _EXACT)
        start = (number - count * ratio) / 2
        thick = _along(affine, axis, ratio, start + (ratio - 1) / 2)
        return cls(axis, tuple(_slab(start + i * ratio, ratio) for i in range(count)), thick)

    @classmethod
    def _overlapping(
        cls,
        shape: tuple[int, ...],
        affine: np.ndarray,
        axis: int,
        slice_mm: float | None,
        increment_mm: float | None,
        profile: Profile,
    ) -> Slicing:
        """Slices whose centres are spread evenly over the volume; a profile is cut off at its ends."""
        number, own = shape[axis], float(np.linalg.norm(affine[:3, axis]))
        wide = (slice_mm or own) / own
        step = (increment_mm or slice_mm or own) / own
        for name, mm, ratio in (("slice_mm", slice_mm, wide), ("increment_mm", increment_mm, step)):
            if not 1 - _SAME <= ratio <= number:
                raise InputError(
                    f"{name} {mm:g}: the volume has {number} slices of {own:g} mm; "
                    f"ask for {own:g} to {number * own:g} mm, or leave it out"
                )
        step = 1.0 if abs(step - 1) <= _SAME else step
        count = int((number - 1) / step + _EXACT) + 1
        first = (number - 1 - (count - 1) * step) / 2
        slabs = tuple(_weighted(first + i * step, wide, number, profile) for i in range(count))
        return cls(axis, slabs, _along(affine, axis, step, first))

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of the thick grid."""
        return (*shape[: self.axis], len(self.slabs), *shape[self.axis + 1 :])

    def ids(self, ids: np.ndarray) -> np.ndarray:
        """A label map (X, Y, Z) on the thick grid: labelled where more than half is, by the label that holds most.

        Where just half is, the first thin slice decides, so that masks neither grow nor shrink.
        """
        out = np.zeros(self.shape_of(ids.shape), ids.dtype)
        thick, thin = np.moveaxis(out, self.axis, -1), np.moveaxis(ids, self.axis, -1)
        for number, slab in enumerate(self.slabs):
            thick[..., number] = _most(slab, slab.thin(thin))
        return out


def _along(affine: np.ndarray, axis: int, step: float, first: float) -> np.ndarray:
    """The affine of a grid whose slices are `step` old ones apart, the centre of the first at `first`."""
    thick = np.array(affine)
    thick[:3, axis] *= step
    thick[:3, 3] += affine[:3, axis] * first
    return thick


def _weighted(centre: float, wide: float, number: int, profile: Profile) -> Slab:
    """The slab about `centre`, `wide` at half its height; all in voxels."""
    reach = wide * _REACH[profile]
    first = max(math.floor(centre - reach + 0.5 + _EXACT), 0)
    last = min(math.ceil(centre + reach - 0.5 - _EXACT), number - 1)
    edges = (np.arange(first, last + 2) - 0.5 - centre) / wide
    weights = np.diff(_BELOW[profile](edges))
    return Slab(first, weights / weights.sum())


def _under_triangle(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, -1, 1)
    return 0.5 + x - np.sign(x) * x**2 / 2


# Share of a profile of width 1 at half its height that lies below a place, and how far it reaches.
_REACH = {Profile.box: 0.5, Profile.triangle: 1.0, Profile.bell: 1.5}
_BELOW: dict[Profile, Callable[[np.ndarray], np.ndarray]] = {
    Profile.box: lambda x: np.clip(x + 0.5, 0, 1),
    Profile.triangle: _under_triangle,
    Profile.bell: lambda x: special.ndtr(x * 2 * math.sqrt(2 * math.log(2))),
}


def _slab(low: float, ratio: float) -> Slab:
    """From `low` on, in voxels from the outer edge of the first."""
    first, last = math.floor(low + _EXACT), math.ceil(low + ratio - _EXACT)
    edges = np.clip(np.arange(first, last + 1), low, low + ratio)
    return Slab(first, np.diff(edges) / ratio)


def _most(slab: Slab, ids: np.ndarray) -> np.ndarray:
    """Ids (X, Y, K) of its thin slices -> (X, Y)."""
    found = np.array(ids[..., 0])
    mixed = (ids != ids[..., :1]).any(axis=-1)
    rows = ids[mixed]  # (N, K)
    best, share = np.zeros(len(rows), ids.dtype), np.zeros(len(rows))
    for number in np.unique(rows[rows != 0]):
        own = slab.mean(rows == number)
        best[own > share + _EXACT] = number
        share = np.maximum(share, own)
    labelled = slab.mean(rows != 0)
    even = np.abs(labelled - _HALF) <= _EXACT
    found[mixed] = np.where(np.where(even, rows[:, 0] != 0, labelled > _HALF), best, 0)
    return found
