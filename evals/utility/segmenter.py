"""MONAI's segmentation networks, their training under accelerate, and prediction of whole volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from accelerate import Accelerator
from monai.inferers import sliding_window_inference
from monai.networks.nets import DynUNet, SegResNet
from monai.networks.utils import pixelshuffle, pixelunshuffle

from evals.utility.config import INSERTING, OF_REAL, Arm, UtilityConfig
from evals.utility.data import Labelled, PatchBatch, controlled, draw, unlearned
from synth.flow.losses import label_loss

_OVERLAP = 0.125
_BACKGROUND_LOGIT = 3.0
_ORGAN_WEIGHT = 5.0  # of a voxel of an organ in the cross-entropy: they are about one in fifty
_WARMUP = 0.05  # of the steps


class Segmenter(torch.nn.Module):
    """A network with a head start for the background, on the grid of the voxels or on one of half the size.

    Most voxels are background, and a network that starts from equal shares spends its first hundreds of steps on that
    alone (Lin et al. 2017, sec. 4.1). Packed, 2 x 2 x 2 voxels go in as channels, and come out as logits of each voxel.
    """

    def __init__(self, network: torch.nn.Module, packing: int) -> None:
        super().__init__()
        self.network, self.packing = network, packing

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 1, x, y, z) -> logits (B, classes, x, y, z)."""
        packed = pixelunshuffle(image, 3, self.packing) if self.packing > 1 else image
        logits = self.network(packed)
        logits = pixelshuffle(logits, 3, self.packing) if self.packing > 1 else logits
        return torch.cat([logits[:, :1] + _BACKGROUND_LOGIT, logits[:, 1:]], dim=1)


def build(name: str, classes: int, config: UtilityConfig) -> Segmenter:
    """A segmenter whose coarsest level has an eighth of the voxels along each axis."""
    cells = config.packing**3
    width, levels = config.width, 4 if config.packing == 1 else 3
    if name == "segresnet":
        net: torch.nn.Module = SegResNet(
            init_filters=width, in_channels=cells, out_channels=classes * cells, num_groups=4,
            blocks_down=(1, *[2] * (levels - 1)), blocks_up=[1] * (levels - 1), norm=("GROUP", {"num_groups": 4}),
        )  # fmt: skip
    else:
        net = DynUNet(
            spatial_dims=3, in_channels=cells, out_channels=classes * cells, kernel_size=[3] * levels,
            strides=[1, *[2] * (levels - 1)], upsample_kernel_size=[2] * (levels - 1),
            filters=[width * 2**k for k in range(levels)], res_block=config.packing == 1,
        )  # fmt: skip
    return Segmenter(net, config.packing)


def loss_of(logits: torch.Tensor, onehot: torch.Tensor, annotated: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice of the annotated organs; an organ not annotated may be anywhere in the background.

    Dice is of all patches of a batch together: a patch with three voxels of an organ says little by itself. A voxel of
    no class counts in neither.

    Args:
        logits: (B, K, x, y, z), class 0 = background.
        onehot: (B, K, x, y, z).
        annotated: (B, K - 1).
    """
    drawn = annotated[:, :, None, None, None] * onehot.sum(dim=1, keepdim=True)
    shares = drawn * logits.softmax(dim=1)[:, 1:]
    truth = drawn * onehot[:, 1:]
    overlap = (shares * truth).sum(dim=(0, 2, 3, 4))
    total = (shares + truth).sum(dim=(0, 2, 3, 4))
    known = annotated.amax(dim=0)
    dice = (known * (1 - (2 * overlap + 1) / (total + 1))).sum() / known.sum().clamp(min=1)
    weighted = torch.cat([onehot[:, :1], _ORGAN_WEIGHT * onehot[:, 1:]], dim=1)
    return label_loss(logits, weighted, annotated, torch.ones(len(logits), device=logits.device)) + dice


def pools_at(
    arm: Arm, step: int, real: Sequence[Labelled], synthetic: Sequence[Labelled], config: UtilityConfig
) -> list[Sequence[Labelled]]:
    """Which volumes a step of an arm draws from."""
    if arm in OF_REAL:
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
    accelerator = Accelerator(cpu=config.cpu, mixed_precision=config.mixed_precision)
    torch.manual_seed(seed)
    model = build(network, len(config.organs) + 1, config)
    if accelerator.mixed_precision == "bf16":
        model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # three times as fast with AMX
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, config.steps))
    model, optimizer = accelerator.prepare(model, optimizer)
    fakes = controlled(synthetic, arm, seed) if synthetic else []
    real = [unlearned(v, config) for v in real] if arm is Arm.INSERTED else real
    change = [_inserter(arm, config)] if arm in INSERTING else []
    rng = np.random.default_rng([seed, accelerator.process_index])
    losses = []
    for step in range(config.steps):
        batch = _on(draw(pools_at(arm, step, real, fakes, config), config, rng, *change), accelerator.device)
        loss = loss_of(model(batch[0]), *batch[1:])
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 12.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        on_step()
    return accelerator.unwrap_model(model).eval(), losses


def _inserter(arm: Arm, config: UtilityConfig) -> Callable[[Labelled, np.random.Generator], Labelled]:
    from evals.utility.insertion import Bank, Inserter
    from synth.case.plan import Sampling
    from synth.case.weights_folder import Weights
    from synth.draw.redraw import RefineRedraw
    from synth.lesions.insertion import keep_painted

    redraw = RefineRedraw(Weights.covering(None).refine(), Sampling()) if config.redraw else keep_painted
    return (Inserter if config.insertions is None else Bank)(config, redraw, arm)


def rate_at(step: int, steps: int) -> float:
    """Share of the learning rate: up in a line over the first twentieth, then down by a power of 0.9 as nnU-Net's."""
    return min(1.0, (step + 1) / max(1.0, _WARMUP * steps)) * (1 - step / steps) ** 0.9


def _on(batch: PatchBatch, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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
