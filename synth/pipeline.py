"""The path of a case: words, request, plan, coarse volume, fine volume, lesions, scanner, report, checks, folder.

`generate` and `insert` are one path entered at two doors: lesions do not know whether their host is real.
torch and what stands on it are imported when drawing starts, so that bad input is refused at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prompts import CaseRequest, Reading
from synth import case_folder, nifti
from synth.checks import check_generated, check_given, check_inserted
from synth.doors import ask
from synth.draft import Draft, Gate, RejectedError, Rejection, no_gate
from synth.errors import InputError
from synth.given import Given, GivenFile, place
from synth.lesions import insert as insert_lesions
from synth.lesions.insertion import Redraw
from synth.lesions.planning import one_by_one, plan_each
from synth.lesions.plans import AnyPlan
from synth.models import lesion_weights as lesion_networks
from synth.models.weights_folder import Weights
from synth.plan import CasePlan, Sampling, case_name, check_request, check_spacing, draw_generate, draw_insert
from synth.progress import Progress
from synth.provenance import Check, command_line, sha256_of_file
from synth.reading import read_host
from synth.report import Measurements, Prior, measure
from synth.scanner import Scanner
from synth.scanner.scan import scan
from synth.scanner.slices import Slicing
from synth.seeding import derive, numpy_rng
from synth.sibling import Change, FollowUp, Twin
from synth.sibling_plans import sibling_plan
from synth.types import Case, LabelMap, Volume

if TYPE_CHECKING:
    from synth.compose import Drawn

default_sampling = Sampling  # as drawn unless told otherwise; the precision is looked up when a case is planned
MAX_ATTEMPTS = 10  # a case that fails a check is drawn again, this often at most


def generate(
    prompt: str | Reading,
    *,
    count: int = 1,
    seed: int = 0,
    spacing: float = 4.0,
    out: Path = Path("out"),
    start: int = 0,
    organs: Path | None = None,
    organ_ids: Mapping[int, str] | None = None,
    slice_mm: float | None = None,
    weights: Path | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Cases start .. start + count - 1 of a prompt, each from its own seed; returns their folders.

    `organs`: a label map, complete or partial, whose organs every case gets; `organ_ids`: names of its ids. `slice_mm`:
    thickness and distance of the slices, which are means of those that were drawn. `weights`: a folder of
    weights of your own (synth.models.weights_folder).

    Raises InputError (or PromptError) for what cannot be asked, before anything is drawn or written. A case that is
    rejected does not keep the others from being drawn: RejectedError names it once they are.
    """
    request = _read(prompt, "generate").case_request
    use = Weights.covering(request.region, weights)
    use.files()  # all there, or refused before anything is drawn
    given = None if organs is None else _read_given(request, organs, organ_ids, spacing, use)
    scanner = None if slice_mm is None else _sliced(request, slice_mm, spacing, use)
    progress = progress or Progress(quiet=True)
    folders: list[Path] = []
    rejected: list[RejectedError] = []
    for index in range(start, start + count):
        try:
            folders.append(_generate_case(request, use, seed, index, spacing, out, progress, given, scanner))
        except RejectedError as error:
            rejected.append(error)
    if rejected:
        others = f" ({len(folders)} of {count} cases are in {out})" if count > 1 else ""
        raise RejectedError(f"{rejected[0]}{others}", [r for error in rejected for r in error.rejections])
    return folders


def _read_given(
    request: CaseRequest, organs: Path, organ_ids: Mapping[int, str] | None, spacing: float, weights: Weights
) -> GivenFile:
    """The organs of a label map on the frame; InputError where they, or the request, cannot be drawn."""
    region = check_request(request, weights.region)
    if not weights.region.organs:
        raise InputError(
            f"--organs with a CT of region '{region}': organs can be given in the head and neck; leave it out"
        )
    check_spacing(spacing)
    labels = nifti.read_labels(organs, organ_ids=organ_ids)
    if (shape := weights.shape) is None:
        raise InputError(
            f"--organs: needs a mean patient to place them by, and {weights.folder} has no shape; train it"
        )
    placed = place(labels, shape.mean_organs.numpy(), spacing, weights.region)
    return GivenFile(placed, organs, sha256_of_file(organs), organ_ids)


def _sliced(request: CaseRequest, slice_mm: float, spacing: float, weights: Weights) -> Scanner:
    """A scanner that gives slices of this thickness and nothing else. Raises InputError where they are too thin."""
    check_request(request, weights.region)
    frame = weights.region.frame
    check_spacing(spacing)
    Slicing.of(frame.shape_at(spacing), frame.affine_at(spacing), 2, slice_mm)
    return Scanner(name="slices", slice_mm=slice_mm)


def _generate_case(
    request: CaseRequest,
    weights: Weights,
    seed: int,
    index: int,
    spacing: float,
    out: Path,
    progress: Progress,
    given: GivenFile | None = None,
    scanner: Scanner | None = None,
) -> Path:
    """One case: what is complete already is left as it is."""
    folder = out / case_name(index)
    plans = [
        _attempt(request, weights, seed, index, spacing, attempt, given, scanner) for attempt in range(MAX_ATTEMPTS)
    ]
    texts = [plan.to_json() for plan in plans]
    if any(case_folder.is_complete(folder, text) for text in texts):
        _require_same_weights(folder, weights)
        return folder
    ours = [text for text in texts if case_folder.has_plan(folder, text)]  # whose files are not all there
    case_folder.require_free(folder, (ours or texts)[0])
    draft = draft_generated(
        request,
        weights=weights,
        seed=seed,
        index=index,
        spacing=spacing,
        progress=progress,
        given=given,
        scanner=scanner,
    )
    options = given.options() if given else {}
    if weights.folder != Weights.shipped(weights.region.name).folder:
        options["weights"] = weights.folder
    if scanner:
        options["slice_mm"] = f"{scanner.slice_mm:g}"
    command = command_line("generate", request.prompt, seed=seed, start=index, spacing=f"{spacing:g}", **options)
    return finish_draft(folder, draft, command, progress)


def _require_same_weights(folder: Path, weights: Weights) -> None:
    """InputError where a finished case was drawn with weights that are not these any more."""
    drawn_with = case_folder.read_manifest(folder).get("weights", {})
    for role, digest in weights.hashes().items():
        if role in drawn_with and drawn_with[role]["sha256"] != digest:
            raise InputError(
                f"{folder}: was drawn with other weights ('{role}' of {weights.folder} has changed); "
                "remove it, or choose another --out"
            )


def draft_generated(
    request: CaseRequest,
    *,
    weights: Weights,
    seed: int,
    index: int,
    spacing: float,
    progress: Progress,
    attempts: int = MAX_ATTEMPTS,
    gate: Gate = no_gate,
    given: GivenFile | None = None,
    scanner: Scanner | None = None,
) -> Draft:
    """Draw and check a generated case, and draw again while a check or the gate fails.

    Anatomy is checked as it was drawn, before a scanner's thick slices. Raises RejectedError after `attempts`.
    """
    rejections: list[Rejection] = []
    for attempt in range(attempts):
        plan = _attempt(request, weights, seed, index, spacing, attempt, given, scanner)
        case, shown = _drawn(plan, weights, given, progress)
        measured = measure(case)
        checks = [*shown, *gate(plan, case, measured)]
        if not (failed := [check for check in checks if not check.ok]):
            if plan.scanner:
                case = scan(case, plan.scanner, plan.scanner_seed)
                measured = measure(case)
            inputs = {"organs": given.path} if given else {}
            return Draft(
                plan, case, tuple(checks), inputs, rejections=tuple(rejections), measured=measured, weights=weights
            )
        rejections.append(Rejection(_reason(failed), plan))
    raise RejectedError(
        f"{case_name(index)}: drawn {attempts} times and rejected, at last because {rejections[-1].reason}; "
        "ask for less unusual anatomy, or try another --seed",
        rejections,
    )


def _drawn(plan: CasePlan, weights: Weights, given: GivenFile | None, progress: Progress) -> tuple[Case, list[Check]]:
    """A case and its checks."""
    if given is None:
        case = draw_case(plan, weights, progress)
        return case, check_generated(case, plan, weights.prior)
    case, shown = draw_given_case(plan, weights, given.organs, progress)
    return case, [*check_generated(case, plan, weights.prior, given.organs), *shown]


def draw_case(plan: CasePlan, weights: Weights, progress: Progress) -> Case:
    """The volume and masks of a generate plan."""
    from synth.assemble import assemble

    return assemble(plan, _draw(plan, weights, progress), weights.prior)


def draw_given_case(plan: CasePlan, weights: Weights, given: Given, progress: Progress) -> tuple[Case, list[Check]]:
    """The same with organs that are given, and how far its CT shows them to a network that is not told of them."""
    from synth.assemble import assemble
    from synth.refine import read_organs

    drawn = _draw(plan, weights, progress, given)
    seen = read_organs(drawn.ct, drawn.spacing, weights.refine())
    return assemble(plan, drawn, weights.prior), check_given(given, seen[0].argmax(dim=0).numpy())


def _draw(plan: CasePlan, weights: Weights, progress: Progress, given: Given | None = None) -> Drawn:
    """Compose a coarse volume as the weights do, refine it down to the plan's spacing, and grow a torso's trees."""
    from synth.refine import refine
    from synth.torso.trees import with_trees

    with progress.step(f"{plan.case}: compose", plan.sampling.base_steps) as step:
        drawn = _composed(plan, weights, step.advance, given)
    fine = weights.refine(plan.sampling.precision)
    with progress.step(f"{plan.case}: refine", plan.refine_evaluations()) as step:
        drawn = refine(plan, drawn, fine, float(plan.spacing_mm or 0), step.advance, weights.tone)
    return drawn if drawn.atlas is None else with_trees(plan, drawn)


def _composed(plan: CasePlan, weights: Weights, on_step: Callable[[], None], given: Given | None) -> Drawn:
    """A patchwork of scans; or a scaffold, and what base draws on it; or, without base, the scaffold as it is."""
    from synth.compose import compose, of_scaffold
    from synth.shape.scaffold import draw_scaffold
    from synth.torso.patchwork import draw_patchwork

    if torso := weights.torso:
        return draw_patchwork(plan, torso, on_step)
    shape, base = weights.shape, weights.base(plan.sampling.precision)
    scaffold = draw_scaffold(plan, shape, given) if shape else None
    if base is not None:
        return compose(plan, scaffold, base, on_step, given)
    assert scaffold is not None  # Weights has one of them at least
    return of_scaffold(weights.region, scaffold, given)


def insert(
    host: Path,
    organs: Path,
    prompt: str,
    *,
    seed: int = 0,
    out: Path = Path("out"),
    organ_ids: Mapping[int, str] | None = None,
    lesion_weights: Path | None = None,
    trust_labels: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The lesions that a prompt asks for, put into a CT on its own grid; returns the case folder."""
    return insert_with_siblings(
        host,
        organs,
        prompt,
        (),
        seed=seed,
        out=out,
        organ_ids=organ_ids,
        lesion_weights=lesion_weights,
        trust_labels=trust_labels,
        progress=progress,
    )[0]


def insert_with_siblings(
    host: Path,
    organs: Path,
    prompt: str | Reading,
    siblings: Sequence[Twin | FollowUp | Change],
    *,
    seed: int = 0,
    out: Path = Path("out"),
    organ_ids: Mapping[int, str] | None = None,
    lesion_weights: Path | None = None,
    trust_labels: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """As `insert`, and each sibling as a case of its own beside it; returns the folders, that of `insert` first.

    `lesion_weights`: folder of weights that draw the inside of lesions (`synthct train lesion`). `trust_labels`: go on
    where the organs do not look like those of the CT.
    A folder that is complete already is left as it is. Raises RejectedError for a sibling that does not show what it
    is to show; those before it are written by then.
    """
    request = _read(prompt, "insert").request
    trained = lesion_networks.find(lesion_weights)
    progress = progress or Progress(quiet=True)
    with progress.step("read", 1):
        volume, labels = read_host(host, organs, organ_ids, trust_labels=trust_labels)
    names = ",".join(f"{number}={name}" for number, name in sorted((organ_ids or {}).items())) or None
    options = {"organs": organs, "organ_ids": names, "lesion_weights": lesion_weights, "seed": seed}
    options |= {"trust_labels": True} if trust_labels else {}
    command = partial(command_line, "insert", host, request.prompt, **options)
    plan = draw_insert(request, seed=seed, ct=host, organs=organs, lesion_weights=trained)
    inputs = {"ct": host, "organs": organs} | ({lesion_networks.ROLE: trained} if trained else {})
    folder, done = out / plan.case, _plan_in(out / plan.case)
    if done is None or not _same_request(done, plan) or not case_folder.is_complete(folder, done.to_json()):
        case_folder.require_free(folder, done.to_json() if done and _same_request(done, plan) else plan.to_json())
        with progress.step("insert", 1):
            draft = draft_inserted(plan, volume, labels, inputs)
        finish_draft(folder, draft, command(), progress)
        done = draft.plan
    return [
        folder,
        *(
            _sibling_case(folder, done, how, Case(volume, labels, labels), inputs, command, progress)
            for how in siblings
        ),
    ]


def _sibling_case(
    folder: Path,
    plan: CasePlan,
    how: Twin | FollowUp | Change,
    host: Case,
    inputs: Mapping[str, Path],
    command: Callable[..., str],
    progress: Progress,
) -> Path:
    """The sibling of the case of `plan`, which is in `folder`; what is complete already is left as it is."""
    first = sibling_plan(plan, how, host.ct, host.organs)
    beside = folder.parent / first.case
    done = _plan_in(beside)
    if done is not None and done.sibling == first.sibling and case_folder.is_complete(beside, done.to_json()):
        return beside
    case_folder.require_free(beside, done.to_json() if done and done.sibling == first.sibling else first.to_json())
    measured = measure(case_folder.read_case(folder)[0]) if isinstance(how, FollowUp) else None
    with progress.step(f"insert: {how.suffix}", 1):
        draft = draft_sibling(plan, how, host.ct, host.organs, inputs, measured)
    return finish_draft(beside, draft, command(**how.options()), progress)


def _plan_in(folder: Path) -> CasePlan | None:
    """The plan that a folder holds; None where it holds none that can be read."""
    file = folder / case_folder.PLAN
    try:
        return CasePlan.model_validate_json(file.read_text(encoding="utf-8")) if file.is_file() else None
    except (ValueError, OSError):
        return None


def _same_request(done: CasePlan, plan: CasePlan) -> bool:
    """Whether two insert plans differ in nothing but what attempts change: lesions follow from the rest."""
    return done.model_copy(update={"lesions": ()}) == plan


def with_lesions(plan: CasePlan, host: Volume, organs: LabelMap, attempt: int = 0) -> CasePlan:
    """An insert plan with its lesions drawn; those that it has already are kept.

    Raises InputError where the host has no room for them.
    """
    singles = one_by_one(plan.request.findings, numpy_rng(plan.lesion_seed))
    rng = numpy_rng(derive(plan.lesion_seed, "attempt", attempt))
    kept = {lesion.id: lesion for lesion in plan.lesions}
    return plan.model_copy(update={"lesions": plan_each(singles, host, organs, rng, plan.request.phase, kept)})


def draft_inserted(
    plan: CasePlan,
    host: Volume,
    organs: LabelMap,
    inputs: Mapping[str, Path],
    attempts: int = MAX_ATTEMPTS,
    gate: Gate = no_gate,
) -> Draft:
    """The host with the lesions of a request, measured and checked; those that fail are planned and drawn again.

    Raises:
        InputError: the host has no place for what is asked.
        RejectedError: after `attempts`, with the reason of each.
    """
    rejections: list[Rejection] = []
    for attempt in range(attempts):
        plan = with_lesions(plan, host, organs, attempt)
        draft, failed = _drafted(plan, host, organs, inputs, rejections, gate)
        if not failed:
            return draft
        rejections.append(Rejection(_reason(failed), plan))
        plan = plan.model_copy(update={"lesions": _without(plan.lesions, failed)})
    raise RejectedError(
        f"{plan.case}: drawn {attempts} times and rejected, at last because {rejections[-1].reason}; "
        "ask for less, or try another --seed",
        rejections,
    )


def draft_sibling(
    plan: CasePlan,
    how: Twin | FollowUp | Change,
    host: Volume,
    organs: LabelMap,
    inputs: Mapping[str, Path],
    measured: Measurements | None = None,
    attempts: int = MAX_ATTEMPTS,
    gate: Gate = no_gate,
) -> Draft:
    """A sibling of the case of `plan`, measured and checked; what a change leaves open is drawn again where it fails.

    `measured` is the case itself, which the report of a follow-up compares with.

    Raises:
        InputError: a lesion of the case cannot be changed so, or does not fit.
        RejectedError: it does not show what it is to show.
    """
    rejections: list[Rejection] = []
    prior = Prior.of(plan.case, how.days, measured) if isinstance(how, FollowUp) and measured else None
    tries = attempts if isinstance(how, Change) else 1  # nothing else leaves anything open
    for attempt in range(tries):
        sibling = sibling_plan(plan, how, host, organs, attempt)
        draft, failed = _drafted(sibling, host, organs, inputs, rejections, gate)
        if not failed:
            return replace(draft, prior=prior)
        rejections.append(Rejection(_reason(failed), sibling))
    raise RejectedError(
        f"{plan.case}_{how.suffix}: rejected, because {rejections[-1].reason}; ask for less of a difference, or try "
        "another --seed",
        rejections,
    )


def _drafted(
    plan: CasePlan,
    host: Volume,
    organs: LabelMap,
    inputs: Mapping[str, Path],
    rejections: Sequence[Rejection],
    gate: Gate,
) -> tuple[Draft, list[Check]]:
    """The host with the lesions of a plan and its scanner, measured; and the checks that failed."""
    case = _inserted(plan, Case(host, organs, organs), inputs)
    if plan.scanner:
        case = scan(case, plan.scanner, plan.scanner_seed)
    measured = measure(case)
    checks = [*check_inserted(measured, plan), *gate(plan, case, measured)]
    failed = [check for check in checks if not check.ok]
    return Draft(plan, case, tuple(checks), inputs, tuple(rejections), measured), failed


def _without(lesions: Sequence[AnyPlan], failed: Sequence[Check]) -> tuple[AnyPlan, ...]:
    """The lesions that no failed check speaks of."""
    return tuple(p for p in lesions if not any(check.name.startswith(f"{p.name}_") for check in failed))


def _read(prompt: str | Reading, door: str) -> Reading:
    """The reading of a prompt that may have been read already."""
    return prompt if isinstance(prompt, Reading) else ask(prompt, door)


def plan_json(prompt: str | Reading, seed: int, spacing: float, index: int, weights: Path | None = None) -> str:
    """The plan of a generated case (first attempt) as JSON, without drawing it."""
    request = _read(prompt, "generate").case_request
    return _attempt(request, Weights.covering(request.region, weights), seed, index, spacing, attempt=0).to_json()


def _attempt(
    request: CaseRequest,
    weights: Weights,
    seed: int,
    index: int,
    spacing: float,
    attempt: int,
    given: GivenFile | None = None,
    scanner: Scanner | None = None,
) -> CasePlan:
    return draw_generate(
        request,
        weights=weights,
        seed=seed,
        index=index,
        attempt=attempt,
        spacing=spacing,
        sampling=default_sampling(),
        given=given,
        scanner=scanner,
    )


def _inserted(plan: CasePlan, host: Case, inputs: Mapping[str, Path]) -> Case:
    from synth.models import library
    from synth.redraw import LesionRedraw, RefineRedraw

    trained = lesion_networks.of_plan(plan.lesion_weights_sha256, inputs)
    redraw: Redraw
    if trained is None:
        redraw = RefineRedraw(Weights.covering(None).refine(plan.sampling.precision), plan.sampling)
    else:
        redraw = LesionRedraw(library.load_from(trained.parent, plan.sampling.precision), plan.sampling)
    return insert_lesions(host.ct, host.organs, plan.lesions, redraw)


def finish_draft(folder: Path, draft: Draft, command: str, progress: Progress, preview: bool = True) -> Path:
    """Write the report of a draft and its folder; `command` makes this one case again."""
    from synth.finish import finish

    with progress.step(f"{draft.plan.case}: report", 1):
        return finish(folder, draft, command, preview)


def _reason(failed: Sequence[Check]) -> str:
    worst = failed[0]
    return f"{worst.name} = {worst.value:g} is not within {worst.low:g} to {worst.high:g}"
