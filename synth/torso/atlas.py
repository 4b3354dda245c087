"""The atlas: organs of the mean torso, from the scans that have labels, and by attenuation where none has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage

from synth.regions.frame import Frame
from synth.shape.deformation import warp
from synth.torso.model import ATLAS_MM
from synth.torso.scans import TorsoScan
from synth.volumes import labels

LUNGS = tuple(n for n in labels.ids() if n.startswith("lung_") and "lobe" in n)
BONES = tuple(
    n
    for n in labels.ids()
    if n.startswith(("vertebrae_", "rib_", "scapula", "clavicula", "humerus", "hip_")) or n in ("sternum", "sacrum")
)
SOFT = (
    *("heart", "aorta", "liver", "spleen", "kidney_left", "kidney_right", "spinal_cord"),
    *("autochthon_left", "autochthon_right", "iliopsoas_left", "iliopsoas_right"),
)
LABELLED = (*LUNGS, "trachea", *SOFT, *BONES)

_VERTEBRA_MM = 33.0  # a lumbar vertebra with its disc
_POLE_MM = 40.0  # a kidney below the last labelled slice
_BONE_HU = 150
_KEEP_SHARE = 0.2  # of the largest piece of an organ
_LUMBAR = ("vertebrae_L2", "vertebrae_L3", "vertebrae_L4", "vertebrae_L5")
_CLOSING = 16  # voxels, more than half the width of the mediastinum
_WALL_MM = 28.0


def in_mean(ids: np.ndarray, back: torch.Tensor, frame: Frame) -> np.ndarray:
    """Labels of a scan carried to the mean torso by the nearest voxel."""
    where = np.indices(ids.shape).astype(np.float32)
    identity = torch.from_numpy(where)[None]
    moved = warp(identity + 1, back, frame)[0].numpy() - 1  # coordinates go linearly, labels cannot
    return ndimage.map_coordinates(ids, moved, order=0, mode="constant")


def build_atlas(
    scans: Sequence[TorsoScan],
    back: Sequence[torch.Tensor],
    hus: Sequence[np.ndarray],
    seens: Sequence[np.ndarray],
    frame: Frame,
) -> np.ndarray:
    """(X, Y, Z) uint8 ids: each place as the scan with most labels that shows it says, then what lies below all."""
    wanted = [labels.ids()[n] for n in LABELLED]
    order = sorted(
        (i for i, s in enumerate(scans) if s.ids is not None),
        key=lambda i: -len(np.unique(scans[i].ids)),  # type: ignore[arg-type]
    )
    atlas = np.zeros(frame.shape_at(ATLAS_MM), np.uint8)
    taken = np.zeros(atlas.shape, bool)
    for i in order:
        ids = scans[i].ids
        assert ids is not None
        carried = in_mean(ids, back[i], frame)
        here = (seens[i] > 0.95) & ~taken
        atlas[here] = _cleaned(np.where(np.isin(carried, wanted), carried, 0))[here]
        taken |= here
    _kidney_poles(atlas, taken)
    _below(atlas, taken, hus, seens)
    return atlas


def _cleaned(ids: np.ndarray) -> np.ndarray:
    """Labels without islands and pinholes."""
    out = np.zeros_like(ids)
    for number, box in enumerate(ndimage.find_objects(ids), start=1):
        if box is not None:
            mask = ndimage.binary_closing(np.pad(ids[box] == number, 2), iterations=1)[2:-2, 2:-2, 2:-2]
            pieces, _ = ndimage.label(mask, np.ones((3, 3, 3)))
            sizes = np.bincount(pieces.ravel())
            sizes[0] = 0
            kept = (sizes >= _KEEP_SHARE * sizes.max())[pieces] & mask
            out[box][kept & (out[box] == 0)] = number
    return out


def _kidney_poles(atlas: np.ndarray, taken: np.ndarray) -> None:
    """Continue a kidney that the labelled scans cut: its last outline, shrinking to nothing."""
    steps = round(_POLE_MM / ATLAS_MM)
    for name in ("kidney_left", "kidney_right"):
        number = labels.ids()[name]
        slices = np.flatnonzero((atlas == number).any(axis=(0, 1)))
        if not len(slices):
            continue
        last = int(slices[0]) + 1
        depth = ndimage.distance_transform_edt(atlas[..., last] == number)
        for k in range(1, min(steps, last) + 1):
            share = 1 - np.sqrt(max(0.0, 1 - (k / steps) ** 2))
            outline = (depth > share * depth.max()) & (atlas[..., last - k] == 0)
            atlas[..., last - k][outline] = number


def _below(atlas: np.ndarray, taken: np.ndarray, hus: Sequence[np.ndarray], seens: Sequence[np.ndarray]) -> None:
    """Lumbar vertebrae, sacrum and hips below the labelled scans: bone of the mean scan, parted by height and side."""
    total = np.sum([h * (s > 0.9) for h, s in zip(hus, seens, strict=True)], axis=0)
    count = np.sum([s > 0.9 for s in seens], axis=0)
    bone = (total / np.maximum(count, 1) > _BONE_HU) & (count > 0)
    known = np.flatnonzero((atlas == labels.ids()["vertebrae_L2"]).any(axis=(0, 1)))
    if not len(known):
        return
    top = int(np.flatnonzero((atlas == labels.ids()["vertebrae_L1"]).any(axis=(0, 1)))[0])
    axis = np.argwhere(atlas[..., top : top + 4] == labels.ids()["vertebrae_L1"]).mean(axis=0)
    x, y = np.indices(bone.shape[:2])
    spine = (np.abs(x - axis[0]) < 14) & (np.abs(y - axis[1]) < 18)
    height = round(_VERTEBRA_MM / ATLAS_MM)
    free = ndimage.binary_dilation(taken, iterations=1)
    for k, name in enumerate(_LUMBAR):
        part = slice(max(0, top - (k + 1) * height), top - k * height)
        block = bone[..., part] & spine[..., None] & (atlas[..., part] == 0)
        atlas[..., part][block] = labels.ids()[name]
    rest = slice(0, max(0, top - len(_LUMBAR) * height))
    middle = np.abs(x - axis[0]) < 14
    for where, name in (
        (middle, "sacrum"),
        (~middle & (x < axis[0]), "hip_left"),
        (~middle & (x > axis[0]), "hip_right"),
    ):
        block = bone[..., : top - 2 * height] if name != "sacrum" else bone[..., rest]
        part_of = atlas[..., : block.shape[-1]]
        part_of[block & where[..., None] & (part_of == 0) & ~free[..., : block.shape[-1]]] = labels.ids()[name]


def chest_inside(atlas: np.ndarray) -> np.ndarray:
    """(X, Y, Z) 0 or 1: lungs and what lies between them."""
    wanted = [labels.ids()[n] for n in (*LUNGS, "heart", "trachea")]
    lungs = np.isin(atlas, wanted)
    hull = np.stack([_closed(lungs[..., z]) for z in range(lungs.shape[2])], axis=-1)
    solid = np.isin(atlas, [labels.ids()[n] for n in (*BONES, "liver", "spleen", "spinal_cord")])
    inside: np.ndarray = hull & ~ndimage.binary_closing(solid, iterations=2)  # discs are spine too
    return inside.astype(np.float32)


def _closed(outline: np.ndarray) -> np.ndarray:
    """(X, Y) with its bays filled that are narrower than the mediastinum."""
    if not outline.any():
        return outline
    wide = np.pad(outline, _CLOSING + 1)
    grown = ndimage.distance_transform_edt(~wide) <= _CLOSING
    closed: np.ndarray = ndimage.distance_transform_edt(grown) > _CLOSING
    return ndimage.binary_fill_holes(closed)[_CLOSING + 1 : -_CLOSING - 1, _CLOSING + 1 : -_CLOSING - 1] | outline


def abdomen_inside(atlas: np.ndarray, mean_hu: np.ndarray, chest: np.ndarray) -> np.ndarray:
    """(X, Y, Z) 0 or 1: what lies below the diaphragm, in front of the spine and deeper than the wall."""
    body = np.stack(
        [ndimage.binary_fill_holes(ndimage.binary_opening(mean_hu[..., z] > -300)) for z in range(mean_hu.shape[2])], -1
    )
    deep = np.stack(
        [ndimage.distance_transform_edt(body[..., z]) * ATLAS_MM > _WALL_MM for z in range(body.shape[2])], -1
    )
    organs = np.isin(atlas, [labels.ids()[n] for n in ("liver", "spleen", "kidney_left", "kidney_right")])
    lungs = np.isin(atlas, [labels.ids()[n] for n in LUNGS])
    top = np.flatnonzero((atlas == labels.ids()["liver"]).any(axis=(0, 1)))
    below = np.arange(body.shape[2]) <= (top[-1] if len(top) else body.shape[2])
    back = np.isin(atlas, [labels.ids()[n] for n in (*BONES, "autochthon_left", "autochthon_right", "spinal_cord")])
    inside = ((deep & below) | organs) & ~back & ~lungs & (chest < 0.5)
    return ndimage.binary_opening(inside, iterations=2).astype(np.float32)
