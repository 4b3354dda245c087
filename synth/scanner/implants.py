"""Implants: rods, screws, stems and fillings, placed by the labels of the bone that carries them.

Each is a union of capsules in the world; sizes are those of common products and assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from synth.errors import InputError
from synth.scanner.settings import Metal
from synth.volumes.geometry import world_of
from synth.volumes.types import Case, LabelMap

Point = np.ndarray  # RAS mm, (3,)
_METAL_HU = 2000  # no tissue is denser, and stones hardly
_LEFT_OUT = 20  # voxels: a structure of fewer is a rest at the edge of the volume


@dataclass(frozen=True)
class Capsule:
    """A round rod of a material with half-balls at both ends; a ball where both are one point."""

    material: str
    start: Point
    end: Point
    radius_mm: float

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Distance of points (..., 3) from its surface in mm, positive inside."""
        axis = self.end - self.start
        along = (points - self.start) @ axis / max(float(axis @ axis), 1e-9)
        nearest = self.start + np.clip(along, 0, 1)[..., None] * axis
        return self.radius_mm - np.linalg.norm(points - nearest, axis=-1)


@dataclass(frozen=True)
class Implant:
    """A material in the voxels of `box`: share of each, 0 to 1, float32."""

    material: str
    box: tuple[slice, slice, slice]
    share: np.ndarray

    def within(self, shape: tuple[int, ...]) -> np.ndarray:
        """The share in a whole volume, float32."""
        whole = np.zeros(shape, np.float32)
        whole[self.box] = self.share
        return whole


def place(metal: Metal, case: Case) -> list[Implant]:
    """The implants of a kind where a case's labels have room for them. Raises InputError where they have not."""
    if metal is Metal.devices:
        return _devices(case)
    organs = case.organs
    capsules = _PLACES[metal](organs)
    if not capsules:
        raise InputError(
            f"metal '{metal}': the labels have no {_WHERE[metal]}; choose a CT that shows it, or another metal"
        )
    materials = dict.fromkeys(capsule.material for capsule in capsules)
    found = [_voxels([c for c in capsules if c.material == name], organs) for name in materials]
    if not any(found):
        raise InputError(f"metal '{metal}': it lies outside the volume; choose a CT that shows more of the bone")
    return [implant for implant in found if implant]


def _devices(case: Case) -> list[Implant]:
    """Titanium in the voxels of lesions that are as dense as metal alone: a pacemaker, a port."""
    dense = (case.lesions.ids > 0) & (case.ct.hu >= _METAL_HU)
    if not dense.any():
        raise InputError("metal 'devices': no lesion of the case is metal; insert a pacemaker or a port first")
    ends = [(int(a.min()), int(a.max()) + 1) for a in np.nonzero(dense)]
    i, j, k = (slice(*end) for end in ends)
    return [Implant("titanium", (i, j, k), dense[i, j, k].astype(np.float32))]


def _voxels(capsules: list[Capsule], organs: LabelMap) -> Implant | None:
    """One material's capsules as shares of voxels."""
    size = np.linalg.norm(organs.affine[:3, :3], axis=0)
    ends = np.array([p for c in capsules for p in (c.start - c.radius_mm, c.end - c.radius_mm)])
    ends = np.concatenate([ends, *(np.array([c.start, c.end]) + c.radius_mm for c in capsules)])
    corners = np.array(np.meshgrid(*np.array([ends.min(0), ends.max(0)]).T)).reshape(3, -1).T
    index = world_of(corners, np.linalg.inv(organs.affine))
    low = np.maximum(np.floor(index.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(index.max(0)).astype(int) + 2, organs.ids.shape)
    if (low >= high).any():
        return None
    points = world_of(np.moveaxis(np.indices(high - low), 0, -1) + low, organs.affine)
    depth = np.max([capsule.depth(points) for capsule in capsules], axis=0)
    share = np.clip(0.5 + depth / size.mean(), 0, 1).astype(np.float32)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return Implant(capsules[0].material, (i, j, k), share) if share.any() else None


def _points(organs: LabelMap, name: str) -> np.ndarray:
    """Voxels of a structure in RAS mm, (N, 3); none where there are too few."""
    index = np.argwhere(organs.mask(name))
    return world_of(index, organs.affine) if len(index) >= _LEFT_OUT else np.zeros((0, 3))


def _hip(organs: LabelMap) -> list[Capsule]:
    """A head of cobalt-chrome in the head of each femur, and a titanium stem down its shaft."""
    found: list[Capsule] = []
    for side, medial in (("left", 1.0), ("right", -1.0)):  # +x is to the right
        femur = _points(organs, f"femur_{side}")
        if not len(femur):
            continue
        top = femur[:, 2].max()
        head_part = femur[femur[:, 2] > top - 40]
        inner = head_part[:, 0] * medial >= np.median(head_part[:, 0] * medial)
        head = head_part[inner].mean(axis=0)
        shaft = femur[(femur[:, 2] < top - 70) & (femur[:, 2] > top - 170)]
        found.append(Capsule("cobalt_chrome", head, head, 14.0))
        if len(shaft):
            high, low = shaft[:, 2].max(), shaft[:, 2].min()
            upper, lower = (shaft[np.abs(shaft[:, 2] - z) < 15].mean(axis=0) for z in (high, low))
            found += [Capsule("titanium", head, upper, 6.0), Capsule("titanium", upper, lower, 6.5)]
    return found


def _dental(organs: LabelMap) -> list[Capsule]:
    """Three fillings of amalgam on the upper border of the lower jaw, on both sides."""
    jaw = _points(organs, "mandible")
    if not len(jaw):
        return []
    middle, front, deep = np.median(jaw[:, 0]), jaw[:, 1].max(), jaw[:, 1].max() - jaw[:, 1].min()
    found = []
    for side, back in ((-1, 0.25), (1, 0.3), (1, 0.4)):
        row = jaw[((jaw[:, 0] - middle) * side > 0) & (np.abs(front - back * deep - jaw[:, 1]) < 6)]
        if len(row):
            top = row[row[:, 2] > row[:, 2].max() - 5].mean(axis=0) + np.array([0, 0, 4.0])
            found.append(Capsule("amalgam", top, top, 3.5))
    return found


def _spine(organs: LabelMap) -> list[Capsule]:
    """Titanium screws through the pedicles of two neighbouring vertebrae, and a rod on each side."""
    whole = [(p, name) for name in _VERTEBRAE if len(p := _points(organs, name))]
    inside = [p for p, _ in whole if np.ptp(p[:, 2]) > 15]  # not cut by the edge
    if len(inside) < 2:
        return []
    inside.sort(key=lambda p: float(p[:, 2].mean()))
    middle = len(inside) // 2
    found, heads = [], []
    for points in inside[middle - 1 : middle + 1]:
        body = points[points[:, 1] > np.quantile(points[:, 1], 0.6)].mean(axis=0)
        for side in (-1.0, 1.0):
            tip = body + np.array([side * 8.0, 5.0, 0.0])
            head = body + np.array([side * 17.0, -38.0, 2.0])
            found.append(Capsule("titanium", tip, head, 3.0))
            heads.append(head)
    found += [Capsule("titanium", heads[i], heads[i + 2], 2.75) for i in (0, 1)]
    return found


_VERTEBRAE = [f"vertebrae_{part}{n}" for part, count in (("L", 5), ("T", 12), ("C", 7)) for n in range(1, count + 1)]
_PLACES: Mapping[Metal, Callable[[LabelMap], list[Capsule]]] = {
    Metal.hip: _hip, Metal.dental: _dental, Metal.spine: _spine
}  # fmt: skip
_WHERE = {
    Metal.hip: "femur_left or femur_right",
    Metal.dental: "mandible",
    Metal.spine: "two whole neighbouring vertebrae",
}
