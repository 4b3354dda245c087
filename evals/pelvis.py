"""A real pelvis with its bladder: no scan at hand has one labelled, and one shows it so plainly that HU tell it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.volumes import labels, nifti
from synth.volumes.types import LabelMap, Volume

_NAME = "urinary_bladder"
_SLICES = slice(13, 64)  # below them a hip prosthesis streaks through bladder and prostate
_TOP = 18  # of those kept: the bladder's dome
_INSIDE = (60, 50, 5)  # a voxel of the urine, after the cut
_URINE_HU = (-25.0, 28.0)  # of CT smoothed by a voxel; its 2,300 middle voxels are 12 HU, SD 13
_OPENING = 3  # voxels: parts it from bowel and vessels of like HU


def read_pelvis(path: Path) -> tuple[Volume, LabelMap]:
    """CT of `totalseg_example_ct` above its hip prosthesis, HU (122, 101, 51), and its bladder of some 400 mL.

    Raises InputError where that voxel is not in urine: another scan.
    """
    whole = nifti.read_volume(path)
    hu = whole.hu[..., _SLICES]
    affine = whole.affine.copy()
    affine[:3, 3] += affine[:3, 2] * _SLICES.start
    bladder = _grown(hu)
    if not bladder.any():
        raise InputError(f"{path}: no urine where its bladder was; hand over torso/totalseg_example_ct")
    number = labels.ids()[_NAME]
    return Volume(hu, affine), LabelMap((bladder * number).astype(np.uint8), affine, {number: _NAME})


def _grown(hu: np.ndarray) -> np.ndarray:
    """The mask (as `hu`) of what hangs together with `_INSIDE` by HU, opened and its gaps filled."""
    if any(i >= n for i, n in zip(_INSIDE, hu.shape, strict=True)):
        return np.zeros(hu.shape, bool)
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), 1.0)
    urine = (smooth > _URINE_HU[0]) & (smooth < _URINE_HU[1])
    urine[..., _TOP:] = False
    grid = np.indices((2 * _OPENING + 1,) * 3) - _OPENING
    ball = (grid**2).sum(axis=0) <= _OPENING**2
    # Opened and closed as if it went on below the cut, which would shave it there otherwise.
    below = ((0, 0), (0, 0), (2 * _OPENING, 0))
    parts, _ = ndimage.label(ndimage.binary_opening(np.pad(urine, below, mode="edge"), ball))
    inside = parts[_INSIDE[0], _INSIDE[1], _INSIDE[2] + 2 * _OPENING]
    grown = ndimage.binary_closing(parts == inside, ball) if inside else np.zeros(parts.shape, bool)
    return np.asarray(ndimage.binary_fill_holes(grown))[..., 2 * _OPENING :]
