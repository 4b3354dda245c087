"""The command that shows cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.app import app

if TYPE_CHECKING:
    pass


@app.command()
def view(
    path: Annotated[
        Path, typer.Argument(metavar="CASE|COHORT", help="A case, a cohort, or a folder of cases.", show_default=False)
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of 127.0.0.1.", show_default="any that is free")] = 0,
    export: Annotated[
        Path | None, typer.Option(help="Write one page that holds the case, and serve nothing.", show_default=False)
    ] = None,
    in_browser: Annotated[
        bool, typer.Option("--open", help="Open it in the browser, where there is a screen.")
    ] = False,
) -> None:
    """Look at a case or a cohort in the browser; on this machine alone, read only, until Ctrl-C.

    Example: synthct view out/case_00000
    """
    from synth.viewer import command

    if export is not None:
        typer.echo(command.export(path, export))
        return
    command.view(path, port, in_browser=in_browser, tell=lambda at: typer.echo(f"{at}  (Ctrl-C ends it)"))
