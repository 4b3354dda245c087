"""The engine: one process's share of a cohort, drawn, checked and written, whatever happened to it before.

A case follows from the recipe and its index alone, and its folder appears whole or not at all. So a run may be
killed anywhere and resumed by any number of processes, and the set comes out the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from synth import __version__
from synth.case import lesion_weights
from synth.case.folder import is_whole
from synth.case.weights_folder import insertion_files
from synth.cohort import layout, locks
from synth.cohort.finalise import finalise
from synth.cohort.hosts import find_hosts
from synth.cohort.planning import CohortPlan
from synth.cohort.processes import Process, this_process, use_own_gpu
from synth.cohort.progress import Tally
from synth.cohort.recipe import read_recipe
from synth.cohort.worker import Worker, too_many
from synth.errors import InputError
from synth.files.documents import read_table
from synth.files.whole import explained, write_whole
from synth.provenance import sha256_of_file


@dataclass(frozen=True)
class Outcome:
    """What a process did, and what is there now, counting all processes. `stopped` says why it gave up, or nothing."""

    tally: Tally
    complete: int
    given_up: int
    missing: int
    finished: bool
    stopped: str = ""


def plan_of(recipe_file: Path) -> CohortPlan:
    """The plan of the recipe in a file. Raises InputError."""
    recipe = read_recipe(recipe_file)
    return CohortPlan(recipe, find_hosts(recipe.hosts) if recipe.hosts else {})


def run(
    recipe_file: Path,
    out: Path,
    *,
    only: int | None = None,
    retry: bool = False,
    quiet: bool = False,
    process: Process | None = None,
) -> Outcome:
    """This process's share of the cases, and the tables of the whole set once every case is there.

    `only`: the case of this index alone. `retry`: draw cases that are in quarantine again. `process`: which of how
    many this is; read from the environment unless given.
    Raises InputError for a recipe that cannot be made or a folder in use, OutputError for one that cannot be written.
    """
    plan, process = plan_of(recipe_file), process or this_process()
    if only is not None and only >= len(plan):
        raise InputError(f"--only {only}: the recipe has cases 0 to {len(plan) - 1}")
    with taken(plan, out, process):
        use_own_gpu()
        indices = process.share(len(plan)) if only is None else range(only, only + 1)
        worker = Worker(plan, out, recipe_file.name, retry, process, quiet)
        stopped = worker.work(indices)
        return finish(plan, out, worker.tally, stopped)


@contextmanager
def taken(plan: CohortPlan, out: Path, process: Process) -> Iterator[None]:
    """Make the folder, hold it for this process, and see to it that it holds cases of this plan alone.

    Raises InputError where another run holds it or it holds something else, OutputError where it cannot be written.
    """
    if out.is_file():
        raise InputError(f"{out}: is a file; choose another --out")
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    with locks.held(out, process):
        with locks.alone(out):
            _pin(out, plan)
        yield


def weights_of(plan: CohortPlan) -> dict[str, Path]:
    """The files of weights that the cases of a plan are drawn with; InputError if one is not there."""
    if plan.recipe.hosts:
        return insertion_files(lesion_weights.find(None))
    files: dict[str, Path] = {}
    for weights in plan.weights:
        files |= {
            role if role not in files else f"{weights.region.name}/{role}": f for role, f in weights.files().items()
        }
    return files


def _pin(out: Path, plan: CohortPlan) -> None:
    """Write what the cases follow from, or compare with what is there. Raises InputError where it differs.

    Also raises InputError, before any case is tried, where the networks that the recipe needs are not there.
    """
    files = weights_of(plan)
    weights = {name: sha256_of_file(file) for name, file in files.items()}
    made_with = {"format": 1, "synthct": __version__, "weights": weights, "hosts": list(plan.hosts)}
    if plan.recipe.gates.reference is not None:
        made_with["reference"] = sha256_of_file(plan.recipe.gates.reference)
    pinned = {**made_with, "recipe": plan.recipe.pinned()}
    file = out / layout.RECIPE
    if not file.is_file():
        if taken := layout.names_in(out):
            raise InputError(f"{out}: is not empty ({taken[0]}) and no cohort; choose another --out")
        write_whole(file, json.dumps(pinned, indent=1, ensure_ascii=False) + "\n")
        return
    there = read_table(file, remedy="choose another --out")
    recipe = there.get("recipe")
    recipe = recipe if isinstance(recipe, dict) else {}
    differ = [key for key, value in made_with.items() if there.get(key) != value]
    differ += [f"recipe: {key}" for key, value in plan.recipe.pinned().items() if recipe.get(key) != value]
    if differ:
        raise InputError(f"{out}: holds a cohort made otherwise ({', '.join(differ)} differ); choose another --out")


def _with_all_folders(plan: CohortPlan, there: set[str]) -> set[str]:
    """Names of the planned cases that are there, with their twins."""
    folders = (plan.names(index) for index in range(len(plan)))
    return {names[0] for names in folders if there.issuperset(names)}


def finish(plan: CohortPlan, out: Path, tally: Tally, stopped: str = "") -> Outcome:
    """Count what is there; write tables, card and checksums where it is everything and they are not there yet."""
    with locks.alone(out):
        there = set(layout.complete(out))
        complete = _with_all_folders(plan, there)
        if len(complete) + len(layout.given_up(out)) >= len(plan):  # else there is no need to look into each
            complete = _with_all_folders(plan, {name for name in there if is_whole(layout.case_folder(out, name))})
        given_up = [name for name in layout.given_up(out) if name not in complete]
        missing = len(plan) - len(complete) - len(given_up)
        if not stopped and not missing and len(given_up) > plan.recipe.max_failures * len(plan):
            stopped = too_many(len(given_up), len(plan), plan.recipe, tally, out)
        finished = not missing and not stopped
        if finished and not (out / layout.CHECKSUMS).is_file():
            finalise(plan, out)
    return Outcome(tally, len(complete), len(given_up), missing, finished, stopped)
