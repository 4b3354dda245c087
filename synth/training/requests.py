"""The request half of a training condition: facts and text of a subject, parts of them withheld."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import torch

import prompts.writer
from synth.data.dataset import Subject
from synth.facts import FACTS, encode, mirrored
from synth.models.text import TextEncoder
from synth.wording import request_of

WORDINGS = 10  # wordings a subject and side


class TextBank:
    """Token features of many wordings of every subject and of its mirror image, encoded once."""

    def __init__(self, subjects: Sequence[Subject], encoder: TextEncoder, seed: int) -> None:
        self.entries: dict[tuple[str, bool], tuple[torch.Tensor, torch.Tensor]] = {}
        for subject in subjects:
            for mirror in (False, True):
                facts = mirrored(subject.facts) if mirror else subject.facts
                random = Random(f"{seed} {subject.name} {mirror}")
                texts = prompts.writer.wordings(request_of(facts), random, WORDINGS)
                features, mask = encoder(texts)
                self.entries[subject.name, mirror] = (features.half(), mask)

    def draw(self, name: str, mirror: bool, rng: np.random.Generator) -> torch.Tensor:
        """(L, D) features of one wording, padding taken off."""
        features, mask = self.entries[name, mirror]
        pick = int(rng.integers(len(features)))
        return features[pick][mask[pick]].float()


def draw_facts(values: dict[str, float], drop: float, rng: np.random.Generator) -> torch.Tensor:
    """Encoded facts with each one withheld at chance `drop`, or at a chance drawn anew half of the time."""
    chance = drop if rng.random() < 0.5 else rng.random()
    kept = {f.name: values[f.name] for f in FACTS if f.name in values and rng.random() >= chance}
    return torch.from_numpy(encode(kept))


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
