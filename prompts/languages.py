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
    table = _table()
    scores = {language: sum(w in small for w in words) for language, small in table.items()}
    english = scores.pop("English")
    best = max(scores, key=lambda language: scores[language])
    if len(words) <= _FEW and not english:  # one word in another language is enough, if it is not also ours
        return next((name for name, small in table.items() if any(w in small and _strange(w) for w in words)), None)
    enough = max(_FEWEST, 0.12 * len(words))
    return best if scores[best] >= enough and scores[best] > english else None


def _strange(word: str) -> bool:
    """Whether a word is none of the lexicon's, and long enough to tell."""
    return len(word) >= _SHORT and keyed(word)[0] not in tree()


@cache
def _table() -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in load("words/languages.yaml").items()}
