"""Paint a grown lesion: zones of attenuation, grain, soft edge, and the host's noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.shape import Grown
from synth.report.noise import NoiseModel

_ZONE_EDGE = 0.06  # SD of a border between zones, of the radius
_RAGGED_CORE = 0.25  # more for mottled lesions, of the mottle
_ZONE_WOBBLE = 0.10  # how irregular that border is, of the radius


def paint(plan: LesionPlan, grown: Grown, hu: np.ndarray, spacing: np.ndarray, noise: NoiseModel) -> np.ndarray:
    """The host's crop with the lesion in it.

    A voxel that is lesion to a share `a` (edge times opacity) becomes (1 - a) host + a lesion. The host's part
    keeps its own noise, scaled by 1 - a; drawn noise adds what is missing to the variance, so that the noise is
    the same from the core through the edge into the host.

    Args:
        plan: attenuation, grain and seed.
        grown: the lesion on the crop.
        hu: (x, y, z) float32, the host's HU on the crop.
        spacing: mm, (3,).
        noise: of the host.

    Returns:
        (x, y, z) float32 HU; equal to `hu` where `grown.share` is 0.
    """
    hu = hu.astype(np.float32)
    target, opacity = _zones(plan, grown.depth, spacing)
    if plan.mottle and (opacity < 1).any():
        field = _smooth_field(plan, hu.shape, spacing, "mottle")
        opacity = np.where(opacity < 1, opacity * (1 + plan.mottle * field), opacity).clip(0.0, 1.0)
    share = grown.share * opacity
    target += plan.grain_hu * _standardised(_smooth_field(plan, hu.shape, spacing, "grain"), share)
    missing = np.sqrt(1 - (1 - share) ** 2)
    drawn = noise.draw(hu.shape, plan.generator("noise"))
    return np.where(share > 0, (1 - share) * hu + share * target + missing * drawn, hu).astype(np.float32)


def _standardised(field: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The field with weighted mean 0 and SD 1, so that small lesions have their planned attenuation too."""
    total = max(float(weight.sum()), 1e-6)
    centred = field - float((weight * field).sum()) / total
    return centred / max(float(np.sqrt((weight * centred**2).sum() / total)), 1e-6)


def _zones(plan: LesionPlan, depth: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """HU and opacity at each depth (x, y, z): inner zones are laid over outer ones, their borders irregular."""
    outer = plan.zones[0]
    if len(plan.zones) > 1:
        wobble = _ZONE_WOBBLE + _RAGGED_CORE * plan.mottle
        depth = depth * (1 + wobble * _smooth_field(plan, depth.shape, spacing, "zones"))
    target = np.full(depth.shape, outer.hu, np.float32)
    opacity = np.full(depth.shape, outer.opacity, np.float32)
    for zone in plan.zones[1:]:
        inside = 1 / (1 + np.exp(((depth - zone.reach) / _ZONE_EDGE).clip(-50, 50)))
        target += inside * (zone.hu - target)
        opacity += inside * (zone.opacity - opacity)
    return target, opacity


def _smooth_field(plan: LesionPlan, shape: tuple[int, ...], spacing: np.ndarray, stream: str) -> np.ndarray:
    """A Gaussian field of mean 0 and SD 1 that is smooth over `plan.grain_mm`, (x, y, z) float32."""
    sigma = plan.grain_mm / 2 / np.asarray(spacing)
    white = plan.generator(stream).standard_normal(shape).astype(np.float32)
    field = ndimage.gaussian_filter(white, sigma, mode="wrap")
    return (field - field.mean()) / max(float(field.std()), 1e-6)
