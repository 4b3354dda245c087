"""How many sampler steps does it take? `python -m evals.steps --data runs/data --out runs/steps`.

Validation patients are drawn again from their facts, with the same noise at every number of steps of `base` and of
`refine`, and compared with the training patients. Run it again to go on, or once for each core.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from evals.redrawn import MEASURED, Redrawer, Row, as_text, draw_set, row_of
from synth.case.order import default_sampling
from synth.data.dataset import load_subjects
from synth.data.store import PATIENTS
from synth.failure import run_command
from synth.files.whole import write_whole

STEPS = (1, 2, 4, 8, 16, 32)
_SHOWN = ("kid mean", "fid mean", "precision", "coverage", "ms_ssim", "gradient", "power_spectrum")


def pairs(base: int, refine: int) -> list[tuple[int, int]]:
    """Steps of `base` and `refine`: each network's varied beside the other's usual ones, and two pairs to compare."""
    varied = [(n, refine) for n in STEPS] + [(base, n) for n in STEPS]
    return list(dict.fromkeys([(base, refine), *varied, (4, 2), (32, 8)]))


def main(
    data: Annotated[Path, typer.Option(help="What `synthct prepare` wrote.")],
    out: Annotated[Path, typer.Option(help="Where volumes and steps.json go.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Print fidelity against the training patients by number of steps."""
    subjects = load_subjects(data / PATIENTS / "val")
    usual = default_sampling()
    rows: dict[str, Row] = {}
    for base, refine in pairs(usual.base_steps, usual.refine_steps):
        title = f"{base} + {refine}"
        folder = out / f"base{base:02d}_refine{refine:02d}"
        started = time.process_time()
        sampling = usual.model_copy(update={"base_steps": base, "refine_steps": refine})
        draw_set(Redrawer(sampling, seed), MEASURED, subjects, folder)
        drawing = time.process_time() - started
        rows[title] = row_of(data / PATIENTS / "train", folder, seed)
        typer.echo(f"{title}: KID x 1000 {rows[title]['kid mean'][0]:.0f}, {drawing:.0f} CPU s", err=True)
    write_whole(out / "steps.json", json.dumps(rows, indent=1) + "\n")
    typer.echo(as_text(rows, _SHOWN))


if __name__ == "__main__":
    sys.exit(run_command(main, "evals.steps"))
