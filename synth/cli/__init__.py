"""The command `synthct`. Every verb is a few lines; what it does is imported when it is asked for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

from synth import failure

from synth.cli import cases, foreign, sets, rays, looking, learn, about  # isort: skip  (the order of the help)
from synth.cli.app import app

__all__ = ["about", "app", "cases", "foreign", "learn", "looking", "main", "rays", "sets"]


def _add_evaluate() -> None:
    """`synthct evaluate`; its commands are light, what they run is imported when it is asked for."""
    from evals.command import app as evaluate

    app.add_typer(evaluate, name="evaluate")


_add_evaluate()
app.add_typer(foreign.weights, name="weights")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code. Input that cannot be used is one line on stderr and exit code 2."""
    _print_notes()
    return failure.ended(_run, "synthct", arguments)


def _run(arguments: list[str]) -> Any:
    """The exit code of the command, or nothing."""
    code = app(args=arguments, standalone_mode=False, prog_name="synthct")
    if code == failure.EXIT_INTERRUPTED:  # what typer makes of an interrupt inside a command
        raise KeyboardInterrupt
    return code


class _NoteHandler(logging.Handler):
    """Notes on stderr, found anew each time because a progress bar replaces it while it is shown; each note once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """A file that is read twice has one note."""
        if (note := record.getMessage()) not in self.told:
            self.told.add(note)
            print(f"synthct: note: {note}", file=sys.stderr)


def _print_notes() -> None:
    for name in ("synth", "evals"):
        logger = logging.getLogger(name)
        kept = [handler for handler in logger.handlers if not isinstance(handler, _NoteHandler)]
        logger.handlers = [*kept, _NoteHandler()]
        logger.propagate = False
