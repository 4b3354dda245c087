"""MONAI's segmentation networks, their training under accelerate, and prediction of whole volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from accelerate import Accelerator
from monai.inferers import sliding_window_inference
from monai.networks.nets import DynUNet, SegResNet

from evals.utility.config import Arm, UtilityConfig
from evals.utility.data import Batch, Labelled, controlled, draw
from synth.flow.losses import label_loss

_OVERLAP = 0.25


def build(name: str, classes: int, width: int) -> torch.nn.Module:
    """A network (B, 1, x, y, z) -> logits (B, classes, x, y, z) of four levels, `width` channels at the finest."""
    if name == "segresnet":
        net: torch.nn.Module = SegResNet(
            init_filters=width, in_channels=1, out_channels=classes, blocks_down=(1, 2, 2, 2), num_groups=4,
            norm=("GROUP", {"num_groups": 4}),
        )  # fmt: skip
        return net
    return DynUNet(
        spatial_dims=3, in_channels=1, out_channels=classes, kernel_size=[3] * 4, strides=[1, 2, 2, 2],
        upsample_kernel_size=[2] * 3, filters=[width, 2 * width, 4 * width, 8 * width], res_block=True,
    )  # fmt: skip


def loss_of(logits: torch.Tensor, onehot: torch.Tensor, annotated: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice of the annotated organs; an organ not annotated may be anywhere in the background.

    Args:
        logits: (B, K, x, y, z), class 0 = background.
        onehot: (B, K, x, y, z).
        annotated: (B, K - 1).
    """
    shares = logits.softmax(dim=1)[:, 1:]
    truth = onehot[:, 1:]
    overlap = (shares * truth).sum(dim=(2, 3, 4))
    total = (shares + truth).sum(dim=(2, 3, 4))
    dice = 1 - (2 * overlap + 1) / (total + 1)
    dice = (dice * annotated).sum() / annotated.sum().clamp(min=1)
    return label_loss(logits, onehot, annotated, torch.ones(len(logits), device=logits.device)) + dice


def pools_at(
    arm: Arm, step: int, real: Sequence[Labelled], synthetic: Sequence[Labelled], config: UtilityConfig
) -> list[Sequence[Labelled]]:
    """Which volumes a step of an arm draws from."""
    if arm is Arm.REAL:
        return [real]
    if arm is Arm.SYNTHETIC:
        return [synthetic]
    if arm is Arm.PRETRAIN:
        return [synthetic] if step < config.pretrain_share * config.steps else [real]
    return [real, synthetic]


def train(
    network: str,
    arm: Arm,
    real: Sequence[Labelled],
    synthetic: Sequence[Labelled],
    seed: int,
    config: UtilityConfig,
    on_step: Callable[[], None] = lambda: None,
) -> tuple[torch.nn.Module, list[float]]:
    """A trained network and its losses. The same seed gives the same start and, on one process, the same patches."""
    accelerator = Accelerator(cpu=config.cpu)
    torch.manual_seed(seed)
    model = build(network, len(config.organs) + 1, config.width)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, config.steps, power=0.9)
    model, optimizer = accelerator.prepare(model, optimizer)
    fakes = controlled(synthetic, arm, seed) if arm is not Arm.REAL else []
    rng = np.random.default_rng([seed, accelerator.process_index])
    losses = []
    for step in range(config.steps):
        batch = _on(draw(pools_at(arm, step, real, fakes, config), config, rng), accelerator.device)
        loss = loss_of(model(batch[0]), *batch[1:])
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 12.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        on_step()
    return accelerator.unwrap_model(model).eval(), losses


def _on(batch: Batch, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    image, onehot, annotated = (torch.from_numpy(a).to(device) for a in (batch.image, batch.onehot, batch.annotated))
    return image, onehot, annotated


def predict(model: torch.nn.Module, volume: Labelled, config: UtilityConfig) -> np.ndarray:
    """Classes (X, Y, Z) uint8 of a whole volume, by overlapping patches."""
    device = next(model.parameters()).device
    with torch.inference_mode():
        image = torch.from_numpy(volume.image)[None, None].to(device)
        logits = sliding_window_inference(image, config.patch, 1, model, overlap=_OVERLAP, mode="gaussian")
    assert isinstance(logits, torch.Tensor)
    return logits[0].argmax(dim=0).to(torch.uint8).cpu().numpy()
