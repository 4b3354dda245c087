"""What a denoiser is told besides the noisy volume."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch

from synth.facts import FACTS, ORGANS

CLASSES = 1 + len(ORGANS)  # background and the organs that the networks draw
FACTS_DIM = 2 * len(FACTS)
GRID_DIM = 3 + len(ORGANS) + 1  # log2 of spacing / 4 mm, annotated organs, noise on the coarse input
POSITION_CHANNELS = 4  # x, y, z in units of 200 mm from the anchor, and whether they are known
POSITION_SCALE_MM = 200.0
SCAFFOLD_CHANNELS = 8  # of the deformed mean patient: CT and organs for base, wavelet bands for refine


@dataclass(frozen=True)
class Condition:
    """Tensors of one batch.

    facts: (B, FACTS_DIM), see synth.facts.encode; all zero says nothing is asked (the trained null).
    text: (B, L, D) token features of the frozen encoder; text_mask: (B, L) bool, all False says no text.
    grid: (B, GRID_DIM), see `grid_vector`.
    maps: (B, K, X, Y, Z), see `stack_maps`.
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


def grid_vector(spacing: torch.Tensor, annotated: torch.Tensor, coarse_noise: torch.Tensor) -> torch.Tensor:
    """(B, 3) spacing in mm of the grid being drawn, (B, 7) annotated flags, (B, 1) -> (B, GRID_DIM)."""
    return torch.cat([torch.log2(spacing / 4.0), annotated, coarse_noise], dim=1)


def position_map(lower_mm: torch.Tensor, spacing: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Where every position lies in its frame.

    Args:
        lower_mm: (B, 3) RAS corner of the grid relative to the anchor; NaN where there is no frame.
        spacing: (B, 3) mm between positions.

    Returns:
        (B, 4, X, Y, Z); all zero where there is no frame.
    """
    axes = []
    for i, n in enumerate(shape):
        mm = lower_mm[:, i, None] + spacing[:, i, None] * (torch.arange(n, device=lower_mm.device) + 0.5)
        view = [-1, 1, 1, 1]
        view[1 + i] = n
        axes.append((mm / POSITION_SCALE_MM).view(view).expand(-1, *shape))
    known = torch.isfinite(lower_mm).all(dim=1).float().view(-1, 1, 1, 1).expand(-1, *shape)
    return torch.nan_to_num(torch.stack([*axes, known], dim=1)) * known[:, None]


def stack_maps(
    known: torch.Tensor,
    known_mask: torch.Tensor,
    position: torch.Tensor,
    coarse: torch.Tensor | None = None,
    coarse_labels: torch.Tensor | None = None,
    scaffold: torch.Tensor | None = None,
) -> torch.Tensor:
    """(B, C, ..) known values, (B, 1, ..) where they hold, position, coarse CT and label fractions, scaffold.

    The scaffold, (B, SCAFFOLD_CHANNELS, ..), is all zero where there is none: beyond a frame, and on finer grids.
    """
    parts = [known * known_mask, known_mask, position]
    parts += [p for p in (coarse, coarse_labels) if p is not None]
    if scaffold is None:
        scaffold = known.new_zeros(len(known), SCAFFOLD_CHANNELS, *known.shape[2:])
    return torch.cat([*parts, scaffold], dim=1)


def map_channels(channels: int, refine: bool) -> int:
    """How many channels `stack_maps` gives for a network that draws `channels`."""
    return channels + 1 + POSITION_CHANNELS + ((1 + CLASSES) if refine else 0) + SCAFFOLD_CHANNELS
