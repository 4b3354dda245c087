"""Changed: what a finding makes of a crop of its host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.lung_space import bounding
from synth.report.location import Box
from synth.report.noise import NoiseModel


@dataclass(frozen=True)
class Changed:
    """A finding on a crop of the host: its CT (X, Y, Z) float32 HU, its labels where they changed, and the mask.

    Voxels that are not in `touched` are the host's, bit for bit.
    """

    box: Box
    hu: np.ndarray
    touched: np.ndarray
    mask: np.ndarray
    ids: np.ndarray | None = None


def mixed(
    plan: ExtentPlan,
    box: Box,
    hu: np.ndarray,
    target: np.ndarray,
    share: np.ndarray,
    mask: np.ndarray,
    noise: NoiseModel | None,
) -> Changed:
    """The host's crop with a target mixed in by share, noise added for what the mixture takes of the host's."""
    touched = share > 0
    out = hu + share * (target - hu)
    inner = bounding(touched)
    if inner is not None and noise is not None:
        missing = np.sqrt(1 - (1 - share[inner]) ** 2)
        out[inner] += missing * noise.draw(missing.shape, plan.generator("noise"))
    return Changed(box, out, touched, mask)
