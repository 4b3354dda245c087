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

from prompts.lexicon import Term
from prompts.number_means import Means
from prompts.number_rules import RULES
from prompts.source import Source

_END = re.compile(
    r"(?<![\d.])(?<!\bseg)(?<!\bsegs)(?<!\bno)(?<!\bse)(?<!\bser)(?<!\bim)(?<!\bimg)(?<!\bmax)[.;\n](?=\s)", re.I
)
_WITH_NUMBER = re.compile(
    (
        r"\d|[ -](?:mm|cm|millim|centim|inch)|\b(?:seg|level|bosniak|type|grade|stage|cat|lr|child|rads|bclc|siewert|"
        r"fleischner|debakey|balthazar|agatston|hurley|figo)|th\b|first|second|third"
    ),
    re.I,
)


def terms(source: Source) -> list[Term]:
    """The typed numbers of a text, none overlapping: at each place the rule that stands first in the table."""
    tokens = source.tokens
    starts = [t.start for t in tokens]
    taken = bytearray(len(source.text) + 1)
    found: list[Term] = []
    for match, means in _matches(source.text, taken):
        a, b = match.start(), match.end()
        first, last = bisect_left(starts, a), bisect_right(starts, b - 1)
        if first >= last:
            continue
        taken[a:b] = b"\1" * (b - a)
        found.append(Term(means, first, last, a, b, " ".join(match[0].split())))
    return sorted(found, key=lambda t: t.first)


def _matches(text: str, taken: bytearray) -> Iterator[tuple[re.Match[str], Means]]:
    """Matches outside of what is taken, which the caller goes on marking.

    Only sentences with a digit, or a word that a number in letters goes with, are looked at.
    """
    ends = [0, *(m.end() for m in _END.finditer(text)), len(text)]
    for start, end in pairwise(ends):
        if _WITH_NUMBER.search(text, start, end):
            words = text[start:end].lower()
            there = {word for word in _needed() if word in words}
            for pattern, read, needs in _rules():
                if needs and there.isdisjoint(needs):
                    continue
                at = start
                while match := pattern.search(text, at, end):
                    a, b = match.span()
                    if (held := taken.find(1, a, b)) < 0:
                        yield match, read(match)
                        at = max(b, a + 1)
                    else:  # "segments 3 and 6, 11 and 24 mm": a list may begin behind what is taken
                        free = taken.find(0, held, b)
                        at = b if free < 0 else free


@cache
def _needed() -> frozenset[str]:
    """All words without one of which some rule reads nothing."""
    return frozenset(word for _, _, needs in _rules() for word in needs)


@cache
def _rules() -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], Means], tuple[str, ...]]]:
    """The table, compiled when the first number is met."""
    return [(re.compile(pattern, re.I), read, needs) for pattern, read, needs in RULES]
