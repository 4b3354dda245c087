"""Organ masks of a drawn torso: where the deformed atlas and the attenuation of the CT agree."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from synth.torso.atlas import BONES, LUNGS, SOFT
from synth.torso.fitting import FIT_MM, FITTED, fit, means, smoothed
from synth.torso.model import ATLAS_MM
from synth.volumes import labels

_BODY_HU, _AIR_HU, _BONE_HU, _MARROW_HU = -300, -400, 140, 90
_LEAST_PIECE = 4  # voxels
_CORD = (30.0, 25.0, 100.0)  # HU: mean, SD, and what is surely bone; a canal is too narrow to measure it in
_REACH_MM = {"lung": 14.0, "bone": 9.0, "soft": 8.0}  # how far registration may be off
_FAT, _SOFT_TISSUE = (-100.0, 35.0), (50.0, 40.0)  # HU mean and SD of what is round an organ
_PRIOR_MM = 4.0
_SMOOTH_MM = 2.5
_VESSELS, _PIECE_OF_VESSEL = ("aorta",), 0.2  # of its largest piece
_FISSURE_MM = 10.0  # over which it is smooth
_SURE_MM = 2.5  # over which voxels agree
_ORGAN_SD = 25.0  # HU, at least


def read_masks(hu: np.ndarray, atlas: np.ndarray, spacing: float) -> np.ndarray:
    """(X, Y, Z) uint8 ids of synth/volumes/labels.csv.

    Args:
        hu: (X, Y, Z) HU; atlas: (X, Y, Z) ids of the deformed atlas; spacing: mm.
    """
    out = np.zeros(hu.shape, np.uint8)
    body = _body(hu, spacing)
    best = np.full(hu.shape, -np.inf, np.float32)
    _soft(out, best, hu, atlas, spacing)
    _fitted(out, best, hu, atlas, spacing)
    air = _with_vessels((hu < _AIR_HU) & body, spacing)
    _nearest(out, air, atlas, (*LUNGS, "trachea"), _REACH_MM["lung"], spacing)
    _smooth_fissures(out, spacing)
    vertebrae = np.isin(atlas, [labels.ids()[n] for n in BONES if n.startswith("vertebrae_")])
    bone = ((hu > _BONE_HU) | ((hu > _MARROW_HU) & vertebrae)) & (out == 0)
    _nearest(out, _filled(bone) & (out == 0), atlas, BONES, _REACH_MM["bone"], spacing)
    return out


def _body(hu: np.ndarray, spacing: float) -> np.ndarray:
    """What lies within the skin, to 4 mm."""
    factor = max(1, round(FIT_MM / spacing))
    body = ndimage.binary_opening(means(hu, factor) > _BODY_HU, iterations=max(1, round(4 / (factor * spacing))))
    body = np.stack([ndimage.binary_fill_holes(body[..., z]) for z in range(body.shape[2])], axis=-1)
    return _repeated(body, factor)


def _repeated(coarse: np.ndarray, factor: int) -> np.ndarray:
    """Every voxel so many times along each axis."""
    for axis in range(3):
        coarse = coarse.repeat(factor, axis)
    return coarse


def _filled(bone: np.ndarray) -> np.ndarray:
    """Bone with its marrow, without single voxels."""
    closed = ndimage.binary_closing(bone)
    pieces, _ = ndimage.label(closed)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept: np.ndarray = (sizes >= _LEAST_PIECE)[pieces]
    return kept


def _with_vessels(air: np.ndarray, spacing: float) -> np.ndarray:
    """Lung with the vessels in it, which goes on where the field ends."""
    times = max(1, round(4 / spacing))
    wide = np.pad(air, 2 * times, mode="edge")
    for found in ndimage.find_objects(wide.astype(np.uint8)):  # one, or none
        box = tuple(slice(max(0, s.start - 2 * times), s.stop + 2 * times) for s in found)
        wide[box] = ndimage.binary_closing(wide[box], iterations=times)
    return wide[(slice(2 * times, -2 * times),) * 3]


def _smooth_fissures(out: np.ndarray, spacing: float) -> None:
    """Every voxel of the lungs to the lobe that has most of what is round it: fissures are no stairs of the atlas."""
    numbers = [labels.ids()[name] for name in LUNGS]
    inside = np.isin(out, numbers)
    found = ndimage.find_objects(inside.astype(np.uint8))
    if not found:
        return
    here, size = out[found[0]].copy(), 2 * round(_FISSURE_MM / 2 / spacing) + 1
    most = np.zeros(here.shape, np.float32)
    for number in numbers:
        share = ndimage.uniform_filter((here == number).astype(np.float32), size)
        more = inside[found[0]] & (share > most)
        out[found[0]][more] = number
        most[more] = share[more]


def _nearest(
    out: np.ndarray, mask: np.ndarray, atlas: np.ndarray, names: tuple[str, ...], reach: float, spacing: float
) -> None:
    """Give voxels of a mask their label of the names, or the nearest within `reach` mm, on the grid of the atlas."""
    wanted = np.zeros(256, bool)
    wanted[[labels.ids()[name] for name in names]] = True
    own = mask & wanted[atlas]
    out[own] = atlas[own]
    factor = max(1, round(ATLAS_MM / spacing))
    seeds = atlas[(slice(factor // 2, None, factor),) * 3]
    seeds = np.where(wanted[seeds], seeds, 0)
    found = ndimage.find_objects((seeds > 0).astype(np.uint8))
    if not found:
        return
    grow = math.ceil(reach / (factor * spacing))
    box = tuple(
        slice(max(0, s.start - grow), min(n, s.stop + grow)) for s, n in zip(found[0], seeds.shape, strict=True)
    )
    distance, index = ndimage.distance_transform_edt(seeds[box] == 0, return_indices=True)
    near = _repeated(np.where(distance * factor * spacing <= reach, seeds[box][tuple(index)], 0), factor)
    fine = tuple(slice(factor * s.start, factor * s.stop) for s in box)
    beside = mask[fine] & ~own[fine] & (near > 0)
    out[fine][beside] = near[beside]


def _fitted(out: np.ndarray, best: np.ndarray, hu: np.ndarray, atlas: np.ndarray, spacing: float) -> None:
    """Organs that are moved to where attenuation says that they are, each in its one piece."""
    factor = max(1, round(FIT_MM / spacing))
    coarse, boxes = means(hu, factor), ndimage.find_objects(atlas)
    for name in FITTED:
        number = labels.ids()[name]
        if number > len(boxes) or boxes[number - 1] is None:
            continue
        organ = fit(coarse, _pooled(atlas, number, boxes[number - 1], factor), name, factor * spacing)
        if organ is None:
            continue
        organ = organ.finer(factor)
        here = smoothed(hu[organ.box], spacing)
        share = ndimage.gaussian_filter(1 / (1 + np.exp(-organ.odds(here))), _SURE_MM / spacing)
        mask = _one_piece(share > 0.5, name, spacing) & (here > organ.limits[0])
        rank = ndimage.gaussian_filter(organ.rank(here), _SURE_MM / spacing)
        better = mask & (rank > best[organ.box])
        out[organ.box][better] = number
        best[organ.box][better] = rank[better]


def _pooled(atlas: np.ndarray, number: int, box: tuple[slice, ...], factor: int) -> np.ndarray:
    """(X, Y, Z) bool of blocks of voxels: whether half of them have a number that lies in a box."""
    blocks = tuple(slice(s.start // factor, -(-s.stop // factor)) for s in box)
    here = atlas[tuple(slice(factor * s.start, factor * s.stop) for s in blocks)] == number
    out = np.zeros([n // factor for n in atlas.shape], bool)
    out[blocks] = means(here, factor) >= 0.5
    return out


def _one_piece(mask: np.ndarray, name: str, spacing: float) -> np.ndarray:
    """An organ without bridges to its neighbours and without pinholes; a vessel may be in pieces."""
    times = max(1, round(FIT_MM / spacing))
    opened = mask if name in _VESSELS else ndimage.binary_opening(mask, iterations=times)
    pieces, count = ndimage.label(opened)
    if count == 0:
        return mask & False
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    least = _PIECE_OF_VESSEL * sizes.max() if name in _VESSELS else sizes.max()
    kept = np.pad((sizes >= least)[pieces], times + 1)
    closed: np.ndarray = ndimage.binary_closing(kept, iterations=times)[(slice(times + 1, -times - 1),) * 3]
    return closed


def _soft(out: np.ndarray, best: np.ndarray, hu: np.ndarray, atlas: np.ndarray, spacing: float) -> None:
    """Aorta, muscles, cord: prior from the blurred atlas times a Gaussian likelihood, against fat and other tissue."""
    for name in (n for n in SOFT if n not in FITTED):
        mask = atlas == labels.ids()[name]
        if not mask.any():
            continue
        grow = round(3 * _PRIOR_MM / spacing) + 1
        box = tuple(
            slice(max(0, s.start - grow), s.stop + grow) for s in ndimage.find_objects(mask.astype(np.uint8))[0]
        )
        prior = ndimage.gaussian_filter(mask[box].astype(np.float32), _PRIOR_MM / spacing)
        values = ndimage.gaussian_filter(hu[box].astype(np.float32), _SMOOTH_MM / spacing)
        core = values[(prior > 0.8) & (values > -30)]
        if core.size < 8:
            core = values[mask[box]]
        mean, sd = float(np.median(core)), max(_ORGAN_SD, 1.48 * float(np.median(np.abs(core - np.median(core)))))
        if name == "spinal_cord":
            mean, sd, bone = _CORD
            prior = np.where(hu[box] > bone, 0.0, prior)
        own = prior * _gauss(values, mean, sd)
        other = (1 - prior) * (0.5 * _gauss(values, *_FAT) + 0.5 * _gauss(values, *_SOFT_TISSUE) + 1e-5)
        posterior = np.where(values < _AIR_HU, 0.0, own / (own + other + 1e-12)).astype(np.float32)
        rank = np.log((own + 1e-12) / (1.001 - prior))
        better = (posterior > 0.5) & (rank > best[box])
        out[box][better] = labels.ids()[name]
        best[box][better] = rank[better]


def _gauss(values: np.ndarray, mean: float, sd: float) -> np.ndarray:
    return np.exp(-0.5 * ((values - mean) / sd) ** 2) / sd
