"""Numbers in a prompt: sizes, volumes, doses, ages, counts, liver segments, with their units."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Means = dict[str, Any]

_NUM = r"(?:(?<![\w).])[-−]\s?)?(?:\d+(?:\.\d+)?|\.\d+)"
_AND = r"\s*(?:,\s*and|,|/|and|&)\s*"
_LIST = rf"{_NUM}(?:{_AND}{_NUM})+"  # apart from _NUM: "segment 6, 3 cm" is no list, and the size must still be found
_LENGTH = r"(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)"
_ML = r"(?:ml|cc|ccm|cm3|cm³|cm\^3|millilit(?:er|re)s?)"
_PART = r"(?:[ivx]+[ab]?|\d+[ab]?)(?!\w|\.\d|[\s-]*[cm]m)"  # a Couinaud number
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8"}
_NOT_A_DOSE = rf"(?![\d.]*\d|[\s-]*(?:{_LENGTH}|{_ML}|years?|yrs?|y/?o|x\b))"
_DOSE = rf"[1-9]\d{_NOT_A_DOSE}"
_GY = r"(?:[\s-]*(?:gy|grays?))?"


def matches(prompt: str) -> Iterator[tuple[re.Match[str], Means]]:
    """Every stretch that reads as a number with a meaning, and that meaning (field -> value)."""
    for pattern, read in _PATTERNS:
        for match in pattern.finditer(prompt):
            yield match, read(match)


def _numbers(text: str) -> tuple[float, ...]:
    found = re.findall(r"[-−]?\s?(?:\d+(?:\.\d+)?|\.\d+)", text)
    return tuple(float(n.replace("−", "-").replace(" ", "")) for n in found)


def _mm(text: str) -> tuple[float, ...]:
    scale = 10.0 if re.search(r"c(?:m|enti)", text, re.IGNORECASE) else 1.0
    return tuple(round(n * scale, 9) for n in _numbers(text))


def _size(match: re.Match[str]) -> Means:
    return {"size_mm": _mm(match[0])}


def _axes(match: re.Match[str]) -> Means:
    """ "2.3 x 1.8 cm": the long axis is what a request holds."""
    axes = _mm(re.sub(r"[-−]", " ", match[0]))
    return {"size_mm": (max(axes),)}


def _volume(match: re.Match[str]) -> Means:
    return {"volume_ml": _numbers(re.sub(r"cm(?:3|\^3)", "", match[0], flags=re.IGNORECASE))}


def _share(match: re.Match[str]) -> Means:
    return {"share": round(_numbers(match[0])[0] / 100, 6)}


def _ratio(match: re.Match[str]) -> Means:
    return {"ratio": _numbers(match["ratio"])[0]}


def _dose(match: re.Match[str]) -> Means:
    return {"dose": _numbers(match[0])}


def _centigray(match: re.Match[str]) -> Means:
    return {"dose": tuple(n / 100 for n in _numbers(match[0]))}


def _ptv(match: re.Match[str]) -> Means:
    return {"dose": tuple(float(n) for n in re.findall(r"\d+", match[0]))}


def _person(match: re.Match[str]) -> Means:
    sex = (match.groupdict().get("sex") or "").lower()
    means: Means = {"age": int(re.sub(r"\s", "", match["age"]).replace("−", "-"))}
    return means | ({"sex": "female" if sex == "f" else "male"} if sex else {})


def _segment(match: re.Match[str]) -> Means:
    said = match["segment"].lower()
    digits = re.sub(r"[ab]$", "", said)
    return {"segment": _ROMAN.get(digits, digits), "implied_organ": "liver"}


def _count(match: re.Match[str]) -> Means:
    return {"count": match["count"].lstrip("0") or "0"}


def _constant(field: str) -> Callable[[re.Match[str]], Means]:
    return lambda match: {field: match[0]}


def _rule(pattern: str, read: Callable[[re.Match[str]], Means]) -> tuple[re.Pattern[str], Callable[..., Means]]:
    return re.compile(rf"(?<![\w.]){pattern}(?!\w)", re.IGNORECASE), read


_SLICES = r"(?:slices?|slice thickness|spacing|voxels?|thick)"
_AGE = r"(?P<age>[-−]?\s?\d{1,3})"
_PATTERNS = (
    _rule(rf"{_NUM},\d+[\s-]*(?:{_LENGTH}|{_ML})", _constant("comma")),
    *(_rule(rf"{numbers}[\s-]*{_LENGTH}", _size) for numbers in (_NUM, _LIST)),
    _rule(rf"{_NUM}[\s-]*{_LENGTH}?(?:\s*[x×]\s*{_NUM}[\s-]*{_LENGTH}?)+", _axes),
    _rule(rf"{_NUM}\s*{_LENGTH}?\s*(?:-|–|to)\s*\d+(?:\.\d+)?[\s-]*{_LENGTH}", _constant("range")),
    _rule(rf"{_NUM}[\s-]*{_LENGTH}[\s-]+(?:thick\s+)?{_SLICES}", _constant("spacing")),
    *(_rule(rf"{numbers}[\s-]*{_ML}", _volume) for numbers in (_NUM, _LIST)),
    (re.compile(rf"(?<![\w.]){_NUM}\s*(?:%|percent\b)(?:\s+of)?", re.IGNORECASE), _share),
    _rule(r"(?:with (?:a )?)?(?:cardio-?thoracic (?:ratio|index)|ctr)(?:\s*(?:of|=|:))?\s*(?P<ratio>0?\.\d+)", _ratio),
    *(_rule(rf"{numbers}[\s-]*(?:gy|grays?)", _dose) for numbers in (_NUM, _LIST)),
    *(_rule(rf"{numbers}[\s-]*(?:cgy|centigrays?)", _centigray) for numbers in (_NUM, _LIST)),
    _rule(rf"ptvs?[\s_-]*(?:of\s+)?\(?{_DOSE}{_GY}", _ptv),
    _rule(rf"ptvs?[\s_-]*{_DOSE}(?:/(?:ptv)?{_DOSE})+{_GY}", _ptv),
    _rule(rf"ptvs?\s+(?:of\s+)?{_DOSE}(?:{_AND}{_DOSE})+{_GY}", _ptv),
    _rule(rf"{_AGE}[\s-]*(?:years?|yrs?|y/?o|y\.o\.)(?:[\s-]*olds?)?(?:\s+(?P<sex>[mf]))?", _person),
    _rule(rf"aged?:?\s*{_AGE}(?:\s*(?:years?|yrs?|y))?", _person),
    _rule(rf"{_AGE}/?(?P<sex>[mf])", _person),
    _rule(rf"(?:couinaud\s+)?(?:segments?|seg\.?)\s*(?P<segment>{_PART})", _segment),
    _rule(rf"segments\s*{_PART}(?:{_AND}{_PART})+", _constant("segments")),
    _rule(rf"segments?\s*{_PART}(?:{_AND}[ivx]+)+", _constant("segments")),
    _rule(r"s(?P<segment>[1-8])", _segment),
    _rule(r"(?P<count>\d{1,3})(?=[\s-]+[a-z])(?![\s-]*(?:x|m|in|inch|inches|kvp?|mas)\b)", _count),
)
