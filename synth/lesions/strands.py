"""Spicules as seen: how much of each point is strand, thin, tapering and slightly bent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.spicules import Spicule, attached_of, spicules_of
from synth.lesions.surface import scale_and_distance
from synth.report.location import Box

_ROOT_FLARE = 2.0  # the root widens into the body over the first tenth
_BEFORE_ROOT = 0.3  # of the length: how far into the body a strand reaches
_EDGE_MM = 0.4  # SD of a strand's edge: the scanner's blur
_EDGE_ENDS = 2.0  # SDs: beyond, a strand's share is so small that it is cut off
_EDGE_VANISHES = 5.5  # SDs: beyond, it is a rounding error

Strand = tuple[Spicule, float]  # a spicule and the distance of its root from the centre, mm


def strands_of(plan: LesionPlan, table: np.ndarray, scale: float) -> list[Strand]:
    """Every spicule and attached strand with its root on the surface at a scale; `table` of `surface.surface_table`."""
    spicules = (spicules_of(plan) if plan.spicules else []) + attached_of(plan)
    if not spicules:
        return []
    directions = np.stack([s.direction for s in spicules], axis=1).astype(np.float32)
    through, _ = scale_and_distance(plan, table, directions)
    return [(spicule, float(scale / t)) for spicule, t in zip(spicules, through, strict=True)]


def near_strands(
    strands: Sequence[Strand], offsets: np.ndarray, distance: np.ndarray, within_mm: float, axes: np.ndarray
) -> np.ndarray:
    """Which points can be strand, or lie within some mm of one that can.

    Args:
        strands: of `strands_of`.
        offsets: (3, x, y, z) RAS mm from the centre, a grid.
        distance: (x, y, z) mm from the centre.
        within_mm: from the strand.
        axes: (3, 3), RAS mm of a step along each axis of the grid, its columns.

    Returns:
        (x, y, z) boolean.
    """
    near = np.zeros(distance.shape, bool)
    for spicule, root in strands:
        ends = -_BEFORE_ROOT * spicule.length - within_mm, spicule.length + within_mm
        beside = reach_mm(spicule) + within_mm
        box = _box_of(np.outer([root + end for end in ends], spicule.direction), beside, offsets, axes)
        along = np.tensordot(spicule.direction.astype(np.float32), offsets[:, *box], 1) - np.float32(root)
        aside = np.sqrt((distance[box] ** 2 - (along + root) ** 2).clip(0))
        near[box] |= (aside < beside) & (along > ends[0]) & (along < ends[1])
    return near


def _box_of(ends: np.ndarray, beside_mm: float, offsets: np.ndarray, axes: np.ndarray) -> Box:
    """The part of a grid (3, x, y, z) that holds all within some mm of the line between two ends (2, 3), RAS mm."""
    to_steps = np.linalg.inv(axes)
    at = (ends - offsets[:, 0, 0, 0]) @ to_steps.T
    beside = beside_mm * np.linalg.norm(to_steps, axis=1)
    low = np.maximum(np.floor(at.min(axis=0) - beside), 0).astype(int)
    high = np.ceil(at.max(axis=0) + beside).astype(int) + 1
    i, j, k = (slice(int(a), max(int(b), 0)) for a, b in zip(low, high, strict=True))
    return i, j, k


def reach_mm(spicule: Spicule) -> float:
    """mm from the straight axis of a strand beyond which nothing of it is."""
    return float(np.linalg.norm(spicule.bend) + _ROOT_FLARE * spicule.half_width + _EDGE_ENDS * _EDGE_MM)


def strand_shares(strands: Sequence[Strand], points: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """How much is strand, 0 to 1: points (3, N), RAS mm from the centre, each shifted by (S, 3) mm -> (S, N) float32.

    A strand is looked for only where it leaves more than a rounding error.
    """
    share = np.zeros((len(shifts), points.shape[1]), np.float32)
    squared = np.einsum("in,in->n", points, points)
    slack = float(np.linalg.norm(shifts, axis=1).max())
    for spicule, root in strands:
        direction = spicule.direction.astype(np.float32)
        from_centre = direction @ points
        ends = root - _BEFORE_ROOT * spicule.length - slack, root + spicule.length + slack
        beside = reach_mm(spicule) + (_EDGE_VANISHES - _EDGE_ENDS) * _EDGE_MM + slack
        in_reach = (from_centre > ends[0]) & (from_centre < ends[1]) & (squared - from_centre**2 < beside**2)
        some = np.flatnonzero(in_reach)
        within = (points[:, some].T + shifts[:, None]).reshape(-1, 3)
        along = (within @ direction - np.float32(root)) / np.float32(spicule.length)
        near = np.flatnonzero((along > -_BEFORE_ROOT) & (along < 1))
        values = np.zeros(len(within), np.float32)
        values[near] = one_strand(spicule, root, within[near], along[near])
        share[:, some] = np.maximum(share[:, some], values.reshape(len(shifts), -1))
    return share


def one_strand(spicule: Spicule, root: float, points: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Share of one strand at points (N, 3) that lie `along` its length (0 at the root, 1 at the tip)."""
    tau = along.clip(0)
    axis = np.outer(along * spicule.length + root, spicule.direction) + np.outer(tau**2, spicule.bend)
    aside = np.linalg.norm(points - axis, axis=1)
    flare = 1 + (_ROOT_FLARE - 1) * np.exp(-tau / 0.1)
    half_width = spicule.half_width * flare * (1 - tau) ** 0.5
    return ndtr((half_width - aside) / _EDGE_MM) * (1 - tau) ** 0.3
