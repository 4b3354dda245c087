"""Spicules as seen: how much of each point is strand, thin, tapering and slightly bent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.spicules import Spicule, spicules_of
from synth.lesions.surface import scale_and_distance

_ROOT_FLARE = 2.0  # the root widens into the body over the first tenth
_EDGE_MM = 0.4  # SD of a strand's edge: the scanner's blur

Strand = tuple[Spicule, float]  # a spicule and the distance of its root from the centre, mm


def strands_of(plan: LesionPlan, table: np.ndarray, scale: float) -> list[Strand]:
    """Every spicule with its root on the surface at a scale; `table` of `surface.surface_table`."""
    spicules = spicules_of(plan)
    if not spicules:
        return []
    directions = np.stack([s.direction for s in spicules]).astype(np.float32)
    through, _ = scale_and_distance(plan, table, directions)
    return [(spicule, float(scale / t)) for spicule, t in zip(spicules, through, strict=True)]


def strand_share(strands: Sequence[Strand], offsets: np.ndarray) -> np.ndarray:
    """How much of each point is strand, 0 to 1: (..., 3) RAS mm from the centre -> (...) float32."""
    points = offsets.reshape(-1, 3)
    share = np.zeros(len(points), np.float32)
    for spicule, root in strands:
        along = (points @ spicule.direction.astype(np.float32) - root) / spicule.length
        near = np.flatnonzero((along > -0.3) & (along < 1))
        share[near] = np.maximum(share[near], _one_strand(spicule, root, points[near], along[near]))
    return share.reshape(offsets.shape[:-1])


def _one_strand(spicule: Spicule, root: float, points: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Share of one strand at points (N, 3) that lie `along` its length (0 at the root, 1 at the tip)."""
    tau = along.clip(0)
    axis = np.outer(along * spicule.length + root, spicule.direction) + np.outer(tau**2, spicule.bend)
    aside = np.linalg.norm(points - axis, axis=1)
    flare = 1 + (_ROOT_FLARE - 1) * np.exp(-tau / 0.1)
    half_width = spicule.half_width * flare * (1 - tau) ** 0.5
    return ndtr((half_width - aside) / _EDGE_MM) * (1 - tau) ** 0.3
