"""Commands of data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.app import app, progress_bars
from synth.cli.options import Parser, Quiet
from synth.cohort import StoreKind
from synth.cohort.processes import Engine
from synth.export import Labels, Layout
from synth.settings import key_values

if TYPE_CHECKING:
    pass


@app.command()
def cohort(
    recipe: Annotated[Path, typer.Argument(help="YAML file; see docs/cohorts.md.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the data set.")] = Path("cohort"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what, how much disk, how long; make none.")] = False,
    list_cases: Annotated[bool, typer.Option("--list", help="Print each planned case as JSON; make none.")] = False,
    only: Annotated[int | None, typer.Option(min=0, help="Make the case of this number alone.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try cases in quarantine again.")] = False,
    engine: Annotated[Engine, typer.Option(help="Who starts the processes.")] = Engine.here,
    workers: Annotated[int | None, typer.Option(min=1, help="Ray actors, or Slurm jobs.", show_default=False)] = None,
    slurm: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE for submitit, may be repeated: slurm_partition=gpu.")
    ] = None,
    store: Annotated[
        StoreKind | None,
        typer.Option(help="Keep inserted cases whole, or only what differs from the host.", show_default="full"),
    ] = None,
    by: Parser = "grammar",
    quiet: Quiet = False,
) -> None:
    """Make a data set from a recipe; run it again to go on where it stopped.

    In many processes: torchrun --nproc_per_node 4 -m synth.cli cohort RECIPE --out DIR

    Example: synthct cohort configs/cohort/lung_nodules.yaml --out nodules --dry-run
    """
    from synth.cohort import command

    launch = command.Launch(engine, workers, key_values(slurm or [], "--slurm"))
    command.read_prompts(recipe, by, launch)
    if dry_run or list_cases:
        raise typer.Exit(command.show(recipe, out, listed=list_cases))
    raise typer.Exit(command.cohort(recipe, out, launch, only=only, retry=retry, quiet=quiet, store=store))


@app.command()
def verify(
    cohort: Annotated[Path, typer.Argument(help="Folder of a finished cohort.", show_default=False)],
    quick: Annotated[bool, typer.Option("--quick", help="Files, hashes and tables; no volume is measured.")] = False,
    hosts: Annotated[
        Path | None, typer.Option(help="Folder of the hosts, for cases kept as deltas.", show_default=False)
    ] = None,
) -> None:
    """Prove a cohort whole; exit 1 and name every file, table, split, grid or report that is not right.

    Example: synthct verify nodules
    """
    from synth.cohort import command

    raise typer.Exit(command.verify(cohort, quick=quick, hosts=hosts))


@app.command()
def materialize(
    cohort: Annotated[Path, typer.Argument(help="Folder of a finished cohort with deltas.", show_default=False)],
    hosts: Annotated[Path, typer.Option(help="Folder below which the hosts are; names do not matter.")],
    out: Annotated[Path, typer.Option(help="Folder for the same cohort with whole cases.")],
    quiet: Quiet = False,
) -> None:
    """Restore the volumes of a cohort made with --store delta, bit by bit, and print its folder.

    Example: synthct materialize nodules --hosts hosts --out nodules_full
    """
    from synth.cohort import materialize as whole_cases

    with progress_bars(quiet) as progress:
        typer.echo(whole_cases.materialize(cohort, hosts, out, progress))


@app.command()
def export(
    cohort: Annotated[Path, typer.Argument(help="Folder of a finished cohort.", show_default=False)],
    to: Annotated[Layout, typer.Option(help="Which layout.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for it; for nnunet the folder of data sets (nnUNet_raw).")],
    labels: Annotated[
        Labels | None,
        typer.Option(help="What label maps of nnunet, decathlon and boxes of coco hold.", show_default="lesions"),
    ] = None,
    dataset_id: Annotated[
        int | None, typer.Option(min=1, max=999, help="Number of the data set, for nnunet.", show_default="1")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write a cohort in a layout that other tools read, and print its folder.

    Example: synthct export nodules --to nnunet --out nnUNet_raw --dataset-id 101
    """
    from synth.export.write import write_export

    with progress_bars(quiet) as progress:
        folder = write_export(cohort, to, out, labels, dataset_id, progress)
    typer.echo(folder)
