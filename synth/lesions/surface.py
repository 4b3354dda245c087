"""Radius of a star-shaped lesion by direction: an ellipsoid with lobes and band-limited roughness.

Directions are sampled once on a table of three degrees; points look their radius up in it.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.spicules import spicules_of, spread_directions

_ROUGHNESS_BANDS = ((2.2, 0.9), (5.0, 0.5), (11.0, 0.25))  # (waves round the lesion, SD of the band)
_WAVES = 32  # random plane waves a band (random Fourier features, Rahimi & Recht 2007)
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
        offsets: (..., 3) RAS mm from the centre.

    Returns:
        Two arrays (...), float32. The scale is half the long axis of the ellipsoid.
    """
    local = offsets.reshape(-1, 3) @ Rotation.from_quat(plan.rotation).as_matrix().astype(np.float32)
    distance = np.linalg.norm(local, axis=1)
    ball = local / np.array([1.0, *plan.axes], np.float32)
    norm = np.linalg.norm(ball, axis=1)
    polar = np.degrees(np.arccos((ball[:, 2] / np.maximum(norm, 1e-6)).clip(-1, 1)))
    azimuth = np.degrees(np.arctan2(ball[:, 1], ball[:, 0])) % 360
    at = [polar / _STEP_DEG, azimuth / _STEP_DEG]
    radius = map_coordinates(table.astype(np.float32), at, order=1, mode="nearest")
    shape = offsets.shape[:-1]
    return (norm / radius).reshape(shape), distance.reshape(shape).astype(np.float32)
