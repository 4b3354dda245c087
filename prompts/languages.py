"""Whether a text is in another language than English, by its script and its small words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache

from prompts.lexicon import tree
from prompts.phrases import load
from prompts.source import keyed

_SCRIPTS = {
    "CJK": "Chinese or Japanese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean",
    "CYRILLIC": "Russian or another language in Cyrillic", "ARABIC": "Arabic", "HEBREW": "Hebrew", "GREEK": "Greek",
    "DEVANAGARI": "Hindi", "THAI": "Thai", "BENGALI": "Bengali", "TAMIL": "Tamil", "GEORGIAN": "Georgian",
    "ARMENIAN": "Armenian",
}  # fmt: skip
_MOSTLY = 0.2  # of the letters
_FEW = 4  # words
_SHORT = 5  # letters
_FEWEST = 2  # small words of a language, and more than of English
_BEGINNING = 1500  # characters that are looked at


def foreign(text: str) -> str | None:
    """The language that a text is in, None for English or too little to tell."""
    text = text[:_BEGINNING]
    letters = [c for c in text if c.isalpha()]
    odd = [c for c in letters if ord(c) > 0x36F]
    if odd and len(odd) >= _MOSTLY * len(letters) and len(odd) > 1:
        scripts = Counter(unicodedata.name(c, "?").split()[0] for c in odd)
        name = scripts.most_common(1)[0][0]
        return _SCRIPTS.get(name)
    words = re.findall(r"[^\W\d_]{2,}", text.lower())  # "w/o contrast w/ ..." is not Polish
    table, of_word = _table(), _languages_of()
    scores = dict.fromkeys(table, 0)
    for word in words:
        for language in of_word.get(word, ()):
            scores[language] += 1
    english = scores.pop("English")
    best = max(scores, key=lambda language: scores[language])
    if len(words) <= _FEW and not english:  # one word in another language is enough, if it is not also ours
        return next((name for name, small in table.items() if any(w in small and _strange(w) for w in words)), None)
    enough = max(_FEWEST, 0.12 * len(words))
    return best if scores[best] >= enough and scores[best] > english else None


@cache
def _languages_of() -> dict[str, tuple[str, ...]]:
    """The languages that have a word among their small ones."""
    found: dict[str, tuple[str, ...]] = {}
    for language, small in _table().items():
        for word in small:
            found[word] = (*found.get(word, ()), language)
    return found


def _strange(word: str) -> bool:
    """Whether a word is none of the lexicon's, and long enough to tell."""
    return len(word) >= _SHORT and keyed(word)[0] not in tree()


@cache
def _table() -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in load("words/languages.yaml").items()}
