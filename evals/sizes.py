"""How much does a larger `refine` give? `python -m evals.sizes --data runs/data --shape runs/shape --out runs/sizes`.

Networks of growing width learn from the same patients in the same order for the same number of steps; their validation
loss by volumes seen says what more training gives, and validation patients drawn again from their 8 mm CT, compared
with the training patients, what that is worth. Run it again to go on: trainings resume, and what is drawn is kept.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from evals import plotting
from evals.redrawn import FINE, Redrawer, Row, as_text, draw_set, row_of
from synth.case import library
from synth.case.order import default_sampling
from synth.data.dataset import load_subjects
from synth.data.store import PATIENTS
from synth.failure import run_command
from synth.files.whole import write_whole
from synth.models.precision import default_precision
from synth.training.log import rows
from synth.training.main import train

WIDTHS = ((16, 40, 80), (32, 80, 160), (64, 80, 160))  # of the levels; those that ship are the second
_SHOWN = ("kid mean", "fid mean", "power_spectrum", "gradient body")
_LAST = 0.2  # of the steps, in which the learning rate falls to zero
Curve = list[tuple[int, float]]  # volumes seen, validation loss of the velocity


def trained(widths: tuple[int, ...], steps: int, batch: int, every: int, out: Path, **data: Any) -> Path:
    """Train a `refine` of these widths, or go on; the folder that holds its weights and log."""
    folder = out / f"width{widths[0]:02d}"
    settings = {
        "model": {"widths": widths, "blocks": (1, 1, 2), "data_sd": 0.5},
        "steps": steps,
        "batch": batch,
        "volumes_a_frame": 1,
        "cooldown": round(_LAST * steps),
        "validate_every": every,
        "out": folder,
        "mixed_precision": "bf16" if default_precision() == "bfloat16" else "no",
    }
    train("refine", Path("configs/train/refine.yaml"), {**settings, **data})
    return folder


def curve_of(folder: Path, batch: int) -> Curve:
    """Validation losses of a training by volumes seen."""
    lines = list(rows(folder / "log.jsonl"))
    return [(batch * line["step"], line["validation"]["flow"]) for line in lines if "validation" in line]


def slope(curve: Curve) -> tuple[float, float]:
    """(a, b) of loss = a volumes^-b, by least squares in logarithms over what was validated before the cooldown."""
    kept = [point for point in curve if point[0] <= (1 - _LAST) * curve[-1][0]] or curve
    volumes, losses = np.log(np.array(kept)).T
    b, a = np.polyfit(volumes, losses, 1)
    return math.exp(a), -float(b)


def picture(curves: dict[str, Curve]) -> bytes:
    """Validation loss by volumes seen, both logarithmic, as PNG."""
    fig, (ax,) = plotting.canvas(1)
    for (title, curve), colour in zip(curves.items(), plotting.PALETTE, strict=False):
        ax.loglog(*zip(*curve, strict=True), color=colour, marker="o", markersize=3, label=title)
    ax.set_xlabel("volumes seen", fontsize=9)
    ax.set_ylabel("validation loss of the velocity", fontsize=9)
    ax.legend(frameon=False, fontsize=8)
    return plotting.png(fig)


def main(
    data: Annotated[Path, typer.Option(help="What `synthct prepare` wrote.")],
    shape: Annotated[Path, typer.Option(help="What `synthct train shape` wrote: the patients' own shapes.")],
    out: Annotated[Path, typer.Option(help="Where trainings, volumes, sizes.json and sizes.png go.")],
    steps: Annotated[int, typer.Option(min=1)] = 1500,
    batch: Annotated[int, typer.Option(min=4, help="Crops a step; whole frames are a quarter as many.")] = 4,
    every: Annotated[int, typer.Option(min=1, help="Steps between validations.")] = 150,
    width: Annotated[list[int] | None, typer.Option(help="Of the finest level, one of 16, 32, 64; else all.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Print loss and fidelity by width of the network."""
    rows: dict[str, Row] = {}
    curves: dict[str, Curve] = {}
    patients = load_subjects(data / PATIENTS / "val")
    for widths in WIDTHS:
        if width and widths[0] not in width:
            continue
        folder = trained(widths, steps, batch, every, out, data=data, shape=shape, seed=seed)
        weights = folder / "weights"
        parameters = sum(p.numel() for p in library.load_from(weights).parameters())
        title = f"{widths[0]} channels, {parameters / 1e6:.1f} M"
        draw_set(Redrawer(default_sampling(), seed, weights=weights), FINE, patients, folder / "drawn")
        curves[title] = curve_of(folder, batch)
        a, b = slope(curves[title])
        rows[title] = row_of(data / PATIENTS / "train", folder / "drawn", seed)
        loss = curves[title][-1][1]
        typer.echo(f"{title}: validation {loss:.4f}, {a:.3f} volumes^-{b:.3f} before the cooldown", err=True)
    write_whole(out / "sizes.json", json.dumps({"curves": curves, "rows": rows}, indent=1) + "\n")
    write_whole(out / "sizes.png", picture(curves))
    typer.echo(as_text(rows, _SHOWN))


if __name__ == "__main__":
    sys.exit(run_command(main, "evals.sizes"))
