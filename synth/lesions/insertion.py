"""Insert planned lesions into a CT: grow, push aside, paint, redraw the fine detail, restore everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from synth.errors import InputError
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.extents import Extended, with_extents
from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.mass_effect import displace, moved_hu, moved_ids
from synth.lesions.plans import AnyPlan
from synth.lesions.seam import joined
from synth.lesions.shape import Grown, grow, painted_box
from synth.lesions.spaces import with_spaces
from synth.lesions.texture import paint
from synth.report.location import Box, slice_axis
from synth.report.noise import NoiseModel, measure_noise
from synth.volumes.geometry import same_grid
from synth.volumes.types import HU_MAX, HU_MIN, Case, LabelMap, Volume

_CONTEXT = 8  # voxels of host round the lesion that `redraw` sees, unless its `context` says otherwise


class Redraw(Protocol):
    """Redraws fine detail: a crop and where to redraw it -> the crop with that detail drawn anew.

    The crop has even sizes and starts at even offsets of the host, as the Haar transform wants. What it returns
    outside `where` is ignored. The painted crop already carries the host's noise at every scale, so one that
    redraws the Haar detail *replaces* noise, and adds none; the mean of coarse blocks is to be kept, for it is the
    attenuation that was planned.
    """

    def __call__(self, hu: np.ndarray, where: np.ndarray, spacing: np.ndarray, seed: int) -> np.ndarray:
        """`hu` (X, Y, Z) float32, `where` (X, Y, Z) bool, `spacing` (3,) mm -> (X, Y, Z) HU."""
        ...


def keep_painted(hu: np.ndarray, where: np.ndarray, spacing: np.ndarray, seed: int) -> np.ndarray:
    """The redraw that changes nothing: the lesion as painted, with noise of the host's spectrum."""
    return hu


def insert(
    host: Volume,
    organs: LabelMap,
    plans: Sequence[AnyPlan],
    redraw: Redraw,
    noise: NoiseModel | None = None,
    trees: LabelMap | None = None,
) -> Case:
    """The host with its planned findings, its organs where they were moved, and the findings' masks.

    Findings that are told by their extent are drawn first, bodies in what comes of that. Only voxels that a body
    reaches or pushes are changed, all of them within its ball, and those that an extent touches; every other one is
    bit-equal. Masks are uint8 with the plan's id and name for each, a body's above an extent's. `noise` is the host's,
    measured when left out. `trees`: of the host, which the case has as the findings leave them.

    Raises:
        InputError: labels on another grid, or a plan that does not fit this host.
    """
    if not same_grid(host.hu.shape, host.affine, organs.ids.shape, organs.affine):
        raise InputError(
            f"organs: grid {organs.ids.shape} differs from the host's {host.hu.shape}; "
            "resample the labels onto the host's grid (nearest neighbour)"
        )
    names = {plan.id: plan.name for plan in plans}
    if not plans:
        return Case(host, organs, LabelMap(np.zeros(host.hu.shape, np.uint8), host.affine, names), trees)
    noise = noise or measure_noise(host, organs)
    extents = [plan for plan in plans if isinstance(plan, ExtentPlan)]
    extended = with_extents(Extended.of(host, organs, None if trees is None else trees.ids), extents, noise)
    host, organs, lesions = extended.ct, extended.organs, extended.masks
    bodies = [plan for plan in plans if isinstance(plan, LesionPlan)]
    working = with_spaces(host, organs, [name for plan in bodies for name in plan.structures])
    hu, ids = host.hu.copy(), organs.ids.copy()
    tubes = None if extended.trees is None else extended.trees.copy()
    for plan in bodies:
        grown = grow(plan, host, working)
        _put(plan, grown, host, organs, redraw, noise, hu, ids, tubes)
        lesions[grown.box][grown.mask] = plan.id
    return Case(
        Volume(hu, host.affine),
        LabelMap(ids, organs.affine, organs.names),
        LabelMap(lesions, host.affine, names),
        None if trees is None or tubes is None else LabelMap(tubes, host.affine, trees.names),
    )


def _put(
    plan: LesionPlan,
    grown: Grown,
    host: Volume,
    organs: LabelMap,
    redraw: Redraw,
    noise: NoiseModel,
    hu: np.ndarray,
    ids: np.ndarray,
    trees: np.ndarray | None,
) -> None:
    """Push tissue aside, paint and redraw one lesion: `hu`, `ids`, `trees` (X, Y, Z) of the whole volume change."""
    crop = host.hu[grown.box].astype(np.float32)
    numbers = [number for number, name in organs.names.items() if name in plan.structures]
    noise = noise.here(crop, np.isin(organs.ids[grown.box], numbers), slice_axis(host.affine))
    displacement = displace(plan, grown, host, organs)
    if displacement is not None:
        crop = moved_hu(crop, displacement, noise, plan.generator("moved"))
        hu[grown.box][displacement.moved] = _as_stored(crop)[displacement.moved]
        moved = moved_ids(organs.ids[grown.box], displacement)
        ids[grown.box][displacement.moved] = moved[displacement.moved]
        if trees is not None:
            trees[grown.box] = moved_ids(trees[grown.box], displacement)
    box = painted_box(plan, grown, host)
    within = tuple(slice(b.start - c.start, b.stop - c.start) for b, c in zip(box, grown.box, strict=True))
    body = Grown(box, grown.mask[within], grown.share[within], grown.depth[within])
    painted = paint(plan, body, crop[within], host.spacing, noise)
    drawn = _redrawn(hu, body, painted, redraw, plan, host.spacing, noise)
    hu[box][body.share > 0] = _as_stored(drawn)[body.share > 0]
    if trees is not None:
        trees[grown.box][grown.mask] = 0
    if plan.pools:
        ids[grown.box][grown.mask] = 0  # fluid is no lung


def _as_stored(hu: np.ndarray) -> np.ndarray:
    return np.rint(hu).clip(HU_MIN, HU_MAX).astype(np.int16)


def _redrawn(
    hu: np.ndarray,
    body: Grown,
    painted: np.ndarray,
    redraw: Redraw,
    plan: LesionPlan,
    spacing: np.ndarray,
    noise: NoiseModel,
) -> np.ndarray:
    """The painted lesion with its detail redrawn, both (x, y, z) HU on its box; `hu` (X, Y, Z) lies round it."""
    if redraw is keep_painted:
        return painted
    crop, padding = _even_crop(body.box, hu.shape, getattr(redraw, "context", _CONTEXT))
    around = hu[crop].astype(np.float32)
    where = np.zeros(around.shape, bool)
    inner = tuple(slice(b.start - c.start, b.stop - c.start) for b, c in zip(body.box, crop, strict=True))
    around[inner] = painted
    where[inner] = body.share > 0
    around, where = np.pad(around, padding, mode="edge"), np.pad(where, padding)
    drawn = redraw(around, where, spacing, int(plan.generator("redraw").integers(2**31)))
    if not np.isfinite(drawn).all():
        raise ValueError(f"{plan.name}: redraw returned values that are not finite")
    return joined(around, drawn, where, spacing, noise, plan.generator("lacking"))[inner]


def _even_crop(box: Box, shape: tuple[int, ...], context: int) -> tuple[Box, list[tuple[int, int]]]:
    """The box with context, from an even start, and the padding at its end that makes its sizes even."""
    starts = [max(s.start - context, 0) // 2 * 2 for s in box]
    stops = [min(s.stop + context, n) for s, n in zip(box, shape, strict=True)]
    i, j, k = (slice(a, b) for a, b in zip(starts, stops, strict=True))
    return (i, j, k), [(0, (b - a) % 2) for a, b in zip(starts, stops, strict=True)]
