"""Assemble: a drawn frame -> a Case: HU, organ masks in one piece, the targets that were asked for."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from scipy import ndimage

from prompts.vocabulary import Side
from synth.case.plan import GeneratePlan
from synth.draw.drawn import Drawn
from synth.models import intensity
from synth.regions.prior import Prior
from synth.regions.sides import side_range, side_share
from synth.torso.organs import read_masks
from synth.volumes import labels
from synth.volumes.types import HU_MAX, HU_MIN, Case, LabelMap, Volume

_BODY_HU = -300
_LEAST_STEP = 0.2  # of the dose ladder
_TILT_MM = 40.0  # beyond which to the side the dose is weighted by 1 + and 1 - its tilt
_TILTS = (0.0, *(sign * tilt for tilt in (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0) for sign in (1, -1)))
_SIDE_MARGIN = 0.05
_KEEP_SHARE = 0.15  # a separate piece of an organ is kept if it has this share of the largest


def assemble(plan: GeneratePlan, drawn: Drawn, prior: Prior | None) -> Case:
    """The case of a finished frame, on the frame's own RAS grid at the drawn spacing. `prior`: of the weights."""
    affine = drawn.frame.affine_at(drawn.spacing)
    hu = np.rint(intensity.to_hu(drawn.ct[0, 0].numpy())).clip(HU_MIN, HU_MAX).astype(np.int16)
    if drawn.atlas is not None:
        masks = read_masks(hu, drawn.atlas.at(drawn.spacing), drawn.spacing)
        names = {i: name for i, name in labels.names().items() if (masks == i).any()}
        organs, targets = LabelMap(masks, affine, names), _targets(plan, drawn, hu, affine)
        return Case(Volume(hu, affine), organs, targets, _trees(drawn, affine))
    return Case(Volume(hu, affine), _organs(drawn, affine, prior), _targets(plan, drawn, hu, affine))


def _organs(drawn: Drawn, affine: np.ndarray, prior: Prior | None) -> LabelMap:
    """The organs in their main pieces; one that few patients taught, and that came out as a stump, is not annotated."""
    assert drawn.labels is not None
    number = drawn.labels[0].argmax(dim=0).numpy()
    voxel_ml = drawn.spacing**3 / 1000
    ids = np.zeros(number.shape, np.uint8)
    names = {}
    for i, name in enumerate(drawn.region.organs, start=1):
        given = drawn.given is not None and bool(drawn.given.known[i - 1])
        mask = number == i if given else main_pieces(number == i)
        if given or prior is None or not prior.is_stump(name, float(mask.sum()) * voxel_ml):
            ids[mask] = labels.ids()[name]
            names[labels.ids()[name]] = name
    return LabelMap(ids, affine, names)


def _trees(drawn: Drawn, affine: np.ndarray) -> LabelMap | None:
    if drawn.trees is None:
        return None
    present = {int(i): labels.names()[int(i)] for i in np.unique(drawn.trees) if i}
    return LabelMap(drawn.trees, affine, present)


def main_pieces(mask: np.ndarray, keep: float = _KEEP_SHARE) -> np.ndarray:
    """A mask without its islands: pieces smaller than `keep` of the largest are dropped."""
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    wanted: np.ndarray = (sizes >= keep * sizes.max())[pieces] & mask
    return wanted


def _targets(plan: GeneratePlan, drawn: Drawn, hu: np.ndarray, affine: np.ndarray) -> LabelMap:
    """Planning targets as lesion ids 1, 2, .. by falling dose; nested, the highest wins.

    A planner decides how far a target reaches; the CT does not show it. So each is the isodose that holds the plan's
    volume, that of any higher dose included: at fixed levels, what is left of a dose drawn at 16 mm is too little of
    the highest. Where it is not on the side that was asked for, the dose is weighted towards that side, as little as it
    takes.
    """
    if drawn.dose is None:
        return LabelMap(np.zeros(hu.shape, np.uint8), affine, {})
    steps = F.interpolate(drawn.dose, size=hu.shape, mode="trilinear", align_corners=False)[0, 0].numpy()
    body = ndimage.binary_closing(hu > _BODY_HU)
    x = affine[0, 3] + affine[0, 0] * np.arange(hu.shape[0])
    voxel_ml = float(abs(np.linalg.det(affine[:3, :3]))) / 1000
    ids = np.zeros(hu.shape, np.uint8)
    names = {}
    sides = {int(t.dose_gy): t.side for t in plan.request.targets}
    for number, dose in enumerate(sorted(sides, reverse=True), start=1):
        voxels, usual = (
            plan.facts.get(drawn.region.dose_names(dose)[0], 0.0) / voxel_ml,
            drawn.region.doses_gy.index(dose) + 0.5,
        )
        target = np.zeros(hu.shape, bool)
        for tilt in _TILTS:
            weight = 1 - tilt * (x / _TILT_MM).clip(-1, 1)[:, None, None]  # where no dose was drawn there is none
            tilted = np.where(ids > 0, np.inf, steps * weight)
            found = main_pieces((tilted > isodose(np.sort(tilted[body]), voxels, usual)) & body)
            target = found if tilt == 0 else target
            if _is_on(sides[dose], found, x):
                target = found
                break
        ids[target & (ids == 0)] = number
        names[number] = f"planning_target_{dose}gy"
    return LabelMap(ids, affine, names)


def _is_on(side: Side | None, target: np.ndarray, x: np.ndarray) -> bool:
    """Whether a target lies on a side, well within what the checks ask for; on any, if none was said."""
    low, high = side_range(side)
    share = side_share(target, x)
    return side is None or low + (low > -1) * _SIDE_MARGIN <= share <= high - (high < 1) * _SIDE_MARGIN


def isodose(inside: np.ndarray, voxels: float, usual: float) -> float:
    """The level that `voxels` of the ascending values `inside` lie above; `usual` where no number is wanted.

    Never below `_LEAST_STEP`: where hardly any dose was drawn there is no target, whatever its volume should be.
    """
    wanted = min(round(voxels), len(inside) - 1)
    if wanted < 1:
        return usual
    return max(float(inside[-wanted - 1]), _LEAST_STEP)
