"""A finding of a reading in the words of a report: "several small nodules in both lungs"."""

from __future__ import annotations

import re

from prompts.phrases import load

_BOUND = {"largest": "up to ", "below": "below ", "above": "over "}
_VERTEBRA = re.compile(r"[CTLS]\d+")
_ONE_EACH_SIDE = {
    "pleura": "both pleural spaces",
    "hilum": "both hila",
    "axilla": "both axillae",
    "bone": "bones of both sides",
}
_PARTS = {"lung": ("upper", "middle", "lower"), "kidney": ("upper", "lower")}
_NOUNS = {"lung": "lobe", "kidney": "pole"}
_SEVERAL = "several"


def name_of(kind: str, count: int | str | None, size: str) -> str:
    """ "3 cysts", "several small nodules", "18 mm nodule", "several nodules up to 9 mm"."""
    before, behind = ("", size) if size.startswith(tuple(_BOUND.values())) else (size, "")
    if count in (None, 1) or (count == _SEVERAL and load("words/findings.yaml").get(kind, {}).get("mass")):
        return " ".join(word for word in (before, kind, behind) if word)
    return " ".join(word for word in (str(count), before, plural(kind), behind) if word)


def size_of(size_mm: tuple[float, ...] | None, word: str | None, how: str | None) -> str:
    """ "18x12 mm", "4-9 mm", "up to 9 mm", "small"; how: what the lengths are, as `size_is` of a finding."""
    if not size_mm:
        return word or ""
    if how == "range":
        return f"{size_mm[0]:g}-{size_mm[1]:g} mm"
    return f"{_BOUND.get(how or '', '')}{'x'.join(f'{mm:g}' for mm in size_mm)} mm"


def place_of(organ: str | None, side: str | None, part: str | None) -> str:
    """ "the lower pole of the left kidney", "both lungs"; nothing where nothing is said."""
    sided = " ".join(word for word in (side, organ) if word and word != "none")
    if part and part.isdigit():
        return f"segment {part} of the {organ}"
    if organ is None or organ == "none":
        return f"the {' '.join(word for word in (side, part) if word)}" if side or part else ""
    if organ == "bone" and part:
        of_side = "both sides'" if side == "bilateral" else side
        return part if _VERTEBRA.match(part) else f"the {' '.join(w for w in (of_side, part) if w)}"
    if part in _PARTS.get(organ, ()):
        return _lobe(organ, side, str(part))
    if side == "bilateral":
        both = _ONE_EACH_SIDE.get(organ, f"both {plural(organ)}")
        return f"{part} {organ} on both sides" if part else both
    return f"the {' '.join(word for word in (side, part, organ) if word)}" if part else f"the {sided}"


def _lobe(organ: str, side: str | None, part: str) -> str:
    noun = _NOUNS[organ]
    if organ == "lung":
        return f"both {part} {noun}s" if side == "bilateral" else f"the {' '.join(w for w in (side, part, noun) if w)}"
    of = "both kidneys" if side == "bilateral" else f"the {' '.join(w for w in (side, organ) if w)}"
    return f"the {part} {noun} of {of}" if side != "bilateral" else f"the {part} {noun}s of {of}"


def plural(noun: str) -> str:
    """ "metastases", "masses", "opacities"."""
    if noun.endswith("embolism"):
        return f"{noun[:-3]}i"
    if noun.endswith("sis"):
        return f"{noun[:-2]}es"
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
