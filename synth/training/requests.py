"""The request half of a training condition: facts and text of a subject, parts of them withheld."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import torch

import prompts.writer
from prompts import CaseRequest, TargetRequest
from prompts.vocabulary import Dose, Extent, Habitus, Phase, Region, Side
from synth.data.dataset import Subject
from synth.facts import DOSES_GY, FACTS, encode, mirrored
from synth.models.text import TextEncoder

WORDINGS = 10  # wordings a subject and side
_SHOULDERS_MM = 300.0  # wider than this at the bottom of the field: the shoulders are in it
_SKULL_BASE_MM = 50.0  # the field reaches at least this far above the parotids
_SIDED, _BILATERAL = 0.5, 0.25  # |side| beyond the first is one-sided, below the second bilateral
_ENHANCED_PERMILLE = (8.0, 20.0)  # below: non-contrast; above: enhanced
_HABITUS_CM2 = (125.0, 180.0)  # neck cross-section, the training patients' quartiles


def side_of(value: float) -> Side | None:
    """The word for a side fact, None where no word is fair."""
    if abs(value) >= _SIDED:
        return Side.LEFT if value > 0 else Side.RIGHT
    return Side.BILATERAL if abs(value) <= _BILATERAL else None


def extent_of(facts: dict[str, float]) -> Extent:
    """Which landmarks are in the field."""
    skull_base = facts["top_mm"] >= _SKULL_BASE_MM
    if facts["shoulder_width_mm"] > _SHOULDERS_MM:
        return Extent.COMPLETE if skull_base else Extent.LOWER
    return Extent.NECK if skull_base else Extent.TARGET


def phase_of(enhanced: float) -> Phase | None:
    """The word for the share of enhanced blood, None where no word is fair."""
    low, high = _ENHANCED_PERMILLE
    return Phase.NON_CONTRAST if enhanced < low else Phase.ENHANCED if enhanced > high else None


def request_of(facts: dict[str, float]) -> CaseRequest:
    """What a person could have asked for to get this patient."""
    targets = tuple(
        TargetRequest(
            dose_gy=Dose(dose),
            side=side_of(facts[f"target_{dose}_side"]),
            volume_ml=round(facts[f"target_{dose}_ml"]),
        )
        for dose in reversed(DOSES_GY)
        if facts.get(f"target_{dose}_ml", 0) >= 1
    )
    area = facts["neck_area_cm2"]
    return CaseRequest(
        region=Region.HEAD_NECK,
        extent=extent_of(facts),
        habitus=Habitus.SLIM if area < _HABITUS_CM2[0] else Habitus.LARGE if area > _HABITUS_CM2[1] else None,
        phase=phase_of(facts["enhanced_permille"]),
        targets=targets,
    )


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
