"""Single slices of CT -> one grid. What keeps them from one is named: the number, the unit and the file.

Rows and columns follow PS3.3 C.7.6.2: ImageOrientationPatient holds the direction of a row, then of a column, in LPS;
PixelSpacing the distance of rows, then of columns.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset

from synth.errors import InputError
from synth.volumes.dicom_files import Image

_SAME_MM = 0.01  # two positions that differ by less are one
_UNEVEN_MM, _UNEVEN_SHARE = 0.12, 0.2  # off an even grid: positions rounded to 0.1 mm, but no more of the spacing
_ASIDE_MM = 0.2  # off the straight line across the slices
_SQUARE = 1e-3  # largest cosine between rows and columns, and a direction's error in length
_ALIKE = 1e-4  # directions and spacings that slices share

_SHARED = ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "PhotometricInterpretation")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stack:
    """Slices in order along their normal, and the affine (4, 4) from (column, row, slice) to LPS mm."""

    images: tuple[Image, ...]
    affine: np.ndarray


def stacked(images: Sequence[Image]) -> Stack:
    """The grid of single slices. Raises InputError where they make none; equal doubles are dropped with a note."""
    for image in images:
        _require_tags(image)
    _require_alike(images)
    across = np.asarray(images[0].dataset.ImageOrientationPatient, float)
    row, column = across[:3], across[3:]
    normal = np.cross(row, column)
    places = np.array([np.asarray(image.dataset.ImagePositionPatient, float) for image in images])
    order = np.argsort(places @ normal, kind="stable")
    kept = _without_doubles([images[i] for i in order], places[order] @ normal)
    if len(kept) < 2:
        raise InputError(f"{images[0].name} is a single slice; hand over the whole series")
    places = np.array([np.asarray(image.dataset.ImagePositionPatient, float) for image in kept])
    spacing = _even_spacing(kept, places @ normal)
    _require_straight(kept, places, normal)
    rows, columns = (float(mm) for mm in images[0].dataset.PixelSpacing)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([row * columns, column * rows, normal * spacing], axis=1)
    affine[:3, 3] = places[0]
    return Stack(tuple(kept), affine)


def numbers(image: Image, tag: str, count: int) -> np.ndarray:
    """So many finite numbers of a tag, (count,). Raises InputError naming file and tag."""
    value: Any = image.dataset.get(tag)
    if value is None or value == "":
        raise InputError(f"{image.name} has no {tag}; export the series again with all its tags")
    try:
        found = np.asarray(value, float).ravel()
    except (TypeError, ValueError):
        found = np.array([np.nan])
    if len(found) != count or not np.isfinite(found).all():
        raise InputError(f"{image.name}: {tag} is {_shown(value)}, not {count} numbers; export the series again")
    return found


def _shown(value: Any) -> str:
    return str(value).replace("\n", " ")[:60]


def _require_tags(image: Image) -> None:
    numbers(image, "ImagePositionPatient", 3)
    direction = numbers(image, "ImageOrientationPatient", 6).reshape(2, 3)
    if not np.allclose(direction @ direction.T, np.eye(2), atol=_SQUARE):
        raise InputError(f"{image.name}: its rows and columns are not at right angles ({_shown(direction.ravel())})")
    if numbers(image, "PixelSpacing", 2).min() <= 0:
        raise InputError(f"{image.name}: PixelSpacing {image.dataset.PixelSpacing}; it is mm above 0")
    if image.dataset.get("PhotometricInterpretation") != "MONOCHROME2":
        shown = image.dataset.get("PhotometricInterpretation", "missing")
        raise InputError(f"{image.name}: PhotometricInterpretation {shown}; CT is MONOCHROME2, export the series again")


def _require_alike(images: Sequence[Image]) -> None:
    """InputError where one slice has another size, spacing or direction than most."""
    for tag in _SHARED:
        values = [_rounded(image.dataset.get(tag)) for image in images]
        usual = max(set(values), key=values.count)
        if odd := [image for image, value in zip(images, values, strict=True) if value != usual]:
            raise InputError(
                f"{odd[0].name}: {tag} is {_shown(odd[0].dataset.get(tag))} where most slices have {_shown(usual)} "
                f"({len(odd)} of {len(images)} differ); hand over slices of one reconstruction"
            )


def _rounded(value: Any) -> Any:
    if isinstance(value, (str, int)) or value is None:
        return value
    return tuple(float(round(float(v) / _ALIKE) * _ALIKE) for v in value)


def _without_doubles(images: Sequence[Image], along: np.ndarray) -> list[Image]:
    """One image a position; equal ones are dropped, others are refused."""
    kept: list[Image] = []
    at: list[float] = []
    dropped: list[str] = []
    several = 0
    differing: tuple[Image, Image] | None = None
    for image, place in zip(images, along, strict=True):
        if not at or place - at[-1] > _SAME_MM:
            kept.append(image)
            at.append(float(place))
        elif _same_picture(kept[-1].dataset, image.dataset):
            dropped.append(image.name)
        else:
            several += 1
            differing = differing or (kept[-1], image)
    if differing is not None:
        raise InputError(_two_at_one_place(differing, several, len(kept)))
    if dropped:
        logger.warning("%d files are doubles of others and left aside: %s", len(dropped), ", ".join(dropped[:3]))
    _require_own_uids(kept)
    return kept


def _same_picture(one: Dataset, other: Dataset) -> bool:
    return bool(
        one.PixelData == other.PixelData
        and all(one.get(tag) == other.get(tag) for tag in ("RescaleSlope", "RescaleIntercept"))
    )


def _two_at_one_place(pair: tuple[Image, Image], several: int, places: int) -> str:
    one, other = (image.dataset for image in pair)
    tags = ("AcquisitionNumber", "TemporalPositionIndex", "AcquisitionTime", "ContrastBolusAgent", "ConvolutionKernel")
    said = [f"{tag} {one.get(tag)} and {other.get(tag)}" for tag in tags if one.get(tag) != other.get(tag)]
    what = f"{several} of {places} positions hold two different images, as {pair[0].name} and {pair[1].name}"
    why = f" ({said[0]})" if said else ""
    return f"{what}{why}: two phases or reconstructions; hand over a folder with one of them"


def _require_own_uids(images: Sequence[Image]) -> None:
    seen: dict[str, Image] = {}
    for image in images:
        uid = str(image.dataset.get("SOPInstanceUID", image.path))
        if uid in seen:
            raise InputError(f"{seen[uid].name} and {image.name} share one SOPInstanceUID; export the series again")
        seen[uid] = image


def _even_spacing(images: Sequence[Image], along: np.ndarray) -> float:
    """The distance of slices in mm. InputError where slices are missing or their distances are unequal."""
    steps = np.diff(along)
    usual = float(np.median(steps))
    allowed = min(_UNEVEN_MM, _UNEVEN_SHARE * usual)
    missing = np.rint(steps / usual).astype(int) - 1
    if (missing > 0).any() and np.abs(steps - (missing + 1) * usual).max() <= 2 * allowed:
        at = int(np.argmax(missing > 0))
        number, one, other = int(missing.clip(0).sum()), images[at].name, images[at + 1].name
        raise InputError(
            f"{number} {'slice is' if number == 1 else 'slices are'} missing, the first after {one}: the next, "
            f"{other}, is {steps[at]:.4g} mm on where others are {usual:.4g} mm apart; export the series again, whole"
        )
    spacing = float((along[-1] - along[0]) / (len(along) - 1))
    off = np.abs(along - (along[0] + spacing * np.arange(len(along))))
    if off.max() > allowed and np.abs(steps - usual).max() > allowed:
        worst = int(np.argmax(np.abs(steps - usual)))
        raise InputError(
            f"slices are unevenly spaced: {images[worst].name} and {images[worst + 1].name} are {steps[worst]:.4g} mm "
            f"apart where most are {usual:.4g} mm; hand over slices of one reconstruction, or resample to even ones"
        )
    return spacing


def _require_straight(images: Sequence[Image], places: np.ndarray, normal: np.ndarray) -> None:
    """InputError where slices do not lie straight above one another: gantry tilt, or one that is moved."""
    along = (places - places[0]) @ normal
    aside = places - places[0] - along[:, None] * normal
    slope = (along @ aside) / float(along @ along)
    left = np.linalg.norm(aside - along[:, None] * slope, axis=1)
    drift = np.linalg.norm(slope) * float(along[-1])
    if drift > max(_ASIDE_MM, 3 * float(np.median(left))):
        degrees = float(np.degrees(np.arctan(np.linalg.norm(slope))))
        raise InputError(
            f"the gantry is tilted by {degrees:.1f} degrees: slices shift by {drift:.1f} mm from {images[0].name} to "
            f"{images[-1].name}; dcm2niix writes a straightened file (its name ends in _Tilt), hand that over"
        )
    aside = aside - np.median(aside, axis=0)
    if (worst := np.linalg.norm(aside, axis=1)).max() > _ASIDE_MM:
        at = int(worst.argmax())
        raise InputError(f"{images[at].name} lies {worst[at]:.2g} mm beside the other slices; export the series again")
