"""Volumes made ready for a study that come with a tumour's outline and nothing else: one spacing, and a tissue map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import ndimage

from evals.volumes import ReadVolume
from synth.volumes import labels
from synth.volumes.types import LabelMap

MUSCLE, BONE = "gluteus_maximus_left", "femur_left"  # names that lesion types know muscle and bone by
_MUSCLE_HU = (10.0, 130.0)  # on 5 mm; fat streaks within muscle pass a lower limit and would count as noise
_SEEN_MM = 5.0
_BONE_HU = 200.0
_AERATED_HU = -500.0
_LEAST_ML = 10.0  # smaller pieces are skin, vessels and the table
_FWHM = 2.355  # of a Gaussian, in SD


def resampled(subject: ReadVolume, spacing: float) -> ReadVolume:
    """On an isotropic grid of `spacing` mm over the same box, blurred first so that a voxel is the mean of its place.

    HU are interpolated linearly; a voxel takes the label that fills most of it.
    """
    factor = spacing / subject.spacing
    hu = np.rint(_shrunk(subject.hu.astype(np.float32), factor)).astype(subject.hu.dtype)
    affine = subject.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ ((factor - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * factor
    organs = subject.organs
    if organs is not None:
        organs = LabelMap(_shrunk_ids(organs.ids, factor), affine, organs.names)
    lesions = None if subject.lesions is None else _shrunk_ids(subject.lesions.astype(np.uint8), factor) > 0
    return replace(subject, hu=hu, affine=affine, organs=organs, lesions=lesions)


def _shrunk(array: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """(X, Y, Z) float32 on voxels `factor` times as large."""
    blurred = ndimage.gaussian_filter(array, np.sqrt(np.maximum(factor**2 - 1, 0)) / _FWHM, mode="nearest")
    shape = tuple(max(1, int(n / f + 1e-6)) for n, f in zip(array.shape, factor, strict=True))
    out: np.ndarray = ndimage.affine_transform(blurred, factor, (factor - 1) / 2, shape, order=1, mode="nearest")
    return out


def _shrunk_ids(ids: np.ndarray, factor: np.ndarray) -> np.ndarray:
    present = np.unique(ids)
    shares = np.stack([_shrunk((ids == number).astype(np.float32), factor) for number in present])
    return present[shares.argmax(axis=0)].astype(ids.dtype)


def with_tissue(subject: ReadVolume) -> ReadVolume:
    """With muscle and bone told by their HU, where nothing is labelled; under one name each, whatever the body part.

    Muscle is soft tissue of `_MUSCLE_HU`, seen `_SEEN_MM` wide, without its thin sheets (skin, fasciae, the rim of
    bone), and may hold vessels and nerves; bone is what is denser than `_BONE_HU`, with its marrow. A labelled tumour
    is neither.
    """
    assert subject.organs is not None
    hu, ids = subject.hu, subject.organs.ids
    closed = ndimage.binary_closing(np.pad(hu >= _BONE_HU, 1, mode="edge"))[1:-1, 1:-1, 1:-1]  # to the very border
    bone = _large(_filled(closed), subject)
    wide = np.sqrt(np.maximum(_SEEN_MM**2 - subject.spacing**2, 0)) / subject.spacing
    seen = ndimage.gaussian_filter(hu.astype(np.float32), wide / _FWHM, mode="nearest")
    soft = ndimage.binary_opening((seen > _MUSCLE_HU[0]) & (seen < _MUSCLE_HU[1]) & ~bone)
    names: Mapping[int, str] = subject.organs.names
    free = ids == 0
    numbers = labels.ids()
    out = ids.astype(np.uint8)
    out[_large(soft & free, subject)] = numbers[MUSCLE]
    out[bone & free] = numbers[BONE]
    added = {numbers[MUSCLE]: MUSCLE, numbers[BONE]: BONE}
    if clash := sorted(set(added) & set(names)):
        raise ValueError(f"label id {clash[0]} is taken")
    return replace(subject, organs=LabelMap(out, subject.affine, {**names, **added}))


def with_lung(subject: ReadVolume) -> ReadVolume:
    """With aerated lung told by its HU, where nothing is labelled: for crops that show lung and no air outside."""
    assert subject.organs is not None
    ids = subject.organs.ids.astype(np.uint8)
    number = next(n for n in range(254, 0, -1) if n not in subject.organs.names)
    ids[_large(subject.hu < _AERATED_HU, subject) & (ids == 0)] = number
    return replace(subject, organs=LabelMap(ids, subject.affine, {**subject.organs.names, number: "lung"}))


def _filled(mask: np.ndarray) -> np.ndarray:
    """Holes filled slice by slice along z."""
    return np.stack([ndimage.binary_fill_holes(mask[:, :, k]) for k in range(mask.shape[2])], axis=2)


def _large(mask: np.ndarray, subject: ReadVolume) -> np.ndarray:
    """The pieces of `_LEAST_ML` or more."""
    pieces, _ = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel()) * float(np.prod(subject.spacing)) / 1000
    keep = sizes >= _LEAST_ML
    keep[0] = False
    found: np.ndarray = keep[pieces]
    return found
