"""The path of a case: words, request, plan, coarse volume, fine volume, lesions, report, checks, folder.

`generate` and `insert` are one path entered at two doors: lesions do not know whether their host is real.
torch and what stands on it are imported when drawing starts, so that bad input is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prompts import CaseRequest, parse
from synth import case_folder, nifti
from synth.checks import check_generated, check_inserted
from synth.errors import InputError
from synth.lesions import insert as insert_lesions
from synth.lesions import plan_lesions
from synth.plan import CasePlan, Sampling, case_name, draw_generate, draw_insert
from synth.progress import Progress
from synth.provenance import Check, command_line
from synth.seeding import numpy_rng
from synth.types import Case

DEFAULT_SAMPLING = Sampling()
MAX_ATTEMPTS = 10  # a case that fails a check is drawn again, this often at most


def generate(
    prompt: str,
    *,
    count: int = 1,
    seed: int = 0,
    spacing: float = 4.0,
    out: Path = Path("out"),
    start: int = 0,
    progress: Progress | None = None,
) -> list[Path]:
    """Cases start .. start + count - 1 of a prompt, each from its own seed; returns their folders.

    Raises InputError (or PromptError) for what cannot be asked, before anything is drawn or written.
    """
    request = parse(prompt)
    progress = progress or Progress(quiet=True)
    return [_generate_case(request, seed, index, spacing, out, progress) for index in range(start, start + count)]


def _generate_case(request: CaseRequest, seed: int, index: int, spacing: float, out: Path, progress: Progress) -> Path:
    """One case: draw, check, and draw again while a check fails; what is complete already is left as it is."""
    folder = out / case_name(index)
    plans = [_attempt(request, seed, index, spacing, attempt) for attempt in range(MAX_ATTEMPTS)]
    texts = [plan.to_json() for plan in plans]
    if any(case_folder.is_complete(folder, text) for text in texts):
        return folder
    ours = [text for text in texts if case_folder.has_plan(folder, text)]  # whose files are not all there
    case_folder.require_free(folder, (ours or texts)[0])
    failed: list[Check] = []
    for plan in plans:
        case = draw_case(plan, progress)
        checks = check_generated(case, plan)
        failed = [check for check in checks if not check.ok]
        if not failed:
            command = command_line("generate", request.prompt, seed=seed, start=index, spacing=f"{spacing:g}")
            return _finish(folder, plan, case, checks, command, progress)
    raise InputError(
        f"{folder.name}: drawn {MAX_ATTEMPTS} times and rejected, at last because {_reason(failed)}; "
        "ask for less unusual anatomy, or try another --seed"
    )


def draw_case(plan: CasePlan, progress: Progress) -> Case:
    """The volume and masks of a generate plan: base, then refine down to the plan's spacing."""
    from synth.assemble import assemble
    from synth.compose import compose
    from synth.models import library
    from synth.refine import refine

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
    with progress.step("insert", 1):
        case = _inserted(plan, Case(volume, labels, labels))
    checks = check_inserted(case, plan)
    if failed := [check for check in checks if not check.ok]:
        raise InputError(f"{folder.name}: rejected because {_reason(failed)}; try another --seed or size")
    names = ",".join(f"{number}={name}" for number, name in sorted((organ_ids or {}).items())) or None
    command = command_line("insert", host, prompt, organs=organs, organ_ids=names, seed=seed)
    return _finish(folder, plan, case, checks, command, progress, {"ct": host, "organs": organs})


def plan_json(prompt: str, seed: int, spacing: float, index: int) -> str:
    """The plan of a generated case (first attempt) as JSON, without drawing it."""
    return _attempt(parse(prompt), seed, index, spacing, attempt=0).to_json()


def _attempt(request: CaseRequest, seed: int, index: int, spacing: float, attempt: int) -> CasePlan:
    return draw_generate(request, seed=seed, index=index, attempt=attempt, spacing=spacing, sampling=DEFAULT_SAMPLING)


def _inserted(plan: CasePlan, host: Case) -> Case:
    from synth.models import library
    from synth.redraw import RefineRedraw

    redraw = RefineRedraw(library.load("refine"), plan.sampling)
    ct, masks = insert_lesions(host.ct, host.organs, plan.lesions, redraw)
    return Case(ct, host.organs, masks)


def _finish(
    folder: Path,
    plan: CasePlan,
    case: Case,
    checks: Sequence[Check],
    command: str,
    progress: Progress,
    inputs: Mapping[str, Path] | None = None,
) -> Path:
    from synth.finish import finish

    with progress.step(f"{plan.case}: report", 1):
        return finish(folder, plan, case, checks, command, inputs)


def _reason(failed: Sequence[Check]) -> str:
    worst = failed[0]
    return f"{worst.name} = {worst.value:g} is not within {worst.low:g} to {worst.high:g}"
