"""Lobes of lungs that are labelled whole: by planes in place of fissures, an approximation that reports state.

Heights and depths are taken relative to each lung. The oblique fissure runs from three quarters of the height at the
back to the base a little behind the front, the horizontal one of the right lung at two fifths of its height: rounded
from where anatomy books draw them (the oblique one from the level of T4 to the sixth costochondral joint, the
horizontal one along the fourth rib), and checked on the lobes of one labelled patient.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.report.location import Box
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap

WHOLE = ("lung_left", "lung_right", "lung")
_BACK_HEIGHT, _BASE_DEPTH = 0.78, 0.12
_MIDDLE_HEIGHT = 0.42


def is_whole(name: str) -> bool:
    """Whether a label is a lung, or both, without lobes."""
    return name in WHOLE


def lobes_of(points: np.ndarray, low: np.ndarray, high: np.ndarray, right: np.ndarray) -> np.ndarray:
    """0, 1, 2 (upper, middle, lower) of RAS points (N, 3) in lungs that reach from `low` to `high`, (N, 3) or (3,)."""
    height = (points[:, 2] - low[..., 2]) / np.maximum(high[..., 2] - low[..., 2], 1e-6)
    back = 1 - (points[:, 1] - low[..., 1]) / np.maximum(high[..., 1] - low[..., 1], 1e-6)
    lower = height < _BACK_HEIGHT * (back - _BASE_DEPTH) / (1 - _BASE_DEPTH)
    middle = ~lower & right & (height < _MIDDLE_HEIGHT)
    return np.where(lower, 2, np.where(middle, 1, 0))


def with_lobes(organs: LabelMap) -> LabelMap:
    """The label map with lobes in place of whole lungs; itself where it has lobes, or no lungs."""
    names = set(organs.names.values())
    if any("_lobe_" in name for name in organs.present()) or not names & set(WHOLE):
        return organs
    ids = organs.ids.astype(np.uint16)
    table = {number: name for number, name in organs.names.items() if name not in WHOLE}
    first = max([*organs.names, int(ids.max())]) + 1
    new = [f"lung_{lobe}_lobe_{side}" for side in ("right", "left") for lobe in ("upper", "middle", "lower")]
    numbers = {name: first + n for n, name in enumerate(new) if name != "lung_middle_lobe_left"}
    index = np.argwhere(organs.mask(*WHOLE))
    points = world_of(index, organs.affine)
    right = _is_right(organs, index, points)
    for side in (True, False):
        here = points[right == side]
        if not len(here):
            continue
        low, high = np.quantile(here, [0.001, 0.999], axis=0)
        lobe = lobes_of(here, low, high, np.full(len(here), side))
        words = [f"lung_{part}_lobe_{'right' if side else 'left'}" for part in ("upper", "middle", "lower")]
        ids[tuple(index[right == side].T)] = np.array([numbers.get(word, 0) for word in words], np.uint16)[lobe]
    return LabelMap(ids, organs.affine, table | {number: name for name, number in numbers.items()})


def nearest_lobe(organs: LabelMap, box: Box) -> tuple[np.ndarray, dict[int, str]]:
    """The lobe that lies nearest to each voxel of a crop, (x, y, z) ids, and their names; 0 without a lobe in it.

    A vessel that has a label of its own lies in the lobe about it.
    """
    organs = with_lobes(organs)
    lobes = {i: name for i, name in organs.names.items() if "_lobe_" in name}
    ids = organs.ids[box]
    there = np.isin(ids, list(lobes))
    if not there.any():
        return np.zeros_like(ids), lobes
    nearest = ndimage.distance_transform_edt(~there, return_distances=False, return_indices=True)
    return np.asarray(ids[tuple(nearest)]), lobes


def _is_right(organs: LabelMap, index: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which voxels of whole lungs are right: by label, else by the middle between the lungs' outermost voxels."""
    number = organs.ids[tuple(index.T)]
    said = {name: i for i, name in organs.names.items()}
    right = number == said.get("lung_right", -1)
    both = number == said.get("lung", -1)
    if both.any():
        x = points[both, 0]
        right[both] = x > (x.min() + x.max()) / 2
    return np.asarray(right)
