"""Order: what is asked of `generate`, checked once. A plan is a function of it, a number and an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from prompts import CaseRequest, Reading
from synth.case.doors import parser_options, read_prompt
from synth.case.plan import GeneratePlan, Sampling, check_request, check_spacing, draw_generate
from synth.case.weights_folder import Weights
from synth.errors import InputError
from synth.provenance import command_line, sha256_of_file
from synth.regions.given import GivenFile, place
from synth.report.style import Style, style_options
from synth.scanner import Scanner
from synth.scanner.slices import Slicing
from synth.volumes import nifti

_FROM_NOISE = {"base_steps": 16, "base_shift": 1.0, "guidance": 2.0, "prior_guidance": 0.0}
default_sampling = Sampling  # as drawn unless told otherwise; the precision is looked up when a case is planned


@dataclass(frozen=True)
class Order:
    """Cases of one request. `given`: organs that every case gets; `scanner`: put on every case; `spacing_mm`: as the
    region is drawn, where it is not said."""

    request: CaseRequest
    weights: Weights
    seed: int = 0
    spacing_mm: float | None = None
    given: GivenFile | None = None
    scanner: Scanner | None = None
    style: Style = "structured"

    def __post_init__(self) -> None:
        """Raises InputError for what the weights cannot draw."""
        check_request(self.request, self.weights.region)
        check_spacing(self.spacing)

    @property
    def spacing(self) -> float:
        """mm, along all axes."""
        return self.weights.region.spacing_mm if self.spacing_mm is None else self.spacing_mm

    def plan(self, index: int, attempt: int = 0) -> GeneratePlan:
        """The plan of the index-th case."""
        return draw_generate(
            self.request,
            weights=self.weights,
            seed=self.seed,
            index=index,
            attempt=attempt,
            spacing=self.spacing,
            sampling=_sampling(self.weights),
            given=self.given,
            scanner=self.scanner,
            style=self.style,
        )

    def command(self, index: int, **more: object) -> str:
        """The command that makes the index-th case again, or with `more` options a sibling of it."""
        options: dict[str, object] = {"seed": self.seed, "start": index, "spacing": f"{self.spacing:g}", **more}
        if self.given:
            options |= self.given.options()
        if not self.weights.ship:
            options["weights"] = self.weights.folder
        if self.scanner and self.scanner.slice_mm is not None:
            options["slice_mm"] = f"{self.scanner.slice_mm:g}"
        options |= style_options(self.style) | parser_options(self.request.prompt, "generate")
        return command_line("generate", self.request.prompt, **options)

    def with_organs(self, organs: Path, organ_ids: Mapping[int, str] | None) -> Order:
        """The same with the organs of a label map; InputError where they cannot be drawn."""
        region, shape = self.weights.region, self.weights.shape
        if not region.organs:
            drawn = self.request.region or region.name
            raise InputError(
                f"--organs with a CT of region '{drawn}': organs can be given in the head and neck; leave it out"
            )
        if shape is None:
            raise InputError(f"--organs: needs a mean patient to place them by, and {self.weights.folder} has no shape")
        labels = nifti.read_labels(organs, organ_ids=organ_ids)
        placed = place(labels, shape.mean_organs.numpy(), self.spacing, region)
        return replace(self, given=GivenFile(placed, organs, sha256_of_file(organs), organ_ids))

    def with_slices(self, slice_mm: float) -> Order:
        """The same with slices of this thickness and nothing else of a scanner; InputError where they are too thin."""
        frame = self.weights.region.frame
        Slicing.of(frame.shape_at(self.spacing), frame.affine_at(self.spacing), 2, slice_mm)
        scanner = Scanner(name="slices", slice_mm=slice_mm)
        return replace(self, scanner=scanner)


def plan_json(prompt: str | Reading, seed: int, spacing: float | None, index: int, weights: Path | None = None) -> str:
    """The plan of a generated case (first attempt) as JSON, without drawing it."""
    request = read_prompt(prompt, "generate", weights).case_request
    return Order(request, Weights.covering(request.region, weights), seed, spacing).plan(index).to_json()


def _sampling(weights: Weights) -> Sampling:
    """From noise alone `base` takes more steps, evenly spaced, and is pushed towards what is asked."""
    usual = default_sampling()
    return usual if weights.has_gaussian_part else usual.model_copy(update=_FROM_NOISE)
