"""Vertebrae of many patients laid one over another, along straightened spines (see synth.shape.spine).

Each strip is shifted, stretched and then bent along its length to match a template, by dynamic programming; the mean of
the strips is the next template. The first template is the patient that the others match best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from synth.shape.spine import LENGTH, SIDE_MM

SOFT_BONE = (0.2, 0.8)  # intensity: what differs below is fat and air, above the hardness of bone
_COARSE, _FINE = 4.5, 1.0  # steps: vertebrae are finer than the one and coarser than the other
_CENTRAL = np.abs(SIDE_MM) < 16  # spinous processes and bodies
_STRETCHES = np.arange(0.82, 1.19, 0.02)
_SHIFTS = np.arange(-7.0, 7.1, 1.0)  # steps
_BENDS = np.arange(-7.0, 7.01, 0.5)  # steps
_STRETCH_COST, _SHIFT_COST, _BEND_COST, _BENDING_COST = 1.2, 0.0008, 0.004, 0.8
_OVERLAP = 60  # rows in common that count in full
LEAST_ROWS = 20
_ROUNDS = 6
_CANDIDATES, _JUDGES = 8, 16
ALIKE = 0.3  # correlation with the template below which a strip shows no vertebrae

_ROWS = np.arange(LENGTH)


@dataclass(frozen=True)
class Rows:
    """What is compared of one strip: (LENGTH, F) detail along the spine, (LENGTH,) where it was scanned."""

    detail: np.ndarray
    seen: np.ndarray


def band(strip: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The part of a strip, of any trailing shape, that varies along the spine as vertebrae do; 0 where not seen."""
    weight = seen.astype(float).reshape(-1, *[1] * (strip.ndim - 1))
    known = np.where(weight > 0, strip, 0.0)
    coarse, fine = (_blurred(known, s) / np.maximum(_blurred(weight, s), 0.05) for s in (_COARSE, _FINE))
    return (fine - coarse) * weight


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(gaussian_filter1d(values, sigma, axis=0, mode="nearest"))


def rows_of(strip: np.ndarray, scanned: np.ndarray) -> Rows:
    """Detail of the central part of a strip of intensity; rows without tissue round the line do not count."""
    tissue = (np.nan_to_num(strip, nan=-1.0) > -0.55).mean(axis=(1, 2)) > 0.72
    seen = scanned & tissue
    detail = band(np.clip(strip[:, :, _CENTRAL], *SOFT_BONE), seen)
    pairs = detail.reshape(*detail.shape[:2], -1, 2).mean(axis=-1)
    return Rows(pairs.reshape(LENGTH, -1), seen)


def shifted(rows: Rows, places: np.ndarray) -> Rows:
    """The rows at other places along the line, linearly interpolated."""
    inside = (places >= 0) & (places <= LENGTH - 1)
    low = np.clip(np.floor(places).astype(int), 0, LENGTH - 2)
    part = np.clip(places - low, 0, 1)[:, None]
    detail = rows.detail[low] * (1 - part) + rows.detail[low + 1] * part
    return Rows(detail, inside & rows.seen[low] & rows.seen[low + 1])


def alike(a: Rows, b: Rows) -> float:
    """Correlation over the rows that both have; -1 where these are too few to tell."""
    both = a.seen & b.seen
    if both.sum() < LEAST_ROWS:
        return -1.0
    x, y = a.detail[both], b.detail[both]
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum() + 1e-12))


def places_on(rows: Rows, template: Rows) -> np.ndarray:
    """(LENGTH,) where along the strip each row of the template stands, rising."""
    straight = _stretched(rows, template)
    cost = _BEND_COST * np.square(_BENDS)[None].repeat(LENGTH, axis=0)
    scale = _norm(rows) * _norm(template)
    for column, bend in enumerate(_BENDS):
        moved = shifted(rows, straight + bend)
        match = (moved.detail * template.detail).sum(axis=1) / scale
        cost[:, column] -= np.where(moved.seen & template.seen, match, 0.0)
    bent = straight + gaussian_filter1d(_BENDS[_cheapest(cost)], 1.5)
    return np.maximum.accumulate(bent)


def _norm(rows: Rows) -> float:
    return float(np.linalg.norm(rows.detail[rows.seen], axis=1).mean()) + 1e-9 if rows.seen.any() else 1.0


def _stretched(rows: Rows, template: Rows) -> np.ndarray:
    """The best shift and stretch alone."""

    def score(stretch: float, shift: float) -> float:
        moved = shifted(rows, _ROWS * stretch + shift)
        overlap = min(int((moved.seen & template.seen).sum()), _OVERLAP) / _OVERLAP
        return alike(moved, template) * overlap**0.5 - _STRETCH_COST * (stretch - 1) ** 2 - _SHIFT_COST * shift**2

    stretch, shift = max(((a, b) for a in _STRETCHES for b in _SHIFTS), key=lambda pair: score(*pair))
    return np.asarray(_ROWS * stretch + shift)


def _cheapest(cost: np.ndarray) -> np.ndarray:
    """Column by row of the cheapest path whose neighbours differ by a column at most (Viterbi 1967)."""
    step = _BENDING_COST * float(_BENDS[1] - _BENDS[0]) ** 2
    total, came_from = cost[0], []
    for row in cost[1:]:
        padded = np.pad(total, 1, constant_values=np.inf)
        choices = np.stack([padded[:-2] + step, total, padded[2:] + step])
        best = choices.argmin(axis=0)
        came_from.append(np.arange(len(total)) + best - 1)
        total = choices.min(axis=0) + row
    path = [int(total.argmin())]
    for back in reversed(came_from):
        path.append(int(back[path[-1]]))
    return np.array(path[::-1])


def mean_rows(group: Sequence[Rows], places: Sequence[np.ndarray]) -> Rows:
    """The mean of strips laid over a template; rows that few have do not count."""
    moved = [shifted(rows, at) for rows, at in zip(group, places, strict=True)]
    count = sum(m.seen.astype(float) for m in moved)
    total = sum(m.detail * m.seen[:, None] for m in moved)
    assert isinstance(count, np.ndarray) and isinstance(total, np.ndarray)
    return Rows(total / np.maximum(count, 1)[:, None], count > max(1, 0.05 * len(group)))


def align(group: Sequence[Rows], tell: Callable[[str], None]) -> Rows:
    """The template of a group of strips: their mean, each laid over it."""
    usable = [rows for rows in group if rows.seen.sum() >= LEAST_ROWS]
    template = _first(usable)
    for number in range(_ROUNDS):
        places = [places_on(rows, template) for rows in usable]
        match = np.array([alike(shifted(r, at), template) for r, at in zip(usable, places, strict=True)])
        tell(f"vertebrae, round {number}: correlation {match.mean():.3f}, {(match > ALIKE).mean():.0%} above {ALIKE}")
        keep = np.flatnonzero(match > ALIKE / 2)
        template = mean_rows([usable[i] for i in keep], [places[i] for i in keep])
    return template


def _first(group: Sequence[Rows]) -> Rows:
    """Of the longest strips the one that others match best."""
    longest = sorted(group, key=lambda rows: -int(rows.seen.sum()))[:_CANDIDATES]
    judges = group[:: max(len(group) // _JUDGES, 1)]

    def score(candidate: Rows) -> float:
        return float(
            np.mean([alike(shifted(r, places_on(r, candidate)), candidate) for r in judges if r is not candidate])
        )

    return max(longest, key=score)
