"""Spaces between organs that a label map does not name: the fat of mediastinum and retroperitoneum.

Each is the unlabelled fat and soft tissue near the structures that run through it, above or below the level of an
abdominal organ. They are labels of a working map that planning and growing use; a case never holds them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synth.report import location
from synth.report.lobes import with_lobes
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

_HU = (-180, 80)  # fat and the small structures in it; not lung, not opacified vessels
_NEAR_MM = 18.0


@dataclass(frozen=True)
class Space:
    """Near `anchors`, on the `above` or lower side of the top of the first `level` structure that is labelled."""

    anchors: tuple[str, ...]
    level: tuple[str, ...]
    above: bool


SPACES: dict[str, Space] = {
    "mediastinal_fat": Space(
        ("aorta", "trachea", "superior_vena_cava", "esophagus", "brachiocephalic_trunk", "pulmonary_vein"),
        ("liver", "spleen"),
        above=True,
    ),
    "retroperitoneal_fat": Space(
        ("aorta", "inferior_vena_cava", "iliac_artery_left", "iliac_artery_right"),
        ("kidney_left", "kidney_right", "pancreas", "liver"),
        above=False,
    ),
}


def with_spaces(ct: Volume, organs: LabelMap, names: Iterable[str]) -> LabelMap:
    """The label map with those of the named structures that are spaces, where they exist; itself without any.

    Lungs that are labelled whole are parted into lobes where lobes are named.
    """
    names = list(names)
    if any("_lobe_" in name for name in names):
        organs = with_lobes(organs)
    wanted = [name for name in dict.fromkeys(names) if name in SPACES]
    if not wanted:
        return organs
    present = location.present_boxes(organs)
    ids = organs.ids.astype(np.uint16)
    table = dict(organs.names)
    for number, name in enumerate(wanted, start=max([*table, int(ids.max())]) + 1):
        found = _near(ct, organs, present, SPACES[name])
        if found is not None:
            box, mask = found
            ids[box][mask] = number
            table[number] = name
    return LabelMap(ids, organs.affine, table)


def _near(
    ct: Volume, organs: LabelMap, present: dict[str, tuple[int, location.Box]], space: Space
) -> tuple[location.Box, np.ndarray] | None:
    """The crop round the anchors and the space's mask on it; None without an anchor or without a voxel."""
    there = [present[name] for name in space.anchors if name in present]
    if not there:
        return None
    box = location.grown(_hull([b for _, b in there]), ct.hu.shape, ct.spacing, _NEAR_MM)
    ids, hu = organs.ids[box], ct.hu[box]
    anchor = np.isin(ids, [number for number, _ in there])
    near = ndimage.distance_transform_edt(~anchor, sampling=ct.spacing) <= _NEAR_MM
    mask = near & (ids == 0) & (hu > _HU[0]) & (hu < _HU[1])
    mask &= _on_side(ct, present, space, box)
    return (box, mask) if mask.any() else None


def _on_side(ct: Volume, present: dict[str, tuple[int, location.Box]], space: Space, box: location.Box) -> np.ndarray:
    """Whether voxels of the crop lie above (or below) the level; everywhere where no level structure is labelled."""
    level = next((present[name][1] for name in space.level if name in present), None)
    index = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij"), axis=-1)
    if level is None:
        return np.ones(index.shape[:-1], bool)
    corners = np.array([[s.start, s.stop - 1] for s in level]).T
    top = float(world_of(corners, ct.affine)[:, 2].max())
    height = index @ ct.affine[2, :3] + ct.affine[2, 3]
    return (height > top) if space.above else (height <= top)


def _hull(boxes: list[location.Box]) -> location.Box:
    i, j, k = (slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3))
    return i, j, k
