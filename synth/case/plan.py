"""Plans: the request with every random choice drawn. Every later step is a function of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from prompts import CaseRequest
from prompts.vocabulary import Phase
from synth.case import folder as case_folder
from synth.case.doors import generated, reading_of
from synth.case.weights_folder import Weights
from synth.errors import InputError
from synth.lesions.plans import AnyPlan
from synth.lesions.sibling import SiblingOf
from synth.models.precision import Precision, default_precision
from synth.provenance import sha256_of_file, sha256_of_input
from synth.regions import Region, for_words, shipped, shipped_names
from synth.regions.frame import BASE_SPACING_MM, composed_spacing, spacings
from synth.regions.given import GivenFile
from synth.report.style import Style
from synth.scanner import Scanner
from synth.seeding import derive, numpy_rng
from synth.volumes.foreign import Conventions

PLAN_VERSION: Literal[7] = 7
_CONTRAST_GUIDANCE = 1.5


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(_Frozen):
    """How the shape and the two networks are sampled.

    `temperature` scales the noise that `base` starts from: below 1 it trades diversity for likelihood (the
    truncation of Brock et al. 2019); `shape_temperature` does the same to vertebrae and to the deformation onto organs
    that are given. Other deformations are drawn near those of patients, as far off as `shape_spread` says (0: their
    own, 1: near none); `shapes` of them, and the one nearest to the plan's sizes is kept.
    `guidance` is classifier-free (1: none). `contrast_guidance` is the scale of synth.flow.guidance.away_from in
    `base`, away from the same patient without contrast, `prior_guidance` that of `away_from_prior` there,
    `detail_guidance` that of `sharpened` in `refine`: without these two what is drawn varies less than patients do.
    `redraw_start` is the time to which a painted lesion's detail is noised before it is drawn anew: 1 forgets it, 0
    keeps it. The shifts are those of synth.flow.schedule.sampling_times.
    `precision` is the machine's own unless told (synth.models.precision).
    """

    base_steps: int = 4
    base_shift: float = 3.0
    temperature: float = 1.0
    shape_temperature: float = 0.95
    shape_spread: float = Field(0.75, ge=0, le=1)
    shapes: int = 8
    guidance: float = 1.0
    contrast_guidance: float = 0.0
    prior_guidance: float = 0.3
    refine_steps: int = 2
    refine_shift: float = 1.0
    detail_guidance: float = 0.2
    redraw_start: float = 0.1
    precision: Precision = Field(default_factory=default_precision)


class HostReference(_Frozen):
    """The CT that lesions go into, named by content: sha256 of the files, not their path."""

    ct_sha256: str
    organs_sha256: str


class _Plan(_Frozen):
    """What either door draws. Seeds are per step; `lesions` follow from the rest and the host. `sibling` names the case
    that it is a sibling of, if it is one.

    `reading` is what the words of the request were read as (`synthct read --json`). `scanner` is put on the case when
    it is drawn, with the noise of `scanner_seed`; a plan without one does not speak of either. `style` is that of its
    report, told where it is not the usual one.
    """

    version: Literal[7] = PLAN_VERSION
    case: str
    seed: int
    attempt: int = 0
    request: CaseRequest
    reading: dict[str, Any] | None = None
    sampling: Sampling = Sampling()
    refine_seed: int = 0
    lesion_seed: int = 0
    lesions: tuple[AnyPlan, ...] = ()
    scanner: Scanner | None = None
    scanner_seed: int = 0
    style: Style = "structured"

    @model_serializer(mode="wrap")
    def _serialized(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = handler(self)
        left_out = set() if self.scanner else {"scanner", "scanner_seed"}
        return {name: value for name, value in table.items() if name not in left_out | self._silent()}

    def _silent(self) -> set[str]:
        """Fields that are not written where they say nothing."""
        usual = set() if self.reading else {"reading"}
        return usual if self.style != "structured" else {*usual, "style"}

    def seeds(self) -> dict[str, int]:
        """By step, for the manifest."""
        scanner = {"scanner": self.scanner_seed} if self.scanner else {}
        return {"seed": self.seed, "refine": self.refine_seed, "lesions": self.lesion_seed, **scanner}

    def to_json(self) -> str:
        """Indented JSON with a final newline; the same plan gives the same text."""
        return self.model_dump_json(indent=1) + "\n"


class GeneratePlan(_Plan):
    """One generated case, drawn. `facts` condition `base` (see synth.regions.facts).

    `organs_sha256`: of the label map whose organs it has, if they were given.
    """

    door: Literal["generate"] = "generate"
    region: str
    spacing_mm: float
    organs_sha256: str | None = None
    facts: dict[str, float] = {}
    shape_seed: int = 0
    base_seed: int = 0
    sibling: SiblingOf | None = None

    def _silent(self) -> set[str]:
        return super()._silent() | (set() if self.sibling else {"sibling"})

    def seeds(self) -> dict[str, int]:
        """As of either door, and of shape and base."""
        return {**super().seeds(), "shape": self.shape_seed, "base": self.base_seed}

    def refine_evaluations(self) -> int:
        """Sampler steps of all refine levels, for progress bars."""
        region = for_words(self.region)
        patchwork = region is not None and region.scaffold == "patchwork"
        coarse = composed_spacing(self.spacing_mm) if patchwork else BASE_SPACING_MM
        return round(math.log2(coarse / self.spacing_mm)) * self.sampling.refine_steps


class InsertPlan(_Plan):
    """Lesions in one host. `lesion_weights_sha256`: of weights that draw the inside of its lesions, where they are not
    drawn by `refine`."""

    door: Literal["insert"] = "insert"
    host: HostReference | None = None
    sibling: SiblingOf | None = None
    lesion_weights_sha256: str | None = None

    def _silent(self) -> set[str]:
        return super()._silent() | (set() if self.lesion_weights_sha256 else {"lesion_weights_sha256"})


class AdoptPlan(_Plan):
    """A volume that another generator made: its files by content, what was told of it, and `by` whom it was made."""

    door: Literal["adopt"] = "adopt"
    seed: int = 0
    inputs: dict[str, str] = Field(description="role -> sha256 of ct, organs, lesions")
    told: Conventions = Conventions()
    by: str | None = None
    sibling: None = None

    def _silent(self) -> set[str]:
        drawn = {"seed", "attempt", "sampling", "refine_seed", "lesion_seed", "lesions", "sibling"}
        return super()._silent() | drawn | (set() if self.by else {"by"})

    def seeds(self) -> dict[str, int]:
        """None: nothing is drawn."""
        return {}


class PeerPlan(_Plan):
    """One case whose CT another generator's weights draw (synth/peers), and which has our findings.

    weights: role -> sha256 of its files. size: voxels along right-left, back-front, feet-head. masks: whence its organs
    are: a label map of the user's, a torso that we draw, its own mask model, or none. words: what of the request
    reached whom. mask_sizes: that its mask model is told (synth.peers.sizes), with mask_seed and mask_steps of its own.
    """

    door: Literal["peer"] = "peer"
    peer: str
    variant: str
    weights: dict[str, str]
    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    steps: int
    masks: Literal["organs", "ours", "drawn", "none"]
    organs_sha256: str | None = None
    noise_seed: int = 0
    words: dict[str, tuple[str, ...]] = {}
    mask_seed: int = 0
    mask_steps: int | None = None
    mask_sizes: tuple[float, ...] = ()
    sibling: None = None

    def _silent(self) -> set[str]:
        of_masks = set() if self.masks == "drawn" else {"mask_seed", "mask_steps", "mask_sizes"}
        return super()._silent() | {"sibling"} | of_masks

    def seeds(self) -> dict[str, int]:
        """As of either door, and of the noise that it starts from."""
        masks = {"masks": self.mask_seed} if self.masks == "drawn" else {}
        return {**super().seeds(), "noise": self.noise_seed, **masks}


CasePlan = GeneratePlan | InsertPlan | AdoptPlan | PeerPlan
_KINDS: dict[str, type[CasePlan]] = {
    "generate": GeneratePlan,
    "insert": InsertPlan,
    "adopt": AdoptPlan,
    "peer": PeerPlan,
}
_OLD_VERSION = 6  # one plan for both doors, with the fields of the other door at their defaults


def plan_of(table: Mapping[str, Any]) -> CasePlan:
    """The plan that a JSON table describes, of this version or the last; ValueError says what is wrong with it."""
    kind, current = _current(table)
    return kind.model_validate(current)


def valid_plan(table: Mapping[str, Any], file: Path, **remedy: str) -> CasePlan:
    """The plan that a file holds. Raises InputError, naming the file and the first field that is not right."""
    try:
        kind, current = _current(table)
    except ValueError as error:
        raise InputError(f"{file}: {error}; {remedy.get('remedy', 'make the case again')}") from error
    return case_folder.valid(kind, current, file, **remedy)


def _current(table: Mapping[str, Any]) -> tuple[type[CasePlan], Mapping[str, Any]]:
    """What a plan is, and its table in this version."""
    kind = _KINDS.get(str(table.get("door")))
    if kind is None:
        said = f"'{table['door']}' is none of {', '.join(_KINDS)}" if "door" in table else "field required"
        raise ValueError(f"door: {said}")
    if table.get("version") == _OLD_VERSION:
        table = {name: value for name, value in table.items() if name in kind.model_fields} | {"version": PLAN_VERSION}
    return kind, table


def read_plan(text: str | bytes) -> CasePlan:
    """The plan of a plan.json; ValueError says what is wrong with it."""
    table = json.loads(text)
    if not isinstance(table, dict):
        raise ValueError("plan: is no table")
    return plan_of(table)


def case_name(index: int) -> str:
    """The folder of the index-th case."""
    return f"case_{index:05d}"


def host_name(ct: Path) -> str:
    """What to call a host: its file name without endings, or its folder's where the file is just `ct.nii.gz`."""
    stem = ct.name.removesuffix(".gz").removesuffix(".nii").removesuffix(".npy")
    return ct.resolve().parent.name if stem in ("ct", "image", "volume") else stem


def draw_generate(
    request: CaseRequest,
    *,
    weights: Weights,
    seed: int,
    index: int,
    attempt: int,
    spacing: float,
    sampling: Sampling,
    given: GivenFile | None = None,
    scanner: Scanner | None = None,
    style: Style = "structured",
) -> GeneratePlan:
    """Draw the plan of one generated case; lesions are planned once their host exists.

    `weights`: whose patients it is to be like. `given`: organs that the case is to have. Raises InputError where the
    weights do not cover the request.
    """
    region = check_request(request, weights.region)
    case = case_name(index)
    rng = numpy_rng(derive(seed, case, "facts", attempt))
    facts = weights.prior.draw(request, rng) if weights.prior else {}
    return GeneratePlan(
        case=case,
        seed=seed,
        attempt=attempt,
        request=request,
        reading=reading_of(request.prompt, "generate", weights.own_folder),
        region=region,
        spacing_mm=check_spacing(spacing),
        organs_sha256=given.sha256 if given else None,
        facts=given.organs.facts(facts) if given else facts,
        sampling=_steered(sampling, request, weights.region),
        shape_seed=derive(seed, case, "shape", attempt),
        base_seed=derive(seed, case, "base", attempt),
        refine_seed=derive(seed, case, "refine", attempt),
        lesion_seed=derive(seed, case, "lesions", attempt),
        scanner=scanner,
        scanner_seed=_scanner_seed(scanner, seed, case, attempt),
        style=style,
    )


def _steered(sampling: Sampling, request: CaseRequest, region: Region) -> Sampling:
    """With guidance where contrast is asked for: a quarter of the training patients have it, and it hardly shows."""
    tells_contrast = any(fact.without is not None for fact in region.facts)
    if not tells_contrast or request.phase in (None, Phase.NON_CONTRAST):
        return sampling
    return sampling.model_copy(update={"contrast_guidance": _CONTRAST_GUIDANCE})


def _scanner_seed(scanner: Scanner | None, seed: int, case: str, attempt: int) -> int:
    return derive(seed, case, "scanner", attempt) if scanner else 0


def draw_insert(
    request: CaseRequest,
    *,
    seed: int,
    ct: Path,
    organs: Path,
    case: str | None = None,
    attempt: int = 0,
    healthy: bool = False,
    scanner: Scanner | None = None,
    lesion_weights: Path | None = None,
    style: Style = "structured",
) -> InsertPlan:
    """Draw the plan of lesions into a host CT, up to the lesions, which need the host's organs.

    `case` is named after host and seed unless it has a name. `lesion_weights`: file of weights that draw the lesions'
    inside (synth.case.lesion_weights). Raises InputError where the prompt asks for no lesion
    and the case is not to be `healthy`.
    """
    if not request.findings and not healthy:
        raise InputError(f"'{request.prompt}': no lesion to insert; say one, such as '9 mm nodule in the left lung'")
    case = case or f"{host_name(ct)}_{seed:05d}"
    return InsertPlan(
        case=case,
        seed=seed,
        attempt=attempt,
        request=request,
        reading=reading_of(request.prompt, "insert"),
        refine_seed=derive(seed, case, "refine", attempt),
        lesion_seed=derive(seed, case, "lesions", attempt),
        host=HostReference(ct_sha256=sha256_of_input(ct), organs_sha256=sha256_of_file(organs)),
        scanner=scanner,
        scanner_seed=_scanner_seed(scanner, seed, case, attempt),
        lesion_weights_sha256=sha256_of_file(lesion_weights) if lesion_weights else None,
        style=style,
    )


def check_request(request: CaseRequest, of: Region) -> str:
    """What a prompt calls the region to draw; InputError for what weights of a region `of` cannot make."""
    if request.region is None and not request.targets and of.answers:
        known = ", ".join(word.replace("_", " ") for name in shipped_names() for word in shipped(name).answers)
        raise InputError(f"'{request.prompt}': a CT of what? say one of {known}")
    region = str(request.region) if request.region else next(iter(of.answers), of.name)
    for finding in request.findings:
        if (finding.organ.value, finding.kind.value) not in generated(of):
            raise InputError(
                f"'{finding.organ} {finding.kind}' in a generated {region} CT: it has no mask to put it in; "
                "use `synthct insert` on a CT that shows the organ"
            )
    _check_nested(request)
    if undrawn := [t for t in request.targets if int(t.dose_gy) not in of.doses_gy]:
        dose = f"{undrawn[0].dose_gy:g} Gy"
        raise InputError(
            f"'{dose} target' in a generated {region} CT: targets are drawn in the head and neck; leave it out"
        )
    return region


def _check_nested(request: CaseRequest) -> None:
    """InputError where a target is to be no larger than one of a higher dose, which lies inside it."""
    said = sorted(((int(t.dose_gy), t.volume_ml) for t in request.targets if t.volume_ml), reverse=True)
    for (high, inner), (low, outer) in zip(said, said[1:], strict=False):
        if outer <= inner:
            raise InputError(
                f"{low} Gy target of {outer:g} mL: targets are nested, and it holds the {high} Gy target of {inner:g} "
                "mL; ask for more, or for less of the higher dose"
            )


def check_spacing(spacing: float) -> float:
    """A spacing that the pyramid reaches; InputError names the choices."""
    choices = [s for s in spacings() if s < BASE_SPACING_MM]
    if spacing not in choices:
        raise InputError(f"--spacing {spacing:g}: choose one of {', '.join(f'{s:g}' for s in choices)} mm")
    return float(spacing)
