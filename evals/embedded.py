"""`synthct evaluate embedded`: draw cases with the weights in use, and say how real, how new and how obedient they are.

One command from nothing to the pages under docs/studies/: real patients are prepared, cases drawn, and `fidelity`,
`memorization` and `agreement` made. Run again, it goes on where it stopped.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from evals import agreement, fidelity, memorization, result, volumes
from evals.result import Result, ResultPicture
from evals.sets import Options
from evals.utility import budget
from evals.utility.config import Drawing
from evals.utility.drawing import CaseDrawer, DrawingCost
from evals.utility.preparing import ensure_prepared
from prompts import sampler, write
from synth.case.weights_folder import Weights
from synth.files.whole import write_whole
from synth.progress import Progress
from synth.settings import read_settings

Found = tuple[Result, list[ResultPicture]]
_FIGURES = ("fid mean", "kid mean", "precision", "recall", "ms_ssim", "ratio_pixel", "nearest_pixel")  # of the summary


class EmbeddedConfig(BaseModel):
    """A study of the weights in use; YAML holds differences from these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    headneck: Path | None = Field(None, description="patients in OpenKBP's layout, prepared where they are not yet")
    real_train: Path = Field(description="what the generator was trained on")
    real_test: Path = Field(description="real patients that it never saw")
    out: Path = Field(Path("runs/embedded"), description="the cases")
    cases: int = Field(100, ge=10, description="as training patients are asked for, for fidelity and novelty")
    asked: int = Field(50, ge=1, description="of prompts drawn from prompts/sets/, for agreement")
    prompt_set: str = "head_neck"
    seed: int = Field(0, ge=0)
    spacing: float = Field(4.0, description="mm; that of the prepared patients")
    weights: Path | None = Field(None, description="folder of weights of your own; else those in use")
    resamples: int = Field(100, ge=20)

    def plain(self) -> Drawing:
        """The cases that are compared with real patients; nothing of those is used to ask for them."""
        return Drawing(seed=self.seed, spacing=self.spacing, weights=self.weights)

    def wordy(self) -> Drawing:
        """The cases that are asked for something."""
        rng = random.Random(self.seed)
        words = tuple(write(sampler.draw(rng, name=self.prompt_set)) for _ in range(self.asked))
        return Drawing(prompts=words, seed=self.seed + 1, spacing=self.spacing, weights=self.weights)


def load(path: Path) -> EmbeddedConfig:
    """Read a YAML; InputError names an unknown key or a value out of range."""
    return read_settings(EmbeddedConfig, path, see="configs/evals/ and evals/embedded.py")


def evaluate(
    config: EmbeddedConfig,
    out: Path,
    cache: Path,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Draw what is not drawn, evaluate, and write the pages and README.md into `out`; returns the files.

    Raises InputError. `say` is told how long what is left will take.
    """
    progress = progress or Progress(quiet=True)
    ensure_prepared(config.headneck, config.real_train, config.real_test, progress)
    for real in (config.real_train, config.real_test):
        volumes.find(real)  # refused before anything is drawn
    drawers = (
        CaseDrawer(config.out / "plain", config.plain(), config.cases),
        CaseDrawer(config.out / "asked", config.wordy(), config.asked),
    )
    plain, asked = (_drawn(drawer, progress, say) for drawer in drawers)
    options = Options(resamples=config.resamples, seed=config.seed, cache=cache)
    folder = config.out / "plain"
    found = [
        _noted(fidelity.evaluate(config.real_test, folder, [], options, progress), plain, config.weights),
        _noted(
            memorization.evaluate(config.real_train, folder, config.real_test, options, progress), plain, config.weights
        ),
        _noted(agreement.evaluate(config.out / "asked", progress), asked, config.weights),
    ]
    paths = [path for one, pictures in found for path in result.write(one, pictures, out)]
    readme = out / "README.md"
    write_whole(readme, summary(config.name, [one for one, _ in found]))
    return [*paths, readme]


def _drawn(drawer: CaseDrawer, progress: Progress, say: Callable[[str], None]) -> DrawingCost:
    def tell() -> None:
        say(f"{drawer.out.name}: {budget.told(len(drawer.left()), 'cases', drawer.cost().seconds_a_case)}")

    tell()
    return drawer.run(progress, tell)


def _noted(found: Found, drawn: DrawingCost, weights: Path | None) -> Found:
    """The result with the weights that drew the cases, and how many draws they took: a strict gate hides bad draws."""
    used = {f"weights_{name}": digest for name, digest in Weights.covering(None, weights).hashes().items()}
    kept = len(drawn.draws) - drawn.refused
    note = f"{kept} cases took {sum(drawn.draws)} draws; {drawn.refused} more were given up after ten draws each."
    one, pictures = found
    return one.model_copy(update={"settings": one.settings | used, "notes": [*one.notes, note]}), pictures


def summary(name: str, results: Sequence[Result]) -> str:
    """README.md of a study: the main figures as a table, the notes, and where the rest is."""
    lines = [f"# {name}", ""]
    for one in results:
        rows = result.figure_table([f for f in one.figures if f.name in _FIGURES or one.kind == "agreement"])
        lines += [f"## {one.title}", "", *_table(rows), ""]
        lines += [f"- {note}" for note in one.notes]
        lines += [
            "",
            f"All of it: [{one.kind}.txt]({one.kind}.txt), with plots: [{one.kind}.html]({one.kind}.html).",
            "",
        ]
    return "\n".join(lines)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """In Markdown, the head first."""
    return [f"| {' | '.join(cells)} |" for cells in (rows[0], ["---"] * len(rows[0]), *rows[1:])]
