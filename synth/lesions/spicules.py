"""Spicules as drawn: directions, lengths, widths and bends of the strands that leave a lesion's surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from synth.lesions.lesion_plan import LesionPlan

_SHORTEST = 0.25  # of the longest; most are short
_WIDTHS_MM = (0.4, 1.1)  # half width at the root
_ATTACHED_WIDTHS_MM = (0.5, 1.1)  # half width of a vessel or strand that ends at the lesion
_BEND = 0.22  # SD of the tip's sideways shift, of the length
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Spicule:
    """`direction` and `bend` are RAS; lengths in mm."""

    direction: np.ndarray
    bend: np.ndarray
    length: float
    half_width: float


def spread_directions(number: int, rng: np.random.Generator, jitter: float) -> np.ndarray:
    """Unit vectors spread evenly over the sphere (Fibonacci lattice), turned and jittered at random, (number, 3)."""
    z = 1 - (2 * np.arange(number) + 1) / number
    around = GOLDEN_ANGLE * np.arange(number)
    ring = np.sqrt(1 - z**2)
    even = np.stack([ring * np.cos(around), ring * np.sin(around), z], axis=1)
    turned = Rotation.random(rng=rng).apply(even) + jitter * rng.standard_normal((number, 3)) / np.sqrt(number)
    return turned / np.linalg.norm(turned, axis=1, keepdims=True)


def spicules_of(plan: LesionPlan) -> list[Spicule]:
    """The strands of a plan; every draw comes from its seed."""
    rng = plan.generator("spicules")
    out = []
    for direction in spread_directions(plan.spicules, rng, jitter=1.3):
        sideways = np.cross(direction, rng.standard_normal(3))
        length = plan.spicule_mm * (_SHORTEST + (1 - _SHORTEST) * rng.random() ** 1.3)
        half_width = rng.uniform(*_WIDTHS_MM)
        out.append(Spicule(direction, sideways * _BEND * length, float(length), float(half_width)))
    return out


def attached_of(plan: LesionPlan) -> list[Spicule]:
    """Vessels and pleural strands that end at the lesion: few, wider than spicules, in any direction."""
    if not plan.attached:
        return []
    rng = plan.generator("attached")
    out = []
    for direction in spread_directions(plan.attached, rng, jitter=1.5):
        sideways = np.cross(direction, rng.standard_normal(3))
        length = plan.attached_mm * rng.uniform(0.5, 1.0)
        half_width = rng.uniform(*_ATTACHED_WIDTHS_MM)
        out.append(Spicule(direction, sideways * _BEND * length, float(length), float(half_width)))
    return out
