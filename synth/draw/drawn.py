"""Drawn: a frame between drawing and becoming a case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from synth.regions import Region
from synth.regions.frame import Frame
from synth.regions.given import Given
from synth.torso.model import ATLAS_MM
from synth.torso.places import Places


@dataclass(frozen=True)
class Atlas:
    """Labels of the mean torso and the displacement that carries it, (1, 3, ..) mm; low, high: base slices shown."""

    ids: np.ndarray
    displacement: torch.Tensor
    low: int
    high: int

    def at(self, spacing: float) -> np.ndarray:
        """(X, Y, Z) uint8 ids on the field at a spacing, each voxel as the nearest of the mean torso."""
        return Places(self.displacement, spacing, (self.low, self.high)).nearest(self.ids, ATLAS_MM)


@dataclass(frozen=True)
class Drawn:
    """A frame at one spacing.

    region: whose frame, or part of whose frame, it is. ct: (1, 1, X, Y, Z) intensity units; dose: (1, 1, X, Y, Z) steps
    of the region's doses at the base spacing, None where it has none; labels: (1, 1 + organs, X, Y, Z) organ fractions,
    None where no network reads them; scaffold: the deformed mean patient at 8 mm, see synth.shape.
    given: the organs that labels were made to have. atlas: where organs are to be told from, in the torso.
    trees: (X, Y, Z) uint8 ids of the airways and vessels that were painted (synth/draw/trees.py).
    """

    region: Region
    frame: Frame
    spacing: float
    ct: torch.Tensor
    dose: torch.Tensor | None
    labels: torch.Tensor | None
    scaffold: torch.Tensor | None
    given: Given | None = None
    atlas: Atlas | None = None
    trees: np.ndarray | None = None
