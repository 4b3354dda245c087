"""The verbs `cohort` and `verify` behind their options: what they print and the code they end with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from synth.cohort import dry_run, engine
from synth.cohort.processes import this_process

DONE, FAILED = 0, 1


def cohort(recipe: Path, out: Path, *, only: int | None, retry: bool, quiet: bool) -> int:
    """Make this process's share; one line on stdout says what is there now, one on stderr why it stopped."""
    outcome = engine.run(recipe, out, only=only, retry=retry, quiet=quiet)
    if outcome.stopped:
        print(f"synthct: stopped: {outcome.stopped}", file=sys.stderr)
        return FAILED
    state = "finished" if outcome.finished else f"{outcome.missing} to go"
    print(f"{out}: {outcome.complete} cases complete, {outcome.given_up} in quarantine, {state}")
    if outcome.missing and only is None:
        others = "other processes are at work, or ended early" if this_process().world > 1 else "cases were removed"
        print(f"synthct: note: {others}: run the same command again to go on", file=sys.stderr)
    return DONE


def verify(folder: Path, *, quick: bool) -> int:
    """One line on stdout for everything that is wrong, or that the set holds."""
    from synth.cohort.verify import read_checksums
    from synth.cohort.verify import verify as wrong_in

    wrong = 0
    for line in wrong_in(folder, quick=quick):
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
        print(json.dumps(row, ensure_ascii=False))
    return DONE
