"""Visibility: the contrast-to-noise ratio of a lesion against what lies round it in its own structure.

|lesion - background| / SD of the background, as in a reader's two regions of interest (Rose 1948 and after). The
background is the shell from 2 to 10 mm round the mask; its median and its SD by the median absolute deviation, so that
a few vessels do not count.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.report import location
from synth.report.location import Box
from synth.report.measurements import LesionMeasurement
from synth.volumes.types import Case

_SHELL_MM = (2.0, 10.0)  # the edge is left out
_LEAST_VOXELS = 30
_MAD_TO_SD = 1.4826  # of a Gaussian
_MOSTLY = 0.5  # of a lesion outside its structure: then it lies beside it, as a node does
_LEAST_SD = 1.0  # HU: made-up hosts may have none


def contrast_to_noise(case: Case, lesion: LesionMeasurement, box: Box) -> float | None:
    """The ratio of one lesion, by its bounding box; None where nothing lies round it.

    The lesion counts by its core or by its whole mask, whichever stands out more: a rim shows where a core may not.
    """
    wide = location.grown(box, case.ct.hu.shape, case.ct.spacing, _SHELL_MM[1])
    background = case.ct.hu[wide][_shell(case, lesion, wide)].astype(np.float64)
    if background.size < _LEAST_VOXELS:
        return None
    middle = float(np.median(background))
    sd = _MAD_TO_SD * float(np.median(np.abs(background - middle)))
    contrast = max(abs(lesion.mean_hu - middle), abs(lesion.mask_mean_hu - middle))
    return contrast / max(sd, _LEAST_SD)


def _shell(case: Case, lesion: LesionMeasurement, wide: Box) -> np.ndarray:
    """Where the background is, (X, Y, Z) bool: in the lesion's structure; anywhere if it lies beside that."""
    near, far = _SHELL_MM
    distance = ndimage.distance_transform_edt(case.lesions.ids[wide] != lesion.id, sampling=case.ct.spacing)
    shell = (distance > near) & (distance <= far) & (case.lesions.ids[wide] == 0)
    if lesion.outside > _MOSTLY:
        return shell
    ids = [number for number, name in case.organs.names.items() if name == lesion.structure]
    within = shell & np.isin(case.organs.ids[wide], ids)
    return within if within.sum() >= _LEAST_VOXELS else shell
