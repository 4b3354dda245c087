"""The denoiser: a lean 3D U-Net with adaptive norms, text cross-attention and a label head.

`base` and `refine` are both this class. It predicts the flow's velocity (noise - data; Lipman et al. 2023)
and, from the same features, the organs of what it draws.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.utils.checkpoint import checkpoint

from synth import regions
from synth.models.attention import attend
from synth.models.condition import BANDS, Condition, grid_dim, map_channels, scaffold_of
from synth.models.gaussian import GaussianPart
from synth.regions.region import Region, parse

_VECTOR = 16  # float32 channels that a CPU convolution computes at once


class Denoised(NamedTuple):
    """velocity (B, C, X, Y, Z); label logits (B, 1 + organs, X, Y, Z), or (B, 1 + organs, 2X, 2Y, 2Z) for refine."""

    velocity: torch.Tensor
    labels: torch.Tensor


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of each position: free in channels_last_3d, where GroupNorm is slow."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = x.permute(0, 2, 3, 4, 1)
        return F.layer_norm(last, last.shape[-1:], self.weight, self.bias).permute(0, 4, 1, 2, 3)


class Pointwise(nn.Conv3d):
    """A convolution of single positions, as a matrix product: like `_narrow`, for the sake of the number of threads."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x.permute(0, 2, 3, 4, 1), self.weight.flatten(1), self.bias).permute(0, 4, 1, 2, 3)


class Block(nn.Module):
    """Residual block; the embedding scales and shifts between the convolutions (Perez et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(inputs)
        self.conv1 = nn.Conv3d(inputs, outputs, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * outputs)
        self.norm2 = ChannelNorm(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, padding=1)
        self.skip = Pointwise(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        _zero(self.modulate, self.conv2)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.modulate(embedding)[..., None, None, None].chunk(2, dim=1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        out: torch.Tensor = self.skip(x) + h
        return out


class Attention(nn.Module):
    """Self-attention over positions, then cross-attention to the text tokens, then an MLP."""

    def __init__(self, channels: int, text_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(text_dim, 2 * channels)
        self.null = nn.Parameter(torch.zeros(1, 1, text_dim))  # what is attended to where no text is given
        self.cross_out = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 3 * channels), nn.GELU(), nn.Linear(3 * channels, channels))
        _zero(self.out, self.cross_out, self.mlp[2])

    def _keys_and_values(self, words: torch.Tensor) -> torch.Tensor:
        """In double while drawing: over so few words the order of the sums follows the number of threads."""
        if self.training:
            return self.kv(words)
        return F.linear(words.double(), self.kv.weight.double(), self.kv.bias.double()).to(words.dtype)

    def _split(self, x: torch.Tensor, parts: int) -> tuple[torch.Tensor, ...]:
        return x.unflatten(-1, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self._split(self.qkv(self.norms[0](tokens)), 3)
        tokens = tokens + self.out(attend(q, k, v).transpose(1, 2).flatten(2))
        words = torch.cat([self.null.expand(len(x), -1, -1), text], dim=1)
        mask = torch.cat([torch.ones_like(text_mask[:, :1]), text_mask], dim=1)
        (q,) = self._split(self.q(self.norms[1](tokens)), 1)
        k, v = self._split(self._keys_and_values(words), 2)
        tokens = tokens + self.cross_out(attend(q, k, v, mask).transpose(1, 2).flatten(2))
        tokens = tokens + self.mlp(self.norms[2](tokens))
        return tokens.transpose(1, 2).unflatten(2, x.shape[2:])


class Denoiser(ModelMixin, ConfigMixin):
    """Velocity and organs of a noisy volume at time t in [0, 1] (0 = data, 1 = noise).

    Args:
        channels: what is drawn: 2 for base (CT, prescribed dose), 7 detail bands for refine.
        refine: takes the coarse CT and its label fractions, and reads organs at twice its resolution.
        widths: channels of each level; positions halve along each axis from level to level.
        blocks: residual blocks a level on the way down (and up).
        text_attention: self-attention and text cross-attention at the coarsest level.
        prior_shape: (X, Y, Z) of a fixed frame whose Gaussian part is known, see synth.models.gaussian.
        prior_rank: its principal directions.
        text_encoder: folder or name of the encoder whose features of `text_dim` it is told (None: the packaged one).
        region: text of the region's YAML that it was trained on (None: head and neck): its organs are the label head's
            classes, its facts what it is told.
        data_sd: SD of the data for the preconditioning of Karras et al. 2022 (eq. 7, in the flow's time): the
            network then starts at "no detail" where the prior-free velocity starts at "all noise".
    """

    _supports_gradient_checkpointing = True

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        channels: int = 2,
        refine: bool = False,
        widths: tuple[int, ...] = (48, 112, 224),
        blocks: tuple[int, ...] = (1, 2, 2),
        embedding_dim: int = 256,
        text_dim: int = 384,
        text_encoder: str | None = None,
        heads: int = 4,
        text_attention: bool = True,
        prior_shape: tuple[int, int, int] | None = None,
        prior_rank: int = 128,
        data_sd: float | None = None,
        region: str | None = None,
    ) -> None:
        super().__init__()
        of = region_of(region)
        self.gradient_checkpointing = False
        self.computed_in = torch.float32  # of convolutions and products while drawing; training has its own autocast
        self.embed_time = nn.Sequential(
            nn.Linear(64, embedding_dim), nn.SiLU(), nn.Linear(embedding_dim, embedding_dim)
        )
        self.embed_request = nn.Sequential(
            nn.Linear(of.facts_dim + grid_dim(of), embedding_dim), nn.SiLU(), nn.Linear(embedding_dim, embedding_dim)
        )
        self.prior = None
        if prior_shape is not None:
            self.prior = GaussianPart(channels * math.prod(prior_shape), of.facts_dim, prior_rank)
        inputs = channels * (2 if self.prior else 1) + map_channels(channels, refine, of)
        self.stem = nn.Conv3d(inputs, widths[0], 3, padding=1)
        self.down, self.downsample = nn.ModuleList(), nn.ModuleList()
        self.up, self.upsample = nn.ModuleList(), nn.ModuleList()
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            last = level == len(widths) - 1
            self.down.append(nn.ModuleList(Block(width, width, embedding_dim) for _ in range(count)))
            if last:
                break
            self.downsample.append(nn.Conv3d(width, widths[level + 1], 2, stride=2))
            self.upsample.append(nn.ConvTranspose3d(widths[level + 1], width, 2, stride=2))
            self.up.append(
                nn.ModuleList(Block(2 * width if i == 0 else width, width, embedding_dim) for i in range(count))
            )
        self.attention = Attention(widths[-1], text_dim, heads) if text_attention else None
        self.middle = Block(widths[-1], widths[-1], embedding_dim)
        self.norm = ChannelNorm(widths[0])
        self.velocity = nn.Conv3d(widths[0], channels, 3, padding=1)
        self.organs = nn.Conv3d(widths[0], of.classes * (8 if refine else 1), 3, padding=1)
        _zero(self.velocity)

    @property
    def region(self) -> Region:
        """That it was trained on."""
        return region_of(self.config.region)

    def adapted(self, region: Region) -> Denoiser:
        """The same network for another region: what it knows of CT stays, and it learns organs and facts anew.

        Columns of the input for facts, organs and coarse labels start at zero, as if nothing were told.
        """
        new = Denoiser(**{**self.config, "region": region.text})
        ours, kept = self.state_dict(), new.state_dict()
        columns = _columns(self.region, region, self.config.channels, self.config.refine)
        for name, value in kept.items():
            if name in columns:
                value.zero_()
                for there, here in columns[name]:
                    value[:, there] = ours[name][:, here]
            elif ours[name].shape == value.shape and not name.startswith("organs."):
                value.copy_(ours[name])
        new.load_state_dict(kept)
        return new

    def scaffold_of(self, condition: Condition) -> torch.Tensor:
        """(B, C, X, Y, Z) the scaffold of what is drawn, for `base`."""
        return scaffold_of(condition, self.config.channels, self.region.classes)

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: Condition) -> Denoised:
        """x (B, C, X, Y, Z), t (B,); X, Y, Z divisible by 2 ** (levels - 1)."""
        if self.computed_in == torch.float32:
            return self._forward(x, t, condition)
        with torch.autocast(x.device.type, dtype=self.computed_in):
            velocity, labels = self._forward(x, t, condition)
        return Denoised(velocity.float(), labels.float())

    def _forward(self, x: torch.Tensor, t: torch.Tensor, condition: Condition) -> Denoised:
        embedding = self._embed(t, condition)
        inputs = [x, condition.maps]
        scale: float | torch.Tensor = 1.0
        velocity = torch.zeros_like(x)
        if self.config.data_sd is not None:
            scale, velocity = preconditioned(x, t, self.config.data_sd)
        if self.prior is not None:
            with torch.autocast(x.device.type, enabled=False):  # near t = 0 it divides by little
                guess, velocity = self.prior(x, t, condition.facts, self.scaffold_of(condition))
            inputs.append(guess)
        h = self.stem(torch.cat(inputs, dim=1).contiguous(memory_format=torch.channels_last_3d))
        skips = []
        for level, stage in enumerate(self.down):
            for block in stage:  # type: ignore[attr-defined]
                h = self._run(block, h, embedding)
            if level < len(self.downsample):
                skips.append(h)
                h = self.downsample[level](h)
        if self.attention is not None:
            h = self.attention(h, condition.text, condition.text_mask)
        h = self._run(self.middle, h, embedding)
        for level in reversed(range(len(self.up))):
            h = torch.cat([self.upsample[level](h), skips[level]], dim=1)
            for block in self.up[level]:  # type: ignore[attr-defined]
                h = self._run(block, h, embedding)
        h = F.silu(self.norm(h))
        labels = self.organs(h)
        if self.config.refine:
            labels = _unpack(labels)
        return Denoised(velocity + scale * _narrow(self.velocity, h), labels)

    def _embed(self, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        frequencies = torch.exp(torch.linspace(0.0, math.log(1000.0), 32, device=t.device))
        angles = t[:, None] * frequencies
        time = self.embed_time(torch.cat([angles.sin(), angles.cos()], dim=1))
        request = self.embed_request(torch.cat([condition.facts, condition.grid], dim=1))
        return F.silu(time + request)

    def _run(self, block: Block, h: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(block, h, embedding, use_reentrant=False)
        return block(h, embedding)


def region_of(text: str | None) -> Region:
    """The region of a network's configuration."""
    return regions.shipped() if text is None else parse(text)


def _columns(old: Region, new: Region, channels: int, refine: bool) -> dict[str, list[tuple[slice, slice]]]:
    """Input columns of the first layers that mean the same for two regions: (new, old), by the layer's weight."""
    told = [(new.facts_dim, old.facts_dim, 3)]  # the spacing, after the facts; the noise is the last
    request = [(slice(a, a + n), slice(b, b + n)) for a, b, n in told] + [(slice(-1, None), slice(-1, None))]
    first = channels + map_channels(channels, refine, new) - (new.classes + BANDS if refine else new.classes)
    seen = [(slice(0, first), slice(0, first))]  # noisy volume, known values and mask, position, coarse CT
    if refine:
        seen += [(slice(first, first + 1), slice(first, first + 1)), (slice(-BANDS, None), slice(-BANDS, None))]
    return {"embed_request.0.weight": request, "stem.weight": seen}


def _zero(*layers: nn.Module) -> None:
    """Start as if the layers were not there."""
    for layer in layers:
        for p in layer.parameters():
            nn.init.zeros_(p)


def preconditioned(x: torch.Tensor, t: torch.Tensor, sd: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale of the network's output and velocity without it, if the data were white with this SD and mean 0.

    The posterior mean of x_0 is c_skip x_t with error c_out; velocity = (x_t - x_0) / t, written without the
    division.
    """
    t = t.view(-1, 1, 1, 1, 1)
    variance = (1 - t) ** 2 * sd**2 + t**2
    return -sd / variance.sqrt(), x * (t - (1 - t) * sd**2) / variance


def _narrow(layer: nn.Conv3d, h: torch.Tensor) -> torch.Tensor:
    """A convolution to few channels, computed for a full vector of them: on the CPU the order of the sums of a
    narrower one follows the number of threads, and the volume must not."""
    assert layer.bias is not None
    missing = -layer.out_channels % _VECTOR
    weight, bias = F.pad(layer.weight, (0, 0) * 4 + (0, missing)), F.pad(layer.bias, (0, missing))
    return F.conv3d(h, weight, bias, padding=1)[:, : layer.out_channels]


def _unpack(x: torch.Tensor) -> torch.Tensor:
    """(B, 8 C, X, Y, Z) -> (B, C, 2X, 2Y, 2Z): the eight sub-voxels of each position."""
    b, c8, nx, ny, nz = x.shape
    x = x.view(b, c8 // 8, 2, 2, 2, nx, ny, nz).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return x.reshape(b, c8 // 8, 2 * nx, 2 * ny, 2 * nz)
