"""The torso model: scans in register, the modes of their deformation, and an atlas of organs."""

from __future__ import annotations

import io
import json
import lzma
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from synth.errors import InputError
from synth.files.arrays import TEXT, Wanted, read_arrays
from synth.files.compressed import unxz
from synth.files.content import bytes_of
from synth.files.documents import parse_json
from synth.files.whole import write_whole
from synth.regions.frame import LOOK_MM, Frame
from synth.torso.looks import LOOK_ARRAYS, Look
from synth.volumes import labels

ATLAS_MM = 4.0
VELOCITY_MM = 32.0
_STILL = 1e-9  # mm, of scans that do not differ
_PELVIS = ("sacrum", "hip_left", "hip_right")
_MOST_BYTES = 2**30
_REMEDY = "copy it again, or train again with `synthct train shape`"


@dataclass(frozen=True)
class Donor:
    """What is known of a scan that lends its look.

    outline: its field of view holds the whole skin; sound: no large disease in the chest and voxels fine enough, so
    that it may lend it too; size: cross-section at the anchor relative to the others, in SD.
    """

    name: str
    enhanced: bool
    outline: bool
    sound: bool
    size: float


@dataclass(frozen=True)
class TorsoModel:
    """All arrays but the looks on grids of the frame, in the space of the mean torso.

    looks: one a donor; seen: (N, X, Y, Z) bool at LOOK_MM, where each has data;
    chest, abdomen: (X, Y, Z) uint8 at LOOK_MM, share (of 255) of the inside of either, the rest being body wall;
    atlas: (X, Y, Z) uint8 at ATLAS_MM, ids of synth/volumes/labels.csv;
    mean: (3, X, Y, Z) float16 mm at VELOCITY_MM; modes: (K, 3, X, Y, Z) int8, each times scale[k] is one SD in mm;
    habitus: (K,) what of the modes one SD of size is; frame: of the region, whose file is beside it.
    """

    donors: tuple[Donor, ...]
    looks: tuple[Look, ...]
    seen: np.ndarray
    chest: np.ndarray
    abdomen: np.ndarray
    atlas: np.ndarray
    mean: np.ndarray
    modes: np.ndarray
    scale: np.ndarray
    habitus: np.ndarray
    frame: Frame

    @cached_property
    def organs(self) -> np.ndarray:
        """The atlas without islands beside the pelvis: contrast in the bowel, which attenuation took for bone."""
        out = self.atlas.copy()
        for number in (labels.ids()[name] for name in _PELVIS):
            pieces, count = ndimage.label(self.atlas == number, np.ones((3, 3, 3)))
            if count > 1:
                sizes = np.bincount(pieces.ravel())
                sizes[0] = 0
                out[(pieces > 0) & (pieces != sizes.argmax())] = 0
        return out

    @cached_property
    def displacements(self) -> tuple[torch.Tensor, ...]:
        """Of every look, (1, 3, ..) mm on the base grid."""
        return tuple(look.displacement(self.frame) for look in self.looks)

    @cached_property
    def depths(self) -> np.ndarray:
        """(N, X, Y, Z) float32 voxels of LOOK_MM from where each scan has none; beyond the sides it goes on."""
        deep = [ndimage.distance_transform_edt(np.pad(s, ((0, 0), (0, 0), (1, 1))))[..., 1:-1] for s in self.seen]
        return np.stack(deep).astype(np.float32)

    def velocity(self, coefficients: np.ndarray) -> torch.Tensor:
        """(K,) in SD -> (1, 3, X, Y, Z) mm on the base grid."""
        # in double: the order of the sums must not reach the volume
        sizes = coefficients * self.scale.astype(np.float64)
        flat = self.mean.astype(np.float64) + np.tensordot(sizes, self.modes.astype(np.float64), axes=1)
        coarse = torch.from_numpy(flat.astype(np.float32))[None]
        return F.interpolate(coarse, size=self.frame.shape, mode="trilinear", align_corners=False)

    def save(self, path: Path) -> None:
        """One compressed file."""
        arrays = {name: getattr(self, name) for name in _WANTED}
        for i, look in enumerate(self.looks):
            arrays |= {f"look_{i}_{name}": array for name, array in look.arrays().items()}
        file = io.BytesIO()
        np.savez(file, donors=np.array(json.dumps([vars(d) for d in self.donors])), **arrays)
        write_whole(path, lzma.compress(file.getvalue(), preset=9))

    @staticmethod
    def read(path: Path, frame: Frame) -> TorsoModel:
        """InputError where there is no such file, or it is of another frame."""
        if not path.is_file():
            raise InputError(f"{path}: no patchwork here; give other weights, or train it with `synthct train shape`")
        content = unxz(bytes_of(path, most=_MOST_BYTES), _MOST_BYTES, str(path))
        about = read_arrays(content, {"donors": TEXT}, str(path), remedy=_REMEDY)["donors"]
        try:
            donors = tuple(Donor(**row) for row in parse_json(str(about), str(path), remedy=_REMEDY))
        except TypeError as error:
            raise InputError(f"{path}: donors are not as they should be ({error}); {_REMEDY}") from error
        of_looks = {f"look_{i}_{name}": how for i in range(len(donors)) for name, how in LOOK_ARRAYS.items()}
        arrays = read_arrays(content, _WANTED | of_looks, str(path), remedy=_REMEDY)
        looks = [
            Look.from_arrays({name: arrays.pop(f"look_{i}_{name}") for name in LOOK_ARRAYS}) for i in range(len(donors))
        ]
        return TorsoModel(donors, tuple(looks), **arrays, frame=frame)._checked(path)

    def _checked(self, path: Path) -> TorsoModel:
        """Itself. Raises InputError where its arrays do not belong together."""
        n, k, grid = len(self.donors), len(self.scale), self.frame.shape_at(LOOK_MM)
        expected = {
            "atlas": self.frame.shape_at(ATLAS_MM),
            "seen": (n, *grid),
            "chest": grid,
            "abdomen": grid,
            "modes": (k, *self.mean.shape),
            "habitus": (k,),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"{path}: array '{name}' has the shape {getattr(self, name).shape}; {_REMEDY}")
        for i, look in enumerate(self.looks):
            if reason := look.wrong(self.frame):
                raise InputError(f"{path}: look {i} has {reason}; {_REMEDY}")
        return self


_WANTED = {
    "seen": Wanted(4, "b"),
    "chest": Wanted(3, "u"),
    "abdomen": Wanted(3, "u"),
    "atlas": Wanted(3, "u"),
    "mean": Wanted(4, "f"),
    "modes": Wanted(5, "i"),
    "scale": Wanted(1, "f"),
    "habitus": Wanted(1, "f"),
}


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
    modes = np.rint(one_sd / np.maximum(scale, _STILL)[:, None]).astype(np.int8).reshape(rank, *velocities.shape[1:])
    coefficients = u[:, :rank] * size[:rank] / np.maximum(sd, _STILL)
    return mean.reshape(velocities.shape[1:]).astype(np.float16), modes, scale.astype(np.float32), coefficients
