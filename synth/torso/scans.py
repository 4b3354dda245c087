"""Scans that each show a part of a region -> its frame, by a search for where they overlap what is placed already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from synth.errors import InputError
from synth.files.arrays import TEXT, Wanted, read_arrays, write_arrays
from synth.regions import Frame, Region
from synth.regions.frame import FINE_MM
from synth.volumes import labels
from synth.volumes.types import HU_MAX, LabelMap

SCAN_SPACING_MM = 4.0
SEARCH_MM = 8.0
_AIR_HU, _BODY_HU = -1000, -300
_COUCH, _SKIN = 3, 2  # voxels of FINE_MM: half of what is thicker than a couch, and what a body is dilated by
_LIMB_SHARE = 0.05  # of the trunk, that an arm is at least
_CUT_SHARE = 0.08  # of a box's sides that skin may touch where the outline counts as whole
_DEEP_MM, _FRONT_MM = 50.0, 28.0  # from the skin, in front of the anchor: no bone there
_LUNG_HU, _SOFT_HU, _BONE_HU = (-700, -300), (-160, 60), (150, 500)
_LEAST_OVERLAP, _LEAST_SLICES = 0.15, 13  # share of what is placed, slices of SEARCH_MM; or all of the scan
_APART, _LIKELY = 0.2, 4  # what no overlap at all adds to a difference; heights that are looked at more closely
_ARRAYS = {
    "hu": Wanted(3, "f"),
    "ids": Wanted(3, "u"),
    "fine": Wanted(3, "f"),
    "corner_mm": Wanted(1, "f"),
    "contrast": TEXT,
    "whole_outline": Wanted(0, "b"),
}
_SIDE_STEPS = (-2, -1, 0, 1, 2)  # of SEARCH_MM, about where the middles of the bodies agree


@dataclass(frozen=True)
class TorsoScan:
    """One scan at SCAN_SPACING_MM, RAS.

    hu: (X, Y, Z) float32, on the scan's own grid or on the torso frame; scanned: (X, Y, Z) bool, where it has data;
    ids: (X, Y, Z) uint8 of labels.csv, or None; contrast: as its table says; fine: (X, Y, Z) float16 HU of the
    body at FINE_MM on the scan's own grid; corner_mm: (3,) of that grid, from the lower corner of the frame.
    """

    name: str
    hu: np.ndarray
    scanned: np.ndarray
    ids: np.ndarray | None
    contrast: str
    whole_outline: bool
    fine: np.ndarray
    corner_mm: np.ndarray

    def save(self, path: Path) -> None:
        """One file. Raises OutputError."""
        ids = np.zeros((1, 1, 1), np.uint8) if self.ids is None else self.ids
        about = np.array(self.whole_outline)
        arrays = {"hu": self.hu, "ids": ids, "fine": self.fine, "corner_mm": self.corner_mm, "whole_outline": about}
        write_arrays(path, contrast=self.contrast, **arrays)

    @staticmethod
    def read(path: Path) -> TorsoScan:
        """What `save` wrote. Raises InputError."""
        found = read_arrays(path, _ARRAYS, remedy="run `synthct prepare` again")
        hu, ids = found["hu"], found["ids"]
        about = (str(found["contrast"]), bool(found["whole_outline"]), found["fine"], found["corner_mm"])
        return TorsoScan(path.stem, hu, np.ones(hu.shape, bool), ids if ids.shape == hu.shape else None, *about)


def scan_of(
    name: str, hu: np.ndarray, spacing: np.ndarray, organs: LabelMap | None = None, contrast: str = "?"
) -> TorsoScan:
    """A CT (X, Y, Z) HU in RAS order, mm between its voxels, and its organs on the same grid."""
    hu = np.maximum(hu.astype(np.float32), _AIR_HU)
    ids = None if organs is None else _resampled(_ids_of(organs), spacing, 0)
    at_4mm = _resampled(_smoothed(hu, SCAN_SPACING_MM / spacing, 0.35), spacing, 1)
    everywhere = np.ones(at_4mm.shape, bool)
    fine = _resampled(_smoothed(hu, FINE_MM / spacing, 0.3), spacing, 3, FINE_MM).clip(_AIR_HU, HU_MAX)
    whole, body = cut_share(at_4mm) < _CUT_SHARE, body_of(fine).astype(np.float16)
    return TorsoScan(name, at_4mm, everywhere, ids, contrast, whole, body, np.zeros(3))


def _ids_of(organs: LabelMap) -> np.ndarray:
    """(X, Y, Z) uint8 ids of labels.csv."""
    table = np.zeros(int(organs.ids.max()) + 1, np.uint8)
    for number, name in organs.names.items():
        if number < len(table) and name in labels.ids():
            table[number] = labels.ids()[name]
    return table[organs.ids]


def _smoothed(hu: np.ndarray, times: np.ndarray, sigma: float) -> np.ndarray:
    """HU that may be sampled so many times more coarsely without aliasing; `sigma` in voxels of the coarser grid."""
    return np.asarray(ndimage.gaussian_filter(hu, np.where(times > 1, sigma * times, 0.0)))


def body_of(hu: np.ndarray) -> np.ndarray:
    """HU at FINE_MM without what is not the patient: couch and clothes are air."""
    solid = ndimage.binary_opening(hu > _BODY_HU, iterations=_COUCH)
    pieces, _ = ndimage.label(solid)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    body = (sizes > _LIMB_SHARE * sizes.max())[pieces]
    body = np.stack([ndimage.binary_fill_holes(body[..., z]) for z in range(body.shape[2])], axis=-1)
    return np.where(ndimage.binary_dilation(body, iterations=_SKIN), hu, _AIR_HU)


def cut_share(hu: np.ndarray) -> float:
    """Share of the sides of a scan's box where the body goes on beyond it."""
    sides = (hu[0], hu[-1], hu[:, 0], hu[:, -1])
    return float(np.mean([(side > _BODY_HU).mean() for side in sides]))


def _resampled(array: np.ndarray, spacing: np.ndarray, order: int, onto: float = SCAN_SPACING_MM) -> np.ndarray:
    """Onto voxels of `onto` mm that cover the same box."""
    scale = onto / spacing
    shape = tuple(int(n) for n in np.rint(np.array(array.shape) / scale))
    return ndimage.affine_transform(array, scale, (scale - 1) / 2, output_shape=shape, order=order, mode="nearest")


def features(hu: np.ndarray) -> np.ndarray:
    """HU -> (3, X, Y, Z): lung and air, fat against soft tissue, bone; each 0 in air and blind to contrast."""
    return np.stack(
        [
            np.interp(hu, _LUNG_HU, (0.0, 1.0)),
            np.interp(hu, _SOFT_HU, (0.0, 1.0)),
            np.interp(hu, _BONE_HU, (0.0, 1.0)),
        ]
    ).astype(np.float32)


def put(scan: TorsoScan, offset: np.ndarray, frame: Frame) -> TorsoScan:
    """The scan on a frame at SCAN_SPACING_MM: its voxel (i, j, k) goes to (i, j, k) + offset, whole voxels."""
    shape = frame.shape_at(SCAN_SPACING_MM)
    scanned = _moved(scan.scanned, offset, shape, False)
    if scan.whole_outline:  # beyond its box is air
        scanned = np.broadcast_to(scanned.any(axis=(0, 1)), shape)
    return replace(
        scan,
        hu=_moved(scan.hu, offset, shape, float(_AIR_HU)),
        scanned=np.ascontiguousarray(scanned),
        ids=None if scan.ids is None else _moved(scan.ids, offset, shape, 0),
        corner_mm=SCAN_SPACING_MM * offset,
    )


def _moved(array: np.ndarray, offset: np.ndarray, shape: tuple[int, ...], fill: float) -> np.ndarray:
    out = np.full(shape, fill, array.dtype)
    here, there = [], []
    for n, size, shift in zip(array.shape, shape, offset.tolist(), strict=True):
        low, high = max(0, shift), min(size, n + shift)
        here.append(slice(low, high))
        there.append(slice(low - shift, high - shift))
    out[tuple(here)] = array[tuple(there)]
    return out


def middle(hu: np.ndarray) -> np.ndarray:
    """(2,) voxel of the middle of the body in the plane."""
    body = ndimage.binary_opening(hu > _BODY_HU, iterations=2)
    spans = [np.flatnonzero(body.any(axis=others).astype(int)) for others in ((1, 2), (0, 2))]
    return np.array([(s[0] + s[-1]) / 2 for s in spans])


def overlap_score(moving: torch.Tensor, fixed: torch.Tensor, weight: torch.Tensor, low: int) -> float:
    """Mean squared difference of features where both have data, relative to the variance of the fixed ones there.

    Args:
        moving: (C, X, Y, Z); fixed: (C, X, Y, Z'); weight: (1, X, Y, Z') 1 where fixed has data;
        low: the slice of `fixed` on which slice 0 of `moving` lies.
    """
    start, stop = max(0, low), min(fixed.shape[-1], low + moving.shape[-1])
    a, b, w = moving[..., start - low : stop - low], fixed[..., start:stop], weight[..., start:stop]
    total = w.sum().clamp(min=1.0)
    mean = (b * w).sum(dim=(1, 2, 3), keepdim=True) / total
    return float(((a - b) ** 2 * w).sum() / (((b - mean) ** 2 * w).sum() + 1e-3))


def search(
    scan: TorsoScan, fixed: torch.Tensor, weight: torch.Tensor, frame: Frame, tell: Callable[[str], None]
) -> np.ndarray:
    """The offset (3,) in voxels of SCAN_SPACING_MM at which a scan looks most like what is placed already.

    Args:
        fixed: (3, X, Y, Z) mean features of the `frame` at SEARCH_MM; weight: (1, X, Y, Z) 1 where they are known.
    """
    step = round(SEARCH_MM / SCAN_SPACING_MM)
    known = torch.nonzero(weight[0].amax(dim=(0, 1)) > 0)[:, 0]
    target = middle(1000 * fixed[1].numpy() - 500)
    here = middle(scan.hu) / step
    deep = scan.hu.shape[2] // step * step
    plane = (*frame.shape_at(SCAN_SPACING_MM)[:2], deep)
    slices = deep // step
    least = min(slices, max(_LEAST_SLICES, int(_LEAST_OVERLAP * len(known))))
    lows = range(int(known[0]) - slices + least, int(known[-1]) - least + 2)

    def score(low: int, moving: torch.Tensor) -> float:
        start, stop = max(low, int(known[0])), min(low + slices, int(known[-1]) + 1)
        apart = 1 - (stop - start) / min(slices, len(known))
        return overlap_score(moving, fixed, weight, low) + _APART * apart

    def moved_by(dx: int, dy: int) -> torch.Tensor:
        side = step * (np.rint(target - here).astype(int) + (dx, dy))
        hu = _moved(scan.hu[..., :deep], np.array([*side, 0]), plane, float(_AIR_HU))
        return F.avg_pool3d(torch.from_numpy(features(hu))[None], step)[0]

    centred = moved_by(0, 0)
    likely = sorted((score(low, centred), low) for low in lows)[:_LIKELY]
    near = sorted({low + k for _, low in likely for k in (-1, 0, 1)} & set(lows))
    best: tuple[float, int, int, int] = (np.inf, 0, 0, 0)
    for dx, dy in product(_SIDE_STEPS, _SIDE_STEPS):
        moving = moved_by(dx, dy)
        best = min([best, *((score(low, moving), dx, dy, low) for low in near)])
    side = np.rint(target - here).astype(int) + best[1:3]
    offset = step * np.array([*side, best[3]])
    tell(f"{scan.name}: placed at {(offset * SCAN_SPACING_MM).tolist()} mm, difference {best[0]:.3f}")
    return offset


def _labelled(scan: TorsoScan) -> int:
    """How many labels a scan has."""
    return 0 if scan.ids is None else len(np.unique(scan.ids))


def offsets(scans: Sequence[TorsoScan], region: Region, tell: Callable[[str], None]) -> list[np.ndarray]:
    """(3,) voxels for `put` of each scan: of the one with most labels by the region's anchor, of the others by search.

    A scan that hardly overlaps the labelled one is placed on the mean of those that do, in a second search of all.
    Raises InputError where no scan shows the anchor.
    """
    first = max(range(len(scans)), key=lambda i: _labelled(scans[i]))
    found: dict[int, np.ndarray] = {first: _anchored(scans[first], region)}
    out = {first: put(scans[first], found[first], region.frame)}
    for round_number in range(2):
        order = range(len(scans)) if round_number else sorted(range(len(scans)), key=lambda i: -scans[i].hu.shape[2])
        for i in order:
            if i != first:
                others = [s for j, s in sorted(out.items()) if j != i and (round_number or j == first)]
                found[i] = search(scans[i], *mean_features(others), region.frame, tell)
                out[i] = put(scans[i], found[i], region.frame)
    return [found[i] for i in range(len(scans))]


def _anchored(scan: TorsoScan, region: Region) -> np.ndarray:
    """The offset that puts the region's anchor, told from labels, at the frame's origin."""
    ids = np.zeros(scan.hu.shape, np.uint8) if scan.ids is None else scan.ids
    masks = {name: ids == number for number, name in labels.names().items() if (ids == number).any()}
    anchor = region.find_anchor(scan.hu, np.full(3, SCAN_SPACING_MM), masks)
    if anchor is None:
        needed = " and ".join(region.anchor.organs).replace("_", " ")
        raise InputError(
            f"region {region.name}: no scan has {needed or 'what it is placed by'} labelled; add one that has"
        )
    origin = -np.array(region.frame.lower_mm) / SCAN_SPACING_MM - 0.5
    return np.asarray(np.rint(origin - anchor / SCAN_SPACING_MM).astype(int))


def mean_features(scans: Sequence[TorsoScan]) -> tuple[torch.Tensor, torch.Tensor]:
    """(3, X, Y, Z) mean features at SEARCH_MM of scans on the frame, and (1, X, Y, Z) 1 where one of them has data."""
    step = round(SEARCH_MM / SCAN_SPACING_MM)
    total, count = torch.zeros(()), torch.zeros(())
    for scan in scans:
        seen = torch.from_numpy(scan.scanned.astype(np.float32))[None]
        total = total + F.avg_pool3d((torch.from_numpy(features(scan.hu)) * seen)[None], step)[0]
        count = count + F.avg_pool3d(seen[None], step)[0]
    return total / count.clamp(min=1e-3), (count > 0.5).float()


def blood(scan: TorsoScan, frame: Frame) -> np.ndarray:
    """(X, Y, Z) bool of a scan on its frame: deep in the body in front of the spine, where bright means contrast."""
    body = np.stack([ndimage.binary_fill_holes(scan.hu[..., z] > _BODY_HU) for z in range(scan.hu.shape[2])], axis=-1)
    depth = ndimage.distance_transform_edt(body[::2, ::2, ::2]) * 2 * SCAN_SPACING_MM
    deep = (depth > _DEEP_MM).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    front = frame.affine_at(SCAN_SPACING_MM)[1, 3] + SCAN_SPACING_MM * np.arange(scan.hu.shape[1]) > _FRONT_MM
    inside: np.ndarray = deep & front[None, :, None]
    return inside
