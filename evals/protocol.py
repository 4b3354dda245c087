"""From a volume to the slices that a feature network sees. A protocol is a part of every stamp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evals.volumes import ReadVolume, UsableVolume
from synth.errors import InputError

PLANES = ("axial", "sagittal", "coronal")  # across the RAS axes z, x, y: xy, yz and zx
_ACROSS = {"axial": 2, "sagittal": 0, "coronal": 1}
_AIR_HU = -1000
_CLIP = (-1000, 1000)
_WINDOWS = ((-1000, 1000), (-160, 240), (-300, 1500))  # HU: everything, soft tissue, bone; one a channel
_BGR_MEAN = (0.406, 0.456, 0.485)  # ImageNet's, subtracted in BGR order by RadImageNet's networks

Name = Literal["windows", "maisi25d"]


@dataclass(frozen=True)
class Protocol:
    """How volumes become slices.

    `windows`: `count` slices a plane, evenly over the central `share` of the volume, each as three windows of HU.
    `maisi25d`: compute_fid_2-5d_ct.py of MONAI's MAISI tutorial: RAS, 1 mm, padded with -1000 HU and centre-cropped
    to 512^3, clipped to +-1000 HU, every slice of the central 40%, min-max over the slices of a plane, three equal
    channels less the ImageNet mean.

    `spacing`: isotropic mm to resample to; None = as it stands. `shape`: voxels to pad or crop to, about the centre.
    """

    name: Name
    shape: tuple[int, int, int]
    spacing: float | None
    count: int | None
    share: float

    @property
    def slices(self) -> str:
        """The slice policy, for the stamp."""
        which = "all" if self.count is None else str(self.count)
        return f"{which} slices a plane of the central {self.share:.0%}, {len(PLANES)} planes"

    @property
    def preprocessing(self) -> str:
        """Everything else, for the stamp."""
        at = "spacing as found" if self.spacing is None else f"resampled to {self.spacing:g} mm"
        size = " x ".join(map(str, self.shape))
        return f"{self.name}: RAS, {at}, padded with {_AIR_HU} HU and centre-cropped to {size}, clipped to +-1000 HU"

    def volume(self, subject: ReadVolume) -> np.ndarray:
        """HU (X, Y, Z) float32 on the protocol's grid."""
        hu = subject.hu.astype(np.float32)
        if self.spacing is not None and not np.allclose(subject.spacing, self.spacing, atol=1e-3):
            hu = _resampled(hu, subject.affine, self.spacing)
        return _fitted(hu, self.shape).clip(*_CLIP)

    def stacks(self, subject: ReadVolume) -> Iterator[tuple[str, np.ndarray]]:
        """Each plane with its slices (N, 3, H, W), float32 in the range that a network for them expects."""
        volume = self.volume(subject)
        for plane in PLANES:
            chosen = np.moveaxis(np.take(volume, self._numbers(plane), _ACROSS[plane]), _ACROSS[plane], 0)
            yield plane, windowed(chosen) if self.name == "windows" else _min_max(chosen)

    def _numbers(self, plane: str) -> np.ndarray:
        size = self.shape[_ACROSS[plane]]
        start, stop = int((1 - self.share) / 2 * size), int((1 + self.share) / 2 * size)
        if self.count is None:
            return np.arange(start, stop)
        return np.unique(np.linspace(start, stop - 1, self.count).round().astype(int))


def choose(name: str, sets: Sequence[Sequence[UsableVolume]], spacing: float | None, slices: int) -> Protocol:
    """The protocol of that name for these volumes; the first set is the reference and gives the grid of `windows`."""
    if name == "maisi25d":
        if spacing not in (None, 1.0):
            raise InputError(f"--spacing {spacing:g}: the maisi25d protocol is at 1 mm; leave --spacing out")
        return Protocol("maisi25d", (512, 512, 512), 1.0, None, 0.4)
    if name != "windows":
        raise InputError(f"--protocol {name}: choose windows or maisi25d")
    sizes = [np.array(e.shape) * (np.array(e.spacing) / spacing if spacing else 1.0) for e in sets[0]]
    x, y, z = (int(n) for n in np.ceil(np.max(sizes, axis=0) - 1e-6))
    return Protocol("windows", (x, y, z), spacing, slices, 0.8)


def _resampled(hu: np.ndarray, affine: np.ndarray, spacing: float) -> np.ndarray:
    """Trilinear, as MONAI's Spacing."""
    import torch
    from monai.data import MetaTensor
    from monai.transforms import Spacing

    image = MetaTensor(torch.from_numpy(np.ascontiguousarray(hu))[None], affine=torch.from_numpy(affine))
    out: np.ndarray = Spacing(pixdim=(spacing,) * 3, mode="bilinear")(image)[0].numpy()
    return out


def _fitted(hu: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Padded with air where smaller and cropped where larger, about the centre, as MONAI's SpatialPad and
    CenterSpatialCrop."""
    missing = [max(0, want - have) for have, want in zip(hu.shape, shape, strict=True)]
    hu = np.pad(hu, [(m // 2, m - m // 2) for m in missing], constant_values=_AIR_HU)
    start = [(have // 2) - (want // 2) for have, want in zip(hu.shape, shape, strict=True)]
    return hu[tuple(slice(max(s, 0), max(s, 0) + n) for s, n in zip(start, shape, strict=True))]


def windowed(slices: np.ndarray) -> np.ndarray:
    """(N, H, W) HU -> (N, 3, H, W) in -1..1: everything, soft tissue and bone."""
    channels = [(slices.clip(low, high) - low) * (2.0 / (high - low)) - 1.0 for low, high in _WINDOWS]
    return np.stack(channels, axis=1).astype(np.float32)


def _min_max(slices: np.ndarray) -> np.ndarray:
    """(N, H, W) HU -> (N, 3, H, W): 0..1 over all slices, less the ImageNet mean."""
    low, high = float(slices.min()), float(slices.max())
    unit = (slices - low) / (high - low + 1e-10)
    return np.stack([unit - mean for mean in _BGR_MEAN], axis=1).astype(np.float32)
