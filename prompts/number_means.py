"""What a number that a rule has found means: lengths in mm, volumes, doses, persons, segments, levels, counts."""

from __future__ import annotations

import re
from typing import Any

Means = dict[str, Any]

NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:[.,]\d+)?|\.\d+)"
SIGNED = rf"(?:(?<![\w).])-\s?)?{NUMBER}"
MM = (
    r"(?:mms?|cms?|millimet(?:er|re)s?|centimet(?:er|re)s?|inch(?:es)?|in\.(?=\s|$|,|;|\))|um|microns?|micromet(?:er|re)s?)"
    r"(?![a-wyz\d^]|x(?!\s?\d))"
)
GAP = r"[\s-]*"
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9}
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
          "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty")  # fmt: skip
_NTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
        "twelfth")  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WORDED_AGE = rf"(?:{'|'.join(_TENS)})(?:[\s-]+(?:{'|'.join(_WORDS[1:10])}))?|(?:{'|'.join(_WORDS[1:20])})"
WORDED = rf"(?:{'|'.join(_WORDS)}|half\s+an?)(?:\s+point\s+(?:{'|'.join(_WORDS[:10])}))?"


def value(text: str) -> float:
    """ "1,5" is 1.5 and "1,000" a thousand."""
    text = text.replace(" ", "")
    if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text) and not text.startswith("0"):
        return float(text.replace(",", ""))
    return float(text.replace(",", "."))


def _values(text: str) -> list[float]:
    return [value(n) for n in re.findall(rf"(?:(?<![\w).])-\s?)?{NUMBER}", text)]


def _scale(unit: str) -> float:
    unit = unit.lower()
    if unit.startswith(("u", "micro")):
        return 1e-3
    return 10.0 if unit.startswith("c") else 25.4 if unit.startswith("i") else 1.0


def _sized(text: str) -> list[float]:
    """Lengths in mm: a number has the unit behind it, one without takes that of the next ("2 x 3 cm")."""
    found = [(value(m[1]), m[2]) for m in re.finditer(rf"({SIGNED}){GAP}({MM})?", text, re.I)]
    unit, lengths = None, []
    for number, own in reversed(found):
        unit = own or unit
        lengths.append(round(number * _scale(unit or "mm"), 6))
    if found and found[-1][1] is None:  # "30 mm x 2": the unit of the first
        unit = next((own for _, own in found if own), "mm")
        lengths = [round(n * _scale(own or unit), 6) for n, own in reversed(found)]
    return lengths[::-1]


def axes(match: re.Match[str]) -> Means:
    """Lengths of axes, the longest first."""
    return {"size": {"axes": tuple(sorted(_sized(match[0]), reverse=True)), "is": None}}


def earlier(match: re.Match[str]) -> Means:
    """ "(was 41 mm)"."""
    return {"size": {"axes": tuple(sorted(_sized(match["n"]), reverse=True)), "is": "earlier"}}


def axes_with_unit(match: re.Match[str]) -> Means:
    """ "(5.6 x 4.1, cm)": the unit stands apart."""
    scale = _scale(match["unit"] or match["apart"])
    return {
        "size": {"axes": tuple(sorted((round(n * scale, 6) for n in _values(match["axes"])), reverse=True)), "is": None}
    }


def length_range(match: re.Match[str]) -> Means:
    """The ends of a range."""
    low, high = _sized(f"{match['low']} {match['lunit'] or match['unit']} x {match['high']} {match['unit']}")
    return {"size": {"range": (min(low, high), max(low, high)), "is": "range"}}


def grown(match: re.Match[str]) -> Means:
    """ "decreased from 52 mm to 38 mm": what it is now, and what it was."""
    was, now = _sized(f"{match['low']} {match['lunit'] or match['unit']} x {match['high']} {match['unit']}")
    return {"size": {"axes": (now,), "is": None, "was": was}}


_GREW = re.compile(r"(?:grow|grew|creas|shr[iu]n|enlarg|progress|regress|reduc|chang|went)[^.;]{0,80}$", re.I)


def grown_or_range(match: re.Match[str]) -> Means:
    """ "interval growth of the nodule from 7 to 12 mm"; "nodules of from 7 to 12 mm" are of a range."""
    return grown(match) if _GREW.search(match.string[: match.start()]) else length_range(match)


def worded(match: re.Match[str]) -> Means:
    """ "two by one point five centimeters"."""
    scale, lengths = _scale(match["unit"]), []
    for said in re.findall(WORDED, match["words"], re.I):
        whole, _, tenth = said.lower().partition("point")
        number = 0.5 if "half" in whole else float(_WORDS.index(whole.strip()))
        lengths.append(round((number + (_WORDS.index(tenth.strip()) / 10 if tenth else 0)) * scale, 6))
    if match["to"] and len(lengths) == 2:
        return {"size": {"range": (min(lengths), max(lengths)), "is": "range"}}
    return {"size": {"axes": tuple(sorted(lengths, reverse=True)), "is": None}}


def lengths_listed(match: re.Match[str]) -> Means:
    """One length each of several."""
    return {"size": {"list": tuple(_sized(match[0])), "is": None}}


def length(match: re.Match[str]) -> Means:
    """One length, and what it bounds."""
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


def fraction(match: re.Match[str]) -> Means:
    """ "3/4 inch", "1 1/2 cm", with a whole number before the fraction or none."""
    number = (value(match["whole"]) if match["whole"] else 0.0) + int(match["over"]) / int(match["under"])
    return {"size": {"axes": (round(_scale(match["unit"]) * number, 6),), "is": None}}


def volumes(match: re.Match[str]) -> Means:
    """mL, one or more."""
    said = re.sub(r"cm(?:3|\^3|\s3)", "", match[0], flags=re.I)
    return {"volume": tuple(_values(re.sub(r"^([1-9])\s(?=\d{3}(?!\d))", r"\1", said)))}


def doses(match: re.Match[str]) -> Means:
    """Gy, one or more."""
    return {"dose": tuple(_values(match[0]))}


def centigray(match: re.Match[str]) -> Means:
    """Gy, from cGy."""
    return {"dose": tuple(n / 100 for n in _values(match[0]))}


def ptv(match: re.Match[str]) -> Means:
    """Gy, from the name of a target."""
    return {"dose": tuple(float(n) for n in re.findall(r"\d+", match[0])), "named": True}


def person(match: re.Match[str]) -> Means:
    """Age in years, and sex."""
    groups = match.groupdict()
    sex = (groups.get("sex") or "").lower()
    means: Means = {"age": int(re.sub(r"\s", "", match["age"]))}
    return {"person": means | ({"sex": {"f": "female", "w": "female"}.get(sex, "male")} if sex else {})}


def worded_age(match: re.Match[str]) -> Means:
    """ "seventy-two year old"."""
    ten, _, one = re.sub(r"[\s-]+", " ", match["words"].lower()).partition(" ")
    age = 10 * (_TENS.index(ten) + 2) if ten in _TENS else _WORDS.index(ten)
    return {"person": {"age": age + (_WORDS.index(one) if one else 0)}}


def named_person(match: re.Match[str]) -> Means:
    """ "man 58": a word that says the sex, and a number."""
    female = match["word"].lower() in ("woman", "female", "lady", "girl")
    return {"person": {"age": int(match["age"]), "sex": "female" if female else "male"}}


def months(match: re.Match[str]) -> Means:
    """Age in whole years, from months."""
    return {"person": {"age": int(match["age"]) // 12}}


def segments(match: re.Match[str]) -> Means:
    """Numbers of segments, of the liver unless prompts/segments.py finds that they are of a lung."""
    said = {name: text for name, text in match.groupdict().items() if text}
    parts = _parts(said["list"])
    means: Means = {"couinaud": parts, "across": len(parts) == 2 and bool(re.search(r"[/+-]", said["list"]))}
    if "bronchus" in said or said.get("of", "").lower().startswith(("lung", "pulm")):
        means["of"] = "lung"
    elif "of" in said:
        means["of"] = "liver"
    if "side" in said:
        means["side"] = {"r": "right", "l": "left"}[said["side"].lower()]
    return means


def _parts(text: str) -> tuple[str, ...]:
    """Numbers of segments in digits; "6-8" is 6, 7 and 8."""
    text = text.lower()
    if (run := re.fullmatch(r"\s*([1-8])\s*(?:-|to)\s*([1-8])\s*", text)) and int(run[1]) < int(run[2]):
        return tuple(str(n) for n in range(int(run[1]), int(run[2]) + 1))
    if words := [n for n in re.findall(r"[a-z]+", text) if n in _WORDS]:
        return tuple(dict.fromkeys(str(_WORDS.index(n)) for n in words))
    found = re.findall(r"(?:viii|vii|vi|iv|ix|v|iii|ii|i|\d+)(?=[ab]?(?:\W|$))", text)
    return tuple(dict.fromkeys(n if n.isdigit() else str(_ROMAN[n]) for n in found))


def vertebra(match: re.Match[str]) -> Means:
    """Levels of the spine: "T4", a list "T4,T7" or a run "L4-L5"."""
    text = re.sub(r"\s+", "", match["level"].upper()).replace("AND", ",").replace("TO", "-").replace(",,", ",")
    return {"vertebra": re.sub(r"(?<=[CTLD])0+(?=\d)", "", text)}


def ribs(match: re.Match[str]) -> Means:
    """Ribs by their numbers: "ribs 5 to 7", "the 4th and 6th ribs"."""
    said = match.groupdict()
    numbers = re.sub(r"(?<=\d)(?:st|nd|rd|th)", "", str(said["list"] or said.get("bracketed")).lower())
    numbers = re.sub(r"[a-z]+", lambda m: str(_NTH.index(m[0]) + 1) if m[0] in _NTH else m[0], numbers)
    numbers = re.sub(r"\s*(?:-|to|through)\s*", "-", numbers)
    numbers = re.sub(r"\s*(?:,|/|and|&)\s*", ",", numbers)
    place = {"organ": "bone"} | ({"part": f"rib {int(numbers)}"} if numbers.isdigit() else {"segment": f"R{numbers}"})
    side = re.search(r"left|right", match[0], re.I)
    return {"place": place | ({"side": side[0].lower()} if side else {})}


def stage(match: re.Match[str]) -> Means:
    """Words of a classification."""
    return {"stage": " ".join(match[0].split())}


def station(match: re.Match[str]) -> Means:
    """ "station 4R": nodes of the mediastinum or hilum on the right (IASLC map)."""
    numbers = match["list"].upper()
    sides = set(re.findall(r"(?<=\d)[RL]", numbers))
    side = {"R": "right", "L": "left"}[sides.pop()] if len(sides) == 1 else None
    place = {"organ": "mediastinum", "segment": f"station {numbers}"}
    return {"place": place | ({"side": side} if side else {}), "station": True}


_NODAL = re.compile(r"\bnod(?:e|al)|\blymph|\blns?\b|adenopath", re.I)


def neck_level(match: re.Match[str]) -> Means:
    """ "node level IIa": of the neck where nodes are spoken of; else a class ("level 4")."""
    beside = match.string[max(match.start() - 60, 0) : match.end() + 60]
    if not _NODAL.search(beside):
        return stage(match)
    return {"place": {"organ": "neck", "segment": " ".join(match[0].split())}, "station": True}


def count(match: re.Match[str]) -> Means:
    """How many."""
    return {"count": match["count"].lstrip("0") or "0", "digits": True}


def read_alone(_: re.Match[str]) -> Means:
    """Read, and nothing follows."""
    return {"number": True}


def share(match: re.Match[str]) -> Means:
    """A share, 0 to 1."""
    return {"share": round(value(match["n"]) / 100, 6)}


def ratio(match: re.Match[str]) -> Means:
    """A cardiothoracic ratio."""
    return {"ratio": value(match["n"])}


def degrees(match: re.Match[str]) -> Means:
    """Degrees of contact."""
    return {"degrees": value(match["n"])}
