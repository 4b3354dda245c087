"""What the `lesion` network trains on: the detail inside real tumours, their surroundings known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from synth.data.dataset import split_bands
from synth.data.tumours import Tumour
from synth.models.scaling import detail_to_network
from synth.regions import Region, shipped
from synth.training.config import TrainConfig
from synth.training.requests import draw_facts
from synth.training.shards import Shard
from synth.training.tasks import Batch, Sample, collate, drawn_seed

LEVELS = 3  # grids whose details are drawn: the native one and coarser ones
_SIZE = 32  # voxels a side of a crop, on the grid that is drawn
_GROW = 3  # voxels, less one: the border of a tumour is drawn too, to a random depth
_NOISE = (-0.03, 0.05)  # intensity units on the coarse CT inside, none below 0: drawn coarser levels are not exact


class LesionTask:
    """Crops about a tumour at native spacing and coarser; everything outside the tumour is known.

    Same network and loss as `refine`, without labels or a request: only what is inside counts.
    """

    channels = 7
    refine = True

    def __init__(
        self,
        tumours: Sequence[Tumour],
        config: TrainConfig,
        device: torch.device | None = None,
        region: Region | None = None,
    ) -> None:
        """`region`: of the `refine` that it starts from, head and neck where none is said."""
        self.shard = Shard()
        self.region = region or shipped()
        self.config, self.device = config, device or torch.device("cpu")
        self.tumours = list(tumours)
        self.inside = [torch.nonzero(tumour.mask[0]) for tumour in self.tumours]

    def draw(self, rng: np.random.Generator, train: bool = True) -> Batch:
        """One batch; every draw comes from `rng`, and validation turns nothing and hides the outline as it is."""
        rngs = self.shard.generators(rng, self.config.batch)
        return collate([self._sample(own, train) for own in rngs])

    def _sample(self, rng: np.random.Generator, train: bool) -> Sample:
        index = int(rng.integers(len(self.tumours)))
        level = int(rng.integers(LEVELS))
        ct, hidden = self._crop(index, level, rng)
        hidden = _grown(hidden, int(rng.integers(_GROW)) if train else 0)
        if train:
            flips = [d for d in (1, 2, 3) if rng.random() < 0.5]
            ct, hidden = ct.flip(flips), hidden.flip(flips)
        return lesion_sample(ct, hidden, self.tumours[index].spacing * 2**level, self.region, rng)

    def _crop(self, index: int, level: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """(1, 32, 32, 32) intensity and what is hidden about a random voxel of the tumour, `level` times halved.

        The crop starts anywhere, so that blocks fall anywhere; beyond the volume its border goes on, and is known.
        """
        tumour, step = self.tumours[index], 2**level
        centre = self.inside[index][int(rng.integers(len(self.inside[index])))].numpy()
        size = _SIZE * step
        start = centre - size // 2 + rng.integers(-size // 4, size // 4 + 1, 3)
        at = [torch.arange(s, s + size) for s in start]
        held = [a.clamp(0, n - 1) for a, n in zip(at, tumour.mask.shape[1:], strict=True)]
        there = [((a >= 0) & (a < n)).float() for a, n in zip(at, tumour.mask.shape[1:], strict=True)]
        i, j, k = torch.meshgrid(*held, indexing="ij")
        ct = tumour.ct[:, i, j, k].float()
        hidden = tumour.mask[:, i, j, k].float() * torch.einsum("i,j,k->ijk", *there)
        if level:
            ct, hidden = F.avg_pool3d(ct, step), F.max_pool3d(hidden, step)
        return ct.to(self.device), hidden.to(self.device)


def _grown(hidden: torch.Tensor, by: int) -> torch.Tensor:
    """A mask (1, X, Y, Z) grown by so many voxels."""
    return F.max_pool3d(hidden, 2 * by + 1, stride=1, padding=by) if by else hidden


def lesion_sample(
    ct: torch.Tensor, hidden: torch.Tensor, spacing: torch.Tensor, region: Region, rng: np.random.Generator
) -> Sample:
    """The details of a crop (1, 2X, 2Y, 2Z) intensity, known but where `hidden` is 1; `spacing` (3,) mm."""
    coarse, details = split_bands(ct)
    known = 1 - F.max_pool3d(hidden, 2)
    noise = max(0.0, float(rng.uniform(*_NOISE)))
    field = torch.from_numpy(rng.standard_normal(coarse.shape, dtype=np.float32)).to(ct.device)
    background = torch.zeros(region.classes, *ct.shape[1:], device=ct.device)
    background[0] = 1
    return Sample(
        x0=detail_to_network(details),
        labels=background,
        body=torch.ones_like(coarse),
        facts=draw_facts(region, {}, 1, rng),
        text=None,
        annotated=torch.zeros(len(region.organs)),
        spacing=spacing,
        lower_mm=torch.full((3,), torch.nan),
        known_mask=known,
        seed=drawn_seed(rng),
        coarse=coarse + noise * field * (1 - known),
        coarse_labels=torch.zeros(region.classes, *coarse.shape[1:], device=ct.device),
        coarse_noise=noise,
    )
