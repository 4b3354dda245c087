"""Which stage costs realism? `python -m evals.stages --data runs/data --shape runs/shape --out runs/stages`.

Validation patients are drawn again from their 8 mm CT, from their 16 mm CT, from their deformed mean patient and from
their facts alone, and compared with the training patients, as they are themselves: where the figures part, realism is
lost. Run it again to go on, or once for each core.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from evals.redrawn import STAGES, Redrawer, as_text, draw_set, row_of
from synth.case.order import default_sampling
from synth.data.dataset import load_subjects
from synth.data.store import PATIENTS
from synth.failure import run_command
from synth.files.whole import write_whole
from synth.training.placed import PlacedScaffolds

_SHOWN = ("kid mean", "kid axial", "kid coronal", "kid sagittal", "fid mean", "power_spectrum", "gradient")


def main(
    data: Annotated[Path, typer.Option(help="What `synthct prepare` wrote.")],
    shape: Annotated[Path, typer.Option(help="What `synthct train shape` wrote: the patients' own shapes.")],
    out: Annotated[Path, typer.Option(help="Where volumes and stages.json go.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Print fidelity of validation patients drawn again from each stage on, against the training patients."""
    subjects = load_subjects(data / PATIENTS / "val")
    redrawer = Redrawer(default_sampling(), seed, PlacedScaffolds.load(shape))
    rows = {}
    for stage in STAGES:
        folder = out / stage.replace(" ", "_")
        draw_set(redrawer, stage, subjects, folder)
        rows[stage] = row_of(data / PATIENTS / "train", folder, seed)
        typer.echo(f"{stage}: KID x 1000 {rows[stage]['kid mean'][0]:.0f}", err=True)
    write_whole(out / "stages.json", json.dumps(rows, indent=1) + "\n")
    typer.echo(as_text(rows, _SHOWN))


if __name__ == "__main__":
    sys.exit(run_command(main, "evals.stages"))
