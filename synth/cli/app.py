"""The program: what its commands share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from synth import __version__, failure

if TYPE_CHECKING:
    from prompts import Reading
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


def tell(reading: Reading) -> None:
    """Say on stderr what a prompt was read as, once its cases are there: an error is one line and nothing else."""
    print(f"synthct: {reading.line()}", file=sys.stderr)


def progress_bars(quiet: bool) -> Progress:
    from synth.progress import Progress

    return Progress(quiet)
