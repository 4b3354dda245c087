"""Commands that train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.app import app, progress_bars
from synth.cli.options import Network, OrganIds, Quiet, SourceLayout, TrustLabels
from synth.errors import InputError
from synth.settings import key_values

if TYPE_CHECKING:
    pass


@app.command()
def prepare(
    layout: Annotated[
        SourceLayout | None, typer.Option(help="How the patients in --from lie there.", show_default=False)
    ] = None,
    source: Annotated[Path | None, typer.Option("--from", help="Folder of the patients.", show_default=False)] = None,
    region: Annotated[
        str, typer.Option(help="What they show: a region that ships, or the YAML of your own.")
    ] = "head_neck",
    out: Annotated[Path, typer.Option(help="Folder for the training set.")] = Path("runs/data"),
    organ_ids: OrganIds = None,
    trust_labels: TrustLabels = False,
    table: Annotated[
        Path | None,
        typer.Option(help="cases: CSV of case, report, sex, age, labels.", show_default="table.csv in --from"),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="ct_rate: TotalSegmentator's masks, by volume.", show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that prepare patients.")] = 1,
    native: Annotated[
        list[Path] | None, typer.Option(help="Folder of CASE/ct.nii.gz, to learn detail from; may be repeated.")
    ] = None,
    lesions: Annotated[
        Path | None,
        typer.Option(help="Folder of CASE/{ct,labels}.nii.gz that outline a tumour: learn its inside."),
    ] = None,
    lesion_id: Annotated[int, typer.Option(min=1, max=255, help="The tumour's id in these labels.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Make the training set of the networks from real CT and print how many patients are in it.

    cases: a folder a patient, with ct.nii.gz, or ct/ with its DICOM series; organs.nii.gz, targets.nii.gz in Gy and
    report.txt if there are; table.csv beside them. openkbp: index.csv, train/ and val/. ct_rate: its volumes
    and tables.

    Patients are placed and measured by --workers processes, a run that was killed goes on by name, and what cannot be
    used is left out and named in OUT/left_out.csv.

    Example: synthct prepare --layout ct_rate --from CT-RATE --region chest.yaml --workers 16 --out runs/chest/data
    """
    from synth.data.prepare import Others, list_scans
    from synth.data.prepare import prepare as prepare_all
    from synth.regions.region import named
    from synth.volumes import nifti

    if (layout is None) != (source is None):
        raise InputError("prepare: give --layout and --from together")
    if layout is None and (table or masks or organ_ids):
        raise InputError("prepare: --table, --masks and --organ-ids are of patients; give --layout and --from too")
    of, ids = named(region), None if organ_ids is None else nifti.parse_organ_ids(organ_ids)
    found = None
    if layout is not None and source is not None:
        found = list_scans(layout.value, source, masks, table, ids, trust_labels)
    others = Others(tuple(native or ()), lesions, lesion_id)
    with progress_bars(quiet) as progress:
        counts = prepare_all(found, layout.value if layout else "", of, out, workers, progress, others)
    for part, count in counts.items():
        typer.echo(f"{part}: {count}")


@app.command()
def train(
    network: Annotated[Network, typer.Argument(help="Which network.", show_default=False)],
    config: Annotated[Path, typer.Option(help="YAML with the differences from the defaults.", show_default=False)],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", show_default=False)] = None,
) -> None:
    """Train: shape, then base and refine on it; lesion by itself. Run a network again to go on where it stopped.

    Example: synthct train base --config configs/train/base.yaml steps=1000 out=runs/base
    """
    given = key_values(overrides or [], "train")
    if network is Network.shape:
        from synth.training.scaffold import fit_scaffold
        from synth.training.shape_config import load_shape_config

        typer.echo(fit_scaffold(load_shape_config(config, given)))
        return
    from synth.training import main as trainer

    typer.echo(trainer.train(network.value, config, given))
