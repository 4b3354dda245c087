"""Emboli in arteries of the lungs: clots that fill all of the lumen over some length, or leave a rim of contrast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from prompts.vocabulary import Side
from synth.errors import InputError
from synth.lesions.changed import Changed, mixed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import smoothstep
from synth.lesions.lung_space import bounding
from synth.report import location
from synth.report.lobes import nearest_lobe, with_lobes
from synth.report.noise import NoiseModel
from synth.volumes import labels
from synth.volumes.types import LabelMap, Volume

ARTERIES = "lung_arteries"
_BRIGHT_HU = 150.0  # of blood in the arteries: below, a clot hardly shows
_WIDEST = 0.6  # of the widest place: where blood is measured, for narrow arteries are half lung
_SPARED, _SOFT = 0.15, 0.15  # of the radius: about the border of a clot
_TAPER_MM = 4.0
_NARROWER = 0.6  # of the widest artery of a part, where none is as wide as planned
_APART = 1.2  # of the length of two clots
_ABOUT_MM, _LUNG_SHARE = 6.0, 0.6  # of what lies about an artery in the lung
_CLOT = 0.5  # share from which a voxel is clot


def with_arteries(organs: LabelMap, trees: np.ndarray | None) -> LabelMap:
    """The label map with the arteries of trees (X, Y, Z), ids of labels.csv, where it has none of its own."""
    number = labels.ids()[ARTERIES]
    if trees is None or ARTERIES in organs.names.values():
        return organs
    ids = np.where(trees == number, number, organs.ids).astype(organs.ids.dtype)
    return LabelMap(ids, organs.affine, {**organs.names, number: ARTERIES})


def embolism(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """As many clots as planned, in arteries of the planned lobes, the widest first; in enhanced CT alone."""
    arteries = organs.mask(ARTERIES)
    whole = bounding(arteries)
    if whole is None:
        raise InputError(
            f"pulmonary embolism: the label map has no {ARTERIES}; label the arteries of the lungs, or let "
            "`synthct generate` draw the chest"
        )
    if plan.phase == "native":
        raise InputError("pulmonary embolism: without contrast it does not show; ask for a CT with contrast")
    box = location.grown(whole, host.hu.shape, host.spacing, 4.0)
    inside, hu = arteries[box], np.ascontiguousarray(host.hu[box], np.float32)
    width = ndimage.distance_transform_edt(inside, sampling=host.spacing).astype(np.float32)
    blood = float(np.median(hu[inside & (width >= _WIDEST * width.max())]))
    if blood < _BRIGHT_HU:
        raise InputError(
            f"pulmonary embolism: blood in the arteries has {blood:.0f} HU, and a clot shows from {_BRIGHT_HU:.0f}; "
            "ask for an arterial phase"
        )
    organs = with_lobes(organs)
    lobe, names = nearest_lobe(organs, box)
    wanted = [i for i, name in names.items() if name in plan.structures]
    allowed = np.isin(lobe, wanted) & _within_lung(organs.ids[box], names, inside, host.spacing)
    left = np.isin(lobe, [i for i, name in names.items() if name.endswith("_left")])
    share = np.zeros(inside.shape, np.float32)
    for centre, long_mm in _places(plan, allowed, width, left, host.spacing):
        share = np.maximum(share, _clot(plan, inside, width, centre, long_mm, host.spacing))
    clot = np.minimum(hu, plan.numbers["clot_hu"])  # contrast gives way; lung in half-filled voxels stays
    mask = (share > _CLOT) & (hu > clot)
    if not mask.any():
        raise InputError(
            "pulmonary embolism: no artery of these parts is wide enough for its pixels; ask for it elsewhere"
        )
    return mixed(plan, box, hu, clot, share, mask, noise)


def _within_lung(ids: np.ndarray, lobes: Iterable[int], arteries: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Voxels of arteries (x, y, z) with more lung than other tissue about them: beyond the hilum."""
    sigma = _ABOUT_MM / spacing
    lung = ndimage.gaussian_filter((np.isin(ids, list(lobes)) & ~arteries).astype(np.float32), sigma)
    other = ndimage.gaussian_filter((~arteries).astype(np.float32), sigma)
    return np.asarray(arteries & (lung > _LUNG_SHARE * other))


def _places(
    plan: ExtentPlan, allowed: np.ndarray, width: np.ndarray, left: np.ndarray, spacing: np.ndarray
) -> list[tuple[np.ndarray, float]]:
    """Voxels (3,) in arteries and lengths in mm, apart from each other; on both sides by turns where asked."""
    if not allowed.any():
        raise InputError(f"pulmonary embolism: no arteries in {' or '.join(plan.structures)}; ask for it elsewhere")
    rng = plan.generator("places")
    least = min(plan.numbers["radius_mm"], _NARROWER * float(width[allowed].max()))
    free = np.argwhere(allowed & (width >= least))
    free = free[rng.permutation(len(free))]
    on_left = left[tuple(free.T)]
    both = plan.asked is not None and plan.asked.side is Side.BILATERAL
    found: list[tuple[np.ndarray, float]] = []
    for number in range(max(round(plan.amount), 2 if both else 1)):
        long_mm = float(rng.uniform(0.6, 1.0)) * plan.numbers["long_mm"]
        here = free[on_left == (number % 2 == 1)] if both else free
        place = next((voxel for voxel in here if _is_apart(voxel, found, long_mm, spacing)), None)
        if place is not None:
            found.append((place, long_mm))
    return found


def _is_apart(
    voxel: np.ndarray, others: Sequence[tuple[np.ndarray, float]], long_mm: float, spacing: np.ndarray
) -> bool:
    return all(
        float(np.linalg.norm((voxel - other) * spacing)) > _APART * (long_mm + length) / 2 for other, length in others
    )


def _clot(
    plan: ExtentPlan, inside: np.ndarray, width: np.ndarray, centre: np.ndarray, long_mm: float, spacing: np.ndarray
) -> np.ndarray:
    """How much of each voxel of the crop is a clot about a voxel: the piece of artery within half its length."""
    reach = np.ceil(long_mm / 2 / spacing).astype(int) + 1
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, inside.shape)
    near = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    away = np.linalg.norm((np.moveaxis(np.indices(high - low), 0, -1) + low - centre) * spacing, axis=-1)
    pieces, _ = ndimage.label(inside[near] & (away <= long_mm / 2), np.ones((3, 3, 3)))
    piece = pieces == pieces[tuple(centre - low)]
    widest = ndimage.maximum_filter(np.where(piece, width[near], 0), size=5)
    relative = np.where(piece, width[near] / np.maximum(widest, 1e-3), 0)
    spared = 1 - plan.numbers["fill"]
    across = smoothstep(relative, spared - _SPARED, spared + _SOFT)
    share = np.zeros(inside.shape, np.float32)
    share[near] = piece * across * smoothstep(long_mm / 2 - away, 0.0, _TAPER_MM)
    return share
