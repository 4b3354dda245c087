"""Groupwise registration of scans that each show a part of the torso: their mean, and the velocity to each of them.

As synth.shape.register, but differences count only where a scan has data, and nothing is symmetric.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from synth.regions.frame import BASE_SPACING_MM, Frame
from synth.shape.deformation import exponential, warp
from synth.shape.register import Round, on_grid, smooth
from synth.torso.scans import SCAN_SPACING_MM, SEARCH_MM, TorsoScan, features

_CHANNEL_WEIGHT = (1.0, 0.7, 1.0)  # lung, soft tissue, bone
_ROUGHNESS = 8e-5  # of the velocity's squared difference between neighbours, mm^2
_BATCH = 6


@dataclass(frozen=True)
class ScanGroup:
    """features: (N, C, X, Y, Z) at SEARCH_MM, see scans.features; weight: the same shape, 1 where they count."""

    frame: Frame
    features: torch.Tensor
    weight: torch.Tensor

    @staticmethod
    def of(scans: Sequence[TorsoScan], no_bone: Sequence[np.ndarray], frame: Frame) -> ScanGroup:
        """`no_bone`: (X, Y, Z) bool at SCAN_SPACING_MM where contrast may look like bone."""
        step = round(SEARCH_MM / SCAN_SPACING_MM)
        values, weights = [], []
        for scan, blind in zip(scans, no_bone, strict=True):
            weight = torch.from_numpy(scan.scanned).float().expand(3, *scan.hu.shape).clone()
            weight[2] *= torch.from_numpy(~blind).float()
            values.append(F.avg_pool3d(torch.from_numpy(features(scan.hu))[None], step)[0])
            weights.append(F.avg_pool3d(weight[None], step)[0])
        return ScanGroup(frame, torch.stack(values), torch.stack(weights))

    def pooled(self, pool: int) -> ScanGroup:
        """On a coarser grid."""
        if pool == 1:
            return self
        weight = F.avg_pool3d(self.weight, pool)
        return ScanGroup(self.frame, F.avg_pool3d(self.features * self.weight, pool) / weight.clamp(min=1e-3), weight)


def register(
    group: ScanGroup, rounds: Sequence[Round], on_round: Callable[[str], None]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean features (C, X, Y, Z) at SEARCH_MM and velocities (N, 3, X, Y, Z) mm of mean 0 where most scans are."""
    velocities = torch.zeros(len(group.features), 3, *group.frame.shape)
    for number, level in enumerate(rounds):
        velocities = on_grid(velocities, level.grid_mm, group.frame)
        part = group.pooled(level.pool)
        mean = mean_of(part, velocities)
        before, after = fit_velocities(part, mean, velocities, level)
        velocities -= _centre(group, velocities)
        on_round(f"round {number}: difference {before:.4f} -> {after:.4f}, {velocities.square().mean().sqrt():.1f} mm")
    return mean_of(group, velocities), velocities


def _centre(group: ScanGroup, velocities: torch.Tensor) -> torch.Tensor:
    """(1, 3, X, Y, Z) average of the velocities of the scans that have data, smooth, less where few have."""
    seen = F.interpolate(group.weight[:, :1], size=velocities.shape[2:], mode="trilinear", align_corners=False)
    total, count = (velocities * seen).sum(dim=0, keepdim=True), seen.sum(dim=0, keepdim=True)
    sigma = 2 * BASE_SPACING_MM * group.frame.shape[0] / velocities.shape[2] / 8
    return smooth(total, sigma) / (smooth(count.expand_as(total), sigma) + 1.0)


@torch.no_grad()
def mean_of(group: ScanGroup, velocities: torch.Tensor) -> torch.Tensor:
    """(C, X, Y, Z) average of the scans carried back to the mean, each where it has data."""
    total, count = torch.zeros(()), torch.zeros(())
    for values, weight, velocity in zip(group.features, group.weight, velocities, strict=True):
        back = warp(torch.cat([values * weight, weight])[None], exponential(-velocity[None], group.frame), group.frame)[
            0
        ]
        total, count = total + back[: len(values)], count + back[len(values) :]
    return total / count.clamp(min=1e-3)


def fit_velocities(group: ScanGroup, mean: torch.Tensor, velocities: torch.Tensor, level: Round) -> tuple[float, float]:
    """Improve velocities in place; returns the difference before and after, mean over the scans and what they show."""
    before = after = 0.0
    channel = torch.tensor(_CHANNEL_WEIGHT).view(1, 3, 1, 1, 1)
    for start in range(0, len(velocities), _BATCH):
        part = slice(start, start + _BATCH)
        values, weight = group.features[part], channel * group.weight[part]
        scale = weight[:, :1].sum(dim=(1, 2, 3, 4)).clamp(min=1.0)
        shown = scale / weight[0, 0].numel()  # what a slab shows counts as much as the same part of a whole scan
        update = torch.zeros_like(velocities[part], requires_grad=True)
        optimizer = torch.optim.Adam([update], lr=level.step_mm, betas=(0.8, 0.95))
        for step in range(level.iterations):
            optimizer.param_groups[0]["lr"] = level.step_mm * (1 - step / level.iterations)
            velocity = velocities[part] + smooth(update, level.sigma)
            moved = warp(mean.expand(len(values), -1, -1, -1, -1), exponential(velocity, group.frame), group.frame)
            difference = ((moved - values) ** 2 * weight).sum(dim=(1, 2, 3, 4)) / scale
            rough = sum(velocity.diff(dim=d).square().mean(dim=(1, 2, 3, 4)) for d in (2, 3, 4))
            optimizer.zero_grad()
            ((difference * shown).sum() + _ROUGHNESS * torch.as_tensor(rough).sum()).backward()
            optimizer.step()
            before += float(difference.detach().sum()) if step == 0 else 0.0
        after += float(difference.detach().sum())
        velocities[part] = velocity.detach()
    return before / len(velocities), after / len(velocities)
