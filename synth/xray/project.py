"""Project: line integrals of a CT's attenuation through `nanodrr`, and of every structure's length, plane by plane.

Of labels a ray takes the nearest voxel in each plane that it crosses (Joseph 1982), a tenth of the work on a CPU
of the channels of `nanodrr`, one a structure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synth.scanner.metal import to_mu
from synth.volumes.geometry import world_of
from synth.volumes.types import Case, Volume
from synth.xray.settings import require_nanodrr
from synth.xray.views import Camera

_SAMPLES_AT_ONCE = 6_000_000  # of rays: some 300 MB
_LONGER = 1.05  # than the volume is deep: oblique rays
_AIR_HU = -300  # what lies outside the box of all that is denser is air
_AROUND = 2  # voxels about that box
_STEP_MM = 1.0  # along a ray, at least: finer steps change a film by a fifth of its noise


def attenuation(case: Case, camera: Camera) -> np.ndarray:
    """Line integral of attenuation along the ray of each pixel, (rows, columns) float32; no unit."""
    part = _without_air(case.ct)
    return _rendered(to_mu(torch.from_numpy(part.hu.astype(np.float32))), part.affine, camera)


def lengths(case: Case, camera: Camera) -> dict[str, np.ndarray]:
    """Length of each ray in each structure and lesion, name -> (rows, columns) float32 mm; organs hold lesions."""
    combined, index = _numbered(case.organs.ids, case.lesions.ids)
    found = _crossed(torch.from_numpy(index), case.ct.affine, camera, len(combined))
    table: dict[str, np.ndarray] = {}
    for names, of in ((case.organs.names, combined[:, 0]), (case.lesions.names, combined[:, 1])):
        for number, name in names.items():
            if (of == number).any() and number:
                table[name] = found[of == number].sum(axis=0)
    return table


def _numbered(organs: np.ndarray, lesions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of an organ and a lesion that occur, (N, 2), the first of neither; and the pair of each voxel, int32."""
    wide = int(lesions.max()) + 1
    pairs = organs.astype(np.int32) * wide + lesions
    occurs = np.bincount(pairs.ravel()) > 0
    occurs[0] = True
    table = np.flatnonzero(occurs)
    number = (np.cumsum(occurs) - 1).astype(np.int32)
    return np.stack([table // wide, table % wide], axis=1), number[pairs]


def _crossed(ids: Tensor, affine: np.ndarray, camera: Camera, number: int) -> np.ndarray:
    """Length of each ray in each number of `ids` (X, Y, Z) but 0, (number, rows, columns) float32 mm."""
    size = camera.detector
    out = torch.zeros(number * size**2)
    source, rays, mm = _rays(affine, camera)
    deep = int(np.abs(np.linalg.inv(affine[:3, :3]) @ camera.beam).argmax())  # its planes are crossed most often
    wide, high = (axis for axis in range(3) if axis != deep)
    planes = ids.permute(deep, wide, high).float()
    # in a plane a ray is at start + plane * slope, where -1 and 1 are the borders as `grid_sample` has them
    scale = 2 / torch.tensor([ids.shape[high], ids.shape[wide]])
    slope = rays[:, [high, wide]] / rays[:, deep, None]
    start = (source[[high, wide]] - source[deep] * slope + 0.5) * scale - 1
    slope, step = slope * scale, mm / rays[:, deep].abs()
    for plane in range(*_ends(ids.numpy() > 0, deep)):
        at = torch.add(start, slope, alpha=plane)[None, None]
        found = functional.grid_sample(planes[None, None, plane], at, mode="nearest", align_corners=False).flatten()
        crossing = found.nonzero()[:, 0]
        out.index_add_(0, found[crossing].long() * size**2 + crossing, step[crossing])
    return out.reshape(number, size, size).numpy()


def _rays(affine: np.ndarray, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
    """In voxels, the source (3,) and the vector from it to each pixel's centre (N, 3); and its length (N,) in mm."""
    inverse = np.linalg.inv(affine)
    at = (np.arange(camera.detector) + 0.5 - camera.detector / 2) * camera.pixel_mm
    to_pixel = camera.distance_mm * camera.beam + at[:, None, None] * camera.rows + at[:, None] * camera.columns
    flat = to_pixel.reshape(-1, 3)
    found = (world_of(camera.source, inverse), flat @ inverse[:3, :3].T, np.linalg.norm(flat, axis=1))
    source, rays, mm = (torch.from_numpy(part.astype(np.float32)) for part in found)
    return source, rays, mm


def _ends(mask: np.ndarray, axis: int) -> tuple[int, int]:
    """First and one past the last plane along an axis that holds anything; (0, 0) of an empty mask."""
    found = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
    return (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 0)


def _without_air(ct: Volume) -> Volume:
    """The box that holds all that is no air; the CT itself where there is none."""
    dense = ct.hu > _AIR_HU
    if not dense.any():
        return ct
    ends = [_ends(dense, axis) for axis in range(3)]
    low = [max(a - _AROUND, 0) for a, _ in ends]
    affine = ct.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    i, j, k = (slice(a, b + _AROUND) for a, (_, b) in zip(low, ends, strict=True))
    return Volume(ct.hu[i, j, k], affine)


def _rendered(volume: Tensor, affine: np.ndarray, camera: Camera) -> np.ndarray:
    """(rows, columns): sums along rays of a volume (X, Y, Z)."""
    require_nanodrr()
    from nanodrr.camera import make_k_inv
    from nanodrr.data import Subject
    from nanodrr.drr import render

    world, grid = torch.from_numpy(affine), Subject._make_voxel_to_grid(_depth_first(volume).shape)
    image = _depth_first(volume)
    subject = Subject(
        image,
        torch.zeros_like(image),
        world.float(),
        world.inverse().float(),
        grid,
        torch.zeros(3),
        0,
        convert_to_mu=False,
    )
    size, mm = camera.detector, camera.pixel_mm
    k_inv = make_k_inv(camera.distance_mm, mm, mm, 0.0, 0.0, size, size, dtype=torch.float32)
    pose = torch.from_numpy(camera.pose()).float()[None]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    deep = float(np.abs(affine[:3, :3] * np.array(volume.shape)).T.sum(axis=0) @ np.abs(camera.beam))
    samples = max(16, math.ceil(_LONGER * deep / max(spacing.min(), _STEP_MM)))
    parts = [
        render(
            subject, k_inv, pose, torch.tensor([camera.distance_mm]), rows, size, samples,
            src=torch.zeros(1, 1, 3), tgt=target,
        )[0]
        for rows, target in _strips(k_inv, camera, max(1, _SAMPLES_AT_ONCE // (size * samples)))
    ]  # fmt: skip
    return torch.cat(parts, dim=1)[0].numpy()


def _strips(k_inv: Tensor, camera: Camera, height: int) -> Iterator[tuple[int, Tensor]]:
    """Rows at once, and the centres of their pixels (1, N, 3) in the camera's coordinates."""
    size = camera.detector
    for first in range(0, size, height):
        rows = torch.arange(first, min(first + height, size)) + 0.5
        v, u = torch.meshgrid(rows, torch.arange(size) + 0.5, indexing="ij")
        at = torch.stack([u, v, torch.ones_like(u)], dim=-1).reshape(-1, 3)
        yield len(rows), camera.distance_mm * (at @ k_inv[0].T)[None]


def _depth_first(volume: Tensor) -> Tensor:
    """(X, Y, Z) -> (1, 1, Z, Y, X)."""
    return volume.permute(2, 1, 0)[None, None].contiguous()
