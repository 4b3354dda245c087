"""Anchors: the place of a patient that is the origin of the frame, told from organs or from air."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import ndimage

_BODY_HU, _LUNG_HU = -300, -500
_SHARE = 0.2


@dataclass(frozen=True)
class AnchorPatient:
    """A CT (X, Y, Z) HU in RAS order, its organs as masks by name, mm between voxels (3,)."""

    hu: np.ndarray
    spacing: np.ndarray
    masks: Mapping[str, np.ndarray]


class Anchor(Protocol):
    """`find`: (3,) mm in the patient's own grid (index * spacing), None where it is not to be told."""

    @property
    def organs(self) -> tuple[str, ...]: ...
    def find(self, patient: AnchorPatient) -> np.ndarray | None: ...


@dataclass(frozen=True)
class Midpoint:
    """Halfway between the middles of two organs, or the middle of one."""

    organs: tuple[str, ...]

    def find(self, patient: AnchorPatient) -> np.ndarray | None:
        middles = [_middle(patient.masks.get(name)) for name in self.organs]
        if any(middle is None for middle in middles):
            return None
        return np.asarray(np.mean([m * patient.spacing for m in middles if m is not None], axis=0))


@dataclass(frozen=True)
class Top:
    """The middle of what is `along` (organs whose names begin so) at the height of the top of an organ."""

    organ: str
    along: str

    @property
    def organs(self) -> tuple[str, ...]:
        return (self.organ,)

    def find(self, patient: AnchorPatient) -> np.ndarray | None:
        organ = patient.masks.get(self.organ)
        beside = [mask for name, mask in patient.masks.items() if name.startswith(self.along)]
        if organ is None or not organ.any() or not beside:
            return None
        top = int(np.flatnonzero(organ.any(axis=(0, 1)))[-1])
        middle = _middle(np.any(beside, axis=0)[..., max(0, top - 2) : top + 3])
        return None if middle is None else np.array([middle[0], middle[1], top]) * patient.spacing


@dataclass(frozen=True)
class Air:
    """The middle of the lungs, told from air inside the body: needs no labels."""

    organs: tuple[str, ...] = ()

    def find(self, patient: AnchorPatient) -> np.ndarray | None:
        body = _body(patient.hu)
        filled = np.stack([ndimage.binary_fill_holes(body[..., z]) for z in range(body.shape[2])], axis=-1)
        return _scaled(_middle(_largest((patient.hu < _LUNG_HU) & filled)), patient.spacing)


@dataclass(frozen=True)
class Body:
    """The middle of the body: needs no labels."""

    organs: tuple[str, ...] = ()

    def find(self, patient: AnchorPatient) -> np.ndarray | None:
        return _scaled(_middle(_largest(_body(patient.hu))), patient.spacing)


def _body(hu: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.binary_opening(hu > _BODY_HU))


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest piece of a mask, and those at least a fifth as large."""
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= _SHARE * sizes.max())[pieces] & mask)


def _middle(mask: np.ndarray | None) -> np.ndarray | None:
    """(3,) index of the middle of a mask."""
    return None if mask is None or not mask.any() else np.argwhere(mask).mean(axis=0)


def _scaled(middle: np.ndarray | None, spacing: np.ndarray) -> np.ndarray | None:
    return None if middle is None else np.asarray(middle * spacing)
