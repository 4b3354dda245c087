"""Commands that scan a CT again, or take films of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.app import app, progress_bars
from synth.cli.options import OrganIds, Quiet, Seed
from synth.options import finite

if TYPE_CHECKING:
    pass


@app.command()
def scan(
    paths: Annotated[
        list[Path], typer.Argument(metavar="CASE|CT", help="Case folders, or CT: .nii.gz or a DICOM series' folder.")
    ],
    dose: Annotated[float | None, typer.Option(callback=finite, help="Share of the exposure, above 0, to 1.")] = None,
    modulation: Annotated[bool, typer.Option("--modulation", help="Tube current by direction.")] = False,
    beam: Annotated[str | None, typer.Option(help="parallel, or fan.", show_default="parallel")] = None,
    fan_detector: Annotated[
        str | None, typer.Option("--detector", help="Of a fan: curved or flat.", show_default="curved")
    ] = None,
    source_mm: Annotated[
        float | None, typer.Option(callback=finite, help="Of a fan: source to isocentre.", show_default="570")
    ] = None,
    bowtie: Annotated[str | None, typer.Option(help="Filter that the noise knows: head or body.")] = None,
    views: Annotated[int | None, typer.Option(help="Directions of rays out of 720, of a fan 984.")] = None,
    angle: Annotated[
        float | None, typer.Option(callback=finite, help="Arc of the directions, degrees out of 180, of a fan 360.")
    ] = None,
    sirt: Annotated[int | None, typer.Option(help="Reconstruct missing views in so many steps of SIRT.")] = None,
    kernel: Annotated[str | None, typer.Option(help="soft, standard or sharp.")] = None,
    slice_mm: Annotated[
        float | None, typer.Option(callback=finite, help="Thickness of slices, which overlap: the grid stays.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Of a slice: box, triangle or bell.")] = None,
    metal: Annotated[str | None, typer.Option(help="hip, dental, spine, devices (a case's own) or none.")] = None,
    beam_hardening: Annotated[bool, typer.Option("--beam-hardening", help="Bone hardens the beam.")] = False,
    organs: Annotated[Path | None, typer.Option(help="Organ labels of a CT.", show_default=False)] = None,
    organ_ids: OrganIds = None,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder for the pairs' folders.")] = Path("scans"),
    quiet: Quiet = False,
) -> None:
    """Scan a CT again with less: the clean and the degraded volume on one grid, masks and report as they were.

    Example: synthct scan out/case_00000 --dose 0.25 --out scans
    """
    from synth.cli import scans as command

    options = {
        **{"beam": beam, "detector": fan_detector, "source_mm": source_mm, "bowtie": bowtie},
        **{"dose": dose, "modulation": modulation, "views": views, "angle_deg": angle, "sirt_steps": sirt},
        **{"kernel": kernel, "slice_mm": slice_mm, "profile": profile, "metal": metal},
        "beam_hardening": beam_hardening,
    }
    with progress_bars(quiet) as progress:
        folders = command.scan(
            paths, options, organs=organs, organ_ids=organ_ids, seed=seed, out=out, progress=progress
        )
    for folder in folders:
        typer.echo(folder)


@app.command()
def xray(
    paths: Annotated[
        list[Path], typer.Argument(metavar="CASE|CT", help="Case folders, or CT: .nii.gz or a DICOM series' folder.")
    ],
    view: Annotated[
        list[str] | None,
        typer.Option(help="ap, pa, lateral, or degrees to the left,head: 30,-10. Repeat.", show_default="pa"),
    ] = None,
    detector: Annotated[int, typer.Option(help="Pixels along a side of the film.")] = 512,
    field_mm: Annotated[float | None, typer.Option(help="Side of the film in mm.", show_default="all of it")] = None,
    centre: Annotated[str | None, typer.Option(help="x,y,z in mm to aim at.", show_default="the body's middle")] = None,
    organs: Annotated[Path | None, typer.Option(help="Organ labels of a CT.", show_default=False)] = None,
    organ_ids: OrganIds = None,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder for the radiographs' folders.")] = Path("xrays"),
    quiet: Quiet = False,
) -> None:
    """Take radiographs of a CT, with a mask and path length for each structure and lesion; needs synthct\\[xray].

    Example: synthct xray out/case_00000 --view pa --view lateral --out xrays
    """
    from synth.xray import command

    with progress_bars(quiet) as progress:
        folders = command.xray(
            paths,
            view or ["pa"],
            detector=detector,
            field_mm=field_mm,
            centre=centre,
            organs=organs,
            organ_ids=organ_ids,
            seed=seed,
            out=out,
            progress=progress,
        )
    for folder in folders:
        typer.echo(folder)
