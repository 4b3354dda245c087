"""Prepared subjects in memory, and the random crops and deformations that training draws from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from synth.data.store import Store
from synth.errors import InputError
from synth.models import intensity, wavelet
from synth.regions import Frame, Region, read, shipped
from synth.regions.frame import BASE_SPACING_MM
from synth.regions.region import FILE as REGION_FILE

COARSE_MM = 8.0  # spacing of whole frames
_SHARPEN = 0.1
_BEND_MM = 96.0  # about how far its nodes are apart


@dataclass(frozen=True)
class PreparedPatient:
    """One prepared patient on the frame of a region, at 4 mm; a report.

    hu: (X, Y, Z) HU; organs: (X, Y, Z) numbers, 1 + position in the region's organs; dose: (X, Y, Z) Gy; annotated:
    (organs,) float, 1 where an organ was drawn.
    """

    region: Region
    name: str
    hu: np.ndarray
    organs: np.ndarray
    dose: np.ndarray
    annotated: torch.Tensor
    facts: dict[str, float]
    report: str = ""


def load_subjects(folder: Path) -> Sequence[PreparedPatient]:
    """The prepared patients of a split (DIR/patients/train), by name, of the region that DIR was prepared for.

    Each is read when it is asked for. Raises InputError where there are none, or they are of another region.
    """
    return PreparedPatients(Store(folder), region_at(folder.parent.parent))


class PreparedPatients(Sequence[PreparedPatient]):
    """The patients of a store. Raises InputError where there are none, or they are of another region."""

    def __init__(self, store: Store, region: Region) -> None:
        if not len(store):
            raise InputError(
                f"{store.folder}: no patient is left; left_out.csv says why of each that was listed; where none was of "
                f"this split, name some patients' split '{store.folder.name}' in the table"
            )
        self._store, self._region = store, region
        _require_region(store[0].region, store[0].hu, region, store.folder)
        if strange := {name for facts in store.facts() for name in facts} - set(region.names):
            raise InputError(
                f"{store.folder}: has the fact '{min(strange)}', which region {region.name} has not; prepare it again"
            )

    def __len__(self) -> int:
        return len(self._store)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        entry = self._store[index]
        if entry.organs.max(initial=0) >= self._region.classes:
            raise InputError(
                f"{self._store.folder}: {entry.name} has the organ {entry.organs.max()} of {self._region.classes - 1}; "
                "prepare it again"
            )
        flags, arrays = _flags(entry.annotated, self._region), (entry.hu, entry.organs, entry.dose)
        return PreparedPatient(self._region, entry.name, *arrays, flags, dict(entry.facts), entry.report)


def _flags(annotated: Sequence[str], region: Region) -> torch.Tensor:
    return torch.tensor([float(name in annotated) for name in region.organs])


def _require_region(name: str, hu: np.ndarray, region: Region, where: Path) -> None:
    if name != region.name or hu.shape != region.frame.shape_at(4.0):
        raise InputError(
            f"{where}: was prepared for the region {name}, not {region.name}; prepare it again with --region"
        )


def region_at(data: Path) -> Region:
    """The region that a folder of `synthct prepare` was made for: that of its region.yaml, else head and neck."""
    file = data / REGION_FILE
    return read(file) if file.is_file() else shipped()


def fractions(organs: torch.Tensor, classes: int) -> torch.Tensor:
    """(X, Y, Z) organ numbers -> (classes, X, Y, Z) one-hot float32, background first."""
    return F.one_hot(organs.long(), classes).permute(3, 0, 1, 2).float()


@dataclass(frozen=True)
class Parts:
    """A whole frame in half precision. Air, no dose and background are all 0: what lies beyond the frame.

    ct: (1, X, Y, Z) intensity + 1 at 4 mm; rest: (C, X, Y, Z) at 8 mm, the region's organ fractions last.
    """

    region: Region
    ct: torch.Tensor
    rest: torch.Tensor

    def to(self, device: torch.device) -> Parts:
        """The same on a device, where draws are made from it."""
        return Parts(self.region, self.ct.to(device), self.rest.to(device))

    @cached_property
    def sharp(self) -> torch.Tensor:
        """The CT with what resampling will take from it, half precision; kept, for every draw needs it."""
        return _sharpened(self.ct.float()).half()

    def whole(self) -> torch.Tensor:
        """(1 + C, X, Y, Z) half precision at 8 mm."""
        return torch.cat([pool(self.ct.float()).half(), self.rest])


def parts_of(subject: PreparedPatient) -> Parts:
    """CT, and dose steps before the organs as the rest."""
    ct = torch.from_numpy(intensity.to_unit(subject.hu))[None] + 1.0
    ladder = (0, *subject.region.doses_gy)
    steps = torch.from_numpy(np.searchsorted(ladder, subject.dose).astype(np.float32))[None]
    organs = fractions(torch.from_numpy(subject.organs), subject.region.classes)[1:]
    return Parts(subject.region, ct.half(), pool(torch.cat([steps, organs])).half())


@dataclass(frozen=True)
class Jitter:
    """One draw of the smooth augmentation: per-axis scale, rotation about each axis (rad), shift (mm), mirror, bend.

    `bend_mm`: (3, X, Y, Z) displacement at the nodes of a cubic spline over the frame; that along z is the same
    all over a slice, for what was scanned ends in a plane.
    """

    frame: Frame
    scale: np.ndarray
    rotation: np.ndarray
    shift_mm: np.ndarray
    mirror: bool
    bend_mm: np.ndarray | None = None

    @staticmethod
    def draw(region: Region, rng: np.random.Generator, bend: float = 0.0) -> Jitter:
        """Habitus within 7%, pose within about 5 degrees, placement within about 8 mm, a bend of SD `bend` mm."""
        affine = np.exp(rng.normal(0, 0.035, 3)), rng.normal(0, 0.05, 3), rng.normal(0, 4.0, 3)
        mirror = bool(rng.random() < 0.5) and region.symmetric
        return Jitter(region.frame, *affine, mirror, _drawn_bend(region.frame, rng, bend) if bend else None)

    @staticmethod
    def none(frame: Frame, mirror: bool = False) -> Jitter:
        """Every voxel as it is, or its mirror image."""
        return Jitter(frame, np.ones(3), np.zeros(3), np.zeros(3), mirror)

    @property
    def moves(self) -> bool:
        """Whether voxels are interpolated."""
        return bool((self.scale != 1).any() or self.rotation.any() or self.shift_mm.any() or self.bend_mm is not None)

    def matrix(self) -> np.ndarray:
        """(3, 3): output direction -> input direction, in mm about the anchor."""
        turn = np.eye(3)
        for axis, angle in enumerate(self.rotation):
            i, j = [a for a in range(3) if a != axis]
            step = np.eye(3)
            step[[i, j], [i, j]] = np.cos(angle)
            step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
            turn = turn @ step
        return turn @ np.diag(1.0 / self.scale)

    def rise(self, height: float) -> float:
        """By how much (mm) the bend lifts a slice at a height over the anchor."""
        if self.bend_mm is None:
            return 0.0
        along = bend_field(self, self.frame.shape)[2, 0, 0].numpy()
        heights = self.frame.lower_mm[2] + BASE_SPACING_MM * (np.arange(len(along)) + 0.5)
        return -float(np.interp(height, heights, along))


def _drawn_bend(frame: Frame, rng: np.random.Generator, sd: float) -> np.ndarray:
    nodes = [max(round(n * BASE_SPACING_MM / _BEND_MM), 2) for n in frame.shape]
    bend = rng.normal(0, sd, (3, *nodes))
    bend[2] = rng.normal(0, sd, nodes[2])
    return bend


def bend_field(jitter: Jitter, shape: Sequence[int]) -> torch.Tensor:
    """(3, *shape) displacement in mm on a grid of the whole frame: cubic down to 16 mm, linear below."""
    assert jitter.bend_mm is not None
    zoom = [n / k for n, k in zip(jitter.frame.shape, jitter.bend_mm.shape[1:], strict=True)]
    coarse = np.stack([ndimage.zoom(b, zoom, order=3, mode="nearest", grid_mode=True) for b in jitter.bend_mm])
    return F.interpolate(torch.from_numpy(coarse).float()[None], size=tuple(shape), mode="trilinear")[0]


def jittered(parts: Parts, jitter: Jitter) -> torch.Tensor:
    """The frame (1 + C, X, Y, Z) at 8 mm, mirrored if asked with right and left swapped, and resampled.

    CT is resampled at 4 mm and then averaged: resampled at 8 mm it loses a fifth of its detail and a quarter of its
    bone, and so does what is learned from it.
    """
    return jittered_alike([parts], jitter)[0]


def jittered_alike(many: Sequence[Parts], jitter: Jitter) -> list[torch.Tensor]:
    """Several frames of one patient under the same draw, in half the time that they take one by one."""
    cts = torch.cat([parts.sharp if jitter.moves else parts.ct for parts in many]).float()
    rests = [parts.rest.float() for parts in many]
    if jitter.mirror:
        region = many[0].region
        cts, rests = cts.flip(1), [swap_sides(rest.flip(1), region) for rest in rests]
    counts = [len(rest) for rest in rests]
    rest = torch.cat(rests)
    if jitter.moves:
        cts, rest = _resampled(cts, jitter), _resampled(rest, jitter)
    return [torch.cat(pair) for pair in zip(pool(cts).split(1), rest.split(counts), strict=True)]


def _sharpened(ct: torch.Tensor) -> torch.Tensor:
    """Linear interpolation at a random place between samples keeps 1 - (1 - cos w) / 3 of the power at frequency w;
    this gives it back for periods of four samples and more, to 4%."""
    for axis in (1, 2, 3):
        back, forth = ct.roll(1, axis), ct.roll(-1, axis)
        ct = ct + _SHARPEN * (2 * ct - back - forth)
    return ct.clamp(min=0)


def _resampled(frame: torch.Tensor, jitter: Jitter) -> torch.Tensor:
    """(C, X, Y, Z) on any grid of the whole frame, moved."""
    lower = np.asarray(jitter.frame.lower_mm)
    size = BASE_SPACING_MM * np.array(jitter.frame.shape)
    centre = lower + size / 2
    # torch's grid runs over (-1, 1) from edge to edge with the axes reversed
    mat = jitter.matrix() * (size[None, :] / size[:, None])
    offset = 2 * (jitter.matrix() @ (centre - jitter.shift_mm) - centre) / size
    theta = torch.from_numpy(np.concatenate([mat[::-1, ::-1], offset[::-1, None]], axis=1).copy()).float()
    grid = F.affine_grid(theta[None].to(frame.device), [1, 1, *frame.shape[1:]], align_corners=False)
    if jitter.bend_mm is not None:
        bend = bend_field(jitter, frame.shape[1:]).permute(1, 2, 3, 0) * torch.from_numpy(2 / size).float()
        grid = grid + bend.flip(-1)[None].to(frame.device)
    return F.grid_sample(frame[None], grid, mode="bilinear", align_corners=False)[0]


def swap_sides(channels: torch.Tensor, region: Region) -> torch.Tensor:
    """Exchange the channels of right and left organs, which are the last of (C, ..)."""
    other = len(channels) - len(region.organs)
    return channels[[*range(other), *(other + i for i in region.mirror)]]


def pool(x: torch.Tensor) -> torch.Tensor:
    """(C, X, Y, Z) -> half the size along each axis, by the mean (Haar's coarse band)."""
    return F.avg_pool3d(x[None], 2)[0]


def split_bands(ct: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 2X, 2Y, 2Z) intensity -> coarse (1, X, Y, Z) and details (7, X, Y, Z)."""
    bands = wavelet.forward(ct[None])[0]
    return bands[:1], bands[1:]
