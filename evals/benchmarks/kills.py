"""Kill a cohort at random moments, go on in other numbers of processes, and compare with an uninterrupted run.

    python -m evals.benchmarks.kills --out runs/kills [--cases 300] [--kills 10] [--engines plain,torchrun,ray]

Small cases: tumours in made-up abdomens, with the networks that are installed. The uninterrupted set is made by one
process. The other is killed with -9 `--kills` times, each time after a random number of cases and a random moment
more, and goes on in 2, 1, 3, 2, .. processes; the second run is under torchrun, the third under Ray, where first a
worker alone is killed. In the end every file must have the same content. Exit code 1 where one has not.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evals.benchmarks.small_cohort import Running, log_of, start, write_inputs
from synth.cohort import layout
from synth.errors import InputError
from synth.failure import ended

ENGINES = ("plain", "torchrun", "ray")
_WORLDS = (2, 1, 3)
_AT_LEAST = 2  # cases under torchrun and Ray before they are killed
_PAUSE_S = 0.05
_PATIENCE_S = 1800.0  # without a new case


@dataclass
class Killed:
    """A run that was killed: how it was started, and how many cases were complete by then."""

    engine: str
    processes: int
    complete: int
    worker_alone: bool = False


@dataclass
class KillTrial:
    """The folder under test and what was done to it."""

    recipe: Path
    out: Path
    rng: np.random.Generator
    killed: list[Killed] = field(default_factory=list)

    def complete(self) -> int:
        """Cases that are there."""
        return len(layout.complete(self.out))

    def wait_for(self, number: int, alive: Callable[[], bool]) -> None:
        """Until so many cases are there; raises RuntimeError where nobody works on them or none come."""
        last, since = self.complete(), time.monotonic()
        while (now := self.complete()) < number:
            if not alive():
                raise RuntimeError(
                    f"{self.out}: the run ended with {now} cases before it was killed; see {log_of(self.out)}"
                )
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() - since > _PATIENCE_S:
                raise RuntimeError(f"{self.out}: no new case for {_PATIENCE_S:.0f} s")
            time.sleep(_PAUSE_S)


def descendants(processes: Sequence[Running]) -> dict[int, str]:
    """Number -> name of the processes and of all that they started."""
    parents: dict[int, tuple[int, str]] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        parents[int(status.parent.name)] = (int(lines["PPid"]), lines["Name"].strip())
    found = {process.pid: "" for process in processes}
    while new := {n: name for n, (parent, name) in parents.items() if parent in found and n not in found}:
        found |= new
    return found


def kill(processes: Sequence[Running]) -> None:
    """kill -9 of all of them at once, and of all that they started."""
    for number in descendants(processes):
        _kill_one(number)
    for process in processes:
        process.wait()


def _kill_one(number: int) -> None:
    try:
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        return


def interrupt(trial: KillTrial, engine: str, world: int, after: int) -> None:
    """Start a run, let it make `after` cases more and a random moment pass, and kill it."""
    processes = start(trial.recipe, trial.out, engine, world)

    def alive() -> bool:
        return any(process.poll() is None for process in processes)

    goal = trial.complete() + after
    if engine == "ray":
        trial.wait_for(goal - after // 2, alive)
        if actors := [n for n, name in descendants(processes).items() if name.startswith("ray::CaseActor")]:
            _kill_one(int(trial.rng.choice(actors)))
            trial.killed.append(Killed(engine, world, trial.complete(), worker_alone=True))
    trial.wait_for(goal, alive)
    time.sleep(float(trial.rng.uniform(0, 1)))
    kill(processes)
    trial.killed.append(Killed(engine, world, trial.complete()))


def run(folder: Path, cases: int, kills: int, engines: Sequence[str], seed: int) -> dict[str, Any]:
    """The whole trial as JSON values; `differ` lists the files that are not the same."""
    recipe = write_inputs(folder, cases)
    started = time.perf_counter()
    whole, out = folder / "whole", folder / "killed"
    _finish(recipe, whole, 1)
    uninterrupted_s = time.perf_counter() - started
    trial = KillTrial(recipe, out, np.random.default_rng(seed))
    special = [engine for engine in engines if engine != "plain"]
    cuts = np.sort(trial.rng.choice(np.arange(1, cases - _AT_LEAST * len(engines)), kills, replace=False))
    for i in range(kills):
        engine = special[i - 1] if 1 <= i <= len(special) else "plain"
        after = max(int(cuts[i]) - trial.complete(), 0 if engine == "plain" else _AT_LEAST)
        interrupt(trial, engine, _WORLDS[i % len(_WORLDS)] if engine == "plain" else 2, after)
    _finish(recipe, out, 2)
    return {
        "cases": cases,
        "seed": seed,
        "killed": [vars(k) for k in trial.killed],
        "uninterrupted_s": round(uninterrupted_s, 1),
        "killed_s": round(time.perf_counter() - started - uninterrupted_s, 1),
        "files": len((whole / layout.CHECKSUMS).read_text().splitlines()),
        "differ": differ(whole, out),
    }


def _finish(recipe: Path, out: Path, world: int) -> None:
    processes = start(recipe, out, "plain", world)
    codes = [process.wait() for process in processes]
    if any(codes) or not (out / layout.CHECKSUMS).is_file():
        raise RuntimeError(f"{out}: the run did not finish (exit codes {codes}); see {log_of(out)}")


def differ(whole: Path, out: Path) -> list[str]:
    """Files whose content is not the same, the list of checksums among them; and what is left half-written."""
    names = {p.relative_to(root) for root in (whole, out) for p in root.rglob("*") if p.is_file()}
    listed = sorted(str(name) for name in names if name.parts[0] != ".run")
    return [name for name in listed
            if not ((whole / name).is_file() and (out / name).is_file()
                    and filecmp.cmp(whole / name, out / name, shallow=False))]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the result as JSON and write it to OUT/kills.json; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.benchmarks.kills", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--engines", default=",".join(ENGINES), help="comma-separated")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args(arguments)
    engines = args.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        raise InputError(f"--engines {','.join(unknown)}: say some of {','.join(ENGINES)}")
    if not len(engines) <= args.kills < args.cases - 1 - _AT_LEAST * len(engines):
        raise InputError(f"--kills {args.kills}: give {len(engines)} or more, and fewer than cases")
    if args.out.exists():
        raise InputError(f"--out {args.out}: is there already; choose a new folder")
    result = run(args.out, args.cases, args.kills, engines, args.seed)
    text = json.dumps(result, indent=1)
    (args.out / "kills.json").write_text(text + "\n")
    print(text)
    return 1 if result["differ"] else 0


if __name__ == "__main__":
    sys.exit(ended(main, "evals.benchmarks.kills"))
