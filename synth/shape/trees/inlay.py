"""Inlay: trees painted into a CT - what stood in their place made plain first, so that no vessel shows twice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from synth.shape.trees.lungs import LungTrees
from synth.shape.trees.painting import share_of
from synth.shape.trees.tree import Tree
from synth.volumes import labels
from synth.volumes.geometry import voxel_spacing

_WALL_HU, _AIR_HU = 20.0, -1000.0
_PLAIN_MM = 10.0  # over which the attenuation of lung without vessels is averaged
_LEVEL = 45.0  # percentile of a lung that is surely no vessel
_GRAIN_HU = 45.0  # of texture that is kept
_RIM_MM = (1.0, 5.0)  # from the border of a lung: nothing is made plain, all is
_POINT_SD_MM = 0.8  # of what a scanner makes of a point; without it the finest vessels are dots that no CT shows
_HALF = 0.5  # of a voxel, from which it belongs to a tree


def inlay_lungs(
    hu: np.ndarray, affine: np.ndarray, depth: np.ndarray, trees: LungTrees, blood_hu: float
) -> tuple[np.ndarray, np.ndarray]:
    """Airways and vessels in the lungs, and nothing else there but texture.

    Args:
        hu: (X, Y, Z); affine: (4, 4) RAS mm; depth: (X, Y, Z) mm within the lungs, 0 outside; blood_hu: of the vessels.

    Returns (X, Y, Z) float32 HU, and uint8 ids of synth/volumes/labels.csv where half of a voxel or more is a tree's.
    """
    box = _box(depth > 0)
    if box is None:
        return np.asarray(hu, np.float32), np.zeros(hu.shape, np.uint8)
    here, depth = hu[box], depth[box]
    affine = _moved(affine, box)
    clear = ((depth - _RIM_MM[0]) / (_RIM_MM[1] - _RIM_MM[0])).clip(0, 1)
    grain = here - _plain(here, depth, affine)
    out = here - clear * (grain - _GRAIN_HU * np.tanh(grain / _GRAIN_HU))
    within = depth > 0
    outer, lumen = (within * share_of(t, here.shape, affine) for t in (trees.airways_outside(), trees.airways))
    lumen = np.minimum(lumen, outer)
    seen, hollow = (within * _scanned(share, affine) for share in (outer, lumen))
    out = out * (1 - seen) + _WALL_HU * (seen - hollow) + _AIR_HU * hollow
    ids = np.where(outer >= _HALF, labels.ids()["lung_airways"], 0).astype(np.uint8)
    vessels = {"lung_veins": trees.veins, "lung_arteries": trees.arteries}
    return _laid(hu, box, *_with_vessels(out, ids, affine, within, vessels, blood_hu))


def inlay_vessels(
    hu: np.ndarray, affine: np.ndarray, organ: np.ndarray, trees: Mapping[str, Tree], blood_hu: float
) -> tuple[np.ndarray, np.ndarray]:
    """Vessels by name within the mask (X, Y, Z) of an organ; returns HU and ids as `inlay_lungs` does."""
    box = _box(organ)
    if box is None:
        return np.asarray(hu, np.float32), np.zeros(hu.shape, np.uint8)
    none = np.zeros(organ[box].shape, np.uint8)
    return _laid(hu, box, *_with_vessels(hu[box], none, _moved(affine, box), organ[box], trees, blood_hu))


def _box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """The voxels that hold a mask; None where it is empty."""
    found: list[tuple[slice, ...]] = ndimage.find_objects(mask.astype(np.uint8))
    return found[0] if found else None


def _moved(affine: np.ndarray, box: tuple[slice, ...]) -> np.ndarray:
    """The affine of a box."""
    out = affine.copy()
    out[:3, 3] += affine[:3, :3] @ [s.start for s in box]
    return out


def _laid(hu: np.ndarray, box: tuple[slice, ...], here: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """HU and ids of a box within the whole."""
    out, ids = np.array(hu, np.float32), np.zeros(hu.shape, np.uint8)
    out[box], ids[box] = here, found
    return out, ids


def _with_vessels(
    out: np.ndarray,
    ids: np.ndarray,
    affine: np.ndarray,
    within: np.ndarray,
    trees: Mapping[str, Tree],
    blood_hu: float,
) -> tuple[np.ndarray, np.ndarray]:
    for name, tree in trees.items():
        share = within * share_of(tree, (out.shape[0], out.shape[1], out.shape[2]), affine)
        seen = within * _scanned(share, affine)
        out = out * (1 - seen) + blood_hu * seen
        ids[share >= _HALF] = labels.ids()[name]
    return np.asarray(out, np.float32), ids


def _scanned(share: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Shares (X, Y, Z) as a scanner shows them: blurred by its point spread, which loses no attenuation."""
    blurred: np.ndarray = ndimage.gaussian_filter(share, _POINT_SD_MM / voxel_spacing(affine))
    return blurred


def _plain(hu: np.ndarray, depth: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Lung without vessels: the darker part of it, smoothed."""
    lung = depth > _RIM_MM[0]
    if not lung.any():
        return hu
    level = float(np.percentile(hu[lung], _LEVEL))
    kept = (lung & (hu < level + 2 * _GRAIN_HU) & (hu > level - 3 * _GRAIN_HU)).astype(np.float32)
    sigma = _PLAIN_MM / voxel_spacing(affine)
    weight = ndimage.gaussian_filter(kept, sigma, mode="constant")
    mean = ndimage.gaussian_filter(kept * hu, sigma, mode="constant") / np.maximum(weight, 1e-4)
    return np.where(weight > 1e-3, mean, level).astype(np.float32)
