"""The program: what its commands share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth import __version__, failure

if TYPE_CHECKING:
    from synth.progress import Progress


_SHOWN = 80  # letters of a value in a message


app = typer.Typer(
    help="Words to labelled CT: volumes in HU, organ and lesion masks, and a report measured on them.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="`synthct COMMAND --help` shows the options of a command, with examples.",
)


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    debug: Annotated[
        bool, typer.Option(failure.DEBUG, help="Show where an error comes from; may stand anywhere.")
    ] = False,
) -> None:
    if version:
        typer.echo(f"synthct {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def asked(prompt: str, door: str, strict: bool, by: str, weights: Path | None = None) -> str:
    """The prompt, read by whom it shall be; with `strict`, refused where a word of it is ignored or not drawn."""
    from synth.case import doors

    if strict or by != doors.GRAMMAR:
        doors.ask(prompt, door, strict=strict, by=by, weights=weights)
    return prompt


def tell(prompt: str, door: str, weights: Path | None = None) -> None:
    """Say on stderr what a prompt was read as, once its cases are there: an error is one line and nothing else."""
    from synth.case import doors

    print(f"synthct: {doors.ask(prompt, door, weights=weights).line()}", file=sys.stderr)


def progress_bars(quiet: bool) -> Progress:
    from synth.progress import Progress

    return Progress(quiet)
