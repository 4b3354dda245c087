"""Noun phrases of a request: modality, person, target, finding. A chooser picks among the wordings of a table.

The canonical writer chooses the first wording, the training writer any: one path serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prompts.phrases import load
from prompts.request import CaseRequest, FindingRequest, TargetRequest
from prompts.vocabulary import Organ, Side

Chooser = Callable[[Sequence[Any]], Any]

COUNT_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def modality(request: CaseRequest, choose: Chooser) -> str:
    """ "CT of the head and neck"."""
    table = load("phrases.yaml")
    if request.region is None:
        return str(choose(table["modality"]["none"]))
    patterns = list(table["modality"]["region"])
    if request.targets:
        patterns += table["modality"]["planning"]
    return str(choose(patterns)).format(region=choose(table["region"][request.region]))


def person(request: CaseRequest, choose: Chooser) -> str:
    """ "68-year-old woman", or "" when neither sex nor age is known."""
    table = load("phrases.yaml")
    known = "_".join(key for key in ("sex", "age") if getattr(request, key) is not None)
    if not known:
        return ""
    sex = choose(table["sex"][request.sex]) if request.sex else ""
    return str(choose(table["person"][known])).format(sex=sex, age=request.age)


def fact(field: str, value: str | None, choose: Chooser) -> str:
    """The phrase of a one-valued field (phase, extent, habitus, shape ...), or "" when not said."""
    return "" if value is None else str(choose(load("phrases.yaml")[field][str(value)]))


def target(request: TargetRequest, choose: Chooser, exact: bool) -> str:
    """ "70 Gy target of 120 mL on the left side". Not exact: the volume is rounded to three digits."""
    table = load("phrases.yaml")
    words = [choose(table["dose"][str(int(request.dose_gy))])]
    before = request.side is not None and choose((False, True))
    if request.side and before:
        words.insert(0, choose(table["side_before"][request.side]))
    if request.volume_ml is not None:
        volume = number(request.volume_ml if exact else float(f"{request.volume_ml:.3g}"))
        words.append(choose(table["target_volume"]).format(ml=volume))
    if request.side and not before:
        words.append(choose(table["side_after"][request.side]))
    return " ".join(words)


def finding(request: FindingRequest, choose: Chooser) -> str:
    """ "two 9 mm ground-glass nodules in the left lower lobe of the lung"; no comma inside."""
    table = load("phrases.yaml")
    several = request.count != 1
    noun = choose(table["kind"][request.kind])[several]
    size_after = request.size_mm is not None and choose((False, True))
    words = [_count(request, choose), "" if size_after else _size(request, choose), *_attributes(request, choose)]
    if choose((False, True)):
        words.append(choose(table["organ_adjective"][request.organ]))
    words.append(noun)
    if size_after:
        words.append(choose(table["size_after"]).format(size=_size(request, choose)))
    words += [place(request, choose), fact("invasion", request.invasion, choose), *_extent(request)]
    return " ".join(word for word in words if word)


def _extent(request: FindingRequest) -> list[str]:
    """ "30%", "of 200 mL", "with a cardiothoracic ratio of 0.58"."""
    share = "" if request.share is None else f"{number(round(100 * request.share, 4))}%"
    volume = "" if request.volume_ml is None else f"of {number(request.volume_ml)} mL"
    ratio = "" if request.ratio is None else f"with a cardiothoracic ratio of {number(request.ratio)}"
    return [share, volume, ratio]


def place(request: FindingRequest, choose: Chooser) -> str:
    """ "in the right upper lobe of the lung"."""
    table = load("phrases.yaml")["place"]
    side = "bilateral" if request.side is Side.BILATERAL else "side" if request.side else ""
    key = "_".join(part for part in (side, "segment" if request.segment else "") if part) or "none"
    if request.organ is Organ.BONE and request.side is Side.MIDLINE:
        return "in the bone in the midline"
    patterns = table.get(request.organ, table["default"])[key]
    level = request.organ is Organ.BONE and request.segment and request.segment[1:].isdigit()
    segment = f"vertebra {request.segment}" if level else request.segment
    return str(choose(patterns)).format(organ=request.organ, side=request.side, segment=segment)


def with_article(phrase: str) -> str:
    """ "70 Gy target" -> "a 70 Gy target"; a phrase that opens with a count or is a plural stays as it is."""
    first = phrase.split()[0].lower()
    if first in (*COUNT_WORDS, "several", "multiple", "both") or first.startswith("ptv"):
        return phrase
    vowel = first[0] in "aeio" or first.startswith("un") or first.split("-")[0] in ("8", "11", "18", "80")
    return f"{'an' if vowel or first.startswith('8') else 'a'} {phrase}"


def number(value: float) -> str:
    """Shortest decimal text that reads back to the same float: 18.0 -> "18", 7.5 -> "7.5"."""
    text = repr(float(value))
    if "e" in text:
        text = f"{value:.20f}".rstrip("0")
    return text.removesuffix(".0")


def _count(request: FindingRequest, choose: Chooser) -> str:
    if request.count is None:
        return str(choose(load("phrases.yaml")["several"]))
    if request.count == 1:
        return ""
    return COUNT_WORDS[request.count] if request.count < len(COUNT_WORDS) else str(request.count)


def _size(request: FindingRequest, choose: Chooser) -> str:
    if request.size_mm is None:
        return ""
    in_mm = f"{number(request.size_mm)} mm"
    in_cm = f"{number(request.size_mm / 10)} cm"
    exact_cm = float(number(request.size_mm / 10)) * 10 == request.size_mm and len(in_cm) < 9
    return str(choose([in_mm, in_cm] if exact_cm and request.size_mm >= 10 else [in_mm]))


def _attributes(request: FindingRequest, choose: Chooser) -> list[str]:
    fields = ("severity", "pattern", "surface", "spiculated", "lobulated", "shape", "heterogeneity", "density",
              "texture", "necrotic", "calcified", "rim")  # fmt: skip
    return [fact(f, getattr(request, f), choose) for f in fields]
