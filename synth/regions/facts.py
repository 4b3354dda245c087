"""A fact: one number that is measured on a training patient and asked of a generated one.

Facts are the structured half of the condition (the text is the other): a sentence encoder alone cannot tell
left from right. Each has a unit and a transform to roughly unit scale; unknown is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from synth.regions.measures import Measure

CLIP = 4.0  # of encoded facts


@dataclass(frozen=True)
class Word:
    """A word that a fact is called by: `value` of an attribute of a request, where `low` <= fact < `high`."""

    attribute: str
    value: str
    low: float
    high: float

    def holds(self, fact: float) -> bool:
        """Whether a fact is called so; no unknown one is."""
        return self.low <= fact < self.high


@dataclass(frozen=True)
class Fact:
    """`value -> (f(value) - centre) / scale`, f being log(1 + value) where `log`.

    size: how much it counts where a shape is chosen by its sizes. without: what it is without contrast, of a fact that
    says how bright vessels are. says: words for it, from low to high.
    """

    name: str
    measure: Measure
    unit: str = ""
    centre: float = 0.0
    scale: float = 1.0
    log: bool = False
    size: float = 0.0
    without: float | None = None
    says: tuple[Word, ...] = ()

    def encode(self, value: float) -> float:
        """To unit scale; NaN stays NaN."""
        return ((math.log1p(value) if self.log else value) - self.centre) / self.scale

    def word(self, attribute: str, value: float) -> str | None:
        """The word for a value, None where no word is fair."""
        return next((w.value for w in self.says if w.attribute == attribute and w.holds(value)), None)

    def checked(self, attribute: str, word: str) -> tuple[float, float]:
        """What a drawn case asked for by a word may have: from where the word below ends to where it ends."""
        words = [w for w in self.says if w.attribute == attribute]
        at = next(i for i, w in enumerate(words) if w.value == word)
        return (words[at - 1].high if at else words[at].low), words[at].high
