"""The work of one process: case after case is drawn, while a thread measures and writes the one before."""

from __future__ import annotations

import logging
import shutil
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from scipy import stats

from synth.case.draft import Draft
from synth.case.folder import is_whole
from synth.cohort import delta, films, layout, quarantine
from synth.cohort.draw import Attempt, DrawnCase, draw
from synth.cohort.planning import CohortPlan, PlannedCase
from synth.cohort.processes import Process
from synth.cohort.progress import CohortProgress, Tally
from synth.cohort.recipe import Recipe
from synth.errors import InputError, OutputError
from synth.progress import Progress
from synth.provenance import command_line

_BACKLOG = 2  # drafts that wait for the writer: each holds a volume in memory
_CERTAIN = 1e-3  # chance that so many failures come from a share that is within bounds


class Worker:
    """Draws cases one after the other while a thread writes them."""

    def __init__(
        self, plan: CohortPlan, out: Path, recipe_name: str, retry: bool, process: Process, quiet: bool
    ) -> None:
        self.plan, self.out, self.recipe_name, self.retry = plan, out, recipe_name, retry
        self.process, self.quiet = process, quiet
        self.tally = Tally(0)

    def work(self, indices: range) -> str:
        """Deal with the cases of these indices; why it stopped before the end, or nothing."""
        self.tally = Tally(len(indices), asked=Counter(self.plan.group(index) for index in indices))
        with CohortProgress(self.tally, self.process, self.quiet) as progress, _notes_shown_once():
            return self._work((self.plan[index] for index in indices), progress)

    def _work(self, cases: Iterable[PlannedCase], progress: CohortProgress) -> str:
        waiting: deque[tuple[DrawnCase, Future[Path]]] = deque()
        with ThreadPoolExecutor(1) as writer:
            for case in cases:
                if self._is_dealt_with(case):
                    progress.show(case)
                    continue
                drawn = draw(self.plan, case, Progress(quiet=True))
                waiting.append((drawn, writer.submit(self._write, drawn)))
                while len(waiting) > _BACKLOG:
                    self._settle(*waiting.popleft(), progress)
                if stopped := self._stopped():
                    break
            else:
                stopped = ""
            while waiting:
                self._settle(*waiting.popleft(), progress)
        return self._stopped() or stopped  # counted anew: some were waiting

    def _is_dealt_with(self, case: PlannedCase) -> bool:
        """Whether a case is complete, or in quarantine and to stay there."""
        asked = self.plan.recipe.radiographs
        if all(is_whole(layout.case_folder(self.out, n)) and films.are_taken(self.out, n, asked) for n in case.names):
            layout.quarantine_file(self.out, case.name).unlink(missing_ok=True)  # of a run killed while it retried
            self.tally.skipped += 1
            self.tally.groups[case.group] += 1
            return True
        if not self.retry and layout.quarantine_file(self.out, case.name).is_file():
            self.tally.failed += 1
            return True
        return False

    def _write(self, drawn: DrawnCase) -> Path:
        """The folder of a drafted case, or the record of one that was given up."""
        (self.out / layout.CHECKSUMS).unlink(missing_ok=True)  # the set changes: its seal is broken first
        for name in drawn.case.names:
            if (folder := layout.case_folder(self.out, name)).exists():
                shutil.rmtree(folder)  # a file of it is missing or cut short, or it is the twin of nothing
        if drawn.draft is None:
            return quarantine.keep(self.out, drawn)
        command = command_line("cohort", self.recipe_name, only=drawn.case.index)
        finish = partial(delta.finish, self.out, command=command, progress=Progress(quiet=True))
        if drawn.twin is not None and drawn.case.twin is not None:  # first: a case that is there has its twin
            finish(layout.case_folder(self.out, drawn.case.twin), drawn.twin, preview=False)
            self._take_films(drawn.case.twin, drawn.twin)
        written = finish(layout.case_folder(self.out, drawn.case.name), drawn.draft, preview=drawn.case.preview)
        self._take_films(drawn.case.name, drawn.draft)
        layout.quarantine_file(self.out, drawn.case.name).unlink(missing_ok=True)
        return written

    def _take_films(self, name: str, draft: Draft) -> None:
        """The radiographs of a case that is written, where the recipe asks for them."""
        if (asked := self.plan.recipe.radiographs) is not None:
            films.take_films(self.out, name, draft.case, asked, draft.plan.seed)

    def _settle(self, drawn: DrawnCase, written: Future[Path], progress: CohortProgress) -> None:
        """Wait for the writer and count. A case that cannot be measured is given up; a full disk stops the run."""
        try:
            written.result()
        except OutputError:
            raise
        except Exception as error:
            plan = drawn.draft.plan if drawn.draft else None
            attempt = Attempt(f"{type(error).__name__}: {error}", plan=plan, defect=not isinstance(error, InputError))
            drawn = DrawnCase(drawn.case, None, (*drawn.failed, attempt))
            quarantine.keep(self.out, drawn)
        self.tally.reject(drawn)
        if drawn.draft is None:
            self.tally.failed += 1
        else:
            self.tally.drawn += 1
            self.tally.groups[drawn.case.group] += 1
        progress.show(drawn.case)

    def _stopped(self) -> str:
        return why_stop(self.tally, self.plan.recipe, self.out)


def why_stop(tally: Tally, recipe: Recipe, out: Path) -> str:
    """More failures than the recipe allows, or so many so early that the rest will be no better; else nothing."""
    failed, seen, limit = tally.failed, tally.seen, recipe.max_failures
    hopeless = failed > 0 and float(stats.binom.sf(failed - 1, seen, limit)) < _CERTAIN
    if failed <= limit * tally.share and not hopeless:
        return ""
    return too_many(failed, seen, recipe, tally, out)


def too_many(failed: int, seen: int, recipe: Recipe, tally: Tally, out: Path) -> str:
    """One line: how many failed, why, and the remedy."""
    why = tally.reasons()
    mend = "loosen the gates that they failed" if recipe.hosts is None else "mend the hosts"
    return (
        f"{out}: {failed} of {seen} cases failed, more than max_failures {recipe.max_failures:g} allows"
        f"{f' ({why})' if why else ''}; see {layout.QUARANTINE}/; {mend} and run with --retry, or raise it"
    )


class _Once(logging.Filter):
    """Lets each note through once: what is odd about a host is so for each of its cases."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in self._seen
        self._seen.add(message)
        return new


@contextmanager
def _notes_shown_once() -> Iterator[None]:
    """Notes of the package are shown once each while this is open."""
    filters = [(handler, _Once()) for handler in logging.getLogger("synth").handlers]
    for handler, once in filters:
        handler.addFilter(once)
    try:
        yield
    finally:
        for handler, once in filters:
            handler.removeFilter(once)
