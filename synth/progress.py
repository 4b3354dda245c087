"""Progress bars on stderr. Silent where stderr is no terminal, and when asked to be quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Step:
    """One bar; call `advance` as its work is done."""

    def __init__(self, bars: RichProgress | None = None, task: TaskID | None = None) -> None:
        self._bars = bars
        self._task = task

    def advance(self, amount: float = 1) -> None:
        """Move the bar on by `amount` of its total."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, amount)


class Progress:
    """The bars of one command; steps may be nested and stay on the screen, with their time, when done.

    with Progress() as progress, progress.step("base", 20) as step:
        step.advance()
    """

    def __init__(self, quiet: bool = False) -> None:
        self._shown = sys.stderr.isatty() and not quiet
        self._bars: RichProgress | None = None

    @contextmanager
    def step(self, name: str, total: float) -> Iterator[Step]:
        """A bar called `name` that is full after `total`; full at its end, left as it is on an error."""
        bars = self._started() if self._shown else None
        if bars is None:
            yield Step()
            return
        task = bars.add_task(name, total=total)
        yield Step(bars, task)
        bars.update(task, completed=total)
        bars.stop_task(task)

    def close(self) -> None:
        """Leave the bars as they are and give the terminal back."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started(self) -> RichProgress:
        """The live display; rich is imported and the terminal taken with the first step."""
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bars = Progress(*columns, console=Console(stderr=True))
            self._bars.start()
        return self._bars
