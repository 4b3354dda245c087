"""The command `synthct`. Every verb is a few lines here; what it does is imported when it is asked for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synth import __version__, failure
from synth.cohort import Store
from synth.cohort.processes import Engine
from synth.errors import InputError
from synth.export import Labels, Layout
from synth.options import MOST_CASES, MOST_SEED, finite
from synth.scanner.settings import MAX_SLICE_MM

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

Prompt = Annotated[str, typer.Argument(help="What to make, in words.", show_default=False)]
Parser = Annotated[
    str, typer.Option("--parser", help="Who reads: grammar, llm:FOLDER or llm:http://localhost:PORT/v1#MODEL.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse words that are not understood or cannot be drawn.")]
Seed = Annotated[
    int,
    typer.Option(min=0, max=MOST_SEED, help="All randomness follows from it; the same seed gives the same files."),
]
Spacing = Annotated[
    float | None,
    typer.Option(
        min=0.5,
        max=16,
        callback=finite,
        help="Voxel spacing in mm along all axes: 8, 4, 2 or 1.",
        show_default="2 for chest and abdomen, 4 for the head and neck",
    ),
]
Start = Annotated[
    int, typer.Option(min=0, max=MOST_CASES, help="Number of the first case; case 3 of 8 alone is --start 3 -n 1.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
Cases = Annotated[list[Path], typer.Argument(help="Case folders.", show_default=False)]
WeightsFolder = Annotated[
    Path | None,
    typer.Option("--weights", help="Folder of weights of your own; else $SYNTHCT_WEIGHTS, else those that ship."),
]
OrganIds = Annotated[
    str | None,
    typer.Option(help="Names of the label ids where they are not TotalSegmentator's: 3=liver,7=kidney_left or a JSON."),
]
TrustLabels = Annotated[
    bool, typer.Option("--trust-labels", help="Go on where labels do not look like those of their CT.")
]


TwinOption = Annotated[bool, typer.Option("--twin", help="Also write the same CT without the lesions.")]
FollowUpOption = Annotated[
    str | None, typer.Option(help="Also write the same lesions so much later: 90d or 13w.", show_default=False)
]
GrowthOption = Annotated[
    float | None, typer.Option(callback=finite, help="Factor of every long axis at follow-up.", show_default=False)
]
ChangeOption = Annotated[
    list[str] | None,
    typer.Option(help="Also write the same lesions with one attribute changed: density=hyperdense."),
]


class SourceLayout(StrEnum):
    """Archives that `prepare` reads as they lie on disk."""

    cases = "cases"
    openkbp = "openkbp"
    ct_rate = "ct_rate"


class Network(StrEnum):
    """What is trained: shape, the networks that draw on it, the torso, and what draws a tumour's inside."""

    shape = "shape"
    base = "base"
    refine = "refine"
    torso = "torso"
    lesion = "lesion"


class DoorName(StrEnum):
    """The commands that draw."""

    insert = "insert"
    generate = "generate"


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
    weights: WeightsFolder = None,
    strict: Strict = False,
    by: Parser = "grammar",
    quiet: Quiet = False,
) -> None:
    """Make cases from a prompt, or from a report, and print their folders.

    Example: synthct generate "CT of the chest with an 18 mm spiculated nodule in the right upper lobe" -n 4 --seed 1
    """
    from synth import pipeline
    from synth.lesions.sibling import siblings_asked
    from synth.volumes import nifti

    if organ_ids is not None and organs is None:
        raise InputError(f"--organ-ids {organ_ids}: names the ids of a label map; give the map too, with --organs")
    table = None if organ_ids is None else nifti.parse_organ_ids(organ_ids)
    siblings = siblings_asked(twin=twin, follow_up=follow_up, growth=growth, change=change or ())
    with _progress(quiet) as progress:
        folders = pipeline.generate(
            _asked(prompt, "generate", strict, by, weights),
            count=count,
            seed=seed,
            spacing=spacing,
            out=out,
            start=start,
            siblings=siblings,
            organs=organs,
            organ_ids=table,
            slice_mm=slice_mm,
            weights=weights,
            progress=progress,
        )
    _tell(prompt, "generate", weights)
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
    strict: Strict = False,
    by: Parser = "grammar",
    quiet: Quiet = False,
) -> None:
    """Put the lesions that a prompt asks for into your own CT and print the case folder.

    Example: synthct insert chest.nii.gz --organs labels.nii.gz "18 mm spiculated solid nodule in the right upper lobe"
    """
    from synth import pipeline
    from synth.lesions.sibling import siblings_asked
    from synth.volumes import nifti

    table = None if organ_ids is None else nifti.parse_organ_ids(organ_ids)
    siblings = siblings_asked(twin=twin, follow_up=follow_up, growth=growth, change=change or ())
    with _progress(quiet) as progress:
        folders = pipeline.insert_with_siblings(
            host,
            organs,
            _asked(prompt, "insert", strict, by),
            siblings,
            seed=seed,
            out=out,
            organ_ids=table,
            lesion_weights=lesion_weights,
            trust_labels=trust_labels,
            progress=progress,
        )
    _tell(prompt, "insert")
    for folder in folders:
        typer.echo(folder)


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
        Store | None,
        typer.Option(help="Keep inserted cases whole, or only what differs from the host.", show_default="full"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Make a data set from a recipe; run it again to go on where it stopped.

    In many processes: torchrun --nproc_per_node 4 -m synth.cli cohort RECIPE --out DIR

    Example: synthct cohort configs/cohort/lung_nodules.yaml --out nodules --dry-run
    """
    from synth.cohort import command

    if dry_run or list_cases:
        raise typer.Exit(command.show(recipe, out, listed=list_cases))
    launch = command.Launch(engine, workers, _overrides(slurm or [], "--slurm"))
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

    with _progress(quiet) as progress:
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

    with _progress(quiet) as progress:
        folder = write_export(cohort, to, out, labels, dataset_id, progress)
    typer.echo(folder)


@app.command()
def scan(
    paths: Annotated[
        list[Path], typer.Argument(metavar="CASE|CT", help="Case folders, or CT: .nii.gz or a DICOM series' folder.")
    ],
    dose: Annotated[float | None, typer.Option(callback=finite, help="Share of the exposure, above 0, to 1.")] = None,
    modulation: Annotated[bool, typer.Option("--modulation", help="Tube current by direction.")] = False,
    views: Annotated[int | None, typer.Option(help="Directions of rays out of 720.")] = None,
    angle: Annotated[
        float | None, typer.Option(callback=finite, help="Arc of the directions, degrees out of 180.")
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
        **{"dose": dose, "modulation": modulation, "views": views, "angle_deg": angle, "sirt_steps": sirt},
        **{"kernel": kernel, "slice_mm": slice_mm, "profile": profile, "metal": metal},
        "beam_hardening": beam_hardening,
    }
    with _progress(quiet) as progress:
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

    with _progress(quiet) as progress:
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
def info(
    organs: Annotated[bool, typer.Option("--organs", help="List id and name of every structure instead.")] = False,
) -> None:
    """Versions, embedded weights, and what can be asked for.

    Example: synthct info --organs
    """
    from synth.cli import installation

    for line in installation.structure_lines() if organs else installation.lines():
        typer.echo(line)


@app.command()
def prepare(
    layout: Annotated[
        SourceLayout | None, typer.Option(help="How the patients in --from lie there.", show_default=False)
    ] = None,
    source: Annotated[Path | None, typer.Option("--from", help="Folder of the patients.", show_default=False)] = None,
    region: Annotated[
        str, typer.Option(help="What they show: head_neck, torso, or the YAML of a region of your own.")
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
    with _progress(quiet) as progress:
        counts = prepare_all(found, layout.value if layout else "", of, out, workers, progress, others)
    for part, count in counts.items():
        typer.echo(f"{part}: {count}")


@app.command()
def train(
    network: Annotated[Network, typer.Argument(help="Which network.", show_default=False)],
    config: Annotated[Path, typer.Option(help="YAML with the differences from the defaults.", show_default=False)],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", show_default=False)] = None,
) -> None:
    """Train: shape, then base and refine on it; torso or lesion by itself. Run one again to go on where it stopped.

    Example: synthct train base --config configs/train/base.yaml steps=1000 out=runs/base
    """
    given = _overrides(overrides or [])
    if network is Network.shape:
        from synth.training.shape import fit_shape, load_shape_config

        typer.echo(fit_shape(load_shape_config(config, given)))
        return
    if network is Network.torso:
        from synth.training.torso import fit_torso, load_torso_config

        typer.echo(fit_torso(load_torso_config(config, given)))
        return
    from synth.training import main as trainer

    typer.echo(trainer.train(network.value, config, given))


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

    typer.echo(order.plan_json(_asked(prompt, "generate", strict, by, weights), seed, spacing, index, weights))
    _tell(prompt, "generate", weights)


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

    content, *_ = case_folder.read_case(case)
    lines = text_of(case / case_folder.REPORT_TEXT).splitlines()
    target = out or Path(f"{case.resolve().name}_preview.png")
    write_whole(target, render(content, lines))
    typer.echo(target)


def _add_evaluate() -> None:
    """`synthct evaluate`; its commands are light, what they run is imported when it is asked for."""
    from evals.command import app as evaluate

    app.add_typer(evaluate, name="evaluate")


_add_evaluate()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code. Input that cannot be used is one line on stderr and exit code 2."""
    _print_notes()
    return failure.ended(_run, "synthct", arguments)


def _run(arguments: list[str]) -> Any:
    """The exit code of the command, or nothing."""
    code = app(args=arguments, standalone_mode=False, prog_name="synthct")
    if code == failure.EXIT_INTERRUPTED:  # what typer makes of an interrupt inside a command
        raise KeyboardInterrupt
    return code


def _asked(prompt: str, door: str, strict: bool, by: str, weights: Path | None = None) -> str:
    """The prompt, read by whom it shall be; with `strict`, refused where a word of it is ignored or not drawn."""
    from synth.case import doors

    if strict or by != doors.GRAMMAR:
        doors.ask(prompt, door, strict=strict, by=by, weights=weights)
    return prompt


def _tell(prompt: str, door: str, weights: Path | None = None) -> None:
    """Say on stderr what a prompt was read as, once its cases are there: an error is one line and nothing else."""
    from synth.case import doors

    print(f"synthct: {doors.ask(prompt, door, weights=weights).line()}", file=sys.stderr)


def _progress(quiet: bool) -> Progress:
    from synth.progress import Progress

    return Progress(quiet)


def _what_does_not_hold(folder: Path) -> list[str]:
    """Sentences of the report that the volume contradicts, and files that changed since the case was written."""
    from synth.case import folder as case_folder
    from synth.case.sibling_plans import prior_of
    from synth.report import Report
    from synth.report import check as check_report

    case, plan, report, manifest = case_folder.read_case(folder)
    altered = case_folder.altered_files(folder, manifest)
    return [
        *check_report(case, case_folder.valid(Report, report, folder / case_folder.REPORT), prior_of(folder, plan)),
        *(f"{name} changed since the case was written (its sha256 differs from manifest.json)" for name in altered),
    ]


def _overrides(pairs: Sequence[str], option: str = "train") -> dict[str, Any]:
    """KEY=VALUE with YAML values."""
    from synth.settings import key_values

    return key_values(pairs, option)


class _NoteHandler(logging.Handler):
    """Notes on stderr, found anew each time because a progress bar replaces it while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"synthct: note: {record.getMessage()}", file=sys.stderr)


def _print_notes() -> None:
    for name in ("synth", "evals"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _NoteHandler) for handler in logger.handlers):
            logger.addHandler(_NoteHandler(logging.WARNING))
            logger.propagate = False


if __name__ == "__main__":
    sys.exit(main())
