"""The torso model: scans in register, the modes of their deformation, and an atlas of organs."""

from __future__ import annotations

import io
import json
import lzma
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from synth import wavelet
from synth.errors import InputError
from synth.files.arrays import TEXT, Wanted, read_arrays
from synth.files.compressed import unxz
from synth.files.content import bytes_of
from synth.files.documents import parse_json
from synth.regions import shipped

FRAME = shipped("torso").frame
ATLAS_MM = 4.0
VELOCITY_MM = 32.0
_LEVELS = 100  # grey levels of a look per intensity unit: 4 HU of soft tissue, 17 HU of bone
DETAIL_STEP = 0.07  # intensity units: 28 HU of soft tissue, 119 HU of bone
_MOST_BYTES = 2**30
_REMEDY = "copy it again, or train again with `synthct train torso`"
_ROUND_FROM = 0.35  # of a step


@dataclass(frozen=True)
class Donor:
    """What is known of a scan that lends its look.

    outline: its field of view holds the whole skin; sound: no large disease in the chest, so that it may lend that too;
    size: cross-section at the anchor relative to the others, in SD.
    """

    name: str
    enhanced: bool
    outline: bool
    sound: bool
    size: float


@dataclass(frozen=True)
class TorsoModel:
    """All arrays on grids of the torso frame, in the space of the mean torso.

    coarse: (N, X, Y, Z) uint8 at LOOK_MM, looks of the scans: 0 where one has no data, else 1 + 100 (intensity + 1);
    details: (7, N, X, Y, Z) int8, wavelet bands that make them LOOK_MM / 2, in steps of DETAIL_STEP;
    chest, abdomen: (X, Y, Z) uint8 at LOOK_MM, share (of 255) of the inside of either, the rest being body wall;
    atlas: (X, Y, Z) uint8 at ATLAS_MM, ids of synth/labels.csv;
    mean: (3, X, Y, Z) float16 mm at VELOCITY_MM; modes: (K, 3, X, Y, Z) int8, each times scale[k] is one SD in mm;
    habitus: (K,) what of the modes one SD of size is.
    """

    donors: tuple[Donor, ...]
    coarse: np.ndarray
    details: np.ndarray
    chest: np.ndarray
    abdomen: np.ndarray
    atlas: np.ndarray
    mean: np.ndarray
    modes: np.ndarray
    scale: np.ndarray
    habitus: np.ndarray

    def known(self, index: int) -> np.ndarray:
        """(X, Y, Z) bool at LOOK_MM: where a scan has data."""
        return np.asarray(self.coarse[index] > 0)

    def look(self, index: int) -> np.ndarray:
        """(X, Y, Z) intensity + 1 of a scan at LOOK_MM / 2, float32; 0 where it has no data."""
        low = torch.from_numpy(self.coarse[index]).float().sub(1).clamp(min=0)[None] / _LEVELS
        bands = torch.cat([low, torch.from_numpy(self.details[:, index]).float() * DETAIL_STEP])
        return wavelet.inverse(bands[None])[0, 0].clamp(0.0, 2.5).numpy()

    def velocity(self, coefficients: np.ndarray) -> torch.Tensor:
        """(K,) in SD -> (1, 3, X, Y, Z) mm on the base grid."""
        # in double: the order of the sums must not reach the volume
        sizes = coefficients * self.scale.astype(np.float64)
        flat = self.mean.astype(np.float64) + np.tensordot(sizes, self.modes.astype(np.float64), axes=1)
        coarse = torch.from_numpy(flat.astype(np.float32))[None]
        return F.interpolate(coarse, size=FRAME.shape, mode="trilinear", align_corners=False)

    def save(self, path: Path) -> None:
        """One compressed file."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "donors"}
        file = io.BytesIO()
        np.savez(file, donors=np.array(json.dumps([vars(d) for d in self.donors])), **arrays)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress(file.getvalue(), preset=9))

    @staticmethod
    def read(path: Path) -> TorsoModel:
        """InputError where there is no such file."""
        if not path.is_file():
            raise InputError(f"{path}: no torso model here; unset SYNTHCT_WEIGHTS or train with `synthct train torso`")
        content = unxz(bytes_of(path, most=_MOST_BYTES), _MOST_BYTES, str(path))
        arrays = read_arrays(content, _WANTED, str(path), remedy=_REMEDY)
        try:
            donors = tuple(Donor(**row) for row in parse_json(str(arrays.pop("donors")), str(path), remedy=_REMEDY))
        except TypeError as error:
            raise InputError(f"{path}: donors are not as they should be ({error}); {_REMEDY}") from error
        return TorsoModel(donors, **arrays)._checked(path)

    def _checked(self, path: Path) -> TorsoModel:
        """Itself. Raises InputError where its arrays do not belong together."""
        n, k, grid = len(self.donors), len(self.scale), self.coarse.shape[1:]
        expected = {
            "coarse": (n, *grid),
            "details": (7, n, *grid),
            "chest": grid,
            "abdomen": grid,
            "modes": (k, *self.mean.shape),
            "habitus": (k,),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"{path}: array '{name}' has the shape {getattr(self, name).shape}; {_REMEDY}")
        return self


_WANTED = {
    "donors": TEXT,
    "coarse": Wanted(4, "u"),
    "details": Wanted(5, "i"),
    "chest": Wanted(3, "u"),
    "abdomen": Wanted(3, "u"),
    "atlas": Wanted(3, "u"),
    "mean": Wanted(4, "f"),
    "modes": Wanted(5, "i"),
    "scale": Wanted(1, "f"),
    "habitus": Wanted(1, "f"),
}


def quantised(unit: np.ndarray, scanned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The coarse (X, Y, Z) uint8 and details (7, X, Y, Z) int8 of a look.

    Args:
        unit: (2X, 2Y, 2Z) intensity; scanned: (X, Y, Z) bool.
    """
    bands = wavelet.forward(torch.from_numpy(unit)[None, None])[0].numpy()
    coarse = np.where(scanned, np.rint((bands[0] + 1) * _LEVELS).clip(0, 254) + 1, 0).astype(np.uint8)
    steps = bands[1:] * scanned / DETAIL_STEP
    whole = np.trunc(steps + _ROUND_FROM * np.sign(steps))  # small details are left out: `refine` draws their like
    return coarse, whole.clip(-127, 127).astype(np.int8)


def fit_modes(velocities: np.ndarray, seen: np.ndarray, rank: int, rounds: int = 30) -> tuple[np.ndarray, ...]:
    """Principal modes of velocities that are known in part: what is missing is filled in from the modes, in turn.

    Args:
        velocities: (N, 3, X, Y, Z) mm at VELOCITY_MM; seen: (N, X, Y, Z) share of data, 0 to 1.

    Returns:
        mean (3, ..), modes (K, 3, ..) int8, scale (K,), coefficients (N, K) in SD.
    """
    n = len(velocities)
    weight = np.repeat(seen[:, None], 3, axis=1).reshape(n, -1)
    known = velocities.reshape(n, -1)
    filled = known * weight
    for _ in range(rounds):
        mean = filled.mean(axis=0)
        u, size, v = np.linalg.svd(filled - mean, full_matrices=False)
        shrunk = size[:rank] ** 2 / (size[:rank] + size[rank:].mean() + 1e-9)  # what few scans show is not sure
        filled = weight * known + (1 - weight) * (mean + (u[:, :rank] * shrunk) @ v[:rank])
    sd = size[:rank] / np.sqrt(n - 1)
    one_sd = v[:rank] * sd[:, None]
    scale = np.abs(one_sd).max(axis=1) / 127
    modes = np.rint(one_sd / scale[:, None]).astype(np.int8).reshape(rank, *velocities.shape[1:])
    coefficients = u[:, :rank] * size[:rank] / sd
    return mean.reshape(velocities.shape[1:]).astype(np.float16), modes, scale.astype(np.float32), coefficients
