"""Lesion by lesion: which were found, what was found that is none, and how well by size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SIZES_MM = (10, 20, 40)
_EVERYWHERE = np.ones((3, 3, 3), bool)  # lesions that touch at a corner are one


@dataclass(frozen=True)
class LesionScore:
    """A true lesion: diameter in mm of the sphere of its volume, whether any of it was found, and its Dice with all
    predicted pieces that touch it."""

    diameter_mm: float
    found: bool
    dsc: float


@dataclass(frozen=True)
class Findings:
    """Of one patient: its lesions, and how many predicted pieces there are and touch no lesion."""

    lesions: tuple[LesionScore, ...]
    predicted: int
    false_positives: int

    @property
    def recall(self) -> float | None:
        """Share of the lesions that were found; None where there are none."""
        return sum(lesion.found for lesion in self.lesions) / len(self.lesions) if self.lesions else None

    @property
    def precision(self) -> float | None:
        """Share of the predicted pieces that are of a lesion; None where nothing was predicted."""
        return 1 - self.false_positives / self.predicted if self.predicted else None


def find(predicted: np.ndarray, truth: np.ndarray, spacing: np.ndarray) -> Findings:
    """Match pieces (26-connected) of two masks (X, Y, Z): one common voxel is a hit (Bilic et al. 2023, LiTS).

    `spacing` mm, (3,).
    """
    pieces, count = ndimage.label(predicted, _EVERYWHERE)
    numbers, lesions = ndimage.label(truth, _EVERYWHERE)
    hit = set(np.unique(pieces[truth])) - {0}
    found = []
    for number in range(1, lesions + 1):
        inside = numbers == number
        touching = np.isin(pieces, [p for p in np.unique(pieces[inside]) if p])
        volume = inside.sum() * float(np.prod(spacing))
        overlap = 2 * float((touching & inside).sum()) / float(touching.sum() + inside.sum())
        found.append(LesionScore(float(2 * (3 * volume / (4 * np.pi)) ** (1 / 3)), bool(touching.any()), overlap))
    return Findings(tuple(found), int(count), int(count - len(hit)))
