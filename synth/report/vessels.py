"""How far a lesion reaches round the vessels that it touches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from synth.report import location
from synth.report.location import Box
from synth.report.measurements import rounded
from synth.volumes.types import Case

_VESSEL_WORDS = ("aorta", "vena", "vein", "artery", "trunk", "pulmonary")
_MARGIN_MM = 12.0  # of the vessel round the lesion's box that is looked at
_TOUCHING = np.ones((3, 3), bool)


def vessel_contacts(case: Case, number: int, box: Box, contacts: Sequence[str]) -> dict[str, float]:
    """Vessel -> degrees of its outline within one voxel of the lesion, in the slice where that is most."""
    vessels = [name for name in contacts if any(word in name for word in _VESSEL_WORDS)]
    if not vessels:
        return {}
    wide = location.grown(box, case.ct.hu.shape, case.ct.spacing, _MARGIN_MM)
    axis = location.slice_axis(case.ct.affine)
    lesion = np.moveaxis(case.lesions.ids[wide] == number, axis, 0)
    ids = np.moveaxis(case.organs.ids[wide], axis, 0)
    table = {name: i for i, name in case.organs.names.items()}
    return {name: rounded(_most(lesion, ids == table[name])) for name in vessels}


def _most(lesion: np.ndarray, vessel: np.ndarray) -> float:
    """360 degrees times the largest share of the vessel's outline that the lesion touches in a slice."""
    shares = [0.0]
    for one, other in zip(lesion, vessel & ~lesion, strict=True):
        outline = ndimage.binary_dilation(other) & ~other
        if one.any() and outline.any():
            shares.append(float((outline & ndimage.binary_dilation(one, _TOUCHING)).sum() / outline.sum()))
    return 360 * max(shares)
