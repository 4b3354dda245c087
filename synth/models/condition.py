"""What a denoiser is told besides the noisy volume. The only place that says it, for training and for drawing alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F

from synth.models import wavelet
from synth.models.scaling import ct_to_network, detail_to_network
from synth.regions import Region
from synth.regions.frame import BASE_SPACING_MM, FACTOR
from synth.regions.region import HEAD_NECK_CT, CtScale

POSITION_CHANNELS = 4  # x, y, z in units of 200 mm from the anchor, and whether they are known
POSITION_SCALE_MM = 200.0
BANDS = 8  # of the wavelet transform: the mean and seven details
_NOISE_UNIT = 0.1  # intensity units: SD of the noise on a coarse CT that is told as 1


@dataclass(frozen=True)
class Condition:
    """Tensors of one batch.

    facts: (B, facts_dim), see Region.encode; all zero says nothing is asked (the trained null).
    text: (B, L, D) token features of the frozen encoder; text_mask: (B, L) bool, all False says no text.
    grid: (B, grid_dim): log2 of spacing / 4 mm along x, y, z; annotated organs; noise on the coarse CT.
    maps: (B, K, X, Y, Z): known values, where they hold, position, coarse CT and organ fractions, scaffold.
    """

    facts: torch.Tensor
    text: torch.Tensor
    text_mask: torch.Tensor
    grid: torch.Tensor
    maps: torch.Tensor

    def without_request(self) -> Condition:
        """The same grid and maps with nothing asked: the other branch of classifier-free guidance."""
        return replace(self, facts=torch.zeros_like(self.facts), text_mask=torch.zeros_like(self.text_mask))

    def to(self, device: torch.device | str) -> Condition:
        """All tensors on `device`."""
        return Condition(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    @staticmethod
    def cat(parts: list[Condition]) -> Condition:
        """Join along the batch."""
        return Condition(**{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Condition)})


@dataclass(frozen=True)
class EncodedRequest:
    """The request of a batch: facts (B, facts_dim), text (B, L, D) and its mask (B, L)."""

    facts: torch.Tensor
    text: torch.Tensor
    text_mask: torch.Tensor

    @staticmethod
    def nothing(region: Region, text_dim: int) -> EncodedRequest:
        """Of one volume of which nothing is asked."""
        return EncodedRequest(
            torch.zeros(1, region.facts_dim), torch.zeros(1, 1, text_dim), torch.zeros(1, 1, dtype=torch.bool)
        )


@dataclass(frozen=True)
class Known:
    """Values (B, C, X, Y, Z) of what is drawn in network units, and (B, 1, X, Y, Z) 1 where they are known."""

    values: torch.Tensor
    mask: torch.Tensor

    @staticmethod
    def nothing(channels: int, shape: Sequence[int]) -> Known:
        """Of one volume."""
        mask = torch.zeros(1, 1, *shape)
        return Known(mask.expand(-1, channels, -1, -1, -1), mask)


def told_base(
    asked: EncodedRequest,
    lower_mm: torch.Tensor,
    annotated: torch.Tensor,
    known: Known,
    scaffold: torch.Tensor | None,
    scale: CtScale = HEAD_NECK_CT,
) -> Condition:
    """What `base` is told.

    Args:
        lower_mm: (B, 3) RAS corner of the frame relative to the anchor.
        annotated: (B, K) 1 where an organ is drawn.
        scaffold: (B, 1 + K, 2X, 2Y, 2Z) at 8 mm: the deformed mean patient, intensity + 1 and organ fractions; None:
            none.
        scale: of the CT of its region.
    """
    spacing = torch.full((len(annotated), 3), BASE_SPACING_MM, device=annotated.device)
    maps = [_position_map(lower_mm, spacing, known.mask.shape[2:])]
    clean, seen = [0.0] * len(annotated), 1 + annotated.shape[1]
    return _told(asked, spacing, annotated, clean, known, maps, base_maps(scaffold, scale), seen)


def told_refine(
    asked: EncodedRequest,
    spacing: torch.Tensor,
    lower_mm: torch.Tensor,
    annotated: torch.Tensor,
    known: Known,
    coarse: torch.Tensor,
    coarse_labels: torch.Tensor,
    coarse_noise: Sequence[float],
    scaffold: torch.Tensor | None = None,
) -> Condition:
    """What `refine`, and `lesion`, are told.

    Args:
        spacing: (B, 3) mm of the grid whose details are drawn; everything else lies on the grid above it.
        lower_mm: (B, 3) RAS corner of the grid relative to the anchor; NaN where there is no frame.
        annotated: (B, K) 1 where an organ is drawn.
        coarse: (B, 1, X, Y, Z) intensity units; coarse_labels: (B, 1 + K, X, Y, Z) organ fractions.
        coarse_noise: SD of the noise on `coarse`, in intensity units.
        scaffold: (B, 1 + K, 2X, 2Y, 2Z) on the finer grid, the deformed mean patient; None: none.
    """
    maps = [
        _position_map(lower_mm, spacing * FACTOR, known.mask.shape[2:]),
        ct_to_network(coarse),
        coarse_labels,
    ]
    return _told(asked, spacing, annotated, coarse_noise, known, maps, refine_maps(scaffold), BANDS)


def _told(
    asked: EncodedRequest,
    spacing: torch.Tensor,
    annotated: torch.Tensor,
    coarse_noise: Sequence[float],
    known: Known,
    maps: list[torch.Tensor],
    scaffold: torch.Tensor | None,
    scaffold_channels: int,
) -> Condition:
    if scaffold is None:
        scaffold = known.mask.new_zeros(len(known.mask), scaffold_channels, *known.mask.shape[2:])
    noise = torch.tensor([[sd / _NOISE_UNIT] for sd in coarse_noise], device=annotated.device)
    return Condition(
        facts=asked.facts,
        text=asked.text,
        text_mask=asked.text_mask,
        grid=torch.cat([torch.log2(spacing / 4.0), annotated, noise], dim=1),
        maps=torch.cat([known.values * known.mask, known.mask, *maps, scaffold], dim=1),
    )


def _position_map(lower_mm: torch.Tensor, spacing: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """(B, 4, X, Y, Z): where every position lies in its frame, all zero where there is no frame.

    Args:
        lower_mm: (B, 3) RAS corner of the grid relative to the anchor; spacing: (B, 3) mm between positions.
    """
    axes = []
    for i, n in enumerate(shape):
        mm = lower_mm[:, i, None] + spacing[:, i, None] * (torch.arange(n, device=lower_mm.device) + 0.5)
        view = [-1, 1, 1, 1]
        view[1 + i] = n
        axes.append((mm / POSITION_SCALE_MM).view(view).expand(-1, *shape))
    known = torch.isfinite(lower_mm).all(dim=1).float().view(-1, 1, 1, 1).expand(-1, *shape)
    return torch.nan_to_num(torch.stack([*axes, known], dim=1)) * known[:, None]


def base_maps(patient: torch.Tensor | None, scale: CtScale = HEAD_NECK_CT) -> torch.Tensor | None:
    """A mean patient at 8 mm as `base` sees it at 16: CT in network units, organ fractions."""
    if patient is None:
        return None
    coarse = F.avg_pool3d(patient, FACTOR)
    return torch.cat([ct_to_network(coarse[:, :1] - 1.0, scale), coarse[:, 1:]], dim=1)


def refine_maps(patient: torch.Tensor | None) -> torch.Tensor | None:
    """The same on the way from 16 to 8 mm: the eight wavelet bands of its CT in network units."""
    if patient is None:
        return None
    bands = wavelet.forward(patient[:, :1] - 1.0)
    return torch.cat([ct_to_network(bands[:, :1]), detail_to_network(bands[:, 1:])], dim=1)


def coarse_of(maps: torch.Tensor, channels: int) -> torch.Tensor:
    """The coarse CT (B, 1, X, Y, Z) among the maps of a network that draws `channels`, in network units."""
    at = channels + 1 + POSITION_CHANNELS
    return maps[:, at : at + 1]


def scaffold_of(condition: Condition, channels: int, classes: int) -> torch.Tensor:
    """The scaffold of what `base` draws, (B, channels, X, Y, Z): its CT, and zero for the other channels."""
    ct = condition.maps[:, -classes][:, None]
    return torch.cat([ct, torch.zeros_like(ct).expand(-1, channels - 1, -1, -1, -1)], dim=1)


def known_mask_of(condition: Condition, channels: int) -> torch.Tensor:
    """(B, 1, X, Y, Z), 1 where the values of what is drawn are known."""
    return condition.maps[:, channels : channels + 1]


def grid_dim(region: Region) -> int:
    """Length of `Condition.grid`."""
    return 3 + len(region.organs) + 1


def map_channels(channels: int, refine: bool, region: Region) -> int:
    """How many channels `Condition.maps` has for a network that draws `channels`."""
    seen = (1 + region.classes + BANDS) if refine else region.classes
    return channels + 1 + POSITION_CHANNELS + seen
