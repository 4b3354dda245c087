"""Slips of the pen: an unknown word that is one or two letters from a word of the lexicon is taken for it, and said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache
from itertools import combinations

from prompts.lexicon import tree
from prompts.source import Source, Token

_SHORTEST = 5  # letters of a word that is looked at
_LONGEST = 24
_TWICE = 8  # from here on two letters may be wrong


def corrected(source: Source) -> tuple[Source, dict[str, str]]:
    """The text with the words that were meant, and word -> what it was taken for."""
    tokens: list[Token] = []
    meant: dict[str, str] = {}
    for token in source.tokens:
        guess = _meant(token.key) if _SHORTEST <= len(token.key) <= _LONGEST and token.text.isalpha() else None
        if guess is None:
            tokens.append(token)
        else:
            tokens.append(replace(token, key=guess))
            meant[token.text] = guess
    if not meant:
        return source, {}
    fixed = Source(source.raw, source.text, source.where)
    fixed.__dict__["tokens"] = tuple(tokens)
    return fixed, meant


@lru_cache(maxsize=65536)
def _meant(word: str) -> str | None:
    """The word of the lexicon that this one is a slip of; None where it is known, or like none or like several."""
    if word in _vocabulary():
        return None
    allowed = 2 if len(word) >= _TWICE else 1
    found: dict[str, int] = {}
    for short in _deletions(word, allowed):
        for known in _index().get(short, ()):
            if known[0] == word[0] and abs(len(known) - len(word)) <= allowed:
                apart = distance(word, known)
                if apart <= (2 if min(len(known), len(word)) >= _TWICE else 1):
                    found[known] = apart
    if not found:
        return None
    nearest = min(found.values())
    best = sorted(w for w, apart in found.items() if apart == nearest)
    return best[0] if len(best) == 1 or nearest == 1 else None


@cache
def _vocabulary() -> frozenset[str]:
    return frozenset(_words(tree()))


def _words(node: dict) -> Iterator[str]:  # type: ignore[type-arg]
    for word, below in node.items():
        if word:
            yield word
            yield from _words(below)


@cache
def _index() -> dict[str, list[str]]:
    """Every word with one or two letters left out -> the words (symmetric deletion, Garbe 2012)."""
    index: dict[str, list[str]] = defaultdict(list)
    for word in sorted(w for w in _telling() if len(w) >= _SHORTEST and w.isalpha()):
        for short in _deletions(word, 2 if len(word) >= _TWICE else 1):
            index[short].append(word)
    return index


@cache
def _telling() -> frozenset[str]:
    """Words that stand for themselves in the lexicon: names of findings and places, sizes, attributes, phases."""
    names = {"finding", "organ", "place", "attributes", "phase", "region", "side", "size_word"}
    found: set[str] = set()

    def visit(node: dict, path: tuple[str, ...]) -> None:  # type: ignore[type-arg]
        for word, below in node.items():
            if word == "":
                if names & set(below):
                    found.update(path)
            else:
                visit(below, (*path, word))

    visit(tree(), ())
    return frozenset(found)


def _deletions(word: str, most: int) -> Iterator[str]:
    yield word
    for number in range(1, most + 1):
        for left_out in combinations(range(len(word)), number):
            yield "".join(c for i, c in enumerate(word) if i not in left_out)


def distance(a: str, b: str) -> int:
    """Letters to change, add, leave out or swap with the next (optimal string alignment)."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            best = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
