"""`synthct evaluate`: is it like real CT, is it new, does it obey, does it help? Light: what runs is imported late."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.options import MOST_SEED, finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evals.result import Result, ResultPicture
    from evals.sets import Options

app = typer.Typer(
    help="Measure synthetic CT: fidelity, memorization, agreement with the prompt, use for training.",
    no_args_is_help=True,
)

Synthetic = Annotated[Path, typer.Option(help="Folder of synthetic volumes or case folders.", show_default=False)]
Out = Annotated[Path, typer.Option(help="Folder for the result: .json, .txt and .html.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
Protocol = Annotated[str, typer.Option(help="How volumes become slices: windows or maisi25d.")]
Network = Annotated[str, typer.Option(help="Feature network: efficientnet-lite0, or a TorchScript file by path.")]
Trust = Annotated[bool, typer.Option("--trust", help="Run a TorchScript --network: it is a program.")]
Spacing = Annotated[
    float | None,
    typer.Option(
        min=0.2,
        max=16,
        callback=finite,
        help="Resample all volumes to this, in mm.",
        show_default="as found, one for all",
    ),
]
Slices = Annotated[int, typer.Option(min=1, max=512, help="Slices a plane and volume (protocol windows).")]
Resamples = Annotated[int, typer.Option(min=20, max=10000, help="Bootstrap samples.")]
Seed = Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Of bootstrap, splits and pairs.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out volumes that cannot be used, naming them.")]
OrganIds = Annotated[
    str | None, typer.Option(help="Names of label ids that are not TotalSegmentator's: 1=brainstem,2=spinal_cord.")
]
Cache = Annotated[
    Path | None, typer.Option(help="Folder for features.", show_default="$SYNTHCT_CACHE or ~/.cache/synthct")
]


@app.command()
def fidelity(
    real: Annotated[Path, typer.Option(help="Folder of real volumes.", show_default=False)],
    synthetic: Synthetic,
    out: Out = Path("evaluation"),
    metrics: Annotated[
        str, typer.Option(help="Some metrics only, as fid,kid.", show_default="all of fidelity and diversity")
    ] = "",
    protocol: Protocol = "windows",
    network: Network = "efficientnet-lite0",
    trust: Trust = False,
    spacing: Spacing = None,
    slices: Slices = 10,
    resamples: Resamples = 100,
    seed: Seed = 0,
    organ_ids: OrganIds = None,
    cache: Cache = None,
    skip_bad: SkipBad = False,
    quiet: Quiet = False,
) -> None:
    """Is it like real CT, and as varied? FID, KID, MMD, HU, noise, organs; each beside real against real.

    Example: synthct evaluate fidelity --real hospital --synthetic out --spacing 4
    """
    from evals.fidelity import evaluate
    from synth.progress import Progress

    options = _options(protocol, network, trust, spacing, slices, resamples, seed, organ_ids, cache, skip_bad)
    with Progress(quiet) as progress:
        result, pictures = evaluate(real, synthetic, [m for m in metrics.split(",") if m], options, progress)
    _give(result, pictures, out)


@app.command()
def memorization(
    train: Annotated[Path, typer.Option(help="The volumes that the generator was trained on.", show_default=False)],
    synthetic: Synthetic,
    held_out: Annotated[Path, typer.Option(help="Real volumes that it never saw.", show_default=False)],
    out: Out = Path("evaluation"),
    protocol: Protocol = "windows",
    network: Network = "efficientnet-lite0",
    trust: Trust = False,
    spacing: Spacing = None,
    slices: Slices = 10,
    seed: Seed = 0,
    cache: Cache = None,
    skip_bad: SkipBad = False,
    quiet: Quiet = False,
) -> None:
    """Is it new? Nearest training patients, against the same for held-out real patients.

    Example: synthct evaluate memorization --train runs/data/patients/train --synthetic out --held-out
    runs/data/patients/val
    """
    from evals.memorization import evaluate
    from synth.progress import Progress

    options = _options(protocol, network, trust, spacing, slices, 100, seed, None, cache, skip_bad)
    with Progress(quiet) as progress:
        result, pictures = evaluate(train, synthetic, held_out, options, progress)
    _give(result, pictures, out)


@app.command()
def agreement(
    cases: Annotated[Path, typer.Option(help="Folder of case folders.", show_default=False)],
    out: Out = Path("evaluation"),
    skip_bad: SkipBad = False,
    quiet: Quiet = False,
) -> None:
    """Does it obey? Prompt against plan, masks, CT and report, each read by itself.

    Example: synthct evaluate agreement --cases out
    """
    from evals.agreement import evaluate
    from synth.progress import Progress

    with Progress(quiet) as progress:
        result, pictures = evaluate(cases, progress, skip_bad)
    _give(result, pictures, out)


@app.command()
def utility(
    config: Annotated[Path, typer.Argument(help="YAML with the differences from the defaults.", show_default=False)],
    out: Out = Path("evaluation"),
    quiet: Quiet = False,
) -> None:
    """Does it help? Segmenters trained with and without synthetic volumes, tested on real patients.

    Draws the cases and prepares the patients that the study names, says how long it will take, and goes on where it
    stopped when it is run again. Run it in several processes at once to share the work, one thread or GPU each.

    Example: synthct evaluate utility configs/evals/utility_headneck.yaml
    """
    from evals.utility.config import load
    from evals.utility.study import evaluate
    from synth.progress import Progress

    with Progress(quiet) as progress:
        result, pictures = evaluate(load(config), progress, _say)
    _give(result, pictures, out)


@app.command()
def embedded(
    config: Annotated[Path, typer.Argument(help="YAML with the differences from the defaults.", show_default=False)],
    out: Out = Path("evaluation"),
    cache: Cache = None,
    quiet: Quiet = False,
) -> None:
    """How good are the weights in use? Draws cases, then fidelity, memorization and agreement, with a summary.

    Run it again to go on where it stopped, or in several processes at once to share the drawing.

    Example: synthct evaluate embedded configs/evals/embedded.yaml --out docs/studies/embedded
    """
    from evals.cache import default_folder
    from evals.embedded import evaluate, load
    from synth.progress import Progress

    with Progress(quiet) as progress:
        paths = evaluate(load(config), out, cache or default_folder(), progress, _say)
    for path in paths:
        typer.echo(path)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="The .json of one evaluation.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="The .json of another.", show_default=False)],
) -> None:
    """Put two evaluations side by side; refused unless both were made in the same way.

    Example: synthct evaluate compare before/fidelity.json after/fidelity.json
    """
    from evals.result import Result, read, text
    from evals.result import compare as side_by_side

    table = side_by_side(read(first), read(second))
    typer.echo(text(Result(kind="compare", title=f"{first} and {second}", tables=[table])), nl=False)


def _options(
    protocol: str,
    network: str,
    trust: bool,
    spacing: float | None,
    slices: int,
    resamples: int,
    seed: int,
    organ_ids: str | None,
    cache: Path | None,
    skip_bad: bool,
) -> Options:
    from evals.cache import default_folder
    from evals.sets import Options
    from synth.volumes import nifti

    return Options(
        protocol=protocol,
        network=network,
        trust=trust,
        spacing=spacing,
        slices=slices,
        resamples=resamples,
        seed=seed,
        skip_bad=skip_bad,
        organ_ids=None if organ_ids is None else nifti.parse_organ_ids(organ_ids),
        cache=cache or default_folder(),
    )


def _say(line: str) -> None:
    print(f"synthct: note: {line}", file=sys.stderr, flush=True)


def _give(result: Result, pictures: Sequence[ResultPicture], out: Path) -> None:
    """Print the tables and the files that hold them."""
    from evals.result import text, write

    paths = write(result, pictures, out)
    typer.echo(text(result))
    for path in paths:
        typer.echo(path)
