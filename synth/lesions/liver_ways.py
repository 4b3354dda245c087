"""Fat in the liver: its tissue darker, its vessels as they were."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.lesions.changed import Changed
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.grids import Coarse, smoothstep
from synth.lesions.lung_space import bounding
from synth.report import location
from synth.report.noise import NoiseModel
from synth.volumes.types import LabelMap, Volume

_VESSEL_HU = (12.0, 35.0)  # above the liver's median, smoothed: from here on it is a vessel
_SMOOTH_MM = 1.2


def steatosis(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """The liver darkens to the planned HU; vessels that contrast shows, and what is not liver, stay."""
    liver = organs.mask("liver")
    whole = bounding(liver)
    if whole is None:
        raise InputError("steatosis: the label map has no liver; label it, or leave the finding out")
    box = location.grown(whole, host.hu.shape, host.spacing, 4.0)
    hu, inside = np.ascontiguousarray(host.hu[box], np.float32), liver[box]
    median = float(np.median(hu[inside]))
    if median <= plan.amount:
        raise InputError(
            f"steatosis of {plan.amount:.0f} HU: the liver of this host has {median:.0f} HU already; leave it out"
        )
    smooth = ndimage.gaussian_filter(hu, _SMOOTH_MM / host.spacing)
    vessel = smoothstep(smooth - median, *_VESSEL_HU)
    grid = Coarse.of(box, host.spacing, 6.0)
    uneven = 1 + 0.06 * grid.up(grid.noise(plan.generator("uneven"), 50.0))
    soft = ndimage.gaussian_filter(inside.astype(np.float32), 0.5 / host.spacing) * inside
    drop = (median - plan.amount) * uneven * (1 - vessel) * np.maximum(soft, 0.5 * inside)
    return Changed(box, hu - drop, inside & (drop > 0.5), inside, None)
