"""The two regions that ship, by the names that tests know their parts by."""

from __future__ import annotations

from synth.models.condition import grid_dim
from synth.regions import shipped
from synth.regions.prior import Prior

REGION = shipped("head_neck")
HEAD_NECK, TORSO = REGION.frame, shipped("torso").frame
ORGANS, FACTS, NAMES, DOSES_GY = REGION.organs, REGION.facts, REGION.names, REGION.doses_gy
CLASSES, FACTS_DIM, GRID_DIM = REGION.classes, REGION.facts_dim, grid_dim(REGION)
MEAN_CHANNELS = 1 + len(ORGANS)
encode, mirrored = REGION.encode, REGION.mirrored


def prior() -> Prior:
    """Of the weights that ship."""
    from synth.case.weights_folder import Weights

    found = Weights.shipped().prior
    assert found is not None
    return found
