"""Throughput of cohorts: cases a minute by number of processes, where the time goes, memory over many cases, listing.

    python -m evals.benchmarks.throughput --out runs/throughput [--cases 40] [--processes 1,2] [--size 40]
    python -m evals.benchmarks.throughput --out runs/throughput --recipe RECIPE.yaml

Without `--recipe` the cases are small: tumours in made-up abdomens of `--size` voxels a side. Shares are of CPU time,
so that other work on the machine does not count; each step's time is its own, without the steps inside it. The rate
is from the first case to the last, without the start of the processes; processes share the threads of one. Writes
OUT/throughput.json, and what it is at to stderr. Each case takes 0.7 s of CPU time and is made three times: 40 of them,
the listing and the start are 110 s of CPU time, less by the clock on two idle cores.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from evals.benchmarks.cost import machine
from evals.benchmarks.kills import kill
from evals.benchmarks.small_cohort import SIZE, log_of, start, write_inputs
from synth.case import library
from synth.cohort import engine, layout
from synth.cohort.worker import Worker
from synth.errors import InputError
from synth.failure import ended

# step -> what is timed; a step inside another is taken off it
_STEPS = {
    "network": ("synth.models.denoiser.Denoiser.forward",),
    "lesion": ("synth.draw.findings.with_lesions", "synth.draw.findings.insert_lesions"),
    "scanner": ("synth.draw.findings.scan",),
    "report and checks": (
        "synth.draw.findings.measure",
        "synth.draw.generated.measure",
        "synth.case.finish.report.write",
        "synth.cohort.gates.checks",
    ),
    "preview": ("synth.case.finish.render",),
    "write": ("synth.case.folder.write_case",),
    "read hosts": ("synth.cohort.draw.read_host",),
}
_LISTED = 50_000
_PAUSE_S = 0.1
_TOLD_S = 10.0  # between two lines of progress
_WARM = 0.25  # of the cases: while caches fill, memory grows


class ProgressLines:
    """Lines of progress on stderr, one every few seconds at most."""

    def __init__(self, what: str) -> None:
        self._what, self._began = what, time.perf_counter()
        self._last = self._began
        print(f"{what} ..", file=sys.stderr, flush=True)

    def at(self, cases: int) -> None:
        """So many cases are there."""
        if (now := time.perf_counter()) - self._last >= _TOLD_S:
            self._last = now
            print(f"{self._what}: {cases} cases after {now - self._began:.0f} s", file=sys.stderr, flush=True)


class Clock:
    """CPU seconds of each step, by thread, a step within another taken off it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._lock, self._own = threading.Lock(), threading.local()

    def timed(self, step: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, with its time counted for the step."""

        def call(*arguments: Any, **options: Any) -> Any:
            inner: list[float] = getattr(self._own, "inner", [])
            self._own.inner = [*inner, 0.0]
            began = time.thread_time()
            try:
                return work(*arguments, **options)
            finally:
                taken, within = time.thread_time() - began, self._own.inner[-1]
                self._own.inner = [*inner[:-1], inner[-1] + taken] if inner else []
                with self._lock:
                    self.seconds[step] += taken - within

        return call


@contextmanager
def timing(clock: Clock) -> Iterator[None]:
    """Every step of the path is timed while this is open."""
    with ExitStack() as stack:
        for step, names in _STEPS.items():
            for name in names:
                module, attribute = _found(name)
                stack.enter_context(mock.patch.object(module, attribute, clock.timed(step, getattr(module, attribute))))
        yield


def _found(name: str) -> tuple[Any, str]:
    """The module or class that holds a dotted name, and its last part."""
    import importlib

    holder, attribute = name.rsplit(".", 1)
    try:
        return importlib.import_module(holder), attribute
    except ModuleNotFoundError:
        outer, within = _found(holder)
        return getattr(outer, within), attribute


def shares(recipe: Path, out: Path) -> dict[str, Any]:
    """A whole run in this process: CPU seconds by step, and resident memory after each case."""
    clock, memory, told = Clock(), [], ProgressLines("in this process, step by step")
    settled = Worker._settle

    def settle(*arguments: Any) -> None:
        settled(*arguments)
        memory.append(_resident_mb())
        told.at(len(memory))

    with timing(clock), mock.patch.object(Worker, "_settle", settle):
        began, cpu = time.perf_counter(), time.process_time()
        outcome = engine.run(recipe, out, quiet=True)
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    steps = dict(clock.seconds) | {"other": max(cpu - sum(clock.seconds.values()), 0.0)}
    return {
        "cases": outcome.complete,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "cpu_s_a_case": round(cpu / max(outcome.complete, 1), 3),
        "share": {step: round(taken / cpu, 4) for step, taken in sorted(steps.items(), key=lambda item: -item[1])},
        "memory_mb": _growth(memory),
    }


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _growth(memory: list[float]) -> dict[str, float]:
    """Resident memory after the first cases and at the end, and its slope over the cases between, by least squares."""
    warm = np.asarray(memory[int(_WARM * len(memory)) :])
    slope = float(np.polyfit(np.arange(len(warm)), warm, 1)[0]) if len(warm) > 1 else 0.0
    return {
        "first": round(memory[0], 1),
        "warm": round(float(warm[0]), 1),
        "last": round(float(warm[-1]), 1),
        "most": round(max(memory), 1),
        "slope_a_case": round(slope, 4),
    }


def rate(recipe: Path, out: Path, processes: int) -> dict[str, Any]:
    """Cases a minute of a run in so many processes, from the first case that is there to the last."""
    told, running = (
        ProgressLines(f"in {processes} process{'es' if processes > 1 else ''}"),
        start(recipe, out, "plain", processes),
    )
    first: tuple[float, int] | None = None
    last = (0.0, 0)
    try:
        while any(process.poll() is None for process in running):
            there = len(layout.complete(out))
            if there > last[1]:
                last = (time.perf_counter(), there)
                first = first or last
            told.at(there)
            time.sleep(_PAUSE_S)
    finally:
        kill([process for process in running if process.poll() is None])  # where it was interrupted
    if first is None or last[1] <= first[1] or any(process.returncode for process in running):
        raise InputError(f"{out}: the run in {processes} processes made {last[1]} cases; see {log_of(out)}")
    minutes = (last[0] - first[0]) / 60
    return {"processes": processes, "cases": last[1], "a_minute": round((last[1] - first[1]) / minutes, 2)}


def listing(recipe: Path, number: int) -> dict[str, Any]:
    """`synthct cohort --list` of so many cases: seconds and the most memory."""
    ProgressLines(f"listing {number} cases")
    table = json.loads(recipe.read_text()) | {"number": number}
    large = recipe.with_name("large.yaml")
    large.write_text(json.dumps(table))
    command = [sys.executable, "-m", "synth.cli", "cohort", str(large), "--out", str(recipe.parent / "none"), "--list"]
    # A process of its own asks for the memory of its child alone: RUSAGE_CHILDREN keeps the largest ever.
    ask = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    ask += "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_maxrss, used.ru_utime + used.ru_stime)"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", ask, *command], check=True, capture_output=True, text=True)
    kilobytes, cpu = done.stdout.split()
    return {
        "cases": number,
        "wall_s": round(time.perf_counter() - began, 1),
        "cpu_s": round(float(cpu), 1),
        "most_mb": round(int(kilobytes) / 1024, 1),
    }


def measure(folder: Path, recipe: Path, processes: Sequence[int], listed: int) -> dict[str, Any]:
    """Everything, as JSON values."""
    return {
        "machine": machine(library.device()),
        "listing": listing(recipe, listed) if listed else None,
        "rates": [
            rate(recipe, folder / f"of_{number}", number) for number in processes
        ],  # forks, so before any network
        "one_process": shares(recipe, folder / "shares"),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the result as JSON and write it; the exit code."""
    about = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m evals.benchmarks.throughput", description=about)
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--recipe", type=Path, help="of a cohort of your own; then nothing is listed")
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--size", type=int, default=SIZE, help="voxels a side of the made-up hosts")
    parser.add_argument("--processes", default="1,2", help="comma-separated numbers of processes")
    args = parser.parse_args(arguments)
    try:
        if args.out.exists():
            raise InputError(f"--out {args.out}: is there already; choose a new folder")
        processes = [int(number) for number in args.processes.split(",") if number]
        args.out.mkdir(parents=True)
        recipe = args.recipe or write_inputs(args.out, args.cases, args.size, previews=0.05)
        result = measure(args.out, recipe, processes, 0 if args.recipe else _LISTED)
    except (InputError, ValueError) as error:
        print(f"evals.benchmarks.throughput: error: {error}", file=sys.stderr)
        return 2
    text = json.dumps(result, indent=1)
    (args.out / "throughput.json").write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(ended(main, "evals.benchmarks.throughput"))
