"""Figures of a kind's own, measured on CT, labels and mask: ratios, widths, counts, scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from prompts.vocabulary import FindingKind
from synth.report.location import Box, slice_axis
from synth.report.scene import Scene
from synth.report.vertebra import height_lost
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

Figure = Callable[["Scene", int, Box, np.ndarray], dict[str, float]]

_AGATSTON = ((130.0, 1), (200.0, 2), (300.0, 3), (400.0, 4))  # HU from which an area counts so much
_AGATSTON_SLICE_MM = 3.0
_ROUND = 0.72  # of the width of a round part: how wide the ball in it is at least


def figures_of(kind: str, scene: Scene, number: int, box: Box, mask: np.ndarray) -> dict[str, float]:
    """The figures of one finding, name -> value; none for kinds that have none."""
    return FIGURES[kind](scene, number, box, mask) if kind in FIGURES else {}


def thorax_width_mm(organs: LabelMap) -> float | None:
    """The widest right-left extent of both lungs in a slice, mm; None without lungs."""
    lungs = organs.mask(
        *(n for n in organs.names.values() if n == "lung" or n.startswith("lung_") and n[5:] != "nodule")
    )
    index = np.argwhere(lungs.any(axis=1)) if lungs.any() else np.empty((0, 2), int)
    if not len(index):
        return None
    return _widest(lungs, organs.affine)


def _widest(mask: np.ndarray, affine: np.ndarray) -> float:
    """The widest right-left extent of a mask in one slice, mm."""
    axis = slice_axis(affine)
    across = int(np.abs(affine[0, :3]).argmax())
    rows = np.asarray(mask.any(axis=3 - axis - across))  # one axis of slices, one across
    along = rows if across < axis else rows.T
    there = along.any(axis=0)
    first, last = along.argmax(axis=0), along.shape[0] - 1 - along[::-1].argmax(axis=0)
    spacing = float(np.linalg.norm(affine[:3, across]))
    return float((last - first + 1)[there].max()) * spacing


def has(kind: str, ct: Volume, organs: LabelMap) -> float | None:
    """How large an organ is before it grows: the cardiothoracic ratio, the spleen's mL; None of what does not grow."""
    if kind == FindingKind.CARDIOMEGALY:
        return cardiothoracic_ratio(organs)
    return float(organs.mask("spleen").sum()) * ct.voxel_ml if kind == FindingKind.SPLENOMEGALY else None


def cardiothoracic_ratio(organs: LabelMap) -> float | None:
    """Extent of the heart from right to left over the widest of the lungs."""
    width, heart = thorax_width_mm(organs), organs.mask("heart")
    if width is None or not heart.any():
        return None
    return float(np.ptp(world_of(np.argwhere(heart), organs.affine)[:, 0])) / width


def _heart(scene: Scene, number: int, box: Box, mask: np.ndarray) -> dict[str, float]:
    ratio = cardiothoracic_ratio(scene.case.organs)
    heart = float(scene.case.organs.mask("heart").sum()) * scene.case.ct.voxel_ml
    return {} if ratio is None else {"cardiothoracic_ratio": ratio, "heart_ml": heart}


def _spleen(scene: Scene, number: int, box: Box, mask: np.ndarray) -> dict[str, float]:
    spleen = scene.case.organs.mask("spleen")
    if not spleen.any():
        return {}
    z = world_of(np.argwhere(spleen), scene.case.ct.affine)[:, 2]
    return {"length_mm": float(np.ptp(z)), "spleen_ml": float(spleen.sum()) * scene.case.ct.voxel_ml}


def _aorta(scene: Scene, number: int, box: Box, mask: np.ndarray) -> dict[str, float]:
    """The width of the aorta where it is widest in the slices of the finding: of the circle of equal area.

    Parts of it that are not round in a slice, as the arch is, do not count.
    """
    widths = _round_widths(scene.case.organs.mask("aorta")[box], scene.case.ct.affine)
    return {"width_mm": max(widths, default=0.0)}


def _round_widths(aorta: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The widest round part of each slice, mm; 0 where there is none."""
    axis = slice_axis(affine)
    spacing = np.delete(np.linalg.norm(affine[:3, :3], axis=0), axis)
    widest = np.zeros(aorta.shape[axis])
    for n in range(aorta.shape[axis]):
        parts, count = ndimage.label(np.take(aorta, n, axis))
        for part in range(1, count + 1):
            width = 2 * float(np.sqrt((parts == part).sum() * np.prod(spacing) / np.pi))
            narrow = 2 * float(ndimage.distance_transform_edt(parts == part, sampling=spacing).max())
            if narrow > _ROUND * width:
                widest[n] = max(widest[n], width)
    return widest


def aortic_widths(organs: LabelMap, lungs: tuple[str, ...]) -> tuple[float, float]:
    """The widest round part of the aorta at the height of the lungs and above, and of that below, mm; 0 without."""
    axis = slice_axis(organs.affine)
    others = tuple(a for a in range(3) if a != axis)
    aorta, lung = organs.mask("aorta"), organs.mask(*lungs).any(axis=others)
    there = np.flatnonzero(aorta.any(axis=others))
    if not len(there):
        return 0.0, 0.0
    first, last = int(there[0]), int(there[-1]) + 1
    box = tuple(
        slice(first, last) if a == axis else slice(*_ends(aorta.any(axis=tuple(b for b in range(3) if b != a))))
        for a in range(3)
    )
    widest = _round_widths(aorta[box], organs.affine)
    slices = np.arange(first, last)
    upwards = organs.affine[2, axis] > 0
    ends = np.flatnonzero(lung)
    if not len(ends):
        return 0.0, float(widest.max(initial=0.0))
    chest = slices >= ends[0] if upwards else slices <= ends[-1]
    return float(widest[chest].max(initial=0.0)), float(widest[~chest].max(initial=0.0))


def _ends(line: np.ndarray | np.bool) -> tuple[int, int]:
    index = np.flatnonzero(line)
    return int(index[0]), int(index[-1]) + 1


def head_foot_mm(organs: LabelMap, name: str) -> float:
    """Extent of a structure from its highest to its lowest slice, both counted, mm."""
    axis = slice_axis(organs.affine)
    first, last = _ends(organs.mask(name).any(axis=tuple(a for a in range(3) if a != axis)))
    return (last - first) * float(np.linalg.norm(organs.affine[:3, axis]))


def calcium(scene: Scene, number: int, box: Box, mask: np.ndarray) -> dict[str, float]:
    """How many deposits, their volume in mm3, and the Agatston score (1990) of the mask's voxels, slice by slice."""
    hu = scene.case.ct.hu[box]
    axis = slice_axis(scene.case.ct.affine)
    spacing = scene.case.ct.spacing
    area = float(np.prod(np.delete(spacing, axis)))
    score = 0.0
    for n in range(mask.shape[axis]):
        parts, count = ndimage.label(np.take(mask, n, axis))
        values = np.take(hu, n, axis)
        for part in range(1, count + 1):
            inside = parts == part
            weight = sum(1 for least, _ in _AGATSTON if values[inside].max() >= least)
            score += weight * float((values[inside] >= _AGATSTON[0][0]).sum()) * area
    _, deposits = ndimage.label(mask, np.ones((3, 3, 3)))
    return {
        "deposits": float(deposits),
        "volume_mm3": float(mask.sum()) * scene.case.ct.voxel_ml * 1000,
        "agatston": score * float(spacing[axis]) / _AGATSTON_SLICE_MM,
        "peak_hu": float(hu[mask].max()),
    }


def _width(scene: Scene, number: int, box: Box, mask: np.ndarray) -> dict[str, float]:
    """The widest place of a tube, mm."""
    deep = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=scene.case.ct.spacing)
    return {"width_mm": 2 * float(deep.max())}


def _dissected(scene: Scene, number: int, box: Box, mask: np.ndarray) -> dict[str, float]:
    """How far down the aorta it goes, mm, and its share of the aorta's volume in those slices."""
    axis = slice_axis(scene.case.ct.affine)
    aorta = np.take(scene.case.organs.mask("aorta"), np.arange(box[axis].start, box[axis].stop), axis)
    there = float(aorta.sum())
    return {
        "length_mm": mask.shape[axis] * float(scene.case.ct.spacing[axis]),
        "false_share": float(mask.sum()) / there if there else 0.0,
    }


def _broken(scene: Scene, number: int, box: Box, mask: np.ndarray) -> dict[str, float]:
    """What of its height a vertebral body has lost in front; nothing of ribs."""
    ids = scene.case.organs.ids[box][mask]
    name = scene.case.organs.names.get(int(np.bincount(ids).argmax()), "") if len(ids) else ""
    lost = height_lost(scene.case.organs, name) if name.startswith("vertebrae_") else None
    return {} if lost is None else {"height_lost": lost}


def _emboli(scene: Scene, number: int, box: Box, mask: np.ndarray) -> dict[str, float]:
    """How many filling defects there are, and the longest one's extent, mm."""
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    spacing = scene.case.ct.spacing
    extents = [
        float(np.linalg.norm([(s.stop - s.start) * mm for s, mm in zip(piece, spacing, strict=True)]))
        for piece in ndimage.find_objects(pieces)
    ]
    return {"defects": float(count), "longest_mm": max(extents, default=0.0)}


FIGURES: dict[str, Figure] = {
    "cardiomegaly": _heart,
    "splenomegaly": _spleen,
    "aneurysm": _aorta,
    "coronary calcification": calcium,
    "arterial wall calcification": calcium,
    "dilated duct": _width,
    "dissection": _dissected,
    "fracture": _broken,
    "pulmonary embolism": _emboli,
}
