"""A CT series on disk -> HU and affine: single slices or one enhanced multi-frame file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synth.errors import InputError
from synth.volumes import ct_likeness
from synth.volumes.types import HU_MIN, Volume

if TYPE_CHECKING:
    from synth.volumes.dicom_files import Image

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_FARTHEST = 1e5  # HU: beyond what any padding or metal reads
_REMEDY = "export the series again, uncompressed and whole, or convert it to NIfTI"

logger = logging.getLogger(__name__)


def read_series(folder: Path) -> Volume:
    """The one CT series of a folder: int16 HU (columns, rows, slices) and its affine in RAS mm.

    Files that are not DICOM, other modalities and localizers are passed over; equal doubles and padding are told in a
    note. Raises InputError where there is no CT or more than one, where slices are missing, tilted, unevenly spaced or
    of two phases, where a tag is missing or no number, and for numbers that are no HU.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise InputError(f"{folder}: DICOM needs two more packages; pip install 'synthct[dicom]'") from error
    from synth.volumes.dicom_files import ENHANCED, one_series
    from synth.volumes.stack import stacked

    images = one_series(folder)
    try:
        if images[0].dataset.get("SOPClassUID") in ENHANCED:
            hu, affine, names = _frames(images)
        else:
            stack = stacked(images)
            hu = np.stack([_hu_of(image).T for image in stack.images], axis=-1)
            affine, names = stack.affine, [image.name for image in stack.images]
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error
    _tell_padding(hu, folder)
    seen = np.nan_to_num(hu, nan=HU_MIN)
    ct_likeness.require_ct(seen, str(folder))
    if (odd := ct_likeness.odd_slice(seen.clip(-4096, 8192), 2)) is not None:
        raise InputError(f"{folder}: {names[odd[0]]}: {odd[1]}; export the series again")
    return Volume(ct_likeness.as_hu(seen, str(folder)), _LPS_TO_RAS @ affine)


def _frames(images: list[Image]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """HU (columns, rows, frames) with NaN for padding, LPS affine and names of the frames of an enhanced CT."""
    import highdicom

    if len(images) > 1:
        raise InputError(f"{len(images)} enhanced multi-frame files, {images[0].name} first; hand over one of them")
    (image,) = images
    try:
        volume = highdicom.imread(image.path).get_volume(apply_modality_transform=True, dtype=np.float64)
        stored = highdicom.imread(image.path).get_volume(apply_modality_transform=False, dtype=np.float64)
    except Exception as error:  # highdicom says in many kinds what a file lacks
        why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"{image.name}: its frames make no volume ({why}); {_REMEDY}") from error
    hu = _finite(np.where(_padding(stored.array, image), np.nan, volume.array), image, stored.array)
    affine = volume.affine[:, [2, 1, 0, 3]]
    return np.ascontiguousarray(hu.transpose(2, 1, 0)), affine, [f"{image.name} frame {n + 1}" for n in range(len(hu))]


def _hu_of(image: Image) -> np.ndarray:
    """HU (rows, columns) of one slice as float32, NaN where the scanner saw nothing."""
    from synth.volumes.stack import numbers

    (slope,), (intercept,) = numbers(image, "RescaleSlope", 1), numbers(image, "RescaleIntercept", 1)
    try:
        stored = image.dataset.pixel_array
    except Exception as error:  # decoders say in many kinds what they lack
        why = " ".join(str(error).split()).rstrip(".")[:120] or type(error).__name__
        raise InputError(f"{image.name}: its pixels cannot be read ({why}); {_REMEDY}") from error
    if stored.ndim != 2:
        raise InputError(f"{image.name}: its pixels have {stored.ndim} axes; a slice of CT has 2; {_REMEDY}")
    hu = stored.astype(np.float64) * slope + intercept
    return _finite(np.where(_padding(stored, image), np.nan, hu), image, stored).astype(np.float32)


def _finite(hu: np.ndarray, image: Image, stored: np.ndarray) -> np.ndarray:
    seen = hu[~_padding(stored, image)]
    if not (np.abs(seen) < _FARTHEST).all():  # NaN is not below it either
        slope, intercept = (image.dataset.get(tag) for tag in ("RescaleSlope", "RescaleIntercept"))
        raise InputError(
            f"{image.name}: up to {seen.max():.3g} is no HU (RescaleSlope {slope}, RescaleIntercept {intercept}); "
            "export the series again"
        )
    return hu


def _padding(stored: np.ndarray, image: Image) -> np.ndarray:
    """Where stored numbers are PixelPaddingValue, or between it and PixelPaddingRangeLimit (PS3.3 C.7.5.1.1.2).

    The value is compared modulo 16 bits: many scanners write it without the sign that their pixels have.
    """
    value = image.dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(stored.shape, bool)
    limit = image.dataset.get("PixelPaddingRangeLimit")
    if isinstance(limit, int) and limit != value:
        return (stored >= min(value, limit)) & (stored <= max(value, limit))
    return np.asarray(stored.astype(np.int64) % 2**16 == value % 2**16)


def _tell_padding(hu: np.ndarray, folder: Path) -> None:
    if share := float(np.isnan(hu).mean()):
        logger.warning("%s: %.1f%% of the voxels are padding and are read as %d HU", folder, 100 * share, HU_MIN)
