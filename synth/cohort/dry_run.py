"""--dry-run: what a recipe will make, the disk it needs and the time, from one case that is drawn and thrown away."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synth.case import finished
from synth.cohort.draw import draw
from synth.cohort.planning import CohortPlan
from synth.cohort.processes import Process
from synth.cohort.progress import duration
from synth.errors import InputError
from synth.progress import Progress

_TRIES = 5  # cases, until one can be drawn
_SIZES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6))


@dataclass(frozen=True)
class Cost:
    """What a case took: seconds, draws, bytes, and its name; `wasted`: seconds of each that was given up before it."""

    seconds: float
    size: int
    name: str
    draws: int = 1
    wasted: tuple[float, ...] = ()

    @property
    def seconds_a_case(self) -> float:
        """Mean over all that were tried."""
        return (self.seconds + sum(self.wasted)) / (1 + len(self.wasted))

    def told(self) -> str:
        """What the time is guessed from."""
        draws = f" in {self.draws} draws" if self.draws > 1 else ""
        lost = f", and {len(self.wasted)} before it were given up after {sum(self.wasted):.1f} s" if self.wasted else ""
        return f"{self.name} took {self.seconds:.1f} s{draws}{lost}"


def preview(plan: CohortPlan, out: Path, process: Process) -> Iterator[str]:
    """Lines that say what would be made. Nothing is left on disk. Raises InputError where no case can be drawn."""
    number, hosts = len(plan), len(plan.hosts)
    where = f"into {hosts} hosts" if hosts else f"generated at {' and '.join(f'{mm:g}' for mm in plan.spacings)} mm"
    yield f"{plan.recipe.name}: {number} case{_s(number)}, {where}, in {process.world} {_processes(process.world)}"
    for quota, values in plan.quotas.items():
        yield f"  {quota}: {', '.join(f'{value} {n}' for value, n in values.items())}"
    cost = measure(plan)
    disk = cost.size * sum(len(plan.names(index)) for index in range(number))
    free = shutil.disk_usage(_existing(out)).free
    yield f"  disk: about {size(disk)}, as {cost.name} takes {size(cost.size)}; {size(free)} are free at {out}"
    seconds = cost.seconds_a_case * number / process.world
    yield f"  time: about {duration(seconds)} in {process.world} {_processes(process.world)}, as {cost.told()}"
    if disk > free:
        yield f"  the disk is too small: free {size(disk - free)} or choose another --out"


def measure(plan: CohortPlan) -> Cost:
    """Draw and write one case of the plan twice, the first time to load what is loaded once, and time the second.

    Cases that are given up before one can be drawn count too: they take longer than any other.
    """
    reason, wasted = "", []
    for index in range(min(_TRIES, len(plan))):
        started = time.perf_counter()
        drawn = draw(plan, plan[index], Progress(quiet=True))
        if drawn.draft is None:
            reason = drawn.failed[-1].reason
            wasted.append(time.perf_counter() - started)
            continue
        started = time.perf_counter()
        again = draw(plan, plan[index], Progress(quiet=True)).draft or drawn.draft
        with tempfile.TemporaryDirectory() as folder:
            preview = plan.recipe.previews > 0.5  # as most of the cases
            written = finished.finish_draft(Path(folder) / plan[index].name, again, "", Progress(quiet=True), preview)
            taken = sum(path.stat().st_size for path in written.iterdir())
        seconds, draws = time.perf_counter() - started, 1 + len(drawn.failed)
        return Cost(seconds, taken, plan[index].name, draws, tuple(wasted))
    raise InputError(f"the first {_TRIES} cases cannot be drawn, at last because {reason}; mend recipe or hosts")


def size(number: float) -> str:
    """`3.2 GB`."""
    unit, one = next(((u, n) for u, n in _SIZES if number >= n), ("kB", 1e3))
    return f"{number / one:.1f} {unit}"


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _s(number: int) -> str:
    """The ending of a plural."""
    return "" if number == 1 else "s"


def _processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"
