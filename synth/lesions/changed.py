"""Changed: what a finding makes of a crop of its host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.lung_space import bounding
from synth.lesions.mass_effect import Displacement, moved_ids
from synth.report.location import Box
from synth.report.noise import NoiseModel


@dataclass(frozen=True)
class Changed:
    """A finding on a crop of the host: its CT (X, Y, Z) float32 HU, its labels where they changed, and the mask.

    Voxels that are not in `touched` are the host's, bit for bit. `move`: how its tissue was displaced, if it was.
    """

    box: Box
    hu: np.ndarray
    touched: np.ndarray
    mask: np.ndarray
    ids: np.ndarray | None = None
    move: Displacement | None = None

    def trees(self, trees: np.ndarray, organs: np.ndarray) -> np.ndarray:
        """The crop's airways and vessels (X, Y, Z), of the whole volume's `trees` and `organs` before it.

        They move with their tissue; where it gave way to what is no part of an organ, there are none.
        """
        here, before = trees[self.box], organs[self.box]
        if self.move is not None:
            here, before = moved_ids(here, self.move), moved_ids(before, self.move)
        return here if self.ids is None else np.where(before == self.ids, here, 0)


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
