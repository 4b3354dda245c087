"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synth.options import MOST_CASES, MOST_SEED, finite

if TYPE_CHECKING:
    pass


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


class Masks(StrEnum):
    """Whence the organs are that other people's weights draw."""

    organs = "organs"
    ours = "ours"
    drawn = "drawn"
    none = "none"


ModelFolder = Annotated[
    Path | None,
    typer.Option("--model", help="Folder of other people's weights (MAISI) that draw the CT.", show_default=False),
]


SizeOption = Annotated[
    str | None, typer.Option(help="Voxels with --model, multiples of 32: 512,512,128.", show_default=False)
]


StepsOption = Annotated[
    int | None, typer.Option(min=1, max=1000, help="Steps with --model; as released when left out.", show_default=False)
]


MasksOption = Annotated[
    Masks | None,
    typer.Option(
        help="Organs with --model: those of --organs, ours as we draw them, drawn by its mask model, or none.",
        show_default=False,
    ),
]


MaskStepsOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=1000, help="Steps of the mask model (--masks drawn); as released when left out.", show_default=False
    ),
]


SlowOption = Annotated[bool, typer.Option("--slow", help="Run the mask model (--masks drawn) on a CPU, for hours.")]


OrganIds = Annotated[
    str | None,
    typer.Option(
        help="Names of the label ids where they are not TotalSegmentator's: 3=liver,7=kidney_left, a JSON, or maisi."
    ),
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


class ReportStyle(StrEnum):
    """How a report is set: under the headings of organ systems, or in paragraphs."""

    structured = "structured"
    narrative = "narrative"


StyleOption = Annotated[ReportStyle, typer.Option("--style", help="Report under headings, or in paragraphs.")]


class SourceLayout(StrEnum):
    """Archives that `prepare` reads as they lie on disk."""

    cases = "cases"
    openkbp = "openkbp"
    ct_rate = "ct_rate"


class Network(StrEnum):
    """What is trained: shape, the networks that draw on it, and what draws a tumour's inside."""

    shape = "shape"
    base = "base"
    refine = "refine"
    lesion = "lesion"


class DoorName(StrEnum):
    """The commands that draw."""

    insert = "insert"
    generate = "generate"
