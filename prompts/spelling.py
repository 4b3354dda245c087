"""Slips of the pen: an unknown word that is one or two letters from a word of the lexicon is taken for it, and said.

No slip is a word of English (those within reach of a term stand in words/ordinary.yaml), one that has another prefix or
another ending of medicine than the term (hypoplasia, nephrectomy), or the adverb of a known word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache
from itertools import combinations

from prompts.lexicon import phrases, tree
from prompts.phrases import load
from prompts.source import Source, Token

SHORTEST = 5  # letters of a word that is looked at
_LONGEST = 24
_TWICE = 8  # from here on two letters may be wrong
_STEM = 3  # letters at least beside a prefix or an ending
_PREFIXES = (
    *("antero", "postero", "latero", "medio", "hyper", "inter", "intra", "infra", "supra", "macro", "micro", "extra"),
    *("retro", "trans", "super", "hypo", "para", "peri", "post", "endo", "anti", "pre", "pro", "sub", "epi", "non"),
    *("ante", "multi", "iso"),
)
_ENDINGS = ("ectomy", "ostomy", "otomy", "plasty", "scopy", "graphy", "megaly", "itis", "osis", "oma")


def corrected(source: Source) -> tuple[Source, dict[str, str]]:
    """The text with the words that were meant, and word -> what it was taken for."""
    tokens: list[Token] = []
    meant: dict[str, str] = {}
    for token in source.tokens:
        guess = _guess(token) if SHORTEST <= len(token.key) <= _LONGEST and token.text.isalpha() else None
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


def _guess(token: Token) -> str | None:
    """What a token is a slip of; a plural in -es may be one of a word in -is ("metastatses")."""
    guess = _meant(token.key)
    if not token.plural or not token.text.lower().endswith("es") or token.key in _vocabulary():
        return guess
    singular = f"{token.text.lower()[:-2]}is"
    other = _meant(singular)
    if guess is None or other is None:
        return guess or other
    return other if distance(singular, other) < distance(token.key, guess) else guess


@lru_cache(maxsize=65536)
def _meant(word: str) -> str | None:
    return None if word in _english() else taken_for(word)


def taken_for(word: str) -> str | None:
    """The word of the lexicon that this one is a slip of; None where it is known, or like none or like several."""
    if word in _vocabulary() or (word.endswith("ly") and word[:-2] in _vocabulary()):
        return None
    allowed = 2 if len(word) >= _TWICE else 1
    found: dict[str, int] = {}
    for short in _deletions(word, allowed):
        for known in _index().get(short, ()):
            if known[0] == word[0] and abs(len(known) - len(word)) <= allowed and not _of_another_make(word, known):
                apart = distance(word, known)
                if apart <= (2 if min(len(known), len(word)) >= _TWICE else 1):
                    found[known] = apart
    if not found:
        return None
    nearest = min(found.values())
    best = sorted((w for w, apart in found.items() if apart == nearest), key=lambda w: (not w.startswith(word), w))
    return best[0] if len(best) == 1 or nearest == 1 else None


def _of_another_make(a: str, b: str) -> bool:
    """Whether two words have different prefixes, or different endings, that medicine makes words with."""
    prefixes = [next((p for p in _PREFIXES if w.startswith(p) and len(w) >= len(p) + _STEM), "") for w in (a, b)]
    endings = [next((e for e in _ENDINGS if w.endswith(e) and len(w) >= len(e) + _STEM), "") for w in (a, b)]
    return any(x and y and not x.startswith(y) and not y.startswith(x) for x, y in (prefixes, endings))


@cache
def _english() -> frozenset[str]:
    """Words that look like a term and are none."""
    table = load("words/ordinary.yaml")
    return frozenset(f"{table['medicine']} {table['english']}".split())


@cache
def _vocabulary() -> frozenset[str]:
    headings = {word for say in load("words/headings.yaml").values() for words in phrases(say) for word in words}
    return frozenset({*_words(tree()), *headings})


def _words(node: dict) -> Iterator[str]:  # type: ignore[type-arg]
    for word, below in node.items():
        if word:
            yield word
            yield from _words(below)


@cache
def _index() -> dict[str, list[str]]:
    """Every word with one or two letters left out -> the words (symmetric deletion, Garbe 2012)."""
    index: dict[str, list[str]] = defaultdict(list)
    for word in sorted(w for w in _telling() if len(w) >= SHORTEST and w.isalpha()):
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
