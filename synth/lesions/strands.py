"""Spicules as seen: how much of each point is strand, thin, tapering and slightly bent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.spicules import Spicule, attached_of, spicules_of
from synth.lesions.surface import scale_and_distance

_ROOT_FLARE = 2.0  # the root widens into the body over the first tenth
_BEFORE_ROOT = 0.3  # of the length: how far into the body a strand reaches
_EDGE_MM = 0.4  # SD of a strand's edge: the scanner's blur
_EDGE_ENDS = 2.0  # SDs: beyond, a strand's share is so small that it is cut off

Strand = tuple[Spicule, float]  # a spicule and the distance of its root from the centre, mm


def strands_of(plan: LesionPlan, table: np.ndarray, scale: float) -> list[Strand]:
    """Every spicule and attached strand with its root on the surface at a scale; `table` of `surface.surface_table`."""
    spicules = (spicules_of(plan) if plan.spicules else []) + attached_of(plan)
    if not spicules:
        return []
    directions = np.stack([s.direction for s in spicules], axis=1).astype(np.float32)
    through, _ = scale_and_distance(plan, table, directions)
    return [(spicule, float(scale / t)) for spicule, t in zip(spicules, through, strict=True)]


def near_strands(strands: Sequence[Strand], offsets: np.ndarray, distance: np.ndarray, within_mm: float) -> np.ndarray:
    """Which points can be strand, or lie within some mm of one that can: (3, ...) RAS mm, (...) mm -> (...) boolean."""
    near = np.zeros(distance.shape, bool)
    for spicule, root in strands:
        along = np.tensordot(spicule.direction.astype(np.float32), offsets, 1) - np.float32(root)
        aside = np.sqrt((distance**2 - (along + root) ** 2).clip(0))
        ends = -_BEFORE_ROOT * spicule.length - within_mm, spicule.length + within_mm
        near |= (aside < reach_mm(spicule) + within_mm) & (along > ends[0]) & (along < ends[1])
    return near


def reach_mm(spicule: Spicule) -> float:
    """mm from the straight axis of a strand beyond which nothing of it is."""
    return float(np.linalg.norm(spicule.bend) + _ROOT_FLARE * spicule.half_width + _EDGE_ENDS * _EDGE_MM)


def strand_share(strands: Sequence[Strand], offsets: np.ndarray) -> np.ndarray:
    """How much of each point is strand, 0 to 1: (3, N) RAS mm from the centre -> (N) float32."""
    share = np.zeros(offsets.shape[1], np.float32)
    for spicule, root in strands:
        along = (spicule.direction.astype(np.float32) @ offsets - np.float32(root)) / np.float32(spicule.length)
        near = np.flatnonzero((along > -_BEFORE_ROOT) & (along < 1))
        share[near] = np.maximum(share[near], _one_strand(spicule, root, offsets[:, near].T, along[near]))
    return share


def _one_strand(spicule: Spicule, root: float, points: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Share of one strand at points (N, 3) that lie `along` its length (0 at the root, 1 at the tip)."""
    tau = along.clip(0)
    axis = np.outer(along * spicule.length + root, spicule.direction) + np.outer(tau**2, spicule.bend)
    aside = np.linalg.norm(points - axis, axis=1)
    flare = 1 + (_ROOT_FLARE - 1) * np.exp(-tau / 0.1)
    half_width = spicule.half_width * flare * (1 - tau) ** 0.5
    return ndtr((half_width - aside) / _EDGE_MM) * (1 - tau) ** 0.3
