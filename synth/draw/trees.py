"""Trees of a drawn torso: grown into its organs at 4 mm, painted on its own grid once `refine` is done.

Later would be too late for masks, earlier too early: what is painted at 4 mm comes back from `refine` blurred.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from synth.case.plan import GeneratePlan
from synth.models import intensity
from synth.seeding import derive, numpy_rng
from synth.shape.trees import aorta
from synth.shape.trees.abdomen import KIDNEY, LIVER, Supply, grow_organ
from synth.shape.trees.inlay import inlay_lungs, inlay_vessels
from synth.shape.trees.lungs import LungGrowth, carina_of, grow_lungs
from synth.torso.atlas import LUNGS
from synth.torso.organs import read_masks
from synth.volumes import labels

if TYPE_CHECKING:
    from synth.draw.drawn import Drawn

_GROWN_MM = 4.0
_CLOSING_MM = 12.0  # vessels of a drawn lung that its mask leaves out, but the atlas does not
_RIGHT, _LEFT = 1.0, -1.0
_ORGANS: dict[str, tuple[float, Supply]] = {
    "liver": (_RIGHT, LIVER),
    "kidney_right": (_RIGHT, KIDNEY),
    "kidney_left": (_LEFT, KIDNEY),
}
_CARINA = 0.62  # of the height of the lungs, where there is no trachea to see
_NATIVE_HU = 40.0
_BACK = 20  # percentile of the heart from back to front
_SPREAD = 0.4
_LUNGS = LungGrowth()


@dataclass(frozen=True)
class _Coarse:
    """A drawn torso at 4 mm or coarser: HU, masks, atlas (X, Y, Z) and affine."""

    hu: np.ndarray
    masks: np.ndarray
    atlas: np.ndarray
    affine: np.ndarray
    spacing: float

    def mask(self, name: str) -> np.ndarray:
        found: np.ndarray = self.masks == labels.ids()[name]
        return found


def with_trees(plan: GeneratePlan, drawn: Drawn, how: LungGrowth = _LUNGS) -> Drawn:
    """A finished torso with airways and vessels in its lungs, liver and kidneys, and the ids of what was painted."""
    coarse = _coarse(drawn)
    blood = _blood(coarse)
    hu = intensity.to_hu(drawn.ct[0, 0].numpy())
    affine = drawn.frame.affine_at(drawn.spacing)
    ids = np.zeros(hu.shape, np.uint8)
    lobes = _lobes(coarse)
    if lobes.any():
        rng = numpy_rng(derive(plan.shape_seed, "trees", "lungs"))
        depth = _finer(ndimage.distance_transform_edt(lobes) * coarse.spacing, hu.shape)
        trees = grow_lungs(lobes, coarse.affine, _carina(coarse, lobes), rng, how)
        hu, ids = inlay_lungs(hu, affine, np.where(depth < 1, 0, depth), trees, blood)
    for name, (side, supply) in _ORGANS.items():
        mask = coarse.mask(name)
        rng = numpy_rng(derive(plan.shape_seed, "trees", name))
        vessels = grow_organ(mask, coarse.affine, side, supply, rng)
        level = _in_organ(coarse.hu[mask], blood)
        hu, found = inlay_vessels(hu, affine, _finer(mask, hu.shape) > 0.5, vessels, level)
        ids = np.where(found > 0, found, ids)
    hu = aorta.filled(hu, affine, _finer(coarse.mask("aorta"), hu.shape) > 0.5, _behind_heart(coarse), blood)
    return replace(drawn, ct=torch.from_numpy(intensity.to_unit(hu))[None, None], trees=ids)


def _coarse(drawn: Drawn) -> _Coarse:
    factor = max(1, round(_GROWN_MM / drawn.spacing))
    spacing = drawn.spacing * factor
    hu = intensity.to_hu(F.avg_pool3d(drawn.ct, factor)[0, 0].numpy())
    assert drawn.atlas is not None
    atlas = drawn.atlas.at(spacing)
    return _Coarse(hu, read_masks(hu, atlas, spacing), atlas, drawn.frame.affine_at(spacing), spacing)


def _finer(volume: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    whole = torch.from_numpy(np.asarray(volume, np.float32))[None, None]
    return F.interpolate(whole, size=shape, mode="trilinear", align_corners=False)[0, 0].numpy()


def _blood(coarse: _Coarse) -> float:
    """HU of the heart, which vessels are enhanced as."""
    heart = coarse.mask("heart")
    return float(np.median(coarse.hu[heart])) if heart.any() else _NATIVE_HU


def _behind_heart(coarse: _Coarse) -> float:
    """RAS y, mm, behind which the aorta descends: the back of the heart, all of it where there is no heart."""
    y = np.argwhere(coarse.mask("heart"))[:, 1]
    return float(coarse.affine[1, 3] + coarse.affine[1, 1] * np.percentile(y, _BACK)) if len(y) else np.inf


def _in_organ(hu: np.ndarray, blood: float) -> float:
    """HU of vessels within an organ: between it and the heart, for contrast has spread by the time that it is there."""
    own = float(np.median(hu)) if len(hu) else blood
    return own + _SPREAD * (blood - own)


def _lobes(coarse: _Coarse) -> np.ndarray:
    """(X, Y, Z) ids of lobes, the large vessels in them included."""
    wanted = [labels.ids()[name] for name in LUNGS]
    lobes = np.where(np.isin(coarse.masks, wanted), coarse.masks, 0)
    reach = round(_CLOSING_MM / coarse.spacing)
    air = np.pad(lobes > 0, reach + 1)
    grown = ndimage.distance_transform_edt(~air) <= reach
    closed = (ndimage.distance_transform_edt(grown) > reach)[(slice(reach + 1, -reach - 1),) * 3]
    sure = ndimage.binary_erosion(np.isin(coarse.atlas, wanted))
    more = closed & sure & (lobes == 0)
    lobes[more] = coarse.atlas[more]
    return lobes


def _carina(coarse: _Coarse, lobes: np.ndarray) -> np.ndarray:
    """(3,) RAS mm: where the trachea ends, or where it would."""
    found = carina_of(coarse.mask("trachea"), coarse.affine)
    if found is not None:
        return found
    where = np.argwhere(lobes)
    low, high = where.min(axis=0), where.max(axis=0)
    index = np.array([*((low + high)[:2] / 2), low[2] + _CARINA * (high - low)[2]])
    return index @ coarse.affine[:3, :3].T + coarse.affine[:3, 3]
