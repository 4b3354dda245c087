"""Insert planned lesions into a CT: grow, paint, redraw the fine detail, restore everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from synth.errors import InputError
from synth.geometry import same_grid
from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.noise import measure_noise
from synth.lesions.shape import Grown, grow
from synth.lesions.texture import paint
from synth.report.location import Box
from synth.types import HU_MAX, HU_MIN, LabelMap, Volume

_CONTEXT = 8  # voxels of host round the lesion that `redraw` sees


class Redraw(Protocol):
    """Redraws fine detail: a crop and where to redraw it -> the crop with that detail drawn anew.

    The crop has even sizes and starts at even offsets of the host, as the Haar transform wants. What it returns
    outside `where` is ignored. The painted crop already carries the host's noise at every scale, so one that
    redraws the Haar detail *replaces* noise, and adds none; the coarse band is to be kept.
    """

    def __call__(self, hu: np.ndarray, where: np.ndarray, spacing: np.ndarray, seed: int) -> np.ndarray:
        """`hu` (X, Y, Z) float32, `where` (X, Y, Z) bool, `spacing` (3,) mm -> (X, Y, Z) HU."""
        ...


def keep_painted(hu: np.ndarray, where: np.ndarray, spacing: np.ndarray, seed: int) -> np.ndarray:
    """The redraw that changes nothing: the lesion as painted, with noise of the host's spectrum."""
    return hu


def insert(host: Volume, organs: LabelMap, plans: Sequence[LesionPlan], redraw: Redraw) -> tuple[Volume, LabelMap]:
    """The host with its planned lesions, and their masks (uint8, the plan's id and name for each).

    Only voxels that a lesion reaches are changed, all of them within its ball; every other one is bit-equal.

    Raises:
        InputError: labels on another grid, or a plan that does not fit this host.
    """
    if not same_grid(host.hu.shape, host.affine, organs.ids.shape, organs.affine):
        raise InputError(
            f"organs: grid {organs.ids.shape} differs from the host's {host.hu.shape}; "
            "resample the labels onto the host's grid (nearest neighbour)"
        )
    hu = host.hu.copy()
    ids = np.zeros(hu.shape, np.uint8)
    if not plans:
        return host, LabelMap(ids, host.affine, {})
    noise = measure_noise(host, organs)
    for plan in plans:
        grown = grow(plan, host, organs)
        painted = paint(plan, grown, host.hu[grown.box], host.spacing, noise)
        drawn = _redrawn(host, grown, painted, redraw, plan)
        reached = grown.share > 0
        hu[grown.box][reached] = drawn[reached]
        ids[grown.box][grown.mask] = plan.id
    return Volume(hu, host.affine), LabelMap(ids, host.affine, {plan.id: plan.name for plan in plans})


def _redrawn(host: Volume, grown: Grown, painted: np.ndarray, redraw: Redraw, plan: LesionPlan) -> np.ndarray:
    """The painted lesion with its detail redrawn, on the lesion's crop, int16 HU."""
    crop, padding = _even_crop(grown.box, host.hu.shape)
    hu = host.hu[crop].astype(np.float32)
    where = np.zeros(hu.shape, bool)
    inner = tuple(slice(b.start - c.start, b.stop - c.start) for b, c in zip(grown.box, crop, strict=True))
    hu[inner] = painted
    where[inner] = grown.share > 0
    seed = int(plan.generator("redraw").integers(2**31))
    drawn = redraw(np.pad(hu, padding, mode="edge"), np.pad(where, padding), host.spacing, seed)
    if not np.isfinite(drawn).all():
        raise ValueError(f"{plan.name}: redraw returned values that are not finite")
    return np.rint(drawn[inner]).clip(HU_MIN, HU_MAX).astype(np.int16)


def _even_crop(box: Box, shape: tuple[int, ...]) -> tuple[Box, list[tuple[int, int]]]:
    """The box with context, from an even start, and the padding at its end that makes its sizes even."""
    starts = [max(s.start - _CONTEXT, 0) // 2 * 2 for s in box]
    stops = [min(s.stop + _CONTEXT, n) for s, n in zip(box, shape, strict=True)]
    i, j, k = (slice(a, b) for a, b in zip(starts, stops, strict=True))
    return (i, j, k), [(0, (b - a) % 2) for a, b in zip(starts, stops, strict=True)]
