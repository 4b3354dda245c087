"""Does a CT show the organs that it was drawn for? `python -m evals.given --real runs/data/patients/val`.

Organs of real patients are given, a CT is drawn for each, and `refine` reads the organs off it without being told of
them; it reads the real CT of the same patients too, which says how much of a shortfall is the reader's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from evals.bootstrap import mean_interval
from prompts import parse
from synth.case.order import default_sampling
from synth.case.plan import draw_generate
from synth.case.weights_folder import Weights
from synth.data.dataset import PreparedPatient, load_subjects
from synth.draw.checks import dice_of
from synth.draw.generated import draw_given_case
from synth.draw.refine import read_organs
from synth.failure import run_command
from synth.files.whole import write_whole
from synth.models import intensity
from synth.progress import Progress
from synth.regions.given import Given, GivenFile

SPACING_MM = 4.0  # of prepared patients
_PROMPT = "CT of the head and neck"
Row = dict[str, float]


def real_row(subject: PreparedPatient) -> Row:
    """Dice of a patient's organs with those read off the patient's own CT."""
    ct = torch.from_numpy(intensity.to_unit(subject.hu))[None, None]
    seen = read_organs(ct, SPACING_MM, Weights.covering(None).refine())
    return dice_of(subject.organs, seen[0].argmax(dim=0).numpy(), subject.region.organs)


def drawn_row(subject: PreparedPatient, seed: int) -> Row:
    """The same with a CT that was drawn for these organs."""
    given = GivenFile(Given(subject.region, subject.organs, SPACING_MM), Path(subject.name), "")
    request, weights = parse(_PROMPT), Weights.covering(None)
    plan = draw_generate(
        request,
        weights=weights,
        seed=seed,
        index=0,
        attempt=0,
        spacing=SPACING_MM,
        sampling=default_sampling(),
        given=given,
    )
    _, checks = draw_given_case(plan, weights, given.organs, Progress(quiet=True))
    return {check.name.removesuffix("_shown_dice"): check.value for check in checks}


def table(real: Sequence[Row], drawn: Sequence[Row]) -> dict[str, dict[str, object]]:
    """Mean Dice with its bootstrap interval by organ, in patients who have it."""
    out: dict[str, dict[str, object]] = {}
    for organ in Weights.covering(None).region.organs:
        both = [(r[organ], d[organ]) for r, d in zip(real, drawn, strict=True) if organ in r]
        if both:
            columns = np.array(both).T
            named = zip(("real", "drawn"), columns, strict=True)
            out[organ] = {name: found.model_dump() for name, values in named if (found := mean_interval(values))}
    return out


def main(
    real: Annotated[Path, typer.Option(help="A split of patients that `synthct prepare` wrote.")],
    number: Annotated[int, typer.Option("--number", "-n", min=2, help="How many patients.")] = 10,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
) -> None:
    """Print Dice of given organs with those seen in real and in drawn CT."""
    subjects = load_subjects(real)[:number]
    rows: tuple[list[Row], list[Row]] = ([], [])
    with Progress() as progress, progress.step("patients", len(subjects)) as step:
        for i, subject in enumerate(subjects):
            rows[0].append(real_row(subject))
            rows[1].append(drawn_row(subject, seed + i))
            step.advance()
    weights = Weights.covering(None).hashes()
    result = json.dumps({"dice": table(*rows), "weights": weights, "seed": seed}, indent=1)
    typer.echo(result)
    if out is not None:
        write_whole(out, result + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main, "evals.given"))
