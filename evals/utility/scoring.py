"""Score a segmentation of a real patient, organ by organ, with MONAI's metrics."""

from __future__ import annotations

import math

import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

from evals.utility.config import UtilityConfig
from evals.utility.data import Labelled
from evals.utility.lesions import Findings, find
from evals.volumes import LESION

Scores = dict[str, dict[str, float]]


def score(predicted: np.ndarray, volume: Labelled, config: UtilityConfig) -> Scores:
    """organ -> metric -> value, of the organs annotated in this patient and present in it.

    DSC and surface Dice 0..1; HD95 mm, the volume's diagonal where nothing was predicted; volume error percent. Of
    lesions also recall and precision in percent, and false positives, which a patient without lesions has too.
    """
    scores: Scores = {}
    for number, organ in enumerate(config.organs, start=1):
        truth = volume.classes == number
        if not volume.annotated[number - 1]:
            continue
        values = _organ(predicted == number, truth, volume.spacing, config.tolerance_mm) if truth.any() else {}
        if organ == LESION:
            values |= _lesions(find(predicted == number, truth, volume.spacing))
        if values:
            scores[organ] = values
    return scores


def _lesions(found: Findings) -> dict[str, float]:
    shares = {"lesion_recall": found.recall, "lesion_precision": found.precision}
    known = {name: 100 * share for name, share in shares.items() if share is not None}
    return known | {"false_positives": float(found.false_positives)}


def _organ(predicted: np.ndarray, truth: np.ndarray, spacing: np.ndarray, tolerance_mm: float) -> dict[str, float]:
    diagonal = float(np.linalg.norm(np.array(truth.shape) * spacing))
    if not predicted.any():
        return {"dsc": 0.0, "surface_dice": 0.0, "hd95": diagonal, "volume_error": 100.0}
    box = _box(predicted | truth)
    a, b = (torch.from_numpy(np.ascontiguousarray(m[box]))[None, None].float() for m in (predicted, truth))
    mm = tuple(float(s) for s in spacing)
    surface = compute_surface_dice(a, b, [tolerance_mm], include_background=True, spacing=mm)
    hd95 = compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=mm)
    values = {
        "dsc": float(compute_dice(a, b)),
        "surface_dice": float(surface),
        "hd95": float(hd95),
        "volume_error": 100 * abs(int(predicted.sum()) - int(truth.sum())) / int(truth.sum()),
    }
    assert all(math.isfinite(v) for v in values.values())
    return values


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """Bounding box with a margin of one voxel, so that surfaces at its border are surfaces."""
    sides = []
    for axis in range(3):
        where = np.flatnonzero(mask.any(axis=tuple(i for i in range(3) if i != axis)))
        sides.append(slice(max(0, int(where[0]) - 1), int(where[-1]) + 2))
    return tuple(sides)
