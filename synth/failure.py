"""How a command ends when it cannot go on: one line on stderr and an exit code, never a traceback unless asked for."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from synth.errors import InputError
from synth.files.content import require_text
from synth.files.whole import known_as, refused

EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130
DEBUG = "--debug"  # anywhere among the arguments: the traceback too
_ROOT = Path(__file__).parents[1]
_REPORT = "this is a fault of the program: report it with the command and this line, see SECURITY.md"
_SHOWN = 300  # letters of a message that is not ours

# What the operating system refuses, and what to do about it.
_REMEDIES = {
    errno.ENOSPC: "free some space or choose another --out",
    errno.EDQUOT: "free some space or choose another --out",
    errno.EROFS: "choose another --out",
    errno.EACCES: "change its mode or choose another path",
    errno.EPERM: "change its mode or choose another path",
    errno.ENAMETOOLONG: "shorten it",
    errno.EMFILE: "raise `ulimit -n`",
    errno.ENOMEM: "use a smaller volume or a coarser spacing",
}
_NO_MEMORY = ("out of memory", "can't allocate memory", "unable to allocate")


def ended(work: Callable[[list[str]], object], program: str, arguments: Sequence[str] | None = None) -> int:
    """Do the work of a command with its arguments (those of the process unless given); its exit code.

    2: input or place that cannot be used; 1: a fault of ours, said with where it is; 130: an interrupt. What `work`
    returns is the code where it is a number, else 0.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in given
    _print_anything()
    try:
        for argument in given:
            require_text(argument, "argument")
        code = work([argument for argument in given if argument != DEBUG])
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        print(f"{program}: interrupted; run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        line, code = _told(error)
        print(f"{program}: error: {' '.join(line.split())}", file=sys.stderr)
        return code


def run_command(command: Callable[..., object], program: str) -> int:
    """A function with typer's annotations as a program: as `ended`, with the arguments of the process."""
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    return ended(lambda arguments: app(args=arguments, standalone_mode=False, prog_name=program), program)


def _told(error: Exception) -> tuple[str, int]:
    """What to say of an error, and the exit code."""
    from prompts.errors import PromptError

    if isinstance(error, (InputError, PromptError)):
        return str(error), EXIT_BAD_INPUT
    if callable(usage := getattr(error, "format_message", None)):  # typer's: unknown option, bad value
        context = getattr(error, "ctx", None)
        return f"{usage().rstrip('.')}; see `{context.command_path if context else 'synthct'} --help`", EXIT_BAD_INPUT
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY):
        return f"out of memory; {_REMEDIES[errno.ENOMEM]}", EXIT_BAD_INPUT
    if (number := refused(error)) is not None:
        name = known_as(str(getattr(error, "filename", None) or "a file"))[:_SHOWN]
        return f"{name}: {os.strerror(number)}; {_REMEDIES.get(number, 'check path and disk')}", EXIT_BAD_INPUT
    while type(error).__name__ == "Abort" and isinstance(error.__cause__, Exception):
        error = error.__cause__  # typer takes an early end of any file for one of the input
    where = _place(error.__traceback__)
    return f"{type(error).__name__}: {str(error)[:_SHOWN]} ({where}); {_REPORT}; {DEBUG} shows more", EXIT_FAILED


def _place(trace: TracebackType | None) -> str:
    """File and line of the last step in code of ours."""
    steps = [step for step in traceback.extract_tb(trace) if Path(step.filename).is_relative_to(_ROOT)]
    ours = [step for step in steps if "site-packages" not in Path(step.filename).parts] or steps
    return f"{Path(ours[-1].filename).relative_to(_ROOT)}:{ours[-1].lineno}" if ours else "outside"


def _print_anything() -> None:
    """A terminal of another encoding gets letters that it lacks as their numbers."""
    for stream in (sys.stdout, sys.stderr):
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="backslashreplace")
