"""Fitting: an organ of the deformed atlas, moved to where attenuation says that it is.

Registration of few scans leaves a kidney or a spleen up to 15 mm beside its place. So each organ is moved by itself, to
where its own attenuation, measured in its core, wins most over fat and other soft tissue; then a voxel is the organ's
by how deep it lies in the moved atlas and by its attenuation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage, signal

from synth.volumes import labels

FITTED = ("heart", "aorta", "liver", "spleen", "kidney_left", "kidney_right")
_STILL = ("aorta",)  # it would slip along itself, or onto the spine beside it
FIT_MM = 4.0  # where organs are moved
_LEAST_HU = -60.0  # fat is darker
_MORE_HU, _ARTERIAL_HU = 30.0, 300.0  # beyond what is usual: blood and what is full of it in an early phase
_FULL_OF_BLOOD = ("heart", "aorta", "spleen", "kidney_left", "kidney_right")
_CHAMBERS = ("heart", "aorta")  # as bright as the whole of their core, not as its mode
_LEAST_SD = 12.0  # HU
_MOST_SD = {"kidney_left": 90.0, "kidney_right": 90.0}  # cortex and pelvis
_USUAL_SD = 25.0
_FAT, _SOFT_TISSUE = (-100.0, 35.0), (50.0, 40.0)  # HU mean and SD of what is round an organ
_OWN_ANYWHERE, _OTHER_ANYWHERE = 1e-4, 1.5e-4  # a HU, of what is not like the organ's core, and like nothing round it
_REACH_MM, _FAR_MM = 18.0, 12.0  # from the atlas that an organ may lie, and that it is moved at once
_CORE_MM, _CORE_SHARE = 8.0, 0.3  # depth of a core, or the deepest share where nothing is so deep
_LEAST_CORE = 8  # voxels
_SOFT_MM = 4.0  # over which being in the atlas becomes sure
_BELIEVED = 3.0  # log odds that attenuation gives at most
_MOVE_SD_MM, _MOVE_COST = 8.0, 0.2  # a voxel of the organ
_ROUNDS = 4
_GRAIN_MM = 1.0
_STEP_HU = 5.0
_SCALE = np.arange(-200.0, 900.0, _STEP_HU)
_CHAMBER_HU = 20.0


@dataclass(frozen=True)
class Fitted:
    """An organ on the grid that it was fitted on.

    box: its part of the grid; depth: (X, Y, Z) float32 mm in the moved atlas, negative outside; like: (N,) how
    often its core has each HU of `_SCALE`, a HU; limits: HU that no voxel of it is beyond.
    """

    name: str
    box: tuple[slice, ...]
    depth: np.ndarray
    like: np.ndarray
    limits: tuple[float, float]

    def finer(self, factor: int) -> Fitted:
        """On a grid that is so many times as fine."""
        if factor == 1:
            return self
        box = tuple(slice(factor * s.start, factor * s.stop) for s in self.box)
        depth = F.interpolate(torch.from_numpy(self.depth)[None, None], scale_factor=factor, mode="trilinear")
        return replace(self, box=box, depth=depth[0, 0].numpy())

    def rank(self, hu: np.ndarray) -> np.ndarray:
        """(X, Y, Z) by which organs compete for a voxel: log of how likely each is."""
        return self.depth / _SOFT_MM + np.interp(hu, _SCALE, np.log(self.like + _OWN_ANYWHERE))

    def evidence(self, hu: np.ndarray) -> np.ndarray:
        """(X, Y, Z) log odds that attenuation gives for the organ, at most `_BELIEVED` either way."""
        low, high = self.limits
        own = self.like + _OWN_ANYWHERE * ((low < _SCALE) & (high > _SCALE)) + 1e-12
        other = 0.5 * (_gauss(_SCALE, *_FAT) + _gauss(_SCALE, *_SOFT_TISSUE)) + _OTHER_ANYWHERE
        return np.asarray(np.interp(hu, _SCALE, np.log(own / other).clip(-_BELIEVED, _BELIEVED)))

    def odds(self, hu: np.ndarray) -> np.ndarray:
        """(X, Y, Z) log odds of being the organ; `hu` of its box, smoothed a little."""
        odds = np.where(self.depth < -_REACH_MM, -np.inf, self.depth / _SOFT_MM + self.evidence(hu))
        return np.where((hu > self.limits[0]) & (hu < self.limits[1]), odds, -np.inf)


def fit(hu: np.ndarray, mask: np.ndarray, name: str, spacing: float) -> Fitted | None:
    """An organ, moved; None where the atlas has none of it here, or no core like it.

    Args:
        hu: (X, Y, Z) HU; mask: (X, Y, Z) bool of the deformed atlas; spacing: mm, FIT_MM or coarser.
    """
    if not mask.any():
        return None
    grow = round(_REACH_MM / spacing) + 2
    found = ndimage.find_objects(mask.astype(np.uint8))[0]
    box = tuple(slice(max(0, s.start - grow), min(n, s.stop + grow)) for s, n in zip(found, mask.shape, strict=True))
    mask, here = mask[box], smoothed(hu[box], spacing)
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    depth = ((inside - outside + np.where(mask, -0.5, 0.5)) * spacing).astype(np.float32)
    organ: Fitted | None = Fitted(name, box, depth, np.zeros(len(_SCALE)), _limits(name))
    for _ in range(_ROUNDS):
        assert organ is not None
        organ = _measured(organ, here)
        if organ is None or name in _STILL:
            return organ
        move = _move(organ, here, int(mask.sum()), spacing)
        if not move.any():
            break
        organ = replace(organ, depth=ndimage.shift(organ.depth, move, order=1, mode="nearest"))
    return organ


def means(hu: np.ndarray, factor: int) -> np.ndarray:
    """(X, Y, Z) float32 HU of blocks of so many voxels a side."""
    x, y, z = (n // factor for n in hu.shape)
    blocks = hu[: x * factor, : y * factor, : z * factor].reshape(x, factor, y, factor, z, factor)
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float32))


def smoothed(hu: np.ndarray, spacing: float) -> np.ndarray:
    """HU without the finest noise."""
    return np.asarray(ndimage.gaussian_filter(hu.astype(np.float32), _GRAIN_MM / spacing))


def _limits(name: str) -> tuple[float, float]:
    (usual,) = (s for s in labels.structures() if s.name == name)
    most = usual.hu_venous[1] + _MORE_HU + (_ARTERIAL_HU if name in _FULL_OF_BLOOD else 0.0)
    return max(_LEAST_HU, usual.hu_native[0] - 2 * _MORE_HU), most


def _measured(organ: Fitted, hu: np.ndarray) -> Fitted | None:
    """With the mode of its core, and the spread about it."""
    low, high = organ.limits
    inside = organ.depth[organ.depth > 0]
    if len(inside) < _LEAST_CORE:  # a rim, or moved out of the field
        return None
    deep = min(_CORE_MM, float(np.quantile(inside, 1 - _CORE_SHARE)))
    core = hu[(organ.depth >= deep) & (hu > low) & (hu < high)]
    if len(core) < _LEAST_CORE:
        return None
    counts = ndimage.gaussian_filter1d(np.histogram(core, np.append(_SCALE, _SCALE[-1] + _STEP_HU))[0].astype(float), 2)
    if organ.name in _CHAMBERS:
        return replace(organ, like=ndimage.gaussian_filter1d(counts, _CHAMBER_HU / _STEP_HU) / counts.sum() / _STEP_HU)
    mode = float(_SCALE[counts.argmax()] + _STEP_HU / 2)
    spread = 1.48 * float(np.median(np.abs(core - mode)))
    sd = float(np.clip(spread, _LEAST_SD, _MOST_SD.get(organ.name, _USUAL_SD)))
    return replace(organ, like=_gauss(_SCALE, mode, sd))


def _move(organ: Fitted, hu: np.ndarray, voxels: int, spacing: float) -> np.ndarray:
    """(3,) whole voxels by which the organ fits best, at most `_FAR_MM` along an axis."""
    share = 1 / (1 + np.exp(-organ.depth / _SOFT_MM))
    fits = signal.fftconvolve(organ.evidence(hu), share[::-1, ::-1, ::-1], mode="full")
    reach = round(_FAR_MM / spacing)
    still = [n - 1 for n in hu.shape]
    near = tuple(slice(max(0, c - reach), c + reach + 1) for c in still)
    axes = (np.arange(s.start - c, s.stop - c) for s, c in zip(near, still, strict=True))
    steps = np.stack(np.meshgrid(*axes, indexing="ij"))
    cost = _MOVE_COST * voxels * (np.square(steps * spacing).sum(axis=0) / (2 * _MOVE_SD_MM**2))
    best = np.unravel_index((fits[near] - cost).argmax(), steps.shape[1:])
    return np.asarray(steps[(slice(None), *best)])


def _gauss(values: np.ndarray, mean: float, sd: float) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * ((values - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi)))
