"""Groupwise registration: the mean of the training patients, and the velocity that carries it to each of them.

Mean and velocities are found in turn, from smooth to fine (Joshi et al. 2004), by gradient descent on squared
differences of CT, bone and organs within the field of view. The mean is kept symmetric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict

from synth.regions import Frame, Region
from synth.shape.deformation import exponential, mirror, warp

_BATCH = 16
_BONE_UNIT, _BONE_GAIN = 1.35, 2.0  # bone is a small step in intensity units; its surface must count
_ORGAN_WEIGHT = 0.5
_ROUGHNESS = 8e-5  # of the velocity's squared difference between neighbours, mm^2


class Round(BaseModel):
    """One round: the spacing is 8 mm times `pool`; the velocity's grid is `grid_mm`, its updates smoothed by `sigma`
    of its voxels."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pool: int
    sigma: float
    grid_mm: Literal[16, 8] = 16
    iterations: int = 20
    step_mm: float = 4.0


@dataclass(frozen=True)
class PatientGroup:
    """Patients to register.

    features: (N, 2 + organs, X, Y, Z) at 8 mm, see `features`; scanned: (N, Z) share of each slice in the field of
    view; weight: (N, 2 + organs) 1 where a channel is known in a patient.
    """

    region: Region
    features: torch.Tensor
    scanned: torch.Tensor
    weight: torch.Tensor

    @property
    def mirror(self) -> list[int]:
        """The channels with right and left organs exchanged, after CT and bone."""
        return [0, 1, *(2 + i for i in self.region.mirror)]

    def batches(self, pool: int) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
        """Slices of patients with their features and field of view at 8 mm times `pool`."""
        for start in range(0, len(self.features), _BATCH):
            part = slice(start, min(start + _BATCH, len(self.features)))
            features = F.avg_pool3d(self.features[part].float(), pool)
            scanned = F.avg_pool1d(self.scanned[part, None], pool)[:, :, None, None, :]
            yield part, features, scanned.expand(-1, -1, *features.shape[2:4], -1).contiguous()


def features(frames: torch.Tensor) -> torch.Tensor:
    """Frames (N, 2 + organs, X, Y, Z) of synth.data.dataset -> intensity + 1, brightness of bone, organ fractions."""
    ct = frames[:, :1]
    bone = _BONE_GAIN * (ct - _BONE_UNIT).clamp(min=0)
    return torch.cat([ct, bone, frames[:, 2:]], dim=1)


def register(
    group: PatientGroup, rounds: Sequence[Round], on_round: Callable[[str], None]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean patient (1 + organs, X, Y, Z) at 8 mm and velocities (N, 3, X, Y, Z) mm with mean zero over both mirror
    images, or over the patients where the region is not symmetric."""
    frame = group.region.frame
    velocities = torch.zeros(len(group.features), 3, *frame.shape)
    for number, level in enumerate(rounds):
        velocities = on_grid(velocities, level.grid_mm, frame)
        mean = mean_of(group, velocities, level.pool)
        before, after = fit_velocities(group, mean, velocities, level)
        both = velocities + mirror(velocities) if group.region.symmetric else 2 * velocities
        velocities -= both.mean(dim=0, keepdim=True) / 2
        on_round(f"round {number}: difference {before:.4f} -> {after:.4f}, {velocities.square().mean().sqrt():.1f} mm")
    mean = mean_of(group, velocities, 1)
    return torch.cat([mean[:1], mean[2:]]), velocities


def on_grid(velocities: torch.Tensor, spacing: float, frame: Frame) -> torch.Tensor:
    """Velocities (N, 3, X, Y, Z) of a frame, resampled to a grid of this spacing in mm."""
    shape = frame.shape_at(spacing)
    if velocities.shape[2:] == shape:
        return velocities
    return F.interpolate(velocities, size=shape, mode="trilinear", align_corners=False)


@torch.no_grad()
def mean_of(group: PatientGroup, velocities: torch.Tensor, pool: int) -> torch.Tensor:
    """(2 + organs, X, Y, Z) average of the patients carried back, each where it was scanned and annotated."""
    total, count = torch.zeros(()), torch.zeros(())
    frame = group.region.frame
    for part, values, scanned in group.batches(pool):
        back = warp(torch.cat([values * scanned, scanned], dim=1), exponential(-velocities[part], frame), frame)
        known = group.weight[part, :, None, None, None]
        total = total + (back[:, :-1] * known).sum(dim=0)
        count = count + (back[:, -1:] * known).sum(dim=0)
    if group.region.symmetric:
        total, count = (v + v.flip(1)[group.mirror] for v in (total, count))
    return total / count.clamp(min=1.0)


def fit_velocities(
    group: PatientGroup, mean: torch.Tensor, velocities: torch.Tensor, level: Round
) -> tuple[float, float]:
    """Improve velocities in place; returns the mean difference before and after."""
    before = after = 0.0
    frame = group.region.frame
    channel = torch.tensor([1.0, 1.0, *[_ORGAN_WEIGHT] * (mean.shape[0] - 2)])
    for part, values, scanned in group.batches(level.pool):
        weight = (channel * group.weight[part])[:, :, None, None, None] * scanned
        update = torch.zeros_like(velocities[part], requires_grad=True)
        optimizer = torch.optim.Adam([update], lr=level.step_mm, betas=(0.8, 0.95))
        for step in range(level.iterations):
            optimizer.param_groups[0]["lr"] = level.step_mm * (1 - step / level.iterations)
            velocity = velocities[part] + smooth(update, level.sigma)
            moved = warp(mean.expand(len(values), -1, -1, -1, -1), exponential(velocity, frame), frame)
            difference = ((moved - values) ** 2 * weight).sum() / scanned[0].numel()
            optimizer.zero_grad()
            (difference + _ROUGHNESS * _roughness(velocity)).backward()
            optimizer.step()
            before += float(difference.detach()) if step == 0 else 0.0
        after += float(difference.detach())
        velocities[part] = velocity.detach()
    return before / len(velocities), after / len(velocities)


def smooth(field: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian smoothing of (B, C, X, Y, Z) by `sigma` voxels, edges repeated."""
    radius = round(3 * sigma)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1, dtype=field.dtype) ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    channels = field.shape[1]
    for axis in range(3):
        shape, pad = [1, 1, 1], [0] * 6
        shape[axis] = len(kernel)
        pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = radius
        weight = kernel.view(1, 1, *shape).expand(channels, 1, *shape)
        field = F.conv3d(F.pad(field, pad, mode="replicate"), weight, groups=channels)
    return field


def _roughness(velocity: torch.Tensor) -> torch.Tensor:
    """Squared differences between neighbours, mean over positions, summed over the batch."""
    axes = [velocity.diff(dim=d).square().mean(dim=(1, 2, 3, 4)).sum() for d in (2, 3, 4)]
    return torch.stack(axes).sum()
