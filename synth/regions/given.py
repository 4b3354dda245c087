"""Given organs: a label map placed on the frame, which a generated CT is then drawn to have.

Any subset of the organs may be given; the others are drawn as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.errors import InputError
from synth.regions import Region
from synth.regions.measures import Reach
from synth.volumes import nifti
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap

if TYPE_CHECKING:
    import torch

_LONG = ("spinal_cord", "esophagus")  # cut anywhere, so their middle says little about where the patient is
_MARGIN_MM = 4.0  # of tissue above and below the organs


@dataclass(frozen=True)
class Given:
    """`number` (X, Y, Z) uint8 on the frame's grid at `spacing` mm: 1 + position in the organs of `region`, else 0."""

    region: Region
    number: np.ndarray
    spacing: float

    @property
    def known(self) -> np.ndarray:
        """(organs,) bool: which of the region's organs are given."""
        return np.isin(1 + np.arange(len(self.region.organs)), self.number)

    def volumes_ml(self) -> dict[str, float]:
        """Volume of each given organ by name."""
        counts = np.bincount(self.number.ravel(), minlength=self.region.classes)[1:]
        return {name: n * self.spacing**3 / 1000 for name, n in zip(self.region.organs, counts, strict=True) if n}

    def facts(self, drawn: Mapping[str, float]) -> dict[str, float]:
        """The facts of a patient with these organs: their volumes, and a field of view that holds them."""
        frame, region = self.region.frame, self.region
        slices = np.flatnonzero(self.number.any(axis=(0, 1)))
        low = frame.lower_mm[2] + self.spacing * float(slices[0]) - _MARGIN_MM
        high = frame.lower_mm[2] + self.spacing * float(slices[-1] + 1) + _MARGIN_MM
        volumes = {region.volume_name(name): round(ml, 3) for name, ml in self.volumes_ml().items()}
        top, bottom = region.of_measure(Reach("up")), region.of_measure(Reach("down"))
        ends = [(fact.name, end) for fact, end in ((top, high), (bottom, -low)) if fact and fact.name in drawn]
        known = {name: ml for name, ml in volumes.items() if name in region.names}
        return {**drawn, **known, **{name: max(drawn[name], end) for name, end in ends}}

    def fractions(self, spacing: float) -> torch.Tensor:
        """(organs, X, Y, Z) share of each organ in the voxels of a grid of this spacing or a coarser one."""
        import torch
        import torch.nn.functional as F

        onehot = F.one_hot(torch.from_numpy(self.number.astype(np.int64)), self.region.classes).permute(3, 0, 1, 2)[1:]
        return F.avg_pool3d(onehot.float()[None], round(spacing / self.spacing))[0]

    def impose(self, labels: torch.Tensor, spacing: float) -> torch.Tensor:
        """Fractions (1, 1 + organs, X, Y, Z) with the given organs as given; all else shares the room that is left."""
        import torch

        known = torch.from_numpy(self.known)
        ours = self.fractions(spacing)[known].to(labels.dtype)
        out = labels.clone()
        others = torch.cat([torch.tensor([True]), ~known])
        left = 1 - ours.sum(dim=0)
        shares = labels[:, others]
        shares[:, 0] += 1 - shares.sum(dim=1)  # what the network gave to the organs that are given
        out[:, others] = shares.clamp(min=0) * left
        out[:, 1:][:, known] = ours
        return out


@dataclass(frozen=True)
class GivenFile:
    """Organs on the frame, and the label map that they are from."""

    organs: Given
    path: Path
    sha256: str
    organ_ids: Mapping[int, str] | None = None

    def options(self) -> dict[str, object]:
        """The options that name them on the command line."""
        return {"organs": self.path, "organ_ids": nifti.written_ids(self.organ_ids)}


def place(organs: LabelMap, mean_organs: np.ndarray, spacing: float, region: Region) -> Given:
    """The organs of a label map on the frame: moved, not turned, to where the mean patient has the same organs.

    Args:
        organs: on any grid; mean_organs: (K, X, Y, Z) fractions of the mean patient on a grid of the frame;
        spacing: mm.

    Raises InputError where the map has none of the region's organs, or one of them does not fit into the frame.
    """
    number, frame = region.numbers(organs), region.frame
    found = [name for i, name in enumerate(region.organs, start=1) if (number == i).any()]
    if not found:
        has = ", ".join(organs.present()[:6]) or "nothing with a name"
        wanted = ", ".join(region.organs)
        raise InputError(f"--organs: none of {wanted} in it ({has}); label one, or name ids by --organ-ids")
    shift = _shift(number, organs.affine, mean_organs, [n for n in found if n not in _LONG] or found, region)
    move = np.eye(4)
    move[:3, 3] = shift
    matrix = np.linalg.inv(organs.affine) @ move @ frame.affine_at(spacing)
    placed = ndimage.affine_transform(
        number, matrix[:3, :3], matrix[:3, 3], output_shape=frame.shape_at(spacing), order=0, prefilter=False
    )
    given = Given(region, placed, spacing)
    if missing := [name for name in found if name not in given.volumes_ml()]:
        size = " x ".join(f"{n * 16}" for n in frame.shape)
        raise InputError(f"--organs: {missing[0]} lies outside the frame of {size} mm; check the affine, or drop it")
    return given


def _shift(
    number: np.ndarray, affine: np.ndarray, mean_organs: np.ndarray, names: list[str], region: Region
) -> np.ndarray:
    """(3,) mm from a point of the frame to the same point of the label map's world."""
    frame_affine = region.frame.affine_at(region.frame.size_mm[0] / mean_organs.shape[1])
    apart = []
    for name in names:
        i = region.organs.index(name)
        here = world_of(np.array(ndimage.center_of_mass(number == i + 1)), affine)
        apart.append(here - world_of(np.array(ndimage.center_of_mass(mean_organs[i])), frame_affine))
    return np.mean(apart, axis=0)
