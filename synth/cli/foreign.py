"""Commands for what other generators made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synth.cli.app import app, progress_bars
from synth.cli.options import OrganIds, Quiet, ReportStyle, StyleOption, TrustLabels


@app.command()
def adopt(
    volume: Annotated[
        Path, typer.Argument(help="The CT: .nii.gz, .npy or a DICOM series' folder.", show_default=False)
    ],
    spacing: Annotated[
        str | None,
        typer.Option(help="mm along its axes, where its file does not say: 0.75,0.75,3.", show_default=False),
    ] = None,
    axes: Annotated[
        str | None,
        typer.Option(help="Sides that its axes run to, where its file does not say: LPS.", show_default=False),
    ] = None,
    hu: Annotated[
        str | None,
        typer.Option(
            help="HU that the ends of its numbers stand for (of 0..1, -1..1, 0..255): -1000,1000; of a CT in HU, where "
            "it is cut off.",
            show_default=False,
        ),
    ] = None,
    values: Annotated[str | None, typer.Option(help="Other ends than these: 0,4095.", show_default=False)] = None,
    organs: Annotated[Path | None, typer.Option(help="Its organ labels.", show_default=False)] = None,
    organ_ids: OrganIds = None,
    lesions: Annotated[Path | None, typer.Option(help="Its lesions, a label map.", show_default=False)] = None,
    lesion_ids: Annotated[
        str | None, typer.Option(help="What they are: 1=lung_nodule,2=liver_metastasis, or a JSON.", show_default=False)
    ] = None,
    prompt: Annotated[str, typer.Option(help="What its generator was asked for, for `evaluate agreement`.")] = "",
    by: Annotated[str | None, typer.Option(help="Its generator, for the manifest.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Folder for the case folder.")] = Path("out"),
    trust_labels: TrustLabels = False,
    style: StyleOption = ReportStyle.structured,
    quiet: Quiet = False,
) -> None:
    """Make a case of a volume that any generator made, with report and checks, and print its folder.

    Example: synthct adopt sample.nii.gz --spacing 0.75,0.75,1.5 --axes LPS --hu -1000,1000 --by GenerateCT
    """
    from synth.case.adopt import Adoption
    from synth.case.adopt import adopt as adopted
    from synth.volumes import foreign, nifti

    what = Adoption(
        volume,
        foreign.parse_told(spacing, axes, hu, values),
        organs=organs,
        organ_ids=None if organ_ids is None else nifti.parse_organ_ids(organ_ids),
        lesions=lesions,
        lesion_ids=None if lesion_ids is None else nifti.parse_organ_ids(lesion_ids, "--lesion-ids"),
        prompt=prompt,
        by=by,
        trust_labels=trust_labels,
        style=style.value,
    )
    with progress_bars(quiet) as progress:
        typer.echo(adopted(what, out, progress))
