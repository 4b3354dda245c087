"""Numbers of a text, each typed by what stands about it: a size, a dose, an image number, a date, a stage ...

Every number that one of the rules reads becomes one term over all of its tokens; `means` has one key:

size      {"axes" | "list" | "range": mm, "is": None | "below" | "above" | "largest" | "thickness" | "short axis"}
volume    mL, one or more              dose   Gy, one or more
person    {"age", "sex"}               count  as a word of the lexicon
couinaud  numbers of liver segments    vertebra  level
stage     words of a classification    number  read, and nothing follows (series, HU, kV, dates, list numbers ...)
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from prompts.lexicon import Term
from prompts.source import Source

Means = dict[str, Any]
_END = re.compile(r"(?<![\d.])[.;\n](?=\s)")
_WITH_NUMBER = re.compile(
    r"\d|[ -](?:mm|cm|millim|centim|inch)|\b(?:seg|level|bosniak|type|grade|stage|cat|lr|child)", re.I
)

_N = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:[.,]\d+)?|\.\d+)"
_SIGNED = rf"(?:(?<![\w).])-\s?)?{_N}"
_MM = r"(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|inch(?:es)?)(?![a-wyz\d^]|x(?!\s?\d))"
_GAP = r"[\s-]*"
_AND = r"\s*(?:,\s*and|,\s|/|and|&)\s*"
_BY = r"\s*(?:x|by|\*)\s*"
_ML = r"(?:ml|cc|ccm|cm3|cm\^3|cm\s3|millilit(?:er|re)s?|cubic\s+centimet(?:er|re)s?)(?![a-z\d])"
_NAMED = r"(?:\s*\([^()\d]{0,14}\))?"  # "20 mm (AP) x 30 mm"
_AXES = rf"{_SIGNED}{_GAP}{_MM}{_NAMED}(?:{_BY}{_N}{_GAP}(?:{_MM})?{_NAMED}){{1,2}}"
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9}
_PART = r"(?:viii|vii|vi|iv|ix|v|iii|ii|i|[1-9])[ab]?(?!\w|\.\d|[\s-]*(?:[cm]m\b|years?|yrs?|y/?o))"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_NOT_A_DOSE = rf"(?![\d.]*\d|[\s-]*(?:{_MM}|{_ML}|years?|yrs?|y/?o|x\b))"
_DOSE = rf"[1-9]\d{_NOT_A_DOSE}"
_GY = r"(?:[\s-]*(?:gy|grays?))?"
_AGE = r"(?P<age>-?\s?\d{1,3})"
_SEX = r"(?:\W{0,2}(?P<sex>[mf])\b)?"


def terms(source: Source) -> list[Term]:
    """The typed numbers of a text, none overlapping: at each place the rule that stands first in the table."""
    tokens = source.tokens
    starts = [t.start for t in tokens]
    taken = bytearray(len(source.text) + 1)
    found: list[Term] = []
    for match, means in _matches(source.text):
        a, b = match.start(), match.end()
        if 1 in taken[a:b]:
            continue
        first, last = bisect_left(starts, a), bisect_right(starts, b - 1)
        if first >= last:
            continue
        taken[a:b] = b"\1" * (b - a)
        found.append(Term(means, first, last, a, b, match[0]))
    return sorted(found, key=lambda t: t.first)


def _matches(text: str) -> Iterator[tuple[re.Match[str], Means]]:
    """Only sentences with a digit, or a word that a number in letters goes with, are looked at."""
    ends = [0, *(m.end() for m in _END.finditer(text)), len(text)]
    for start, end in pairwise(ends):
        if _WITH_NUMBER.search(text, start, end):
            for pattern, read in _rules():
                for match in pattern.finditer(text, start, end):
                    yield match, read(match)


def value(text: str) -> float:
    """ "1,5" is 1.5 and "1,000" a thousand."""
    text = text.replace(" ", "")
    if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text) and not text.startswith("0"):
        return float(text.replace(",", ""))
    return float(text.replace(",", "."))


def _values(text: str) -> list[float]:
    return [value(n) for n in re.findall(rf"(?:(?<![\w).])-\s?)?{_N}", text)]


def _scale(unit: str) -> float:
    return 10.0 if unit.lower().startswith("c") else 25.4 if unit.lower().startswith("i") else 1.0


def _sized(text: str) -> list[float]:
    """Lengths in mm: a number has the unit behind it, one without takes that of the next ("2 x 3 cm")."""
    found = [(value(m[1]), m[2]) for m in re.finditer(rf"({_SIGNED}){_GAP}({_MM})?", text, re.I)]
    unit, lengths = None, []
    for number, own in reversed(found):
        unit = own or unit
        lengths.append(round(number * _scale(unit or "mm"), 6))
    if found and found[-1][1] is None:  # "30 mm x 2": the unit of the first
        unit = next((own for _, own in found if own), "mm")
        lengths = [round(n * _scale(own or unit), 6) for n, own in reversed(found)]
    return lengths[::-1]


def _axes(match: re.Match[str]) -> Means:
    return {"size": {"axes": tuple(sorted(_sized(match[0]), reverse=True)), "is": None}}


def _axes_unit(match: re.Match[str]) -> Means:
    """ "(5.6 x 4.1, cm)": the unit stands apart."""
    scale = _scale(match["unit"])
    return {
        "size": {"axes": tuple(sorted((round(n * scale, 6) for n in _values(match["axes"])), reverse=True)), "is": None}
    }


def _range(match: re.Match[str]) -> Means:
    low, high = _sized(f"{match['low']} {match['lunit'] or match['unit']} x {match['high']} {match['unit']}")
    return {"size": {"range": (min(low, high), max(low, high)), "is": "range"}}


def _grown(match: re.Match[str]) -> Means:
    """ "decreased from 52 mm to 38 mm": what it is now, and what it was."""
    was, now = _sized(f"{match['low']} {match['lunit'] or match['unit']} x {match['high']} {match['unit']}")
    return {"size": {"axes": (now,), "is": None, "was": was}}


def _worded(match: re.Match[str]) -> Means:
    """ "two by one point five centimeters"."""
    scale, lengths = _scale(match["unit"]), []
    for said in re.findall(_W, match["words"], re.I):
        whole, _, tenth = said.lower().partition("point")
        number = 0.5 if "half" in whole else float(_WORDS.index(whole.strip()))
        lengths.append(round((number + (_WORDS.index(tenth.strip()) / 10 if tenth else 0)) * scale, 6))
    if match["to"] and len(lengths) == 2:
        return {"size": {"range": (min(lengths), max(lengths)), "is": "range"}}
    return {"size": {"axes": tuple(sorted(lengths, reverse=True)), "is": None}}


def _list(match: re.Match[str]) -> Means:
    return {"size": {"list": tuple(_sized(match[0])), "is": None}}


def _size(match: re.Match[str]) -> Means:
    return {"size": {"axes": tuple(_sized(match["n"])), "is": _bound(match.groupdict().get("bound"))}}


def _bound(said: str | None) -> str | None:
    if not said:
        return None
    said = said.lower()
    if re.search(r"<|less|smaller|under|below|not exceed|none|at most|not larger|no more|no larger|within", said):
        return "below"
    if re.search(r">|more|larger|greater|over|exceed|above|at least|bigger", said):
        return "above"
    return "largest" if re.search(r"up to|reach|max", said) else None


def _volumes(match: re.Match[str]) -> Means:
    return {"volume": tuple(_values(re.sub(r"cm(?:3|\^3|\s3)", "", match[0], flags=re.I)))}


def _doses(match: re.Match[str]) -> Means:
    return {"dose": tuple(_values(match[0]))}


def _centigray(match: re.Match[str]) -> Means:
    return {"dose": tuple(n / 100 for n in _values(match[0]))}


def _ptv(match: re.Match[str]) -> Means:
    return {"dose": tuple(float(n) for n in re.findall(r"\d+", match[0])), "named": True}


def _person(match: re.Match[str]) -> Means:
    groups = match.groupdict()
    sex = (groups.get("sex") or "").lower()
    means: Means = {"age": int(re.sub(r"\s", "", match["age"]))}
    return {"person": means | ({"sex": {"f": "female", "w": "female"}.get(sex, "male")} if sex else {})}


def _named_person(match: re.Match[str]) -> Means:
    """ "man 58": a word that says the sex, and a number."""
    female = match["word"].lower() in ("woman", "female", "lady", "girl")
    return {"person": {"age": int(match["age"]), "sex": "female" if female else "male"}}


def _months(match: re.Match[str]) -> Means:
    return {"person": {"age": int(match["age"]) // 12}}


def _segments(match: re.Match[str]) -> Means:
    parts = _parts(match["list"])
    return {"couinaud": parts, "across": len(parts) == 2 and bool(re.search(r"[/-]", match["list"]))}


def _parts(text: str) -> tuple[str, ...]:
    """Couinaud numbers in digits; "6-8" is 6, 7 and 8."""
    if (run := re.fullmatch(r"\s*([1-8])\s*(?:-|to)\s*([1-8])\s*", text)) and int(run[1]) < int(run[2]):
        return tuple(str(n) for n in range(int(run[1]), int(run[2]) + 1))
    found = re.findall(r"(?:viii|vii|vi|iv|ix|v|iii|ii|i|\d+)(?=[ab]?(?:\W|$))", text.lower())
    return tuple(dict.fromkeys(n if n.isdigit() else str(_ROMAN[n]) for n in found))


def _vertebra(match: re.Match[str]) -> Means:
    return {"vertebra": match["level"].upper().replace(" ", "")}


def _stage(match: re.Match[str]) -> Means:
    return {"stage": " ".join(match[0].split())}


def _station(match: re.Match[str]) -> Means:
    """ "station 4R": nodes of the mediastinum or hilum on the right (IASLC map)."""
    numbers = match["list"].upper()
    sides = set(re.findall(r"[RL]", numbers))
    side = {"R": "right", "L": "left"}[sides.pop()] if len(sides) == 1 else None
    place = {"organ": "mediastinum", "segment": f"station {numbers}"}
    return {"place": place | ({"side": side} if side else {}), "station": True}


def _count(match: re.Match[str]) -> Means:
    return {"count": match["count"].lstrip("0") or "0", "digits": True}


def _read(_: re.Match[str]) -> Means:
    return {"number": True}


def _share(match: re.Match[str]) -> Means:
    return {"share": round(value(match["n"]) / 100, 6)}


def _ratio(match: re.Match[str]) -> Means:
    return {"ratio": value(match["n"])}


def _degrees(match: re.Match[str]) -> Means:
    return {"degrees": value(match["n"])}


Rule = tuple[str, Callable[[re.Match[str]], Means]]


def _rule(pattern: str, read: Callable[[re.Match[str]], Means], left: str = r"(?<![\w.])(?<!\d,)") -> Rule:
    return rf"{left}(?:{pattern})(?!\w)", read


@cache
def _rules() -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], Means]]]:
    """The table, compiled when the first number is met."""
    return [(re.compile(pattern, re.I), read) for pattern, read in _RULES]


_BOUND = (
    r"(?P<bound>(?:not\s+exceeding|not\s+larger\s+than|no\s+(?:larger|more)\s+than|"
    r"none\s+(?:exceeding|larger\s+than|over)|"
    r"(?:less|smaller|more|larger|greater|bigger)\s+than|(?:up\s+to|reaching|reaches|"
    r"maximum(?:\s+of)?|max\.?|under|below|"
    r"over|exceeding|at\s+least|at\s+most|above)|[<>]=?))\s*(?:(?:a|an|about|approximately|approx\.?|"
    r"of|in\s+diameter|~)\s*){0,2}"
)
_SECTION = (
    r"(?:slices?|slice\s+thickness|sections?|section\s+thickness|spacing|voxels?|"
    r"thick(?:\s+(?:slices?|sections?))?|collimation|intervals?|cuts?|reconstruction\w*)"
)
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
          "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty")  # fmt: skip
_W = rf"(?:{'|'.join(_WORDS)}|half\s+an?)(?:\s+point\s+(?:{'|'.join(_WORDS[:10])}))?"
_PEOPLE = "(?:man|male|gentleman|boy|woman|female|lady|girl)"
_RULES = (
    # dates and times
    _rule(
        (
            rf"\d{{1,2}}[./-]\d{{1,2}}[./-]\d{{2,4}}|\d{{4}}[./-]\d{{1,2}}[./-]\d{{1,2}}|"
            rf"\d{{1,2}}\.?\s+{_MONTH}\.?,?\s+\d{{4}}|{_MONTH}\.?\s+\d{{1,2}},?\s+\d{{4}}|"
            rf"{_MONTH}\.?,?\s+(?:19|20)\d\d|(?:in|since|of|from|dated?)\s+(?:19|20)\d\d"
        ),
        _read,
    ),
    _rule(r"\d{1,2}:\d{2}\s*(?:am|pm|h)", _read),
    _rule(
        (
            r"\d+\s*(?:days?|weeks?|wks?|mo|months?|hours?|hrs?|min(?:ute)?s?)(?:\s+(?:ago|earlier|later|"
            r"prior|interval|follow-?\s?up|old\s+study|post\w*))?(?![\s-]+old)"
        ),
        _read,
    ),
    _rule(rf"sum\s+of\s+(?:the\s+)?(?:longest\s+)?diameters?\s*[:=]?\s*(?:is\s+)?{_N}{_GAP}{_MM}", _read),
    _rule(r"(?:non-?\s?)?target(?:\s+lesions?)?\s+(?:no\.?\s*)?\d{1,2}(?=\s*[:.,(-])", lambda m: {"label": True}),
    # where in the study
    _rule(r"stations?\s+(?P<list>\d{1,2}[rl]?(?:\s*(?:[-/,]|,?\s*and)\s*\d{1,2}[rl]?(?!\s*[cm]m))*)", _station),
    _rule(r"(?P<list>(?:1[0-4]|[24])[rl])(?=\s*(?:station|nodes?\b|lns?\b|lymph|:))", _station),
    _rule(r"(?P<list>[5-9]|1[0-4])(?=\s+(?:station|(?:lymph\s+)?(?:node|ln)\b))", _station),
    _rule(
        (
            r"(?:series|ser|se|image|images|img|im|ima|slice|slices|frame)\.?\s*(?:no\.?|number|#|"
            r":)?\s*\d+(?:\s*[-/,]\s*\d+)*(?!\s*[cm]m)"
        ),
        _read,
    ),
    _rule(r"\(?\d{1,3}\s?[:/]\s?\d{2,4}\)?(?=\W|$)(?!\s*[cm]m)", _read, left=r"(?<![\w./])"),
    _rule(r"\d{1,3}:\d{1,4}", _read),
    # classifications
    _rule(
        (
            r"(?:bosniak|li-?\s?rads|lr|lung-?\s?rads|bi-?\s?rads|pi-?\s?rads|ti-?\s?rads|o-?\s?rads|c-?rads|"
            r"co-?rads|figo|birads|tirads|fleischner|stanford|debakey|aast|child(?:-pugh)?|ajcc|ishak|"
            r"balthazar|category|cat)[\s:-]*(?:category|class|type|grade|score|stage)?[\s:-]*(?:\d[a-z]?|"
            r"[ivx]+f?|[a-d]|m|tr-?m|2f)"
        ),
        _stage,
    ),
    _rule(r"(?:stage|grade|type)[\s:-]*(?:[ivx]+[abc]?|\d[abc]?|[abc])", _stage),
    _rule(
        (
            r"[cpyr]{0,2}t[0-4x][a-d]?(?:\s*,?\s*n[0-3x][abc]?(?:\s*,?\s*m[01x][abc]?)?)|"
            r"[cpyr]{1,2}t[0-4x][a-d]?|n[0-3][abc]?\s*m[01x][abc]?"
        ),
        _stage,
    ),
    _rule(r"levels?\s+(?:[1-7]|[ivx]+)[ab]?(?:\s*(?:[-/,]|and|to)\s*(?:[1-7]|[ivx]+)[ab]?)*", _stage),
    # what the scanner did, and how bright
    _rule(
        (
            rf"{_SIGNED}\s*(?:(?:-|to|/|,|and)\s*{_SIGNED}\s*)?(?:hu|hounsfield(?:\s+units?)?|"
            rf"h\.u\.)(?:\s*\(?\s*sd\s*{_SIGNED}\)?)?"
        ),
        _read,
        left=r"(?<![\w.])",
    ),
    _rule(
        (
            rf"(?:hu|hounsfield(?:\s+units?)?|density|attenuation|suv(?:max)?|adc|psa|ctdi\w*|dlp|sd|"
            rf"ca\s*19-9|bmi|gfr|pitch)\s*(?:of|:|=|is|was|about|approximately|"
            rf"values?)?\s*{_SIGNED}(?!\s*[cm]m)"
        ),
        _read,
    ),
    _rule(
        (
            rf"{_N}\s*(?:kvp?|kev|mas?|mgy(?:[*.\s-]?cm)?|msv|ms|fr|french|gauge|g|kg|lbs?|mmhg|mg|ug|mmol|"
            rf"bpm|ph|x\s*magnification)(?![a-z])"
        ),
        _read,
    ),
    (rf"(?<![\w.])(?P<n>{_N})\s*(?:%|percent\b)(?:\s+of)?", _share),
    _rule(
        r"(?:with\s+an?\s+|with\s+)?(?:cardio-?\s?thoracic\s+(?:ratio|index)|ctr)\s*(?:of|=|:|is)?\s*(?P<n>0?\.\d+)",
        _ratio,
    ),
    _rule(
        (
            rf"(?:contact\s+(?:with|of)\s+)?(?:about\s+|approximately\s+|less\s+than\s+|more\s+than\s+|"
            rf"[<>]=?\s*)?(?P<n>{_N})\s*(?:degrees?|deg)(?:\s+of\s+contact)?"
        ),
        _degrees,
    ),
    _rule(
        (rf"{_N}{_GAP}{_MM}[\s-]+{_SECTION}|{_SECTION}(?:\s+(?:thickness|of|is|was|:|=))*\s*{_N}{_GAP}{_MM}"),
        lambda m: {"spacing": True},
    ),
    _rule(rf"voxel\s+spacing\s+{_N}(?:{_BY}{_N})*\s*mm|field\s+of\s+view\s+{_N}(?:{_BY}{_N})*\s*mm", _read),
    # radiotherapy
    *(_rule(rf"{numbers}[\s-]*(?:gy|grays?)", _doses) for numbers in (rf"{_N}(?:{_AND}{_N})+", _SIGNED)),
    *(_rule(rf"{numbers}[\s-]*(?:cgy|centigrays?)", _centigray) for numbers in (rf"{_N}(?:{_AND}{_N})+", _SIGNED)),
    _rule(rf"ptvs?[\s_-]*{_DOSE}(?:/(?:ptv)?{_DOSE})+{_GY}", _ptv),
    _rule(rf"ptvs?\s+(?:of\s+)?{_DOSE}(?:\s*(?:,\s*and|,|/|and|&)\s*{_DOSE})+{_GY}", _ptv),
    _rule(rf"ptvs?[\s_-]*(?:of\s+)?\(?{_DOSE}{_GY}", _ptv),
    # the patient
    _rule(
        (
            rf"{_AGE}[\s-]*(?:years?|yrs?|yr|y/?o|y\.o\.|yo|y\.?/o\.?|jahre|ans)(?:[\s-]*(?:olds?|"
            rf"of\s+age))?(?:,?[\s-]*(?P<sex>[mf])\b)?"
        ),
        _person,
        left=r"(?<![\w.])",
    ),
    _rule(rf"(?P<word>{_PEOPLE}),?\s+(?P<age>\d{{1,3}})(?=[\s,.;]|$)(?!\s*(?:[cm]m|x|years?|yrs?))", _named_person),
    _rule(rf"aged?:?\s*{_AGE}(?:\s*(?:years?|yrs?|y))?", _person),
    _rule(r"(?P<age>\d{1,3})[\s-]*(?:months?|mo)[\s-]*old", _months),
    _rule(rf"{_AGE}\s?y?(?:/|\s)?(?P<sex>[mf])(?=\W|$)", _person, left=r"(?<![\w.])"),
    _rule(r"(?P<sex>[mf])\s?/?\s?(?P<age>\d{2})(?!\s*[cm]m|[\d.])", _person),
    # liver segments and vertebrae
    _rule(
        (
            rf"(?:couinaud\s+|hepatic\s+|liver\s+)?(?:segments?|"
            rf"segs?\.?)\s*:?\s*(?P<list>{_PART}(?:\s*(?:,\s*and|,|/|and|&|-|to|or)\s*{_PART})*)"
        ),
        _segments,
    ),
    _rule(r"(?<!vertebra )s(?P<list>[1-8](?:\s*/\s*s?[1-8])?)(?![\d.])", _segments),
    _rule(r"(?P<list>(?:viii|vii|vi|iv|v|iii|ii))(?=\s+segments?)", _segments),
    _rule(r"(?P<level>[ctld]\s?\d{1,2}(?:\s*(?:-|/|and|to|,)\s*[ctlds]?\s?\d{1,2})*|l5-s1|s1)(?!\s*[cm]m)", _vertebra),
    # volumes and lengths
    _rule(rf"(?P<words>{_W}(?:\s*(?:x|by|times|(?P<to>to))\s*{_W}){{0,2}})[\s-]+(?P<unit>{_MM})", _worded),
    *(_rule(rf"{numbers}[\s-]*{_ML}", _volumes) for numbers in (rf"{_N}(?:{_AND}{_N})+", _SIGNED)),
    _rule(rf"(?P<axes>{_N}(?:{_BY}{_N}){{1,2}})\s*[,(]?\s*(?P<unit>{_MM})\)?", _axes_unit),
    _rule(_AXES, _axes),
    _rule(
        rf"(?:creased|grown|shrunk|enlarged|progressed|regressed|reduced|changed|went)\s+(?:in\s+size\s+)?from\s+"
        rf"(?P<low>{_N})\s*(?P<lunit>{_MM})?\s+to\s+(?P<high>{_N}){_GAP}(?P<unit>{_MM})",
        _grown,
        left="",
    ),
    _rule(rf"(?P<low>{_N})\s*(?P<lunit>{_MM})?\s*(?:-|to)\s*(?P<high>{_N}){_GAP}(?P<unit>{_MM})", _range),
    _rule(rf"between\s+(?P<low>{_N})\s*(?P<lunit>{_MM})?\s*and\s*(?P<high>{_N}){_GAP}(?P<unit>{_MM})", _range),
    _rule(rf"{_N}(?:{_AND}{_N})+{_GAP}{_MM}", _list),
    _rule(rf"(?:{_BOUND})?(?P<n>{_SIGNED}{_GAP}{_MM})", _size, left=r"(?<![\w.])(?<!\d,)"),
    _rule(r"(?P<count>\d{1,3})\s*x(?=\s+[a-z])", _count),
    _rule(r"x\s?(?P<count>\d{1,2})(?!\s*(?:[cm]m|x)|[.,]?\d)", _count, left=r"(?<=[a-z]\s)"),
    # what is left: counts and numbers of a list
    _rule(r"\d{1,2}[.)](?=\s+[A-Za-z])(?!\s*[cm]m\b)", _read, left=r"(?:(?<=^)|(?<=[\n.:;] )|(?<=\n)|(?<=\())"),
    _rule(r"#\s*\d+", _read, left=""),
    _rule(r"\((?P<count>\d{1,2})\)", _count, left=r"(?:(?<=[a-z]\s)|(?<=[a-z]))"),
    _rule(
        r"(?<!covid[\s-])(?<!covid)(?P<count>\d{1,3})(?=[\s-]+[a-z])(?![\s-]*(?:x|m|in|kvp?|mas|is|was|and|to|or|of)\b)",
        _count,
    ),
)
