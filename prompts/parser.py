"""Words -> request. Rules and tables only: the same prompt is always the same request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from prompts import lexer
from prompts.binding import Head, bind
from prompts.errors import PromptError
from prompts.lexer import Term
from prompts.request import CaseRequest, FindingRequest, TargetRequest
from prompts.vocabulary import HOME_REGION, Dose, FindingKind, Organ, Phase, Region, Segment, Texture

_Model = TypeVar("_Model", bound=BaseModel)

MAX_CHARACTERS = 2000

_LISTED = 12  # of a closed set, in a message of one line


def _some(values: Sequence[str]) -> str:
    more = len(values) - _LISTED
    return ", ".join(values[:_LISTED]) + (f" and {more} more" if more > 0 else "")


_ORGANS = _some(list(Organ))
_KINDS = _some(list(FindingKind))
_DOSES = ", ".join(str(int(d)) for d in Dose)
_EXAMPLES = "'head and neck CT with a 70 Gy target on the left' or '18 mm nodule in the right upper lobe'"
_BY_VOLUME = (FindingKind.EFFUSION, FindingKind.PERICARDIAL_EFFUSION, FindingKind.PNEUMOTHORAX)
_CASE_FIELDS = ("region", "phase", "sex", "age", "habitus", "extent")
_FINDING_FIELDS = ("kind", "side", "segment", "shape", "density", "heterogeneity", "surface", "invasion", "spiculated",
                   "lobulated", "texture", "necrotic", "calcified", "rim", "pattern", "severity", "share",
                   "ratio")  # fmt: skip
_LOCATION = re.compile(r"\b(?:in|of|within|inside|at|on)\s+(?:(?:the|an?|his|her|left|right|both)\s+)*$", re.IGNORECASE)


@dataclass(frozen=True)
class _Reading:
    """What every finding's reading needs to know of the whole prompt."""

    prompt: str
    region: str | None
    strange: Sequence[re.Match[str]]
    heads: Sequence[Head]


def parse(prompt: str) -> CaseRequest:
    """The request that a prompt makes; what it does not say stays None or empty.

    Raises PromptError (one line: the words and the remedy) for an empty prompt, one in which nothing is
    understood, contradictions, unknown organs or findings, and sizes, doses or ages out of range.
    Other words that are not understood are passed over; `unread` tells which.
    """
    if not prompt.strip():
        raise PromptError(f"the prompt is empty: describe the CT, for instance {_EXAMPLES}")
    if len(prompt) > MAX_CHARACTERS:
        raise PromptError(f"the prompt has {len(prompt)} characters: give at most {MAX_CHARACTERS}")
    terms = lexer.terms(prompt)
    strange = lexer.unread(prompt, terms)
    _refuse_terms(prompt, terms)
    _refuse_words(prompt, terms, strange)
    heads, loose = bind(terms)
    facts = {field: _one(field, terms, "one CT") for field in _CASE_FIELDS}
    reading = _Reading(prompt, facts["region"], strange, heads)
    findings = [f for head in heads if not head.is_target for f in _findings(head, reading)]
    targets = [t for head in heads if head.is_target for t in _targets(head)]
    if any("target_word" in t.means for t in terms) and not targets:
        raise PromptError(f"a target without a dose: say which, {_DOSES} Gy, for instance '70 Gy target'")
    if facts["region"] is None and not heads:
        facts["region"] = _region_of(loose)
    _refuse_loose(loose)
    absent = tuple(dict.fromkeys(name for t in terms for name in t.means.get("absent", ())))
    return _valid(CaseRequest, prompt=prompt, **facts, findings=findings, targets=targets, absent=absent)


def unread(prompt: str) -> tuple[str, ...]:
    """Words of the prompt from which nothing follows, for a warning to the user."""
    return tuple(m[0] for m in lexer.unread(prompt, lexer.terms(prompt)))


def _refuse_terms(prompt: str, terms: Sequence[Term]) -> None:
    """Terms that are understood, but cannot be drawn or stand alone."""
    for term in terms:
        means = term.means
        if "not_drawn" in means:
            name = means["not_drawn"]
            raise PromptError(f"'{term.text}' cannot be drawn: ask for one of {_KINDS}, or say 'no {name}'")
        if "range" in means:
            raise PromptError(f"'{term.text}' is a range: give one size, for instance '8 mm'")
        if "comma" in means:
            raise PromptError(f"'{term.text}': write a decimal point ('1.8'), or a blank after the comma of a list")
        if "segments" in means:
            raise PromptError(f"'{term.text}': one segment a finding; name each finding with its own")
        if "other_modality" in means:
            raise PromptError(f"'{term.text}' cannot be drawn: only CT can")
        if "spacing" in means:
            raise PromptError(f"'{term.text}': voxel spacing is no part of a prompt; give it with --spacing")
        if "level" in means:
            raise PromptError(f"'{term.text}': of what? say '{term.text} target', or the dose ({_DOSES} Gy)")
        if "negator" in means:
            words = " ".join(prompt[term.start :].split()[:3])
            raise PromptError(f"'{words}' is not understood: name a finding, for instance 'no pleural effusion'")


def _refuse_words(prompt: str, terms: Sequence[Term], strange: Sequence[re.Match[str]]) -> None:
    grammar = {"separator", "article", "preposition", "stop"}
    if all(t.means and set(t.means) <= grammar for t in terms):
        raise PromptError(f"nothing in '{_short(prompt)}' is understood: describe a CT, for instance {_EXAMPLES}")
    for word in strange:
        if re.match(r"[\d.]", word[0]):
            raise PromptError(_no_unit(word[0]))
        if lexer.looks_like_a_finding(word[0]):
            raise PromptError(f"finding '{word[0]}' is not known: ask for one of {_KINDS}")


def _refuse_loose(loose: Sequence[Term]) -> None:
    for term in loose:
        if set(term.means) - {"organ", "side"}:
            raise PromptError(f"'{term.text}' describes no finding: name one of {_KINDS}, or a target with its dose")


def _findings(head: Head, reading: _Reading) -> list[FindingRequest]:
    """The finding of a head; several sizes ("9 and 12 mm") make as many findings."""
    terms = [head.term, *head.modifiers]
    name = head.term.text
    volumes = [ml for t in terms for ml in t.means.get("volume_ml", ())]
    if volumes and (len(volumes) > 1 or head.term.means["kind"] not in _BY_VOLUME):
        raise PromptError(f"a volume for '{name}': give a finding its long axis in mm or cm")
    said: dict[str, Any] = {"volume_ml": volumes[0]} if volumes else {}
    said |= {field: _one(field, terms, f"'{name}'") for field in _FINDING_FIELDS}
    if said["segment"] and said["segment"] not in list(Segment):
        raise PromptError(f"segment {said['segment']}: the liver has segments 1 to 8")
    said["organ"] = _organ(head, said, reading)
    count = _count(head, terms)
    sizes = [mm for t in terms for mm in t.means.get("size_mm", ())]
    if len(sizes) < 2:
        return [_valid(FindingRequest, **said, count=count, size_mm=sizes[0] if sizes else None)]
    if count not in (None, len(sizes)):
        listed = " and ".join(f"{mm:g} mm" for mm in sizes)
        raise PromptError(f"{listed} for {count} x '{name}': give one size, or one for each")
    return [_valid(FindingRequest, **said, count=1, size_mm=mm) for mm in sizes]


def _organ(head: Head, said: dict[str, Any], reading: _Reading) -> Any:
    """The organ that was said; a nodule in a chest CT, or with a lung texture or spicules, is in the lung.

    "A 15 mm nodule and a 20 mm nodule in the right lung" names the organ once for all of a kind.
    """
    terms = [head.term, *head.modifiers]
    for field in ("organ", "implied_organ"):
        organ = _one(field, terms, f"'{head.term.text}'")
        if organ:
            return organ
    if said["kind"] == FindingKind.LYMPH_NODE and reading.region in (Region.CHEST, Region.ABDOMEN):
        return Organ.MEDIASTINUM if reading.region == Region.CHEST else Organ.RETROPERITONEUM
    _refuse_place(head, reading)
    lung_like = said["texture"] in (Texture.GROUND_GLASS, Texture.PART_SOLID) or said["spiculated"] == "True"
    if said["kind"] == FindingKind.NODULE and (lung_like or reading.region == Region.CHEST):
        return Organ.LUNG
    alike = (h for h in reading.heads if h.term.means.get("kind") == said["kind"])
    shared = {t.means["organ"] for h in alike for t in (h.term, *h.modifiers) if "organ" in t.means}
    if len(shared) == 1:
        return shared.pop()
    raise PromptError(f"'{head.term.text}' in which organ? say one of {_ORGANS}")


def _refuse_place(head: Head, reading: _Reading) -> None:
    """An unknown word where the organ should stand ("nodule in the spork")."""
    later = (h.term.start for h in reading.heads if h.term.start > head.term.start)
    end = min(later, default=len(reading.prompt))
    for word in reading.strange:
        inside = head.term.end <= word.start() < end
        if inside and _LOCATION.search(reading.prompt[head.term.end : word.start()]):
            raise PromptError(f"organ '{word[0]}' is not known: say one of {_ORGANS}")


def _count(head: Head, terms: Sequence[Term]) -> int | None:
    """How many: the number before the noun, 1 for a singular, None for a plural without a number."""
    counts = [t for t in terms if "count" in t.means]
    for term in counts:
        if term.start > head.term.start and term.text.isdigit():
            raise PromptError(_no_unit(term.text))
    said = _one("count", counts, f"'{head.term.text}'")
    if said is None:
        return None if head.is_plural else 1
    return None if said == "several" else int(said)


def _targets(head: Head) -> list[TargetRequest]:
    """One target a dose; volumes come one a dose."""
    terms = [head.term, *head.modifiers]
    doses = head.term.means["dose"]
    name = head.term.text
    for term in head.modifiers:
        if not {"side", "volume_ml", "count"} & set(term.means):
            raise PromptError(f"'{term.text}' for the target '{name}': a target has a dose, a side and a volume")
        if "count" in term.means and term.means["count"] not in (str(len(doses)), "several"):
            raise PromptError(f"'{term.text}' for the target '{name}': name each target with its dose")
    for dose in doses:
        if dose not in list(Dose):
            raise PromptError(f"dose {dose:g} Gy in '{name}': say {_DOSES} Gy")
    volumes = [ml for t in terms for ml in t.means.get("volume_ml", ())]
    if len(volumes) not in (0, len(doses)):
        raise PromptError(f"{len(volumes)} volumes for {len(doses)} targets ('{name}'): give one for each")
    side = _one("side", terms, f"the target '{name}'")
    each = volumes or [None] * len(doses)
    return [_valid(TargetRequest, dose_gy=int(d), side=side, volume_ml=ml) for d, ml in zip(doses, each, strict=True)]


def _region_of(loose: Sequence[Term]) -> Region | None:
    """ "CT of the liver" asks for the region that shows it."""
    organs = [Organ(t.means["organ"]) for t in loose if "organ" in t.means]
    return HOME_REGION[organs[0]] if organs else None


def _one(field: str, terms: Sequence[Term], of: str) -> Any:
    """The one value that the terms give a field, or None; two different values are a contradiction."""
    said = {str(t.means[field]): t for t in terms if field in t.means}
    if field == "phase" and len(said) > 1:
        said.pop(Phase.ENHANCED, None) if Phase.NON_CONTRAST not in said else None
    if len(said) > 1:
        first, second = list(said.values())[:2]
        remedy = "say 'bilateral', or name two findings" if field == "side" else "keep one of the two"
        raise PromptError(f"'{first.text}' and '{second.text}' contradict each other for {of}: {remedy}")
    return next(iter(said.values())).means[field] if said else None


def _valid(model: type[_Model], **values: Any) -> _Model:
    try:
        return model(**values)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise PromptError(message) from error


def _no_unit(number: str) -> str:
    return f"number '{number}' has no known unit: write mm, cm, mL, Gy or years behind it"


def _short(prompt: str) -> str:
    text = " ".join(prompt.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
