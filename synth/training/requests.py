"""The request half of a training condition: facts and text of a subject, parts of them withheld."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from random import Random

import numpy as np
import torch

import prompts.writer
from prompts import CaseRequest
from synth.data.dataset import PreparedPatient
from synth.regions import Region
from synth.regions.words import request_of

WORDINGS = 10  # wordings a subject and side
_REPORT = 0.75  # share of the draws that are of a report, of a patient who has one
_WHOLE = 0.6  # share of these that are all of it; the others are some sentences in a row
_KEPT = 4096  # patients whose wordings are kept
_SWAP = {"left": "right", "right": "left"}


class TextBank:
    """Texts that speak of a subject: wordings of what is measured on it, and its report, whole or in part."""

    def __init__(self, seed: int) -> None:
        self._wordings = lru_cache(maxsize=_KEPT)(partial(_wordings, seed))

    def draw(self, subject: PreparedPatient, mirror: bool, rng: np.random.Generator) -> str | None:
        """One text, of the mirror image if asked; None where there is nothing to say."""
        facts = subject.region.mirrored(subject.facts) if mirror else subject.facts
        texts = self._wordings(subject.region, subject.name, mirror, tuple(sorted(facts.items())))
        if subject.report and (rng.random() < _REPORT or not texts):
            report = mirrored_text(subject.report) if mirror else subject.report
            return report if rng.random() < _WHOLE else _some_sentences(report, rng)
        return texts[int(rng.integers(len(texts)))] if texts else None


def _wordings(seed: int, region: Region, name: str, mirror: bool, facts: tuple[tuple[str, float], ...]) -> list[str]:
    """None of a patient whose facts no word tells: "a CT" beside a report would only withhold it."""
    asked = request_of(region, dict(facts))
    if asked == CaseRequest(region=asked.region):
        return []
    return prompts.writer.wordings(asked, Random(f"{seed} {name} {mirror}"), WORDINGS)


def mirrored_text(text: str) -> str:
    """What is said of the mirror image: left and right change places."""

    def other(found: re.Match[str]) -> str:
        word = _SWAP[found[0].lower()]
        return word.upper() if found[0].isupper() else word.capitalize() if found[0][0].isupper() else word

    return re.sub(r"\b(left|right)\b", other, text, flags=re.IGNORECASE)


def _some_sentences(report: str, rng: np.random.Generator) -> str:
    """One or more whole sentences in a row."""
    sentences = [sentence for sentence in re.split(r"(?<=[.!?])\s+", report.strip()) if sentence]
    first, last = sorted(int(i) for i in rng.integers(len(sentences), size=2))
    return " ".join(sentences[first : last + 1])


def draw_facts(region: Region, values: dict[str, float], drop: float, rng: np.random.Generator) -> torch.Tensor:
    """Encoded facts with each one withheld at chance `drop`, or at a chance drawn anew half of the time."""
    chance = drop if rng.random() < 0.5 else rng.random()
    kept = {f.name: values[f.name] for f in region.facts if f.name in values and rng.random() >= chance}
    return torch.from_numpy(region.encode(kept))
