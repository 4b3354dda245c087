"""What real patients of a region are like: facts to draw from, organ volumes to check against.

A prior is measurements of training patients, numbers only, written by `synthct prepare` and kept beside the weights
that were trained on them. A plan draws a patient's facts that agree with the request, and jitters them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from prompts import CaseRequest
from prompts.vocabulary import Side
from synth.errors import InputError
from synth.files.content import text_of
from synth.files.documents import parse_json
from synth.provenance import sha256
from synth.regions.facts import Fact
from synth.regions.measures import DoseBalance
from synth.regions.region import Region
from synth.regions.words import asked_words, side_of, word_of

FILE = "prior.json"
MOST = 2_000  # rows that are kept: more say nothing new

Facts = dict[str, float]
Wish = Callable[[Facts], bool]

_ANY_ML = 1e9  # JSON has no infinity
_JITTER = 0.12  # of a fact's scale: new patients between the measured ones
_OFTEN = 0.5  # share of patients from which on an organ is one that every case has
_MIN_CHOICE = 4  # patients that must agree before a lesser wish is dropped
_TRIES = 30  # jitters of a patient who agrees, until one still does
_HELD = 1.25  # a target is at least so many times as large as one of a higher dose, which it holds
_ONE_SIDED = 0.85  # the side of a target asked for on one side, where no patient has it


@dataclass(frozen=True)
class Prior:
    """Facts of training patients by name, and the region whose facts they are."""

    region: Region
    patients: tuple[Facts, ...]

    @staticmethod
    def read(file: Path, region: Region) -> Prior:
        """Raises InputError for a file that is not there, or holds no patients of this region."""
        return _read(file, file.stat().st_mtime_ns if file.is_file() else 0, region)

    def to_json(self) -> str:
        """The text that `read` reads."""
        rows = ({name: round(value, 2) for name, value in p.items()} for p in self.patients[:MOST])
        lines = ",\n".join(json.dumps(row) for row in rows)
        return f'{{"patients": [\n{lines}\n]}}\n'

    @cached_property
    def sha256(self) -> str:
        """Of what it holds."""
        return sha256(json.dumps(self.patients).encode())

    def organ_range(self, organ: str, low: float = 1.0, high: float = 99.0) -> tuple[float, float]:
        """Percentiles of an organ's volume (mL) over the patients in whom it was annotated; anything without one."""
        name = self.region.volume_name(organ)
        values = [p[name] for p in self.patients if name in p]
        if not values:
            return 0.0, _ANY_ML
        return float(np.percentile(values, low)), float(np.percentile(values, high))

    def annotated_share(self, organ: str) -> float:
        """Share of the patients in whom an organ was annotated: rarely shown organs are drawn less surely."""
        name = self.region.volume_name(organ)
        return sum(name in p for p in self.patients) / max(len(self.patients), 1)

    def may_be_missing(self, organ: str) -> bool:
        """Whether most patients lack a mask of it, so that a case may lack it too."""
        return self.annotated_share(organ) < _OFTEN

    def is_stump(self, organ: str, volume_ml: float) -> bool:
        """Whether an organ that may be missing is smaller than patients have it: a case is better off without its
        mask."""
        return self.may_be_missing(organ) and volume_ml < self.organ_range(organ)[0]

    def draw(self, request: CaseRequest, rng: np.random.Generator) -> Facts:
        """Facts of a new patient who agrees with the request as far as the measured ones allow."""
        if not self.patients:
            return {}
        pool = list(self.patients)
        if self.region.symmetric:
            pool += [self.region.mirrored(p) for p in self.patients]
        kept: list[Wish] = []
        for wish in self._wishes(request):
            agreeing = [p for p in pool if wish(p)]
            if len(agreeing) >= _MIN_CHOICE:
                pool = agreeing
                kept.append(wish)
        chosen = pool[int(rng.integers(len(pool)))]
        return self._as_asked(self._new_patient(chosen, kept, rng), request)

    def _new_patient(self, like: Facts, wishes: list[Wish], rng: np.random.Generator) -> Facts:
        """A patient near a measured one for whom the wishes hold too: jitter may carry a fact over a word's
        threshold."""
        for _ in range(_TRIES):
            facts = {f.name: _jittered(f, like[f.name], rng) for f in self.region.facts if f.name in like}
            facts = {name: round(value, 3) for name, value in facts.items()}
            if all(wish(facts) for wish in wishes):
                return facts
        return dict(like)

    def _wishes(self, request: CaseRequest) -> list[Wish]:
        """Conditions on a patient, the most important first. A field is complete unless something else is said."""
        wishes: list[Wish] = []
        fields = self.region.fields
        if fields:
            asked = str(request.extent) if request.extent else next(iter(fields))
            wishes.append(lambda p: self.region.field_of(p) == asked)
            if asked in fields and (wish := fields[asked].wish):
                wishes.append(lambda p: all(low <= p.get(n, math.nan) < high for n, (low, high) in wish.items()))
        for target in request.targets:
            volume, side = self.region.dose_names(int(target.dose_gy))
            wishes.append(lambda p, n=volume: p.get(n, 0) > 0)  # type: ignore[misc]
            if target.side:
                wishes.append(lambda p, n=side, s=target.side: side_of(p.get(n, math.nan)) is s)  # type: ignore[misc]
        return wishes + [wish for _, wish in self._words(request)]

    def _words(self, request: CaseRequest) -> list[tuple[str, Wish]]:
        """Facts that a word speaks of, and whether it holds for a patient."""
        words: list[tuple[str, Wish]] = []
        for attribute, word in asked_words(self.region, request):
            fact = self.region.word_fact(attribute)
            assert fact is not None
            words.append((fact.name, lambda p, a=attribute, w=word: word_of(self.region, a, p) == w))  # type: ignore[misc]
        return words

    def _nested(self, facts: Facts, request: CaseRequest) -> Facts:
        """With the volumes that were said, and what was not said made to fit: a target holds those of higher doses."""
        nested = dict(facts)
        volume = {int(t.dose_gy): self.region.dose_names(int(t.dose_gy))[0] for t in request.targets}
        said = {volume[int(t.dose_gy)]: float(t.volume_ml) for t in request.targets if t.volume_ml}
        nested |= said
        names = [volume[dose] for dose in sorted(volume, reverse=True) if nested.get(volume[dose], 0) > 0]
        for i in reversed(range(len(names) - 1)):  # from the widest inwards
            if names[i] not in said:
                nested[names[i]] = min(nested[names[i]], nested[names[i + 1]] / _HELD)
        for inner, outer in zip(names, names[1:], strict=False):
            if outer not in said:
                nested[outer] = max(nested[outer], nested[inner] * _HELD)
        return nested

    def _as_asked(self, facts: Facts, request: CaseRequest) -> Facts:
        """Put what was said in numbers, on a side or in a word in place of what was drawn, where too few agreed."""
        asked = self._nested(facts, request)
        for name, holds in self._words(request):
            if not holds(asked) and (values := [p[name] for p in self.patients if holds(p)]):
                asked[name] = float(np.median(values))
        for target in request.targets:
            side = self.region.dose_names(int(target.dose_gy))[1]
            if target.side and side_of(asked.get(side, math.nan)) is not target.side:
                sign = {Side.LEFT: 1.0, Side.RIGHT: -1.0}.get(target.side, 0.0)
                asked[side] = sign * _ONE_SIDED
        for dose in self.region.doses_gy:
            volume, side = self.region.dose_names(dose)
            if asked.get(volume, 0) <= 0:
                asked.pop(side, None)
        return asked


def _jittered(fact: Fact, value: float, rng: np.random.Generator) -> float:
    shift = _JITTER * fact.scale * rng.standard_normal()
    if isinstance(fact.measure, DoseBalance):
        return float(np.clip(value + shift * 0.5, -1, 1))
    return math.expm1(math.log1p(value) + shift) if fact.log and value > 0 else value if fact.log else value + shift


@cache
def _read(file: Path, _mtime_ns: int, region: Region) -> Prior:
    if not file.exists():
        raise InputError(f"{file}: no prior there; `synthct prepare` writes it beside the patients")
    try:
        rows = parse_json(text_of(file), file.name, remedy="make it again")["patients"]
        patients = tuple({str(name): float(value) for name, value in row.items()} for row in rows)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: not a prior ({error}); `synthct prepare` writes one") from error
    unknown: Mapping[str, None] = dict.fromkeys(name for p in patients for name in p if name not in region.names)
    if unknown:
        raise InputError(
            f"{file}: '{next(iter(unknown))}' is no fact of the region {region.name}; make it again for this region "
            "with `synthct prepare`"
        )
    return Prior(region, patients)
