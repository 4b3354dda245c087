"""English words that would be taken for misspelt terms: `python -m studies.look_alikes FILE` prints them.

FILE has a word a line, such as a list for spelling checkers. What is printed is the third list of
prompts/words/ordinary.yaml; print it anew when terms were added to the lexicon. Inflections of a term
of nine letters or more ("infiltrated") are left out: to take them for the term is right.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable
from pathlib import Path

from prompts.source import keyed
from prompts.spelling import SHORTEST, taken_for

_WIDTH = 116
_LONG = 9  # letters of a term whose forms are it
_ENDINGS = ("ations", "ation", "ating", "ated", "ates", "ate", "ions", "ion", "ings", "ing", "ive", "est", "ers", "er",
            "ed", "es", "ic", "al", "y", "e", "s", "d")  # fmt: skip


def look_alikes(words: Iterable[str]) -> list[str]:
    """Those of `words`, in lower case letters, that are a slip of a term by spelling alone, without its own forms."""
    plain = {word for word in words if word.isascii() and word.isalpha() and word.islower()}
    found = set()
    for word in plain:
        key, plural = keyed(word)
        if plural and key not in plain:  # no plural after all
            continue
        term = taken_for(key) if len(key) >= SHORTEST else None
        if term is not None and not (len(term) >= _LONG and _stem(term) in (_stem(key), _stem(word))):
            found.add(key)
    return sorted(found)


def _stem(word: str) -> str:
    ending = next((e for e in _ENDINGS if word.endswith(e) and len(word) - len(e) > 3), "")
    return word.removesuffix(ending)


def main() -> None:
    """Print the list for words/ordinary.yaml."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a word a line")
    words = look_alikes(parser.parse_args().file.read_text(encoding="utf-8").split())
    print("\n".join(textwrap.wrap(" ".join(words), _WIDTH, initial_indent="  ", subsequent_indent="  ")))


if __name__ == "__main__":
    main()
