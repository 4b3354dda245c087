"""Assemble: a drawn frame -> a Case: HU, organ masks in one piece, the targets that were asked for."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from scipy import ndimage

from synth import intensity, labels
from synth.compose import Drawn
from synth.facts import ORGANS
from synth.models.scaling import DOSE_STEPS
from synth.plan import CasePlan
from synth.torso.organs import read_masks
from synth.types import HU_MAX, HU_MIN, Case, LabelMap, Volume

_BODY_HU = -300
_LEAST_STEP = 0.2  # of the dose ladder
_KEEP_SHARE = 0.15  # a separate piece of an organ is kept if it has this share of the largest


def assemble(plan: CasePlan, drawn: Drawn) -> Case:
    """The case of a finished frame, on the frame's own RAS grid at the drawn spacing."""
    affine = drawn.frame.affine_at(drawn.spacing)
    hu = np.rint(intensity.to_hu(drawn.ct[0, 0].numpy())).clip(HU_MIN, HU_MAX).astype(np.int16)
    if drawn.atlas is not None:
        masks = read_masks(hu, drawn.atlas.at(drawn.spacing), drawn.spacing)
        names = {i: name for i, name in labels.names().items() if (masks == i).any()}
        return Case(Volume(hu, affine), LabelMap(masks, affine, names), _targets(plan, drawn, hu, affine))
    number = drawn.labels[0].argmax(dim=0).numpy()
    ids = np.zeros(hu.shape, np.uint8)
    for i, name in enumerate(ORGANS, start=1):
        given = drawn.given is not None and drawn.given.known[i - 1]
        ids[number == i if given else main_pieces(number == i)] = labels.ids()[name]
    organs = LabelMap(ids, affine, {labels.ids()[name]: name for name in ORGANS})
    return Case(Volume(hu, affine), organs, _targets(plan, drawn, hu, affine))


def main_pieces(mask: np.ndarray, keep: float = _KEEP_SHARE) -> np.ndarray:
    """A mask without its islands: pieces smaller than `keep` of the largest are dropped."""
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    wanted: np.ndarray = (sizes >= keep * sizes.max())[pieces] & mask
    return wanted


def _targets(plan: CasePlan, drawn: Drawn, hu: np.ndarray, affine: np.ndarray) -> LabelMap:
    """Planning targets as lesion ids 1, 2, .. by falling dose; nested, the highest wins.

    A planner decides how far a target reaches; the CT does not show it. So each is the isodose that holds the plan's
    volume: at fixed levels, what is left of a dose drawn at 16 mm is too little of the highest.
    """
    steps = F.interpolate(drawn.dose, size=hu.shape, mode="trilinear", align_corners=False)[0, 0].numpy()
    body = ndimage.binary_closing(hu > _BODY_HU)
    inside = np.sort(steps[body])
    voxel_ml = float(abs(np.linalg.det(affine[:3, :3]))) / 1000
    ids = np.zeros(hu.shape, np.uint8)
    names = {}
    doses = sorted({int(t.dose_gy) for t in plan.request.targets}, reverse=True)
    for number, dose in enumerate(doses, start=1):
        level = isodose(inside, plan.facts.get(f"target_{dose}_ml", 0.0) / voxel_ml, DOSE_STEPS.index(dose) - 0.5)
        ids[main_pieces((steps > level) & body) & (ids == 0)] = number
        names[number] = f"planning_target_{dose}gy"
    return LabelMap(ids, affine, names)


def isodose(inside: np.ndarray, voxels: float, usual: float) -> float:
    """The level that `voxels` of the ascending values `inside` lie above; `usual` where no number is wanted.

    Never below `_LEAST_STEP`: where hardly any dose was drawn there is no target, whatever its volume should be.
    """
    wanted = min(round(voxels), len(inside) - 1)
    if wanted < 1:
        return usual
    return max(float(inside[-wanted - 1]), _LEAST_STEP)
