"""The path of a case: words, plan, scaffold, base, refine, organs, findings, report, checks, folder.

`generate` and `insert` are one path entered at two doors: lesions do not know whether their host is real.
torch and what stands on it are imported when drawing starts, so that bad input is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

from prompts import Reading
from synth.case import finished
from synth.case import lesion_weights as lesion_networks
from synth.case.attempts import MAX_ATTEMPTS, each
from synth.case.doors import parser_options, read_prompt
from synth.case.order import Order
from synth.case.plan import case_name, draw_insert
from synth.case.weights_folder import Weights
from synth.draw.beside import Siblings, write_siblings
from synth.draw.findings import Host, draft_inserted, host_files
from synth.draw.generated import draft_generated, drawn_host
from synth.errors import InputError
from synth.progress import Progress
from synth.provenance import command_line
from synth.report.style import Style, style_options
from synth.volumes import nifti
from synth.volumes.host import read_host


def generate(
    prompt: str | Reading,
    *,
    count: int = 1,
    seed: int = 0,
    spacing: float | None = None,
    out: Path = Path("out"),
    start: int = 0,
    siblings: Siblings = (),
    organs: Path | None = None,
    organ_ids: Mapping[int, str] | None = None,
    slice_mm: float | None = None,
    style: Style = "structured",
    weights: Path | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Cases start .. start + count - 1 of a prompt, each from its own seed; returns their folders.

    `spacing` in mm; None: the finest that the region is drawn well in. `siblings`: of each case, as cases beside it.
    `organs`: a label map, complete or partial, whose organs every case gets; `organ_ids`: names of its ids. `slice_mm`:
    thickness and distance of the slices, means of those drawn. `style`: of reports. `weights`: a folder of your own.

    Raises InputError (or PromptError) for what cannot be asked, before anything is drawn or written. A case that is
    rejected does not keep the others from being drawn: RejectedError names it once they are.
    """
    request = read_prompt(prompt, "generate", weights).case_request
    if siblings and not request.findings:
        raise InputError(f"'{request.prompt}': a twin or follow-up of what? say a finding that is drawn")
    order = Order(request, Weights.covering(request.region, weights), seed, spacing, style=style)
    order = order if organs is None else order.with_organs(organs, organ_ids)
    order = order if slice_mm is None else order.with_slices(slice_mm)
    order.weights.files()  # all there, or refused before anything is drawn
    shown = progress or Progress(quiet=True)
    return each(range(start, start + count), lambda index: _generated(order, index, siblings, out, shown), out)


def _generated(order: Order, index: int, siblings: Siblings, out: Path, progress: Progress) -> list[Path]:
    """One case and its siblings: what is complete already is left as it is."""
    folder, plans = out / case_name(index), [order.plan(index, attempt) for attempt in range(MAX_ATTEMPTS)]
    draft, done = None, finished.like_one_of(folder, plans, order.weights)
    if done is None:
        draft = draft_generated(order, index, progress)
        finished.finish_draft(folder, draft, order.command(index), progress)
        done = finished.of_generate(draft.plan)
    host = cache(partial(drawn_host, done, draft, order, progress))
    return [folder, *write_siblings(folder, done, siblings, host, partial(order.command, index), progress)]


def insert(host: Path, organs: Path, prompt: str | Reading, **options: object) -> Path:
    """As `insert_with_siblings` without any; returns the case folder."""
    return insert_with_siblings(host, organs, prompt, (), **options)[0]  # type: ignore[arg-type]


def insert_with_siblings(
    host: Path,
    organs: Path,
    prompt: str | Reading,
    siblings: Siblings,
    *,
    seed: int = 0,
    out: Path = Path("out"),
    organ_ids: Mapping[int, str] | None = None,
    lesion_weights: Path | None = None,
    trust_labels: bool = False,
    style: Style = "structured",
    progress: Progress | None = None,
) -> list[Path]:
    """Lesions that a prompt asks for, put into a CT on its grid, and each sibling as a case beside it; their folders.

    `lesion_weights`: of `synthct train lesion`. `trust_labels`: though organs do not look so. `style`: of the report.
    """
    request, trained = read_prompt(prompt, "insert").request, lesion_networks.find(lesion_weights)
    progress = progress or Progress(quiet=True)
    with progress.step("read", 1):
        volume, labels = read_host(host, organs, organ_ids, trust_labels=trust_labels)
    into = Host(volume, labels, host_files(host, organs, trained))
    options: dict[str, object] = {"organs": organs, "organ_ids": nifti.written_ids(organ_ids)}
    options |= {"lesion_weights": lesion_weights, "seed": seed, "trust_labels": trust_labels or None}
    options |= style_options(style) | parser_options(request.prompt, "insert")
    command = partial(command_line, "insert", host, request.prompt, **options)
    plan = draw_insert(request, seed=seed, ct=host, organs=organs, lesion_weights=trained, style=style)
    folder = out / plan.case
    if (done := finished.plan_like(folder, plan)) is None:
        with progress.step("insert", 1):
            draft = draft_inserted(plan, into)
        finished.finish_draft(folder, draft, command(), progress)
        done = finished.of_insert(draft.plan)
    return [folder, *write_siblings(folder, done, siblings, lambda: into, command, progress)]
