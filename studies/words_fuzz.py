"""Texts that nobody meant, read: `python -m studies.words_fuzz 10000` says what became of them and which is slowest.

Random bytes and characters, words of the lexicon in any order, sentences of the reports beside the project shuffled,
and spoilt (letters left out, doubled, exchanged); one in a hundred is 100 kB long. Allowed are a reading, or a
PromptError of one line, within 5 s; times are of one core.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prompts import Door, PromptError, read
from prompts.lexicon import tree
from studies.language import DATA

LONG = 100_000  # characters
LONGEST_S = 5.0
_ONE_IN = 100


@dataclass
class Tally:
    """What became of the texts; `faults`: the text and the last line of what it raised."""

    read: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, str]] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.read} read, {sum(self.refused.values())} refused in one line, {len(self.faults)} faults"
        yield f"slowest {self.slowest_s:.2f} s: {self.slowest[:80]!r}"
        yield from (f"fault: {what}: {text[:200]!r}" for text, what in self.faults)


def texts(number: int, seed: int, sentences: Sequence[str]) -> Iterator[str]:
    """`number` texts, the same for the same seed."""
    rng = random.Random(seed)
    words = _words()
    kinds = (_bytes, _characters, _of_words, _shuffled, _spoilt)
    for index in range(number):
        size = LONG if index % _ONE_IN == _ONE_IN - 1 else rng.choice((3, 30, 300, 3000))
        kind = kinds[(index if size < LONG else index // _ONE_IN) % len(kinds)]
        text = kind(rng, size, words, sentences)
        yield (text * (size // len(text) + 1 if size == LONG else 1))[:size]


def _words() -> list[str]:
    found: list[str] = [*"x -/:;.,()?<>=%+", "2", "5 mm", "3,5 cm", "\n", "T2", "4R", "1-2 cm", "no", "A)"]

    def visit(node: dict) -> None:  # type: ignore[type-arg]
        for word, below in node.items():
            if word:
                found.append(word)
                visit(below)

    visit(tree())
    return sorted(set(found))


def _bytes(rng: random.Random, size: int, words: Sequence[str], sentences: Sequence[str]) -> str:
    return rng.randbytes(size).decode(rng.choice(("latin-1", "utf-8", "utf-16")), errors="replace")


def _characters(rng: random.Random, size: int, words: Sequence[str], sentences: Sequence[str]) -> str:
    return "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x2FFF)))) for _ in range(size))


def _of_words(rng: random.Random, size: int, words: Sequence[str], sentences: Sequence[str]) -> str:
    return " ".join(rng.choices(words, k=max(1, size // 6)))


def _shuffled(rng: random.Random, size: int, words: Sequence[str], sentences: Sequence[str]) -> str:
    return rng.choice((" ", "\n", "; ", "")).join(rng.choices(sentences, k=max(1, size // 60)))


def _spoilt(rng: random.Random, size: int, words: Sequence[str], sentences: Sequence[str]) -> str:
    letters = list(_shuffled(rng, size, words, sentences))
    for _ in range(len(letters) // 20 + 1):
        at = rng.randrange(len(letters))
        letters[at] = rng.choice(("", letters[at] * 2, letters[at - 1], chr(rng.randrange(32, 0x250))))
    return "".join(letters) or "?"


def sentences_of(reports: Path) -> list[str]:
    """The sentences of a table of reports (column report_text)."""
    with reports.open(encoding="utf-8") as file:
        rows = [row["report_text"] for row in csv.DictReader(file)]
    return [s for text in rows for s in re.split(r"(?<=[.;])\s+", text) if s]


def fuzz(number: int, seed: int, sentences: Sequence[str]) -> Tally:
    """Read them all."""
    tally = Tally()
    read("chest CT")  # the lexicon is loaded before the clock starts
    for text in texts(number, seed, sentences):
        start = time.process_time()
        try:
            reading = read(text, Door("nothing", frozenset())).drawable()
            assert all(0 <= a < b <= len(text) for a, b in reading.ignored)
            reading.line()
            tally.read += 1
        except PromptError as refusal:
            tally.refused[str(refusal)[:20]] += 1
            if "\n" in str(refusal):
                tally.faults.append((text, "a refusal of several lines"))
        except Exception:
            tally.faults.append((text, traceback.format_exc().strip().rpartition("\n")[2]))
        took = time.process_time() - start
        if took > LONGEST_S:
            tally.faults.append((text, f"took {took:.1f} s"))
        if took > tally.slowest_s:
            tally.slowest_s, tally.slowest = took, text
    return tally


def main() -> None:
    """Print the tally."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("number", type=int, nargs="?", default=10_000)
    options.add_argument("--seed", type=int, default=0)
    said = options.parse_args()
    tally = fuzz(said.number, said.seed, sentences_of(DATA / "reports" / "ct_rate_800.csv"))
    print("\n".join(tally.lines()))


if __name__ == "__main__":
    main()
