"""Region: what a set of weights draws. Read from one YAML, checked when it is read, a plain value from then on."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import yaml
from pydantic import Field, TypeAdapter, ValidationError

from prompts import lexicon
from synth.errors import InputError
from synth.provenance import sha256
from synth.regions import measures
from synth.regions.anchor import Air, Anchor, AnchorPatient, Body, Midpoint, Top
from synth.regions.facts import CLIP, Fact, Word
from synth.regions.frame import Frame
from synth.regions.limits import Limits, Range, Strict
from synth.regions.measures import DoseBalance, DoseVolume, Measure, Moved, OrganVolume, Placed, Reach, Said
from synth.settings import read_settings
from synth.volumes import labels
from synth.volumes.types import LabelMap

FILE = "region.yaml"  # in a folder of weights or of prepared patients
DEFAULT = "head_neck"
_SEE = "docs/your_own_region.md"
_T = TypeVar("_T")
_MEASURES: dict[str, type[Any]] = {
    "reach": measures.Reach,
    "width": measures.Width,
    "area": measures.Area,
    "body_volume": measures.BodyVolume,
    "organ_volume": measures.OrganVolume,
    "dose_volume": measures.DoseVolume,
    "dose_balance": measures.DoseBalance,
    "attenuation": measures.Attenuation,
    "column": measures.Column,
    "said": measures.Said,
}
_MULTIPLE = 4  # base voxels: the networks halve twice
Scaffold = Literal["mean", "patchwork"]
_PATCHED = ("chest", "abdomen", "chest_abdomen")  # whose parts synth/torso knows


class _FrameTable(Strict):
    shape: tuple[int, int, int]
    lower_mm: tuple[float, float, float]


class Spine(Strict):
    """Which organ the vertebrae are painted along, and how far above the anchor their line begins."""

    organ: str
    top_mm: float


class CtScale(Strict):
    """Mean and SD of the CT over the frame at 16 mm, in intensity units (synth.models.intensity)."""

    mean: float
    sd: float = Field(gt=0)


HEAD_NECK_CT = CtScale(mean=-0.84, sd=0.35)


class FieldOfView(Strict):
    """How much of a region a scan shows: `when` its facts lie in ranges [low, high). `wish`: what a patient should have
    besides where some do; `check`: what is measured on a drawn case and must lie between."""

    when: dict[str, Range] = {}
    wish: dict[str, Range] = {}
    check: dict[str, Range] = {}


class _FactTable(Strict):
    """What may be said of a fact besides how it is measured."""

    unit: str = ""
    centre: float = 0.0
    scale: float = Field(default=1.0, gt=0)
    log: bool = False
    size: float = Field(default=0.0, ge=0)
    without: float | None = None
    says: dict[str, dict[str, Range]] = {}


class _Table(Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    answers: tuple[str, ...] = ()
    frame: _FrameTable
    anchor: dict[str, Any]
    organs: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    scaffold: Scaffold = "mean"
    spacing_mm: float = Field(default=4.0, gt=0)
    doses_gy: tuple[int, ...] = ()
    symmetric: bool = True
    spine: Spine | None = None
    ct: CtScale | None = None
    fields: dict[str, FieldOfView] = {}
    limits: Limits = Limits()
    facts: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class Region:
    """See docs/your_own_region.md for each field.

    organs: names of labels.csv in the order of the channels; parts: names that are told from an atlas instead;
    scaffold: what a draw starts from, a deformed `mean` patient or a `patchwork` of scans that each show a part;
    spacing_mm: that cases are drawn at unless told; facts: in the order of the encoded vector; answers: the regions of
    a prompt that it is drawn for; ct: what `base` draws is scaled by; text: the YAML that it was read from.
    """

    name: str
    frame: Frame
    anchor: Anchor
    organs: tuple[str, ...]
    parts: tuple[str, ...]
    scaffold: Scaffold
    spacing_mm: float
    facts: tuple[Fact, ...]
    answers: tuple[str, ...]
    doses_gy: tuple[int, ...]
    symmetric: bool
    spine: Spine | None
    ct: CtScale
    fields: Mapping[str, FieldOfView]
    limits: Limits
    text: str

    def __hash__(self) -> int:
        return hash(self.text)

    @cached_property
    def sha256(self) -> str:
        """Of what it says, whatever its layout and comments."""
        return sha256(repr(yaml.safe_load(self.text)).encode())

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of all that its drawn cases may have a mask of."""
        return (*self.organs, *self.parts)

    def named_like(self, *patterns: str) -> tuple[str, ...]:
        """Those of its structures that one of the patterns stands for."""
        return tuple(n for n in self.structures if any(fnmatch.fnmatchcase(n, pattern) for pattern in patterns))

    @property
    def classes(self) -> int:
        """Background and organs."""
        return 1 + len(self.organs)

    @property
    def facts_dim(self) -> int:
        """Length of the encoded facts: values and whether they are known."""
        return 2 * len(self.facts)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the facts."""
        return tuple(fact.name for fact in self.facts)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """Positions in `organs` with right and left exchanged: the only place that says what changes sides."""
        return tuple(self.organs.index(_other(name, self.organs)) for name in self.organs)

    @cached_property
    def outline(self) -> tuple[int, ...]:
        """Positions of the facts that are measured on the body's outline alone."""
        return tuple(i for i, fact in enumerate(self.facts) if fact.measure.outline)

    def fact(self, name: str) -> Fact:
        """The fact of a name."""
        return self.facts[self.names.index(name)]

    def of_measure(self, measure: Measure) -> Fact | None:
        """The fact that is measured so."""
        return next((fact for fact in self.facts if fact.measure == measure), None)

    def volume_name(self, organ: str) -> str:
        """The name of the fact that is an organ's volume; of one that is no fact, what it would be called."""
        fact = self.of_measure(OrganVolume(organ))
        return fact.name if fact else f"{organ}_ml"

    def dose_names(self, dose_gy: int) -> tuple[str, str]:
        """Names of the facts that are volume and side of what is prescribed a dose."""
        found = self.of_measure(DoseVolume(dose_gy)), self.of_measure(DoseBalance(dose_gy))
        volume, side = (f"target_{dose_gy}_ml", f"target_{dose_gy}_side")
        return found[0].name if found[0] else volume, found[1].name if found[1] else side

    def word_fact(self, attribute: str) -> Fact | None:
        """The fact that an attribute of a request speaks of (`habitus`, `phase`)."""
        return next((f for f in self.facts if any(w.attribute == attribute for w in f.says)), None)

    def field_of(self, values: Mapping[str, float]) -> str | None:
        """What the field of view of a patient is called."""
        return next((name for name, field in self.fields.items() if _within(values, field.when)), None)

    def ends(self, values: Mapping[str, float]) -> tuple[float, float]:
        """mm above and below the anchor that are in the field of view; all of the frame where no fact says."""
        top, bottom = (self.of_measure(Reach(towards)) for towards in ("up", "down"))
        low, high = self.frame.lower_mm[2], self.frame.lower_mm[2] + self.frame.size_mm[2]
        above = values.get(top.name, math.nan) if top else math.nan
        below = values.get(bottom.name, math.nan) if bottom else math.nan
        return (high if math.isnan(above) else above), (-low if math.isnan(below) else below)

    def numbers(self, organs: LabelMap) -> np.ndarray:
        """(X, Y, Z) uint8: 1 + position in `organs`; other labels are background."""
        number = np.zeros(organs.ids.shape, np.uint8)
        for i, name in enumerate(self.organs, start=1):
            number[organs.mask(name)] = i
        return number

    def placed(
        self,
        hu: np.ndarray,
        affine: np.ndarray,
        organs: np.ndarray | None = None,
        dose: np.ndarray | None = None,
        annotated: tuple[str, ...] = (),
        columns: Mapping[str, str] | None = None,
    ) -> Placed:
        """A volume to measure; see synth.regions.measures.Placed."""
        numbers = {name: i for i, name in enumerate(self.organs, start=1)}
        return Placed(hu, affine, organs, dose, annotated, numbers, columns or {})

    def measure(self, placed: Placed) -> dict[str, float]:
        """Facts by name; what cannot be measured is not there."""
        found = {fact.name: fact.measure.of(placed) for fact in self.facts}
        return {name: value for name, value in found.items() if value is not None}

    def measure_outline(self, hu: np.ndarray, affine: np.ndarray) -> dict[str, float]:
        """The facts that are of the body's outline alone, fast."""
        placed = self.placed(hu, affine)
        return {self.facts[i].name: self.facts[i].measure.of(placed) or 0.0 for i in self.outline}

    def encode(self, values: Mapping[str, float]) -> np.ndarray:
        """Facts by name -> (facts_dim,) float32: encoded values (0 where unknown), then known flags."""
        if unknown := set(values) - set(self.names):
            raise KeyError(f"unknown facts {sorted(unknown)}")
        encoded = np.array([f.encode(float(values.get(f.name, math.nan))) for f in self.facts], np.float32)
        known = np.isfinite(encoded)
        return np.concatenate([np.where(known, encoded.clip(-CLIP, CLIP), 0.0), known]).astype(np.float32)

    def mirrored(self, values: Mapping[str, float]) -> dict[str, float]:
        """The facts of the patient's mirror image."""
        out = {}
        for name, value in values.items():
            measure, factor = self.fact(name).measure.mirror()
            other = self.of_measure(measure)
            out[other.name if other else name] = factor * value
        return out

    def jittered(self, values: Mapping[str, float], moved: Moved) -> dict[str, float]:
        """The facts of a jittered patient, to first order."""
        return {name: self.fact(name).measure.jittered(value, moved) for name, value in values.items()}

    def find_anchor(self, hu: np.ndarray, spacing: np.ndarray, masks: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """(3,) mm in a patient's own grid (index * spacing, RAS order); None where it is not to be told."""
        return self.anchor.find(AnchorPatient(hu, spacing, masks))


def _other(name: str, organs: tuple[str, ...]) -> str:
    mirrored = labels.mirror(name)
    return mirrored if mirrored in organs else name


def _within(values: Mapping[str, float], ranges: Mapping[str, Range]) -> bool:
    return all(low <= values.get(name, math.nan) < high for name, (low, high) in ranges.items())


def read(path: Path) -> Region:
    """The region that a YAML describes. Raises InputError naming the file, the key with its value, and the remedy."""
    table = read_settings(_Table, path, see=_SEE)
    try:
        return _region(table, path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: {error}; see {_SEE}") from error


@cache
def parse(text: str) -> Region:
    """The region of a YAML's text, as networks keep it in their configuration."""
    return _region(_Table.model_validate(yaml.safe_load(text)), text)


def shipped_names() -> list[str]:
    """Names of the regions that ship with the package."""
    return sorted(
        file.name.removesuffix(".yaml")
        for file in resources.files("synth.regions").iterdir()
        if file.name.endswith(".yaml")
    )


@cache
def shipped(name: str = DEFAULT) -> Region:
    """A region that ships with the package; InputError names the choices."""
    if name not in shipped_names():
        raise InputError(f"region '{name}': there are {', '.join(shipped_names())}; or give the YAML of your own")
    return parse(resources.files("synth.regions").joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def for_words(word: str) -> Region | None:
    """The shipped region that a prompt's region is drawn with."""
    found = (shipped(name) for name in shipped_names())
    return next((region for region in found if word in region.answers), None)


def named(name_or_file: str) -> Region:
    """A shipped region by name, or the region of a YAML file."""
    return read(Path(name_or_file)) if name_or_file.endswith((".yaml", ".yml")) else shipped(name_or_file)


def with_scales(region: Region, patients: list[dict[str, float]], ct: Callable[[], CtScale]) -> Region:
    """The region with the scale of its CT, and the centre and scale of every fact, where it states none: measured on
    patients. A region that ships stays what it is."""
    if region.name in shipped_names() and region == shipped(region.name):
        return region
    table = yaml.safe_load(region.text)
    rows = _rows(table.get("facts") or {}, region.organs)
    if "ct" in table and all("scale" in row for row in rows.values()):
        return region
    table["ct"] = table.get("ct") or ct().model_dump()
    table["facts"] = {}
    for fact, row in zip(region.facts, rows.values(), strict=True):
        values = np.array([p[fact.name] for p in patients if fact.name in p], float)
        if "scale" not in row and len(values):
            of = np.log1p(values) if fact.log else values
            row = row | {"centre": round(float(of.mean()), 4), "scale": round(max(float(of.std()), 1e-3), 4)}
        table["facts"][fact.name] = row
    return parse(yaml.safe_dump(table, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120))


def _region(table: _Table, text: str) -> Region:
    """The checked region; ValueError says what is wrong in one line."""
    frame = Frame(table.frame.shape, table.frame.lower_mm)
    if min(frame.shape) < 1 or any(n % _MULTIPLE for n in frame.shape if n) and table.scaffold == "mean":
        raise ValueError(f"frame.shape {list(frame.shape)}: give multiples of {_MULTIPLE} voxels of 16 mm")
    known = labels.ids()
    for organ in table.organs:
        if organ not in known:
            raise ValueError(f"organs '{organ}': is not in labels.csv; `synthct info --organs` lists the names")
        other = labels.mirror(organ)
        if table.symmetric and other in known and other not in table.organs:
            raise ValueError(f"organs '{organ}': '{other}' is not among them; add it, or say symmetric: false")
    anchor = _anchor(table.anchor)
    if missing := [organ for organ in anchor.organs if organ not in table.organs] if table.organs else []:
        raise ValueError(f"anchor '{missing[0]}': is not among the organs; add it, or use an anchor of air or body")
    if table.scaffold == "patchwork" and (strange := [word for word in table.answers if word not in _PATCHED]):
        raise ValueError(f"answers '{strange[0]}': a patchwork draws {', '.join(_PATCHED)}; say scaffold: mean")
    if table.spine and table.spine.organ not in table.organs:
        raise ValueError(f"spine.organ '{table.spine.organ}': is not among the organs; add it, or leave spine out")
    facts = tuple(_fact(name, row) for name, row in _rows(table.facts, table.organs).items())
    region = Region(
        table.name,
        frame,
        anchor,
        table.organs,
        _matching(table.parts),
        table.scaffold,
        table.spacing_mm,
        facts,
        table.answers,
        table.doses_gy,
        table.symmetric,
        table.spine,
        table.ct or HEAD_NECK_CT,
        table.fields,
        table.limits,
        text,
    )
    for name in table.limits.names:
        if not region.named_like(name):
            raise ValueError(f"limits '{name}': is none of its organs or parts; add it there, or leave it out")
    for fact in facts:
        if reason := _not_measurable(fact.measure, region):
            raise ValueError(f"facts.{fact.name}: cannot be measured: {reason}")
    for name, field in table.fields.items():
        if unknown := [f for f in (*field.when, *field.wish, *field.check) if f not in region.names]:
            raise ValueError(f"fields.{name} '{unknown[0]}': is no fact; it may be {', '.join(region.names)}")
    return region


def _matching(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The names of labels.csv that patterns stand for, in its order; ValueError for one that stands for none."""
    known = labels.ids()
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise ValueError(f"parts '{pattern}': is not in labels.csv; `synthct info --organs` lists the names")
    return tuple(name for name in known if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns))


def _not_measurable(measure: Measure, region: Region) -> str | None:
    """Why a fact could never be measured in a region."""
    low, size = region.frame.lower_mm, region.frame.size_mm
    if isinstance(measure, OrganVolume) and measure.organ not in region.organs:
        return f"'{measure.organ}' is not among the organs; add it"
    if isinstance(measure, Said):
        if measure.finding not in lexicon.kinds():
            return f"'{measure.finding}' is no finding of prompts/words/findings.yaml, such as cardiomegaly"
        if measure.organ is not None and measure.organ not in lexicon.organs():
            return f"'{measure.organ}' is no organ of prompts/words/places.yaml, such as lung"
    if isinstance(measure, DoseVolume | DoseBalance) and measure.dose_gy not in region.doses_gy:
        return f"{measure.dose_gy} is not among doses_gy; add it"
    between = getattr(measure, "between_mm", None)
    if between and (between[0] >= between[1] or between[1] <= low[2] or between[0] >= low[2] + size[2]):
        return f"between_mm {list(between)} is not in the frame ({low[2]:g} to {low[2] + size[2]:g} mm)"
    for axis, (start, end) in enumerate(getattr(measure, "box_mm", ())):
        if start >= end or end <= low[axis] or start >= low[axis] + size[axis]:
            return f"box_mm {[start, end]} is not in the frame ({low[axis]:g} to {low[axis] + size[axis]:g} mm)"
    if region.symmetric and region.of_measure(measure.mirror()[0]) is None:
        return f"its mirror image is no fact ({measure.mirror()[0]}); add it, or say symmetric: false"
    return None


def _anchor(table: dict[str, Any]) -> Anchor:
    match table:
        case {"midpoint": [*organs], **rest} if not rest and organs:
            return Midpoint(tuple(map(str, organs)))
        case {"top": str(organ), "along": str(along), **rest} if not rest:
            return Top(organ, along)
        case {"lungs": "middle", **rest} if not rest:
            return Air()
        case {"body": "middle", **rest} if not rest:
            return Body()
    choices = "midpoint: [ORGAN, ..], top: ORGAN with along: PREFIX, lungs: middle, or body: middle"
    raise ValueError(f"anchor {table}: say {choices}")


def _rows(facts: Mapping[str, dict[str, Any]], organs: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The facts one by one: `each: organs` stands for the volume of every organ."""
    rows: dict[str, dict[str, Any]] = {}
    for name, row in facts.items():
        if row.get("each") == "organs":
            rest = {key: value for key, value in row.items() if key != "each"}
            rows |= {f"{organ}_ml": {"organ_volume": {"organ": organ}, "unit": "mL"} | rest for organ in organs}
        else:
            rows[name] = dict(row)
    return rows


def _fact(name: str, row: dict[str, Any]) -> Fact:
    kinds = [key for key in row if key in _MEASURES]
    known = [*_MEASURES, *_FactTable.model_fields]
    if unknown := [key for key in row if key not in known]:
        raise ValueError(f"facts.{name}.{unknown[0]}: unknown key; it may be {', '.join(known)}")
    if len(kinds) != 1:
        raise ValueError(f"facts.{name}: say what it is measured by, one of {', '.join(_MEASURES)}")
    said = _checked(_FactTable, {key: value for key, value in row.items() if key != kinds[0]}, f"facts.{name}")
    words = tuple(Word(a, word, *ends) for a, of in said.says.items() for word, ends in of.items())
    rest = said.model_dump(exclude={"says"})
    return Fact(name, _measure(name, kinds[0], row[kinds[0]] or {}), says=words, **rest)


def _measure(name: str, kind: str, arguments: dict[str, Any]) -> Measure:
    of = _MEASURES[kind]
    known = [field.name for field in fields(of)]
    if not isinstance(arguments, dict) or (unknown := [key for key in arguments if key not in known]):
        shown = unknown[0] if isinstance(arguments, dict) else arguments
        raise ValueError(f"facts.{name}.{kind} '{shown}': unknown; it takes {', '.join(known) or 'nothing'}")
    return _checked(of, arguments, f"facts.{name}.{kind}")


def _checked(of: type[_T], content: dict[str, Any], where: str) -> _T:
    """Content as a table or measure; ValueError names the key."""
    try:
        return TypeAdapter(of).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ").lower()
        raise ValueError(f"{'.'.join([where, *map(str, first['loc'])])}: {said}") from error
