"""The path of a case: words, request, plan, coarse volume, fine volume, lesions, report, checks, folder.

`generate` and `insert` are one path entered at two doors: lesions do not know whether their host is real.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prompts import CaseRequest, parse
from synth import case_folder, nifti, provenance
from synth.assemble import assemble
from synth.checks import check_generated, check_inserted
from synth.compose import compose
from synth.errors import InputError
from synth.finish import finish
from synth.lesions import insert as insert_lesions
from synth.lesions import plan_lesions
from synth.models import library
from synth.plan import CasePlan, Sampling, case_name, draw_generate, draw_insert
from synth.progress import Progress
from synth.provenance import Check
from synth.redraw import RefineRedraw
from synth.refine import refine
from synth.seeding import numpy_rng
from synth.types import Case

MAX_ATTEMPTS = 4  # a case that fails a check is drawn again, this often at most


def generate(
    prompt: str,
    *,
    count: int = 1,
    seed: int = 0,
    spacing: float = 4.0,
    out: Path = Path("out"),
    start: int = 0,
    sampling: Sampling = Sampling(),
    progress: Progress | None = None,
) -> list[Path]:
    """Cases start .. start + count - 1 of a prompt, each from its own seed; returns their folders.

    Raises InputError (or PromptError) for what cannot be asked, before anything is drawn or written.
    """
    request = parse(prompt)
    progress = progress or Progress(quiet=True)
    return [
        _generate_case(request, seed, index, spacing, out, sampling, progress) for index in range(start, start + count)
    ]


def _generate_case(
    request: CaseRequest, seed: int, index: int, spacing: float, out: Path, sampling: Sampling, progress: Progress
) -> Path:
    folder = out / case_name(index)
    plans = [
        draw_generate(request, seed=seed, index=index, attempt=attempt, spacing=spacing, sampling=sampling)
        for attempt in range(MAX_ATTEMPTS)
    ]
    if any(case_folder.is_complete(folder, plan.to_json()) for plan in plans):
        return folder
    failed: list[Check] = []
    for plan in plans:
        case = draw_case(plan, progress)
        checks = check_generated(case, plan)
        failed = [check for check in checks if not check.ok]
        if not failed:
            command = provenance.command_line(
                "generate", request.prompt, seed=seed, start=index, spacing=f"{spacing:g}"
            )
            return finish(folder, plan, case, checks, command, weights=("base", "refine"))
    worst = failed[0]
    raise InputError(
        f"{folder.name}: rejected {MAX_ATTEMPTS} times, at last because {worst.name} = {worst.value:g} is not within "
        f"{worst.low:g} to {worst.high:g}; ask for less unusual anatomy, or another --seed"
    )


def draw_case(plan: CasePlan, progress: Progress) -> Case:
    """The volume of a generate plan: base, then refine down to the plan's spacing."""
    base, fine = library.load("base"), library.load("refine")
    with progress.step(f"{plan.case}: compose", plan.sampling.base_steps) as step:
        drawn = compose(plan, base, step.advance)
    with progress.step(f"{plan.case}: refine", plan.refine_evaluations()) as step:
        drawn = refine(plan, drawn, fine, float(plan.spacing_mm or 0), step.advance)
    return assemble(plan, drawn)


def insert(
    host: Path,
    organs: Path,
    prompt: str,
    *,
    seed: int = 0,
    out: Path = Path("out"),
    organ_ids: Mapping[int, str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """The lesions that a prompt asks for, put into a CT on its own grid; returns the case folder."""
    request = parse(prompt)
    progress = progress or Progress(quiet=True)
    with progress.step("read", 2) as step:
        volume = nifti.read_volume(host)
        step.advance()
        labels = nifti.read_labels(organs, like=volume, organ_ids=organ_ids)
    plan = draw_insert(request, seed=seed, ct=host, organs=organs)
    lesions = plan_lesions(request.findings, volume, labels, numpy_rng(plan.lesion_seed))
    plan = plan.model_copy(update={"lesions": lesions})
    folder = out / plan.case
    if case_folder.is_complete(folder, plan.to_json()):
        return folder
    case_folder.require_free(folder, plan.to_json())
    redraw = RefineRedraw(library.load("refine"), plan.sampling.refine_steps)
    with progress.step("insert", 1):
        ct, masks = insert_lesions(volume, labels, plan.lesions, redraw)
    case = Case(ct, labels, masks)
    checks = check_inserted(case, plan)
    command = provenance.command_line("insert", host, prompt, organs=organs, seed=seed)
    with progress.step("report", 1):
        return finish(folder, plan, case, checks, command, weights=("refine",), inputs={"ct": host, "organs": organs})


def plan_json(prompt: str, seed: int, spacing: float, index: int) -> str:
    """The plan of a case (first attempt) as JSON, without drawing it."""
    request = parse(prompt)
    return draw_generate(
        request, seed=seed, index=index, attempt=0, spacing=spacing, sampling=Sampling()
    ).to_json()
