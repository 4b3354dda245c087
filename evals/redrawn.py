"""Real patients drawn again from a stage on, all before it being their own; what each stage costs can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from evals import fidelity
from evals.sets import Options
from evals.utility.claims import share
from prompts import parse
from synth.case import library
from synth.case.plan import GeneratePlan, Sampling, draw_generate
from synth.case.weights_folder import Weights
from synth.data.dataset import PreparedPatient, parts_of, pool
from synth.draw.base import compose
from synth.draw.drawn import Drawn
from synth.draw.refine import refine
from synth.draw.scaffold import draw_scaffold
from synth.models import intensity
from synth.models.denoiser import Denoiser
from synth.models.tone import Tone
from synth.regions.frame import BASE_SPACING_MM, FACTOR
from synth.shape.model import MEAN_SPACING_MM
from synth.training.placed import PlacedScaffolds
from synth.training.tasks import with_background
from synth.volumes import nifti
from synth.volumes.types import HU_MAX, HU_MIN, Volume

SPACING_MM = 4.0  # of prepared patients
REAL, FINE, COARSE, SHAPE, MEASURED = "real", "8 mm", "16 mm", "shape", "facts"
STAGES = (REAL, FINE, COARSE, SHAPE, MEASURED)  # what of the patient is kept
METRICS = ("kid", "fid", "gradient", "power_spectrum", "precision", "recall", "coverage", "ms_ssim")
_PROMPT = "CT of the head and neck"
_ONE_STEP = 1.01

Row = dict[str, tuple[float, float | None, float | None]]  # figure, 95% interval


class Redrawer:
    """Draws patients as cases are drawn, without the checks that reject some.

    Args:
        placed: the patients' own deformed mean patients, which the stages but REAL, FINE and MEASURED need.
        sampling: how the networks are sampled; seed: patient `number` has the same noise at every stage and sampling.
        weights: folder of the `refine` to draw with, if it is not the one in use.
    """

    def __init__(
        self, sampling: Sampling, seed: int, placed: PlacedScaffolds | None = None, weights: Path | None = None
    ) -> None:
        self.sampling, self.seed, self.placed, self.weights = sampling, seed, placed, weights
        self.use = Weights.covering(None)

    def draw(self, stage: str, subject: PreparedPatient, number: int) -> Volume:
        """HU on the prepared grid. Grey values are on the weights' curve where all of the CT is drawn."""
        if stage == REAL:
            return Volume(subject.hu, subject.region.frame.affine_at(SPACING_MM))
        plan, tone, base = self._plan(subject, number), self.use.tone, self.use.base(self.sampling.precision)
        if stage == MEASURED:
            assert base is not None and self.use.shape is not None
            drawn = compose(plan, draw_scaffold(plan, self.use.shape), base)
        elif stage == SHAPE:
            assert base is not None
            drawn = compose(plan, self._shape(subject), base)
        else:
            drawn, tone = self._kept(subject, MEAN_SPACING_MM if stage == FINE else BASE_SPACING_MM), Tone({})
        drawn = refine(plan, drawn, self._refine(), SPACING_MM, tone=tone)
        hu = np.rint(intensity.to_hu(drawn.ct[0, 0].numpy())).clip(HU_MIN, HU_MAX).astype(np.int16)
        return Volume(hu, subject.region.frame.affine_at(SPACING_MM))

    def _refine(self) -> Denoiser:
        precision = self.sampling.precision
        return self.use.refine(precision) if self.weights is None else library.load_from(self.weights, precision)

    def _plan(self, subject: PreparedPatient, number: int) -> GeneratePlan:
        plan = draw_generate(
            parse(_PROMPT),
            weights=self.use,
            seed=self.seed,
            index=number,
            attempt=0,
            spacing=SPACING_MM,
            sampling=self.sampling,
        )
        return plan.model_copy(update={"facts": dict(subject.facts)})

    def _shape(self, subject: PreparedPatient) -> torch.Tensor:
        assert self.placed is not None
        return self.placed.parts(subject).whole().float()[None]

    def _kept(self, subject: PreparedPatient, spacing: float) -> Drawn:
        """The patient's own CT and organs at a spacing, averaged as the networks' grids are nested."""
        frame = parts_of(subject).whole().float()
        ct, labels, at = frame[:1] - 1.0, with_background(frame[2:]), MEAN_SPACING_MM
        while at * _ONE_STEP < spacing:
            ct, labels, at = pool(ct), pool(labels), at * FACTOR
        scaffold = self._shape(subject) if spacing > MEAN_SPACING_MM else None
        region = subject.region
        dose = torch.zeros(1, 1, *region.frame.shape)
        return Drawn(region, region.frame, spacing, ct[None], dose, labels[None], scaffold)


def draw_set(redrawer: Redrawer, stage: str, subjects: Sequence[PreparedPatient], folder: Path) -> None:
    """Each patient as a NIfTI file; what is there is kept, and processes share what is not."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {subject.name: i for i, subject in enumerate(subjects)}

    def left() -> list[str]:
        return [name for name in numbers if not (folder / f"{name}.nii.gz").exists()]

    def draw(name: str) -> None:
        aside = folder / f".{name}.nii.gz"
        nifti.write_volume(aside, redrawer.draw(stage, subjects[numbers[name]], numbers[name]))
        aside.rename(folder / f"{name}.nii.gz")

    share(left, draw, folder / ".locks")


def row_of(real: Path, folder: Path, seed: int) -> Row:
    """Figures of a folder of volumes against real patients."""
    result, _ = fidelity.evaluate(real, folder, METRICS, Options(seed=seed))
    return {f.name: (f.value, f.low, f.high) for f in result.figures}


def as_text(rows: Mapping[str, Row], names: Sequence[str]) -> str:
    """A Markdown table, figure with interval."""
    lines = [f"| | {' | '.join(names)} |", "|" + "---|" * (len(names) + 1)]
    for title, row in rows.items():
        cells = [_cell(row[name]) if name in row else "" for name in names]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(figure: tuple[float, float | None, float | None]) -> str:
    value, low, high = (None if v is None else f"{v:.3g}" if abs(v) < 100 else f"{v:.0f}" for v in figure)
    return f"{value}" if low is None else f"{value} ({low} to {high})"
