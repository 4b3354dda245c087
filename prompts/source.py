"""Text -> tokens: one alphabet whatever was typed, and where in the original each character stood."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u00ad"
_TIMES = "\u00d7\u2715\u2716\u22c5\u2a09\u2a2f"
_BULLETS = "\u2022\u00b7\u25cf\u25aa\u2023\u25e6\u2219\u30fb"
_QUOTES = "\u2018\u2019\u201b\u02bc\u00b4`"
_DOUBLE = "\u201c\u201d\u201e\u201f\u00ab\u00bb"
_ONE = {
    **dict.fromkeys(_DASHES, "-"),
    **dict.fromkeys(_TIMES, "x"),
    **dict.fromkeys(_BULLETS, "\u2022"),
    **dict.fromkeys(_QUOTES, "'"),
    **dict.fromkeys(_DOUBLE, '"'),
    **{"\u00bd": ".5", "\u00bc": ".25", "\u00be": ".75", "\u2153": ".33", "\u2154": ".67", "\u215b": ".125"},
    "\u2044": "/",
    "\u2215": "/",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u03bc": "u",
    "\u00b0": " degrees ",
}  # fmt: skip
_BLANKS = {code: " " for code in (*range(10), *range(11, 32), 127)}
_SPACE_IN_NUMBER = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_BULLET = re.compile(r"^([ \t]*)-(?=[ \t])", re.M)
_LISTED = re.compile(r"(^|[ \t\n])(?:[A-Ha-h]|\d{1,2})\)(?=\s)")  # "A) .. B) .."
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[^\w\s]")
_DASH = re.compile(r"(?<=[^\W\d])(?:\.?\)?) - (?=\w)|(?<=\w) -- (?=\w)")
_MINUS = re.compile(r"(?<![\w-])([Cc])-(?=[\s,.;:)]|$)")  # "C-" is without contrast, "C+" with it
_SKIPPED = frozenset("-'_*#~^`|")


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number or mark. `key` is what the lexicon looks up; `plural` where the word is a plural."""

    text: str
    key: str
    plural: bool
    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """`text` is the original in one alphabet; character i of it stood at `where[i]` of `raw`."""

    raw: str
    text: str
    where: Sequence[int]

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Of the original: from the first to behind the last character of `text[start:end]`."""
        if start >= end:
            return (self.where[start], self.where[start])
        return self.where[start], self.where[end - 1] + 1

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Hyphens, apostrophes and marks of layout are none."""
        found = []
        for match in _TOKEN.finditer(self.text):
            text = match[0]
            if text in _SKIPPED or (text == "s" and self.text[match.start() - 1 : match.start()] == "'"):
                continue
            key, plural = keyed(text)
            found.append(Token(text, key, plural, match.start(), match.end()))
        return tuple(found)


def normalised(raw: str) -> Source:
    """NFKC, every dash a hyphen, every space a space, x for the multiplication sign; nothing changes order."""
    if raw.isascii():
        return Source(raw, _dashes(raw.translate(_BLANKS)), range(len(raw) + 1))
    raw_text = _SPACE_IN_NUMBER.sub("\u200b", raw)
    characters: list[str] = []
    where: list[int] = []
    for index, character in enumerate(raw_text):
        if character.isascii():
            said = character if character.isprintable() or character == "\n" else " "
        else:
            said = _alike(character)
        characters.append(said)
        where += [index] * len(said)
    return Source(raw, _dashes("".join(characters)), (*where, len(raw)))


def _dashes(text: str) -> str:
    """A dash that opens a line is a bullet, one between blanks parts as a comma does; no character moves."""
    if text.count("\n") or text.startswith("- "):
        text = _BULLET.sub("\\1\u2022", text)
    text = _LISTED.sub(lambda m: m[0] if _is_open(text, m.start()) else f"{m[1]};".ljust(len(m[0])), text)
    text = _MINUS.sub("\\1\u00ac", text)
    return _DASH.sub(lambda m: m[0].replace("--", ", ").replace("-", ","), text)


def _is_open(text: str, at: int) -> bool:
    """Whether a parenthesis is open there."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line.count("(") > line.count(")")


@lru_cache(maxsize=4096)
def _alike(character: str) -> str:
    said = _ONE.get(character)
    if said is None:
        said = "".join(_ONE.get(c, c) for c in unicodedata.normalize("NFKC", character))
    category = unicodedata.category(character)
    if category in ("Zl", "Zp"):
        return "\n"
    if category == "Zs":
        return " "
    return "" if category in ("Cf", "Mn") and character not in _ONE else " " if category.startswith("C") else said


_IRREGULAR = {
    "apices": "apex", "vertebrae": "vertebra", "bullae": "bulla", "bronchi": "bronchus", "hila": "hilum",
    "hili": "hilum", "emboli": "embolus", "thrombi": "thrombus", "calculi": "calculus", "diverticula": "diverticulum",
    "septa": "septum", "foci": "focus", "nuclei": "nucleus", "axillae": "axilla", "pleurae": "pleura",
    "carcinomata": "carcinoma", "pes": "pe", "lns": "ln", "lymphomata": "lymphoma", "sequela": "sequela",
    "sequelae": "sequela", "sequels": "sequela", "sequel": "sequela", "sequellae": "sequela", "cavities": "cavity",
    "women": "woman", "men": "man", "children": "child", "feet": "foot", "pneumothoraces": "pneumothorax",
    "varices": "varix", "calyces": "calyx", "calices": "calyx", "criteria": "criterion", "atheromata": "atheroma",
    "indices": "index", "lenses": "lens", "maxillae": "maxilla", "scapulae": "scapula", "mets": "met",
    "costae": "costa", "fossae": "fossa", "leaves": "leaf", "halves": "half", "uteri": "uterus", "mm": "mm",
}  # fmt: skip
_ALWAYS_SO = (
    "ascites series pelvis diabetes pancreas gas atlas always perhaps less this its his is was has as us plus versus "
    "does hers theirs towards besides otherwise sometimes axis basis analysis diagnosis across stenosis yes thus "
    "various previous serous mucinous lens cms goes"
)
_NO_PLURAL = frozenset(_ALWAYS_SO.split())
_NOT_PLURAL_FLAG = frozenset(("sequela", "sequel", "septa"))
_ES = ("sses", "shes", "ches", "xes", "zes")
_SPELLING = (("ae", "e"), ("oe", "e"), ("our", "or"))


@lru_cache(maxsize=65536)
def keyed(word: str) -> tuple[str, bool]:
    """What the lexicon looks up for a word, and whether it is a plural.

    British spelling is American, a plural its singular; neither needs to be right, only the same on both sides.
    """
    w = word.lower()
    if w in _IRREGULAR:
        return _spelled(_IRREGULAR[w]), _IRREGULAR[w] != w and w not in _NOT_PLURAL_FLAG
    if len(w) < 4 or not w.endswith("s") or w in _NO_PLURAL or w.endswith(("ss", "us", "sis", "itis")):
        return _spelled(w), False
    if w.endswith("ies") and len(w) > 4:
        return _spelled(w[:-3] + "y"), True
    if w.endswith(_ES):
        return _spelled(w[:-2]), True
    if w.endswith(("ases", "eses", "oses", "yses", "ises")) and len(w) > 7 and w[-5] not in "el":
        return _spelled(w[:-2] + "is"), True
    return _spelled(w[:-1]), True


def _spelled(w: str) -> str:
    if len(w) > 4:
        for british, american in _SPELLING:
            if british in w:
                w = w.replace(british, american)
        if w.endswith(("centre", "metre", "litre", "fibre")):
            w = w[:-2] + "er"
    return w
