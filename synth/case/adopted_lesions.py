"""Lesions of a volume that is adopted: one id a body, named as the report measures them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import numpy as np
from scipy import ndimage

from prompts.vocabulary import EXTENT_KINDS, KIND_ORGANS, FindingKind, Organ, structures_of
from synth.errors import InputError
from synth.lesions.lesion_plan import MAX_LESIONS
from synth.provenance import Check
from synth.report.location import boxes, grown
from synth.volumes.geometry import voxel_spacing
from synth.volumes.labels import is_lesion_name
from synth.volumes.types import LabelMap, Volume

_FEWEST = 5  # voxels: fewer are a speck
_TOUCHING = np.ones((3, 3, 3), bool)
_NEAR_MM = 10.0  # a body that lies farther from its organ is none of it
_NEARBY_MM = 30.0  # how far its organ is looked for

logger = logging.getLogger(__name__)


def require_lesion_names(names: Mapping[int, str], option: str = "--lesion-ids") -> None:
    """Raise InputError where an id is called anything but an organ and a finding."""
    for number, name in names.items():
        if not is_lesion_name(name):
            raise InputError(f"{option}: {number}={name}: is no finding; write organ and kind, as in 1=lung_nodule")


def lesion_map(parts: Mapping[str, np.ndarray], ct: Volume, what: str) -> LabelMap:
    """The lesions of masks (X, Y, Z) by name, `lung_nodule`: each body that touches no other has an id of its own.

    A finding that is told by its extent has one id however many parts it has. Raises InputError for more than ids hold.
    """
    ids, specks = np.zeros(ct.hu.shape, np.uint8), 0
    names: dict[int, str] = {}
    for name, mask in parts.items():
        for part in _bodies(mask, name):
            if (size := int(part.sum())) < _FEWEST:
                specks += size
                continue
            number = len(names) + 1
            if number > MAX_LESIONS:
                raise InputError(f"{what}: more than {MAX_LESIONS} lesions; is this a map of lesions?")
            ids[part & (ids == 0)] = number
            names[number] = f"{_mask_name(name)}_{number}"
    if specks:
        logger.warning("%s: %d voxels in specks of fewer than %d are left out", what, specks, _FEWEST)
    return LabelMap(ids, ct.affine, names)


def without_lesions(organs: LabelMap) -> tuple[LabelMap, dict[str, np.ndarray]]:
    """A label map whose lesions are organ again, and the masks of these by name.

    A voxel of a lesion gets the nearest label of its organ, none where there is none about.
    """
    found = {number: name for number, name in organs.names.items() if is_lesion_name(name)}
    masks = {name: organs.mask(name) for name in dict.fromkeys(found.values())}
    ids = organs.ids.copy()
    for name, mask in masks.items():
        hosts = [n for n, organ in organs.names.items() if organ in structures_of(_organ(name))]
        for box in boxes(mask.astype(np.uint8)).values():
            wide = grown(box, mask.shape, voxel_spacing(organs.affine), _NEARBY_MM)
            labelled, own = np.isin(organs.ids[wide], hosts), mask[wide]
            ids[wide][own] = organs.ids[wide][_nearest(labelled)][own] if labelled.any() else 0
    names = {number: name for number, name in organs.names.items() if number not in found}
    return LabelMap(ids, organs.affine, names), masks


def place_checks(lesions: LabelMap, organs: LabelMap, spacing: np.ndarray) -> Iterator[Check]:
    """How far each body lies from the organ of its name, mm; none where that organ has no label."""
    for number, box in boxes(lesions.ids).items():
        name = lesions.names[number]
        hosts = [n for n, organ in organs.names.items() if organ in structures_of(_organ(name))]
        if not hosts or not np.isin(organs.ids, hosts).any():
            continue
        wide = grown(box, lesions.ids.shape, spacing, _NEARBY_MM)
        there, body = np.isin(organs.ids[wide], hosts), lesions.ids[wide] == number
        apart = _NEARBY_MM if not there.any() else float(_distance(there, spacing)[body].min())
        yield Check(f"{name}_from_its_organ_mm", round(apart, 2), 0.0, _NEAR_MM)


def _bodies(mask: np.ndarray, name: str) -> Iterator[np.ndarray]:
    if _kind(name) in EXTENT_KINDS:
        yield mask
        return
    parts, count = ndimage.label(mask, _TOUCHING)
    for number in range(1, count + 1):
        yield parts == number


def _mask_name(name: str) -> str:
    """What the report reads a mask as: a finding that is told by its extent is called by its kind alone."""
    kind = _kind(name)
    return kind.replace(" ", "_").replace("-", "_") if kind in EXTENT_KINDS else name


def _kind(name: str) -> FindingKind:
    organ = _organ(name)
    return next(k for k in FindingKind if _written(f"{organ.value}_{k.value}") == name)


def _organ(name: str) -> Organ:
    """The organ of `lung_nodule`, or of `ground_glass_opacity_1`."""
    base = name.rstrip("0123456789").rstrip("_")
    for organ in Organ:
        if any(_written(f"{organ.value}_{kind.value}") == base for kind in FindingKind):
            return organ
    return next(KIND_ORGANS[kind][0] for kind in FindingKind if _written(kind.value) == base)


def _written(words: str) -> str:
    return words.replace(" ", "_").replace("-", "_")


def _nearest(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Index arrays of the voxel of a mask that is nearest to each voxel."""
    return tuple(ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True))


def _distance(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing))
