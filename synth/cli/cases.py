"""Commands that make, read and look at cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth import failure
from synth.cli.app import app, progress_bars, tell
from synth.cli.foreign import with_peer
from synth.cli.options import (
    Cases,
    ChangeOption,
    DoorName,
    FollowUpOption,
    GrowthOption,
    MasksOption,
    MaskStepsOption,
    ModelFolder,
    OrganIds,
    Parser,
    Prompt,
    Quiet,
    ReportStyle,
    Seed,
    SizeOption,
    SlowOption,
    Spacing,
    Start,
    StepsOption,
    Strict,
    StyleOption,
    TrustLabels,
    TwinOption,
    WeightsFolder,
)
from synth.errors import InputError
from synth.options import MOST_CASES, finite
from synth.scanner.settings import MAX_SLICE_MM

if TYPE_CHECKING:
    pass


@app.command()
def generate(
    prompt: Prompt,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=MOST_CASES, help="How many cases.")] = 1,
    seed: Seed = 0,
    spacing: Spacing = None,
    out: Annotated[Path, typer.Option(help="Folder for the case folders.")] = Path("out"),
    start: Start = 0,
    twin: TwinOption = False,
    follow_up: FollowUpOption = None,
    growth: GrowthOption = None,
    change: ChangeOption = None,
    organs: Annotated[
        Path | None, typer.Option(help="A label map, complete or partial: its organs are drawn.", show_default=False)
    ] = None,
    organ_ids: OrganIds = None,
    slice_mm: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=MAX_SLICE_MM,
            callback=finite,
            help="Thickness and distance of the slices in mm, --spacing or more; as it when left out.",
            show_default=False,
        ),
    ] = None,
    style: StyleOption = ReportStyle.structured,
    weights: WeightsFolder = None,
    model: ModelFolder = None,
    size: SizeOption = None,
    steps: StepsOption = None,
    masks: MasksOption = None,
    mask_steps: MaskStepsOption = None,
    slow: SlowOption = False,
    strict: Strict = False,
    by: Parser = "grammar",
    quiet: Quiet = False,
) -> None:
    """Make cases from a prompt, or from a report, and print their folders.

    Example: synthct generate "CT of the chest with an 18 mm spiculated nodule in the right upper lobe" -n 4 --seed 1
    """
    from synth import pipeline
    from synth.case.doors import ask
    from synth.lesions.sibling import siblings_asked
    from synth.volumes import nifti

    if organ_ids is not None and organs is None:
        raise InputError(f"--organ-ids {organ_ids}: names the ids of a label map; give the map too, with --organs")
    table = None if organ_ids is None else nifti.parse_organ_ids(organ_ids)
    siblings = siblings_asked(twin=twin, follow_up=follow_up, growth=growth, change=change or ())
    peers = {"size": size, "steps": steps, "masks": masks, "mask_steps": mask_steps, "slow": slow or None}
    if unused := [name for name, value in peers.items() if value is not None and model is None]:
        raise InputError(
            f"--{unused[0].replace('_', '-')}: is for other people's weights; name their folder with --model"
        )
    if model is not None:
        if siblings or weights is not None:
            raise InputError(
                "--model: draws no siblings and takes no --weights; insert into the case that it makes: synthct insert "
                "CASE/ct.nii.gz --organs CASE/organs.nii.gz"
            )
        reading = ask(prompt, "insert", strict=strict, by=by)
        folders = with_peer(
            reading,
            model,
            count=count,
            seed=seed,
            start=start,
            out=out,
            style=style,
            quiet=quiet,
            size=size,
            spacing=spacing,
            slice_mm=slice_mm,
            steps=steps,
            masks=masks,
            mask_steps=mask_steps,
            slow=slow,
            organs=organs,
            organ_ids=table,
        )
        tell(reading)
        for folder in folders:
            typer.echo(folder)
        return
    reading = ask(prompt, "generate", strict=strict, by=by, weights=weights)
    with progress_bars(quiet) as progress:
        folders = pipeline.generate(
            reading,
            count=count,
            seed=seed,
            spacing=spacing,
            out=out,
            start=start,
            siblings=siblings,
            organs=organs,
            organ_ids=table,
            slice_mm=slice_mm,
            style=style.value,
            weights=weights,
            progress=progress,
        )
    tell(reading)
    for folder in folders:
        typer.echo(folder)


@app.command()
def insert(
    host: Annotated[Path, typer.Argument(help="The CT: .nii.gz in HU, or a DICOM series' folder.", show_default=False)],
    prompt: Prompt,
    organs: Annotated[Path, typer.Option(help="Its organ labels, on the same grid.", show_default=False)],
    organ_ids: OrganIds = None,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder for the case folder.")] = Path("out"),
    lesion_weights: Annotated[
        Path | None,
        typer.Option(help="Weights of `synthct train lesion`, to draw the inside too; else $SYNTHCT_WEIGHTS/lesion."),
    ] = None,
    twin: TwinOption = False,
    follow_up: FollowUpOption = None,
    growth: GrowthOption = None,
    change: ChangeOption = None,
    trust_labels: TrustLabels = False,
    style: StyleOption = ReportStyle.structured,
    strict: Strict = False,
    by: Parser = "grammar",
    quiet: Quiet = False,
) -> None:
    """Put the lesions that a prompt asks for into your own CT and print the case folder.

    Example: synthct insert chest.nii.gz --organs labels.nii.gz "18 mm spiculated solid nodule in the right upper lobe"
    """
    from synth import pipeline
    from synth.case.doors import ask
    from synth.lesions.sibling import siblings_asked
    from synth.volumes import nifti

    table = None if organ_ids is None else nifti.parse_organ_ids(organ_ids)
    siblings = siblings_asked(twin=twin, follow_up=follow_up, growth=growth, change=change or ())
    reading = ask(prompt, "insert", strict=strict, by=by)
    with progress_bars(quiet) as progress:
        folders = pipeline.insert_with_siblings(
            host,
            organs,
            reading,
            siblings,
            seed=seed,
            out=out,
            organ_ids=table,
            lesion_weights=lesion_weights,
            trust_labels=trust_labels,
            style=style.value,
            progress=progress,
        )
    tell(reading)
    for folder in folders:
        typer.echo(folder)


@app.command()
def read(
    text: Annotated[str, typer.Argument(metavar="TEXT|FILE|-", help="A prompt, a report, a file, or - for stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="The whole reading as JSON.")] = False,
    at: Annotated[DoorName, typer.Option("--door", help="Whose list of what is drawn.")] = DoorName.insert,
    strict: Strict = False,
    by: Parser = "grammar",
) -> None:
    """Print what a text means, and what of it would be drawn.

    Example: synthct read "CT chest, 2 cm nodule RUL, hiatal hernia" --json
    """
    from synth.cli import reading as reading_command

    typer.echo(reading_command.shown(text, at.value, as_json=as_json, strict=strict, by=by))


@app.command()
def plan(
    prompt: Prompt,
    seed: Seed = 0,
    spacing: Spacing = None,
    index: Annotated[int, typer.Option(min=0, max=MOST_CASES, help="Number of the case, counted from 0.")] = 0,
    strict: Strict = False,
    by: Parser = "grammar",
    weights: WeightsFolder = None,
) -> None:
    """Print the plan that a prompt and seed lead to: the request, with every random choice drawn.

    Example: synthct plan "chest CT of a 60-year-old woman" --seed 1
    """
    from synth.case import order
    from synth.case.doors import ask

    reading = ask(prompt, "generate", strict=strict, by=by, weights=weights)
    typer.echo(order.plan_json(reading, seed, spacing, index, weights))
    tell(reading)


@app.command()
def check(cases: Cases) -> None:
    """Measure finished cases again; exit 1 and name every sentence of a report that does not hold.

    Example: synthct check out/*
    """
    failed = False
    for folder in cases:
        wrong = _what_does_not_hold(folder)
        for line in wrong or ["holds"]:
            typer.echo(f"{folder}: {line}")
        failed = failed or bool(wrong)
    if failed:
        raise typer.Exit(failure.EXIT_FAILED)


@app.command()
def preview(
    case: Annotated[Path, typer.Argument(help="Case folder.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="PNG file.", show_default="CASE_preview.png in this folder")] = None,
) -> None:
    """Draw the preview of a case again, for instance after its masks were edited.

    Example: synthct preview out/case_00000 --out look.png
    """
    from synth.case import folder as case_folder
    from synth.case.preview import render
    from synth.files.content import text_of
    from synth.files.whole import write_whole
    from synth.report import Report

    content, plan, report, _ = case_folder.read_case(case)
    lines = text_of(case / case_folder.REPORT_TEXT).splitlines()
    target = out or Path(f"{case.resolve().name}_preview.png")
    told = case_folder.valid(Report, report, case / case_folder.REPORT).model_dump()
    write_whole(target, render(content, lines, str(plan.get("door")), told))
    typer.echo(target)


def _wrong_plan(file: Path) -> list[str]:
    """What keeps plan.json from being a plan, whatever its hash."""
    from synth.case.plan import read_plan
    from synth.files.content import text_of

    try:
        read_plan(text_of(file))
    except ValueError as error:
        return [f"{file.name}: {' '.join(str(error).split())}"]
    return []


def _what_does_not_hold(folder: Path) -> list[str]:
    """Sentences of the report that the volume contradicts, and files that changed since the case was written."""
    from synth.case import folder as case_folder
    from synth.case.sibling_plans import prior_of
    from synth.files.content import text_of
    from synth.report import Report
    from synth.report import check as check_report
    from synth.report.check import check_text

    case, plan, table, manifest = case_folder.read_case(folder)
    altered = case_folder.altered_files(folder, manifest)
    report = case_folder.valid(Report, table, folder / case_folder.REPORT)
    text = text_of(folder / case_folder.REPORT_TEXT)
    return [
        *_wrong_plan(folder / case_folder.PLAN),
        *check_report(case, report, prior_of(folder, plan)),
        *check_text(report, text, str(plan.get("style", "structured"))),
        *(f"{name} changed since the case was written (its sha256 differs from manifest.json)" for name in altered),
    ]
