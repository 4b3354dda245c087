"""Commands for what other generators made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.cli.app import app, progress_bars
from synth.cli.options import Masks, OrganIds, Quiet, ReportStyle, StyleOption, TrustLabels
from synth.errors import InputError

if TYPE_CHECKING:
    from prompts import Reading

weights = typer.Typer(help="Other people's weights.", no_args_is_help=True)


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


@weights.command("import")
def import_weights(
    folder: Annotated[Path, typer.Argument(help="Folder of the released files.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Folder for safetensors and peer.json.", show_default=False)],
    licence: Annotated[
        str | None, typer.Option(help="What they are under, where no LICENSE lies beside them.", show_default=False)
    ] = None,
) -> None:
    """Write weights of NVIDIA's MAISI as safetensors, with hashes of their sources and their licence.

    Example: synthct weights import NV-Generate-CT maisi --licence "NVIDIA Open Model License"
    """
    from synth.peers.importing import import_weights as imported

    typer.echo(imported(folder, out, licence))


def with_peer(
    reading: Reading,
    model: Path,
    *,
    count: int,
    seed: int,
    start: int,
    out: Path,
    style: ReportStyle,
    quiet: bool,
    size: str | None,
    spacing: float | None,
    slice_mm: float | None,
    steps: int | None,
    masks: Masks | None,
    mask_steps: int | None,
    slow: bool,
    organs: Path | None,
    organ_ids: Mapping[int, str] | None,
) -> list[Path]:
    """The folders of the cases that `generate --model` makes."""
    from synth.peers import path

    with progress_bars(quiet) as progress:
        return path.generate(
            reading,
            model,
            count=count,
            seed=seed,
            start=start,
            out=out,
            size=None if size is None else _size(size),
            spacing=spacing,
            slice_mm=slice_mm,
            steps=steps,
            kind=None if masks is None else masks.value,
            mask_steps=mask_steps,
            slow=slow,
            organs=organs,
            organ_ids=organ_ids,
            style=style.value,
            progress=progress,
        )


def _size(text: str) -> tuple[int, int, int]:
    parts = text.replace("x", ",").split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise InputError(f"--size {text[:40]}: is not three numbers of voxels; write 512,512,128")
    x, y, z = (int(part) for part in parts)
    return x, y, z
