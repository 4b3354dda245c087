"""The request half of a training condition: facts and text of a subject, parts of them withheld."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

import numpy as np
import torch

import prompts.writer
from synth.data.dataset import Subject
from synth.models.text import TextEncoder
from synth.regions import Region
from synth.regions.words import request_of

WORDINGS = 10  # wordings a subject and side
_PASSAGE_WORDS = 40  # of a report, about what the text encoder takes in
_SWAP = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}


class TextBank:
    """Token features of many wordings of every subject and of its mirror image, and of its report, encoded once."""

    def __init__(self, subjects: Sequence[Subject], encoder: TextEncoder, seed: int) -> None:
        self.entries: dict[tuple[str, bool], tuple[torch.Tensor, torch.Tensor]] = {}
        for subject in subjects:
            for mirror in (False, True):
                facts = subject.region.mirrored(subject.facts) if mirror else subject.facts
                random = Random(f"{seed} {subject.name} {mirror}")
                texts = prompts.writer.wordings(request_of(subject.region, facts), random, WORDINGS)
                features, mask = encoder([*texts, *passages(subject.report, mirror)])
                self.entries[subject.name, mirror] = (features.half(), mask)

    def draw(self, name: str, mirror: bool, rng: np.random.Generator) -> torch.Tensor:
        """(L, D) features of one wording, padding taken off."""
        features, mask = self.entries[name, mirror]
        pick = int(rng.integers(len(features)))
        return features[pick][mask[pick]].float()


def passages(report: str, mirror: bool = False) -> list[str]:
    """A report in parts of whole sentences that the text encoder can take in; left and right change places in a mirror.

    A sentence that is longer than that stays whole, and the encoder reads its beginning.
    """
    if mirror:
        report = re.sub(r"\b(left|right|Left|Right)\b", lambda found: _SWAP[found[0]], report)
    parts: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+", report.strip()):
        fits = parts and len(f"{parts[-1]} {sentence}".split()) <= _PASSAGE_WORDS
        parts[-1:] = [f"{parts[-1]} {sentence}"] if fits else [*parts[-1:], sentence]
    return [part for part in parts if part]


def draw_facts(region: Region, values: dict[str, float], drop: float, rng: np.random.Generator) -> torch.Tensor:
    """Encoded facts with each one withheld at chance `drop`, or at a chance drawn anew half of the time."""
    chance = drop if rng.random() < 0.5 else rng.random()
    kept = {f.name: values[f.name] for f in region.facts if f.name in values and rng.random() >= chance}
    return torch.from_numpy(region.encode(kept))


def pad_text(texts: Sequence[torch.Tensor | None], dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token features of varying length (None = no text) -> (B, L, D) and mask (B, L)."""
    length = max([1, *(len(t) for t in texts if t is not None)])
    features = torch.zeros(len(texts), length, dim)
    mask = torch.zeros(len(texts), length, dtype=torch.bool)
    for i, text in enumerate(texts):
        if text is not None:
            features[i, : len(text)] = text
            mask[i, : len(text)] = True
    return features, mask
