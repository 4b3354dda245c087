"""Project: line integrals of a CT's attenuation, and of every structure's length, through `nanodrr`."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from synth.scanner.metal import to_mu
from synth.volumes.types import Case
from synth.xray.settings import require_nanodrr
from synth.xray.views import Camera

_SAMPLES_AT_ONCE = 6_000_000  # of rays: some 300 MB
_LONGER = 1.25  # than the volume is deep: oblique rays


def attenuation(case: Case, camera: Camera) -> np.ndarray:
    """Line integral of attenuation along the ray of each pixel, (rows, columns) float32; no unit."""
    mu = to_mu(torch.from_numpy(case.ct.hu.astype(np.float32)))
    return _rendered(mu, None, case.ct.affine, camera)[0]


def lengths(case: Case, camera: Camera) -> dict[str, np.ndarray]:
    """Length of each ray in each structure and lesion, name -> (rows, columns) float32 mm; organs hold lesions."""
    pairs = case.organs.ids.astype(np.int64) << 16 | case.lesions.ids
    combined, index = np.unique(pairs, return_inverse=True)
    ids = torch.from_numpy(index.reshape(pairs.shape).astype(np.float32))
    if combined[0] != 0:  # channel 0 is where nothing is
        combined, ids = np.concatenate([[0], combined]), ids + 1
    found = _rendered(torch.ones(pairs.shape), ids, case.ct.affine, camera, len(combined))
    table: dict[str, np.ndarray] = {}
    for names, of in ((case.organs.names, combined >> 16), (case.lesions.names, combined & 0xFFFF)):
        for number, name in names.items():
            if (of == number).any() and number:
                table[name] = found[of == number].sum(axis=0)
    return table


def _rendered(volume: Tensor, ids: Tensor | None, affine: np.ndarray, camera: Camera, channels: int = 1) -> np.ndarray:
    """(channels, rows, columns): sums along rays of a volume (X, Y, Z), each sample in the channel of its id."""
    require_nanodrr()
    from nanodrr.camera import make_k_inv
    from nanodrr.data import Subject
    from nanodrr.drr import render

    world, grid = torch.from_numpy(affine), Subject._make_voxel_to_grid(_depth_first(volume).shape)
    image = _depth_first(volume)
    labels = torch.zeros_like(image) if ids is None else _depth_first(ids)
    subject = Subject(
        image, labels, world.float(), world.inverse().float(), grid, torch.zeros(3), channels - 1, convert_to_mu=False
    )
    size, mm = camera.detector, camera.pixel_mm
    k_inv = make_k_inv(camera.distance_mm, mm, mm, 0.0, 0.0, size, size, dtype=torch.float32)
    pose = torch.from_numpy(camera.pose()).float()[None]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    deep = float(np.abs(affine[:3, :3] * np.array(volume.shape)).T.sum(axis=0) @ np.abs(camera.beam))
    samples = max(16, math.ceil(_LONGER * deep / spacing.min()))
    parts = [
        render(
            subject, k_inv, pose, torch.tensor([camera.distance_mm]), rows, size, samples,
            src=torch.zeros(1, 1, 3), tgt=target,
        )[0]
        for rows, target in _strips(k_inv, camera, max(1, _SAMPLES_AT_ONCE // (size * samples)))
    ]  # fmt: skip
    return torch.cat(parts, dim=1).numpy()


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
