"""Recipe: what a cohort is made of. YAML; an unknown key is an error. docs/cohorts.md explains every field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, field_validator, model_validator

from prompts import FindingRequest
from prompts.vocabulary import FindingKind, Organ, Region
from synth.files.names import require_name
from synth.options import MOST_CASES, MOST_SEED
from synth.scanner import Scanner, ScannerSettings
from synth.settings import read_settings
from synth.xray.settings import Radiographs

UNSAID = "unsaid"  # a value that leaves a field open

_MOST_WEIGHT = 1e9
_NOT_PINNED = {"max_failures", "description", "licence"}  # can be changed without changing a voxel


def _weights(value: Any) -> Any:
    """One value, a list of equally likely values, or a table value -> weight."""
    if isinstance(value, dict):
        return {_key(k): w for k, w in value.items()}
    values = value if isinstance(value, list) else [value]
    return {_key(v): 1.0 for v in values}


def _key(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_weights(weights: dict[str, float]) -> dict[str, float]:
    if not weights or not all(0 <= weight <= _MOST_WEIGHT for weight in weights.values()) or not sum(weights.values()):
        raise ValueError(f"weights are 0 to {_MOST_WEIGHT:g}, and not all 0")
    return weights


Weights = Annotated[dict[str, float], BeforeValidator(_weights), Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_all_weights(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, dict) and value and all(isinstance(w, float) for w in value.values()):
                try:
                    _check_weights(value)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from error
        return self


class HostFolder(_Strict):
    """CT to insert lesions into. `ct` and `organs` are patterns below `folder` whose one `*` is the host's name."""

    folder: Path
    ct: str = "*/ct.nii.gz"
    organs: str = "*/organs.nii.gz"
    organ_ids: dict[int, str] | None = None
    trust_labels: bool = Field(False, description="go on where labels do not look like those of their CT")
    index: Path | None = Field(None, description="CSV with the columns host and any of patient, phase, sex, age")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("ct", "organs"):
            pattern = getattr(self, name)
            if pattern.count("*") != 1 or any(mark in pattern for mark in "?[]"):
                raise ValueError(f"{name} '{pattern}': write one * in place of the host's name, and no ? or [")
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                raise ValueError(f"{name} '{pattern}': leads out of hosts.folder; write a pattern below it")
        return self


class Group(_Strict):
    """Findings of one organ and kind; `FindingGroup` adds a table for every other field of a finding."""

    organ: Organ
    kind: FindingKind
    share: Annotated[float, Field(gt=0)] = 1.0
    label: str | None = Field(None, description="tells two groups of one organ and kind apart")

    @property
    def name(self) -> str:
        """What to call it in tables."""
        return self.label or f"{self.organ} {self.kind}"

    def quotas(self) -> dict[str, dict[str, float]]:
        """Field -> value -> weight, for the fields that the recipe gives."""
        given = self.model_dump(exclude={"organ", "kind", "share", "label"}, exclude_none=True)
        return {str(field): weights for field, weights in given.items()}


_QUOTA_FIELDS: dict[str, Any] = {
    name: (Weights | None, None) for name in FindingRequest.model_fields if name not in Group.model_fields
}  # `share` in a recipe is the group's, not the extent of a finding
FindingGroup = create_model("FindingGroup", __base__=Group, **_QUOTA_FIELDS)
FindingGroup.__doc__ = """Findings of one organ and kind, and a table value -> weight for any other field of a finding.

Every table is a quota: held exactly, to the nearest case, within the group. Sizes are ranges in mm (`8-15`)."""


class PatientQuotas(_Strict):
    """Who is scanned, held exactly over the whole cohort; ages are ranges. With hosts, hosts are chosen to match."""

    phase: Weights | None = None
    sex: Weights | None = None
    age: Weights | None = None

    def quotas(self) -> dict[str, dict[str, float]]:
        """Field -> value -> weight, for the fields that the recipe gives."""
        return self.model_dump(exclude_none=True)


class ScannerShare(ScannerSettings):
    """A scanner and its share of the cases."""

    share: Annotated[float, Field(ge=0)] = 1.0

    def named(self, name: str) -> Scanner:
        """It, as a plan has it."""
        return Scanner(name=name, **self.model_dump(exclude={"share"}))


class Gates(_Strict):
    """Limits of the quality gates (synth/cohort/gates.py); null turns one off."""

    visibility: Annotated[float, Field(ge=0)] | None = Field(
        0.5, description="least contrast-to-noise ratio of a lesion that was not asked to be isodense"
    )
    one_piece: Share | None = Field(0.8, description="least share of a lesion or drawn organ in its largest piece")
    elsewhere: Share | None = Field(0.2, description="most of a lesion in other organs, where no invasion is asked for")
    organ_hu: Annotated[float, Field(ge=0)] | None = Field(
        100.0,
        description="HU by which a drawn organ's median may leave its ranges in labels.csv and anatomy.csv",
    )
    reference: Path | None = Field(None, description="patients that no generated case may copy: see novelty.py")


class Recipe(_Strict):
    """A cohort. One of `prompts`, `draw` and `findings` says what is in it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)
    number: int = Field(ge=1, le=MOST_CASES, strict=True)
    seed: int = Field(0, ge=0, le=MOST_SEED, strict=True)
    description: str = ""
    licence: str = ""
    hosts: HostFolder | None = None
    spacing_mm: float | None = Field(None, description="of generated cases; as their region is drawn when left out")
    weights: Path | None = Field(None, description="folder of weights of your own that generated cases are drawn with")
    region: Region | None = Field(None, description="of generated findings; the one of their organ when left out")
    prompts: Weights | None = None
    draw: str | None = Field(None, description="a set of prompts/sets, to draw whole requests from")
    findings: tuple[FindingGroup, ...] | None = None
    patients: PatientQuotas = PatientQuotas()
    scanners: dict[str, ScannerShare] | None = None
    radiographs: Radiographs | None = None
    healthy: Share = 0.0
    twins: Share = Field(0.0, description="share of the cases with lesions whose healthy host is a case beside them")
    gates: Gates = Gates()
    previews: Share = Field(0.05, description="share of cases with a picture, the first of each group among them")
    split: dict[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}
    attempts: int = Field(10, ge=1, le=50)
    max_failures: Share = 0.05

    @field_validator("previews", mode="before")
    @classmethod
    def _all_or_none(cls, value: Any) -> Any:
        return float(value) if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        said = [name for name in ("prompts", "draw", "findings") if getattr(self, name)]
        if len(said) != 1:
            raise ValueError(f"give one of prompts, draw and findings ({', '.join(said) or 'none'} given)")
        if self.region and (self.hosts is not None or not self.findings):
            raise ValueError("region is for findings in generated cases; prompts say theirs, and hosts have one")
        if self.hosts is not None and self.draw:
            raise ValueError("draw is for generated cases; with hosts give findings or prompts")
        if self.hosts is not None and self.gates.reference:
            raise ValueError("gates.reference is for generated cases: a case with a host is a copy of it on purpose")
        if self.hosts is not None and self.weights:
            raise ValueError("weights are for generated cases; with hosts, $SYNTHCT_WEIGHTS/lesion draws lesions")
        names = [group.name for group in self.findings or ()]
        if self.scanners is not None:
            _check_weights({name: scanner.share for name, scanner in self.scanners.items()})
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"findings: {', '.join(sorted(twice))} given twice; give each a `label`")
        _check_weights(self.split)
        for part in self.split:
            require_name(part, "split: part")
        return self

    def pinned(self) -> dict[str, Any]:
        """What the cases follow from, as JSON values: a folder holds cases of one such recipe."""
        table = self.model_dump(mode="json", exclude=_NOT_PINNED | {"weights"})  # weights are pinned by their content
        if self.hosts is not None:
            table["hosts"] = {k: v for k, v in table["hosts"].items() if k not in ("folder", "index", "trust_labels")}
        table["gates"].pop("reference")  # pinned by its content
        for name in ("scanners", "radiographs", "region"):
            if getattr(self, name) is None:
                del table[name]
        return table


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file; paths in it are relative to the file. Raises InputError naming file and field."""
    return _beside(read_settings(Recipe, path, see="docs/cohorts.md"), path.parent)


def _beside(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its paths relative to the folder of its file."""
    update: dict[str, Any] = {}
    if (hosts := recipe.hosts) is not None:
        paths = {"folder": folder / hosts.folder, "index": None if hosts.index is None else folder / hosts.index}
        update["hosts"] = hosts.model_copy(update=paths)
    if recipe.weights is not None:
        update["weights"] = folder / recipe.weights
    if recipe.gates.reference is not None:
        update["gates"] = recipe.gates.model_copy(update={"reference": folder / recipe.gates.reference})
    return recipe.model_copy(update=update)
