"""The organs that a peer draws a CT of: a label map of the user's, or a torso that we draw ourselves."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from synth.case.adopted_lesions import lesion_map, without_lesions
from synth.case.draft import Draft
from synth.case.order import Order
from synth.errors import InputError
from synth.peers.conditions import from_maisi, to_maisi
from synth.progress import Progress
from synth.provenance import Check
from synth.volumes import geometry, nifti
from synth.volumes.labels import MAISI_BODY, maisi_names
from synth.volumes.types import LabelMap, Volume

_BODY_HU = -300
_ALIGNED = 1e-3  # cosine that an axis may be off the patient's

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Organs:
    """Organs on the grid that is drawn, RAS: as the peer is told them, and as the case has them.

    ids: of MAISI, (X, Y, Z). labels: of our table. lesions: that the ids hold. inputs: role -> file; checks: that they
    passed, of organs that we drew; weights: role -> file of what drew them.
    """

    ids: np.ndarray
    labels: LabelMap
    lesions: LabelMap
    inputs: Mapping[str, Path] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    weights: Mapping[str, Path] = field(default_factory=dict)


def grid(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> np.ndarray:
    """(4, 4) RAS affine of a volume about the origin."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(size) - 1) / 2)
    return affine


def read_organs(path: Path, organ_ids: Mapping[int, str] | None) -> Organs:
    """A label map of the user's on its own grid, its axes turned to run as RAS; never resampled.

    `MAISI_BODY` marks the rest of the body in it, whatever its table. organ_ids: names of its ids, for instance
    `labels.maisi_names()`. Raises InputError where it marks no body, lies askew, or holds no organ that MAISI knows.
    """
    stored, affine = nifti.read_ids(path)
    ids, affine = geometry.to_ras(stored, affine)
    _require_upright(affine, path)
    if not (ids == MAISI_BODY).any():
        raise InputError(
            f"{path}: no voxel is {MAISI_BODY}, which marks the rest of the body to MAISI; set every unlabelled voxel "
            f"of the body to {MAISI_BODY}"
        )
    rest = np.where(ids == MAISI_BODY, 0, ids)
    names = nifti.names_present(rest, organ_ids, path)
    if organ_ids is not None and dict(organ_ids) == dict(maisi_names()):
        told = np.ascontiguousarray(ids, dtype=np.uint8)
        _, parts = without_lesions(LabelMap(rest, affine, names))
        labels = from_maisi(told, affine)
    else:
        labels, parts = without_lesions(LabelMap(rest, affine, names))
        told, unknown = to_maisi(labels, ids > 0)
        if unknown:
            logger.warning("%s: MAISI has no %s; it is told that they are body", path, ", ".join(unknown))
    if not labels.present():
        raise InputError(f"{path}: holds no organ that MAISI knows; name its ids with --organ-ids")
    ct = Volume(np.zeros(told.shape, np.int16), affine)
    return Organs(told, labels, lesion_map(parts, ct, str(path)), {"organs": path})


def drawn_organs(
    order: Order,
    index: int,
    attempt: int,
    size: tuple[int, int, int],
    spacing: tuple[float, float, float],
    progress: Progress,
) -> tuple[Organs, Draft]:
    """The organs of a torso that we draw, on the peer's grid (nearest voxel), and the draft that they are of."""
    from synth.draw.generated import draft_anatomy

    draft = draft_anatomy(order.plan(index, attempt), order, progress)
    case, affine = draft.case, grid(size, spacing)
    middle = geometry.world_of((np.array(case.ct.hu.shape) - 1) / 2, case.ct.affine)
    where = nearest(case.ct.hu.shape, case.ct.affine, size, affine, middle)
    ids, body = taken(case.organs.ids, where), taken(body_of(case.ct.hu).astype(np.uint8), where) > 0
    names = {n: name for n, name in case.organs.names.items() if (ids == n).any()}
    labels = LabelMap(ids, affine, names)
    told, _ = to_maisi(labels, body)
    nothing = LabelMap(np.zeros(size, np.uint8), affine, {})
    weights = {f"organs_{role}": file for role, file in order.weights.files().items()}
    return Organs(told, labels, nothing, {}, draft.checks, weights), draft


def body_of(hu: np.ndarray) -> np.ndarray:
    """Mask (X, Y, Z) of the body, of what is no air."""
    return largest_body(hu > _BODY_HU)


def largest_body(dense: np.ndarray) -> np.ndarray:
    """The largest piece of a mask (X, Y, Z), opened; slice by slice without its holes."""
    dense = ndimage.binary_opening(dense)
    pieces, count = ndimage.label(dense)
    if count == 0:
        return dense
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    body = pieces == int(sizes.argmax())
    for k in range(body.shape[2]):
        body[:, :, k] = ndimage.binary_fill_holes(body[:, :, k])
    return body


def nearest(
    shape: tuple[int, ...],
    source: np.ndarray,
    size: tuple[int, int, int],
    affine: np.ndarray,
    middle: np.ndarray,
) -> list[np.ndarray]:
    """For each axis the index in a volume (RAS) of the voxel nearest to each of the grid's, -1 beyond it.

    shape, source: of the volume and its affine; size, affine: of the grid, whose origin lies on `middle`, in the
    volume's mm.
    """
    found = []
    for axis, count in enumerate(size):
        mm = affine[axis, axis] * np.arange(count) + affine[axis, 3] + middle[axis]
        index = np.rint((mm - source[axis, 3]) / source[axis, axis]).astype(int)
        found.append(np.where((index >= 0) & (index < shape[axis]), index, -1))
    return found


def taken(array: np.ndarray, where: list[np.ndarray]) -> np.ndarray:
    """Voxels (X, Y, Z) at indices of each axis, 0 beyond the array."""
    taken = array[np.ix_(*(np.maximum(index, 0) for index in where))]
    for axis, index in enumerate(where):
        np.moveaxis(taken, axis, 0)[index < 0] = 0
    return taken


def _require_upright(affine: np.ndarray, path: Path) -> None:
    cosines = affine[:3, :3] / geometry.voxel_spacing(affine)
    if np.abs(cosines - np.eye(3)).max() > _ALIGNED:
        axes = "".join(nib.orientations.aff2axcodes(affine))
        raise InputError(
            f"{path}: its axes ({axes}) lie askew to the patient's; MAISI draws upright, resample the labels"
        )
