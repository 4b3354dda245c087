"""The command that says what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.app import app

if TYPE_CHECKING:
    pass


@app.command()
def info(
    organs: Annotated[bool, typer.Option("--organs", help="List id and name of every structure instead.")] = False,
) -> None:
    """Versions, embedded weights, and what can be asked for.

    Example: synthct info --organs
    """
    from synth.cli import installation

    for line in installation.structure_lines() if organs else installation.lines():
        typer.echo(line)
