"""The verbs `cohort` and `verify` behind their options: what they print and the code they end with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.case.doors import GRAMMAR, ask
from synth.cohort import StoreKind, delta, dry_run, engine, layout
from synth.cohort.engine import Outcome
from synth.cohort.planning import SCANNER
from synth.cohort.processes import Engine, this_process
from synth.cohort.recipe import read_recipe
from synth.errors import InputError, OutputError

DONE, FAILED = 0, 1


@dataclass(frozen=True)
class Launch:
    """Who starts the processes, how many, and what submitit is told. Raises InputError where these do not fit."""

    engine: Engine = Engine.here
    workers: int | None = None
    slurm: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.engine is Engine.here and self.workers:
            raise InputError(f"--workers {self.workers}: give --engine ray or slurm, or start processes with torchrun")
        if self.engine is Engine.slurm and not self.workers:
            raise InputError("--engine slurm: give --workers, the number of jobs")
        if self.slurm and self.engine is not Engine.slurm:
            raise InputError(f"--slurm {next(iter(self.slurm))}: give --engine slurm with it")

    def run(self, recipe: Path, out: Path, *, only: int | None, retry: bool, quiet: bool) -> Outcome:
        """The cases of a recipe, in whatever processes this is."""
        if self.engine is Engine.here:
            return engine.run(recipe, out, only=only, retry=retry, quiet=quiet)
        if only is not None:
            raise InputError(f"--only {only}: one case needs one process; leave --engine out")
        if self.engine is Engine.ray:
            from synth.cohort import on_ray

            return on_ray.run(recipe, out, workers=self.workers, retry=retry, quiet=quiet)
        from synth.cohort import on_slurm

        return on_slurm.run(recipe, out, workers=self.workers or 1, options=self.slurm, retry=retry, quiet=quiet)


def read_prompts(recipe: Path, by: str, launch: Launch) -> None:
    """Let a language model read the prompts of a recipe, once each, before its cases are planned; the plans store it.

    Raises InputError where several processes would each have a reading of their own, or there is no prompt to read.
    """
    if by == GRAMMAR:
        return
    said = read_recipe(recipe)
    if launch.engine is not Engine.here or this_process().world > 1:
        raise InputError(f"--parser {by}: each process would read for itself; make this cohort in one process")
    if not said.prompts:
        raise InputError(f"--parser {by}: '{recipe}' has no prompts to read; leave it out")
    for prompt in said.prompts:
        ask(prompt, "generate" if said.hosts is None else "insert", by=by)


def cohort(
    recipe: Path,
    out: Path,
    launch: Launch,
    *,
    only: int | None,
    retry: bool,
    quiet: bool,
    store: StoreKind | None = None,
) -> int:
    """Make this process's share; one line on stdout says what is there now, one on stderr why it stopped."""
    if store is not None:
        plan = engine.plan_of(recipe)  # a recipe that cannot be made leaves nothing behind
        if store is StoreKind.delta and plan.recipe.scanners:
            raise InputError("--store delta: scanners change every voxel of a host; leave one of the two out")
        delta.choose(out, store)
    try:
        outcome = launch.run(recipe, out, only=only, retry=retry, quiet=quiet)
    except OutputError as error:
        if not (there := len(layout.complete(out))):
            raise
        raise OutputError(
            f"{error}; {there} cases are complete and stay; run the same command again to go on"
        ) from error
    if outcome.stopped:
        print(f"synthct: stopped: {outcome.stopped}", file=sys.stderr)
        return FAILED
    state = "finished" if outcome.finished else f"{outcome.missing} to go"
    print(f"{out}: {outcome.complete} cases complete, {outcome.given_up} in quarantine, {state}")
    if outcome.missing and only is None:
        others = "other processes are at work, or ended early" if this_process().world > 1 else "cases were removed"
        print(f"synthct: note: {others}: run the same command again to go on", file=sys.stderr)
    return DONE


def verify(folder: Path, *, quick: bool, hosts: Path | None = None) -> int:
    """One line on stdout for everything that is wrong, or that the set holds."""
    from synth.cohort.verify import read_checksums
    from synth.cohort.verify import verify as wrong_in

    wrong = 0
    for line in wrong_in(folder, quick=quick, hosts=hosts):
        print(f"{folder}: {line}")
        wrong += 1
    if not wrong:
        print(f"{folder}: holds ({len(read_checksums(folder))} files)")
    return FAILED if wrong else DONE


def show(recipe: Path, out: Path, *, listed: bool) -> int:
    """--dry-run: a summary with disk and time; `listed`: a JSON line a case instead, without drawing any."""
    plan = engine.plan_of(recipe)
    if not listed:
        for line in dry_run.preview(plan, out, this_process()):
            print(line)
        return DONE
    for case in plan:
        host = case.hosts[0] if case.hosts else None
        row = {"case": case.name, "group": case.group, "prompt": case.request.prompt, "host": host}
        row |= {SCANNER: case.scanner.name} if case.scanner else {}
        print(json.dumps(row, ensure_ascii=False))
    return DONE
