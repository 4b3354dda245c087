"""Radius of a star-shaped lesion by direction: an ellipsoid with lobes and band-limited roughness.

Directions are sampled once on a table of three degrees; points look their radius up in it.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.spicules import spicules_of, spread_directions

_ROUGHNESS_BANDS = ((2.2, 0.9), (5.0, 0.5), (11.0, 0.25))  # (waves round the lesion, SD of the band)
_WAVES = 32  # random plane waves a band (random Fourier features, Rahimi & Recht 2007)
_RAGGED_MM = (3.0, 14.0)
_LOBE_SHARPNESS = 14.0  # of the notches between lobes
_NOTCHED = 0.85  # share of the sphere above the bottom of a notch
_STEP_DEG = 3
_SMALLEST_RADIUS = 0.5
_CONE_HEIGHT = 0.32  # of the radius, for the longest spicule
_CONE_SHARPNESS = 45.0  # half width of about 10 degrees


def surface_table(plan: LesionPlan) -> np.ndarray:
    """Radius relative to the ellipsoid by polar angle and azimuth in steps of `_STEP_DEG`, (61, 121)."""
    polar, azimuth = np.meshgrid(*(np.radians(np.arange(0, n + 1, _STEP_DEG)) for n in (180, 360)), indexing="ij")
    sin = np.sin(polar)
    directions = np.stack([sin * np.cos(azimuth), sin * np.sin(azimuth), np.cos(polar)], axis=-1).astype(np.float32)
    rng = plan.generator("surface")
    table = 1 + plan.roughness * _band_limited(directions, rng)
    if plan.lobes:
        table -= plan.lobe_depth * _notches(directions, spread_directions(plan.lobes, rng, jitter=0.5))
    if plan.spicules:
        table += _cones(plan, directions)
    return table.clip(_SMALLEST_RADIUS)


def _band_limited(directions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random field on the sphere of SD 1."""
    field = np.zeros(directions.shape[:-1])
    for frequency, share in _ROUGHNESS_BANDS:
        waves = (frequency * _unit_vectors(rng)).astype(np.float32)
        phases = rng.uniform(0, 2 * np.pi, _WAVES).astype(np.float32)
        field += share * np.sqrt(2 / _WAVES) * np.cos(directions @ waves.T + phases).sum(axis=-1)
    return field


def _unit_vectors(rng: np.random.Generator) -> np.ndarray:
    vectors = rng.standard_normal((_WAVES, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def waves_at(plan: LesionPlan, points: np.ndarray, stream: str) -> np.ndarray:
    """A random field of SD 1 at points (3, N), RAS mm from the centre: waves of 3 to 14 mm, the same on any grid."""
    rng = plan.generator(stream)
    short, long = _RAGGED_MM
    lengths = short * (long / short) ** rng.random((_WAVES, 1))
    waves = (2 * np.pi / lengths * _unit_vectors(rng)).astype(np.float32)
    phases = rng.uniform(0, 2 * np.pi, (_WAVES, 1)).astype(np.float32)
    return np.asarray(np.sqrt(2 / _WAVES) * np.cos(waves @ points + phases).sum(axis=0), np.float32)


def _notches(directions: np.ndarray, lobes: np.ndarray) -> np.ndarray:
    """0 on the crown of a lobe, 1 in the notches between lobes."""
    crowns = np.log(np.exp(_LOBE_SHARPNESS * (directions @ lobes.T)).sum(axis=-1)) / _LOBE_SHARPNESS
    depth = crowns.max() - crowns
    return (depth / np.quantile(depth, _NOTCHED)).clip(0, 1)


def _cones(plan: LesionPlan, directions: np.ndarray) -> np.ndarray:
    """The body is drawn out into a cone at the root of each spicule, higher for longer ones."""
    to_local = Rotation.from_quat(plan.rotation).inv()
    height = np.zeros(directions.shape[:-1])
    for spicule in spicules_of(plan):
        axis = to_local.apply(spicule.direction) / [1.0, *plan.axes]
        cone = np.exp(_CONE_SHARPNESS * (directions @ axis / np.linalg.norm(axis) - 1))
        height = np.maximum(height, _CONE_HEIGHT * spicule.length / plan.spicule_mm * cone)
    return height


def scale_and_distance(plan: LesionPlan, table: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale at which the surface passes each point, and the point's distance from the centre, both mm.

    Args:
        plan: gives rotation and axes.
        table: of `surface_table`.
        offsets: (3, ...) RAS mm from the centre.

    Returns:
        Two arrays (...), float32. The scale is half the long axis of the ellipsoid.
    """
    to_local = Rotation.from_quat(plan.rotation).as_matrix().T / np.array([1.0, *plan.axes])[:, None]
    x, y, z = to_local.astype(np.float32) @ offsets.reshape(3, -1)
    norm = np.sqrt(x * x + y * y + z * z)
    polar = np.arccos((z / np.maximum(norm, 1e-6)).clip(-1, 1))
    azimuth = np.arctan2(y, x)
    azimuth[azimuth < 0] += np.float32(2 * np.pi)
    shape = offsets.shape[1:]
    return (norm / _look_up(table, polar, azimuth)).reshape(shape), length(offsets)


def length(offsets: np.ndarray) -> np.ndarray:
    """Euclidean length of vectors, (3, ...) -> (...)."""
    return np.sqrt(np.einsum("i...,i...->...", offsets, offsets))


def _look_up(table: np.ndarray, polar: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """The table between its entries, bilinear, at angles in radians (N); float32."""
    table = table.astype(np.float32)
    row, column = (angle * np.float32(180 / np.pi / _STEP_DEG) for angle in (polar, azimuth))
    i, j = (at.astype(np.int32).clip(0, n - 2) for at, n in zip((row, column), table.shape, strict=True))
    row, column = row - i, column - j
    flat, corner = table.ravel(), i * np.int32(table.shape[1]) + j
    upper = flat[corner] + column * (flat[corner + 1] - flat[corner])
    corner += np.int32(table.shape[1])
    lower = flat[corner] + column * (flat[corner + 1] - flat[corner])
    return upper + row * (lower - upper)
