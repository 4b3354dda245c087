"""One level of the 3D Haar transform, exact and free: 2 x 2 x 2 voxels <-> 8 bands.

The orthonormal transform divided by sqrt(8), so that band 0 (LLL) is the mean of the eight voxels and keeps
its units at every level. Bands 1 to 7 are the details; bit 2, 1, 0 of the band number says
"difference along x, y, z" (Haar 1910; Mallat 1989).
"""

from __future__ import annotations

import torch

BANDS = 8


def _pairs(x: torch.Tensor, dim: int) -> torch.Tensor:
    """(B, K, ..) -> (B, 2K, ..) half as long along `dim`: means and half-differences of neighbours."""
    even, odd = x.unflatten(dim, (-1, 2)).unbind(dim + 1)
    return torch.stack([(even + odd) / 2, (even - odd) / 2], dim=2).flatten(1, 2)


def _unpair(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Inverse of `_pairs`."""
    mean, half = x.unflatten(1, (-1, 2)).unbind(2)
    return torch.stack([mean + half, mean - half], dim=dim + 1).flatten(dim, dim + 1)


def forward(volume: torch.Tensor) -> torch.Tensor:
    """(B, 1, 2X, 2Y, 2Z) -> (B, 8, X, Y, Z); sizes must be even."""
    if any(n % 2 for n in volume.shape[2:]):
        raise ValueError(f"wavelet: sizes {tuple(volume.shape[2:])} must be even; pad the volume first")
    for dim in (2, 3, 4):
        volume = _pairs(volume, dim)
    return volume


def inverse(bands: torch.Tensor) -> torch.Tensor:
    """(B, 8, X, Y, Z) -> (B, 1, 2X, 2Y, 2Z)."""
    for dim in (4, 3, 2):
        bands = _unpair(bands, dim)
    return bands
