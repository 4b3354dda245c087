"""What training costs: `python -m studies.training_cost configs/train/ct_rate/*_base.yaml --region ..chest.yaml`.

FLOP of a step are counted (twice the multiply-adds of convolutions and products, forward and backward) on tensors
without data. Hours follow from the FLOP that an H200 was measured to make of this network: 64 volumes of `base`
(docs/studies/tried.md) in 85 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from synth.models.condition import Condition, grid_dim, map_channels
from synth.models.denoiser import Denoiser
from synth.regions import Region, shipped
from synth.regions.region import read
from synth.training.config import TrainConfig, load_config

MEASURED_S, MEASURED_BATCH = 0.085, 64  # a step of `base` for the head and neck on an H200, bf16
_MEASURED = {"widths": (48, 112, 224), "blocks": (1, 2, 2), "embedding_dim": 256}
_TOKENS = 256  # of a report, about
_CROP = 16
_BANDS = 7


@dataclass(frozen=True)
class Cost:
    """Of a configuration: parameters, volumes and FLOP of a step on one GPU, steps."""

    name: str
    parameters: int
    volumes: int
    flop: float
    steps: int


def step_flop(model: Denoiser, region: Region, batch: int, shape: tuple[int, ...]) -> float:
    """FLOP of forward and backward of a batch; `model` is on the meta device, in training."""

    def empty(*size: int) -> torch.Tensor:
        return torch.zeros(batch, *size, device="meta")

    channels, dim = model.config.channels, model.config.text_dim
    maps = empty(map_channels(channels, model.config.refine, region), *shape)
    words = torch.ones(batch, _TOKENS, dtype=torch.bool, device="meta")
    condition = Condition(empty(region.facts_dim), empty(_TOKENS, dim), words, empty(grid_dim(region)), maps)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        out = model(empty(channels, *shape), torch.zeros(batch, device="meta"), condition)
        (out.velocity.sum() + out.labels.sum()).backward()
    return float(counter.get_total_flops())


def _model(region: Region, refine: bool, channels: int, **sizes: object) -> Denoiser:
    with torch.device("meta"):
        text = None if region == shipped() else region.text
        return Denoiser(channels=channels, refine=refine, region=text, **sizes).train()


def cost_of(config: TrainConfig, region: Region, name: str) -> Cost:
    """Counted FLOP of a mean step: `refine` draws crops and whole frames by their share."""
    refine = config.network == "refine"
    channels = _BANDS if refine else 1 + bool(region.doses_gy)
    sizes = config.model.model_dump(exclude={"data_sd"})
    model = _model(region, refine, channels, **sizes)
    if not refine:
        flop = step_flop(model, region, config.batch, region.frame.shape)
    else:
        frames = step_flop(model, region, max(config.batch // 4, 1), region.frame.shape)
        crops = step_flop(model, region, config.batch, (_CROP,) * 3)
        flop = config.whole_share * frames + (1 - config.whole_share) * crops
    parameters = sum(p.numel() for p in model.parameters())
    return Cost(name, parameters, config.batch, config.accumulate * flop, config.steps)


def measured_rate() -> float:
    """FLOP a second that an H200 made of this network."""
    region = shipped()
    model = _model(region, False, 2, prior_shape=None, **_MEASURED)
    return step_flop(model, region, MEASURED_BATCH, region.frame.shape) / MEASURED_S


def main(
    configs: Annotated[list[Path], typer.Argument(help="Training configurations.")],
    region: Annotated[Path, typer.Option(help="YAML of the region.")],
) -> None:
    """Print a table."""
    rate = measured_rate()
    typer.echo(f"an H200 makes {rate / 1e12:.0f} TFLOP/s of this network")
    typer.echo(
        "| configuration | parameters, M | volumes a step and GPU | TFLOP a step and GPU | steps | GPU-hours a GPU |"
    )
    typer.echo("|---|---|---|---|---|---|")
    for path in configs:
        cost = cost_of(load_config(path), read(region), path.stem)
        hours = cost.flop * cost.steps / rate / 3600
        each = f"{cost.parameters / 1e6:.1f} | {cost.volumes} | {cost.flop / 1e12:.1f} | {cost.steps:,} | {hours:.1f}"
        typer.echo(f"| {cost.name} | {each} |")


if __name__ == "__main__":
    typer.run(main)
