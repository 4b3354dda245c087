"""What a network draws while it trains: a few volumes of a batch from noise, beside what they are in truth."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import torch

from synth.flow.samplers import euler
from synth.models import wavelet
from synth.models.condition import Condition, coarse_of, known_mask_of
from synth.models.denoiser import Denoiser
from synth.models.scaling import ct_from_network, detail_from_network
from synth.training.tasks import Batch

_STEPS = 12  # of the sampler: enough to see by
_INCH = 1.6  # of a slice


@torch.no_grad()
def drawn(model: torch.nn.Module, bare: Denoiser, batch: Batch, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Intensity (N, 1, X, Y, Z) of the first volumes of a batch: as they are, and as the network draws them.

    `bare` is the model without what wraps it among processes. For `base` the CT at 16 mm; for `refine` and `lesion` the
    finer grid. What a batch knows is kept.
    """
    condition = Condition(*(getattr(batch.condition, of.name)[:count] for of in fields(Condition)))
    device = next(bare.parameters()).device
    condition, x0 = condition.to(device), batch.x0[:count].to(device)
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(batch.seeds[0])).to(device)
    known = known_mask_of(condition, x0.shape[1])
    x = euler(lambda x, t: model(x, t, condition).velocity, noise, _STEPS, 1.0, x0, known)
    if not bare.config.refine:
        scale = bare.region.ct
        return ct_from_network(x0[:, :1], scale).cpu(), ct_from_network(x[:, :1], scale).cpu()
    coarse = ct_from_network(coarse_of(condition.maps, x0.shape[1]))
    true, ours = (wavelet.inverse(torch.cat([coarse, detail_from_network(y)], dim=1)) for y in (x0, x))
    return true.cpu(), ours.cpu()


def write_picture(true: torch.Tensor, ours: torch.Tensor, path: Path) -> None:
    """The middle axial slice of each volume, in truth above and as drawn below; the patient's right is on the left."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_INCH * len(true), 2 * _INCH), layout="constrained")
    axes = figure.subplots(2, len(true), squeeze=False)
    for row, volumes in zip(axes, (true, ours), strict=True):
        for axis, volume in zip(row, volumes[:, 0], strict=True):
            middle = volume[..., volume.shape[-1] // 2].float().numpy()
            axis.imshow(middle[::-1, ::-1].T, cmap="gray", vmin=-1.0, vmax=1.0)
            axis.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})
