"""Attributes of a lesion, read off CT and mask: density, heterogeneity, shape, spiculation, zones, vessels.

Each is a number with a limit that makes it a class; the limits stand here and nowhere else. A lesion that is too small
or too pale for a measure has None. Definitions are this project's own unless a source is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from synth.report.diameters import surface_points
from synth.report.half_contrast import NoduleBody, half_contrast_body, raggedness
from synth.report.location import slice_axis
from synth.report.measurements import Attributes, rounded
from synth.report.noise import NoiseModel
from synth.report.strands import strands_per_slice

Texture = Literal["solid", "part-solid", "ground-glass"]

DENSITY_HU = 9.0  # from the organ's median: nearer is isodense
SOFT_TISSUE_HU = (25.0, {False: 100.0, True: 130.0})  # where the organ is no yardstick: below, above by enhancement
HETEROGENEOUS_HU = 4.5  # SD of the smoothed core beyond noise
LOBULATED = 0.05  # share of the convex hull of a nodule's outline that is not lesion, in the lung
RAGGED = 0.15  # SD of the surface of a nodule in the lung about a smooth one, of the radius: above, its edge is none
IRREGULAR = 0.05  # SD of the outline about its best ellipse-like fit, of the radius
PUNCTATE_MM = 10.0
THIN = 0.55  # greatest thickness over longest diameter: below, a lesion in a hollow organ is a layer
SPICULATED = 2.4  # strands a slice
SOLID_HU = -300.0
SOLID_SHARES = (0.06, 0.75)  # of the core denser than SOLID_HU: below ground-glass, above solid
CALCIFIED_HU = 200.0  # and so much above an organ that contrast brightens:
CALCIFIED_ABOVE_HU = 80.0
NECROSIS_HU = 40.0  # the centre is no denser
ZONE_HU = 9.0  # between centre and shell
_EDGE_MM = 2.0
_LEAST_VOXELS = 24
_DEEPEST = 0.9  # quantile of the depth
_LEAST_PIXELS = 12  # of the long axis, for the outline
_CENTRE, _SHELL, _MIDDLE = 0.7, 0.22, (0.35, 0.6)  # of the greatest depth
_GRAIN_SHARE, _GRAIN_MM = 0.06, (0.75, 4.0)  # SD of the smoothing, of the long axis
_DRAWS = 8
_NOT_A_YARDSTICK = ("lung", "esophagus", "stomach", "colon", "urinary", "gallbladder")
_BONES = ("vertebrae", "rib", "hip", "sacrum", "femur", "humerus", "scapula", "sternum", "clavicula", "skull", "costal")
_MAIN_SLICES = 0.5


def measure_attributes(
    hu: np.ndarray,
    mask: np.ndarray,
    host: np.ndarray,
    affine: np.ndarray,
    *,
    structure: str | None,
    organ_hu: float | None,
    enhanced: bool,
    long_mm: float,
    margin_mm: float | None,
    noise: NoiseModel | None,
) -> Attributes:
    """Every attribute of one lesion.

    Args:
        hu: (X, Y, Z), a crop with 10 mm round the lesion.
        mask: (X, Y, Z) boolean, the lesion.
        host: (X, Y, Z) boolean, the organ round it, without lesions.
        affine: of the crop, for spacing and slice axis.
        structure: label that holds the lesion; None: none does.
        organ_hu: median of that structure.
        enhanced: whether the CT shows contrast.
        long_mm: longest diameter in a slice.
        margin_mm: width of the edge.
        noise: of the scanner.
    """
    spacing, axis = np.linalg.norm(affine[:3, :3], axis=0), slice_axis(affine)
    noise = noise and noise.here(hu, host, axis)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    edge = max(_EDGE_MM, 0.5 * (margin_mm or 0.0), float(spacing.max()))  # the slices next to a cap are part air
    inner = mask & (depth > edge)
    core = inner if inner.sum() >= _LEAST_VOXELS else mask & (depth >= np.quantile(depth[mask], 0.5))
    in_lung = structure is not None and structure.startswith("lung")
    mean = float(hu[_deepest(mask, depth) if in_lung and core is not inner else core].mean())
    yardstick = organ_hu if structure and not structure.startswith(_NOT_A_YARDSTICK) else None
    body = half_contrast_body(hu, mask, host, spacing) if in_lung else None
    outline, hollows = outline_deviation(mask, spacing, axis), concavity(mask, spacing, axis)
    grain = heterogeneity(hu, inner, spacing, long_mm, noise)
    inside = mask if body is None else body.mask
    strands = strands_per_slice(hu, inside, host & ~inside, spacing, axis, noise.sd if noise else None)
    zones = _zones(hu, mask, depth, None if noise is None else noise.sd)
    shape = _shape(mask, depth, spacing, long_mm, outline, structure)
    return Attributes(
        core_hu=rounded(mean),
        density=density_class(mean, yardstick, enhanced),
        heterogeneity_hu=None if grain is None else rounded(grain),
        heterogeneity=None if grain is None else "heterogeneous" if grain >= HETEROGENEOUS_HU else "homogeneous",
        dense_hu=None if body is None else rounded(body.dense_hu(mask)),
        texture=_texture(hu, core, body) if in_lung else None,
        ragged=None if body is None else rounded(raggedness(body, spacing)),
        outline=None if outline is None else rounded(outline),
        concavity=None if hollows is None else rounded(hollows),
        lobulated=None if shape == "wall thickening" else _lobulated(structure, outline, hollows),
        shape=shape,
        strands=None if strands is None else rounded(strands),
        spiculated=None if strands is None else strands >= SPICULATED,
        calcified=_calcified(hu, core, yardstick, structure),
        **zones,
    )


def _deepest(mask: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The deepest tenth of a small lesion in the lung, (X, Y, Z) boolean: voxels at its edge are air in part."""
    return np.asarray(mask & (depth >= np.quantile(depth[mask], _DEEPEST)))


def density_class(hu: float, organ_hu: float | None, enhanced: bool) -> str:
    """Against the organ, or against soft tissue where the organ is air, fluid or a wall."""
    if organ_hu is None:
        low, high = SOFT_TISSUE_HU[0], SOFT_TISSUE_HU[1][enhanced]
    else:
        low, high = organ_hu - DENSITY_HU, organ_hu + DENSITY_HU
    return "hypodense" if hu < low else "hyperdense" if hu > high else "isodense"


def texture_class(core_hu: np.ndarray) -> Texture:
    """Ground-glass, part-solid or solid, by the share of the core that is denser than air-filled lung can be.

    `core_hu`: (N,) without partial volume (`synth.report.half_contrast`).
    """
    share = float((core_hu > SOLID_HU).mean())
    return "ground-glass" if share < SOLID_SHARES[0] else "solid" if share > SOLID_SHARES[1] else "part-solid"


def _lobulated(structure: str | None, outline: float | None, hollows: float | None) -> bool | None:
    """In the lung by the hollows, as readers see it; elsewhere by the outline's deviation from a smooth one."""
    if structure and structure.startswith("lung"):
        return None if hollows is None else hollows >= LOBULATED
    return None if outline is None else outline >= IRREGULAR


def _texture(hu: np.ndarray, core: np.ndarray, body: NoduleBody | None) -> Texture:
    return texture_class(hu[core] if body is None else body.restored(core))


def heterogeneity(
    hu: np.ndarray, core: np.ndarray, spacing: np.ndarray, long_mm: float, noise: NoiseModel | None
) -> float | None:
    """SD in HU of the smoothed core beyond what the scanner's noise leaves there; None for too few voxels.

    Smoothing over 6% of the long axis passes the texture of a lesion and damps noise. What noise leaves is found by
    drawing it with the host's spectrum (fixed seed) and smoothing it alike.
    """
    if core.sum() < _LEAST_VOXELS or noise is None:
        return None
    sigma = float(np.clip(_GRAIN_SHARE * long_mm, *_GRAIN_MM)) / spacing
    weight = np.maximum(ndimage.gaussian_filter(core.astype(np.float32), sigma), 1e-3)

    def variance(field: np.ndarray) -> float:
        return float((ndimage.gaussian_filter(np.where(core, field, 0).astype(np.float32), sigma) / weight)[core].var())

    rng = np.random.default_rng(0)
    left = float(np.mean([variance(noise.draw(hu.shape, rng)) for _ in range(_DRAWS)]))
    return float(np.sqrt(max(variance(hu - hu[core].mean()) - left, 0.0)))


def outline_deviation(mask: np.ndarray, spacing: np.ndarray, axis: int) -> float | None:
    """SD of the radius about its Fourier series up to the second order, of the radius; mean over the main slices.

    0 for circles and nearly so for ellipses; lobes and spikes raise it. None for lesions too small to have an outline.
    """
    slices = np.moveaxis(mask, axis, 0)
    in_plane = np.delete(spacing, axis)
    area = slices.sum(axis=(1, 2))
    found = []
    for index in np.flatnonzero(area >= _MAIN_SLICES * area.max()):
        points = surface_points(slices[index], in_plane)
        offset = points - (np.argwhere(slices[index]) * in_plane).mean(axis=0)
        if np.ptp(offset, axis=0).max() < _LEAST_PIXELS * in_plane.min():
            continue
        angle, radius = np.arctan2(offset[:, 1], offset[:, 0]), np.linalg.norm(offset, axis=1)
        waves = [wave for n in (1, 2) for wave in (np.cos(n * angle), np.sin(n * angle))]
        basis = np.stack([np.ones_like(angle), *waves], axis=1)
        fit = basis @ np.linalg.lstsq(basis, radius, rcond=None)[0]
        found.append(float((radius - fit).std() / radius.mean()))
    return float(np.mean(found)) if found else None


def concavity(mask: np.ndarray, spacing: np.ndarray, axis: int) -> float | None:
    """Share of the convex hull of the outline that is not lesion, mean over the main slices; None for a few pixels."""
    slices = np.moveaxis(mask, axis, 0)
    in_plane = np.delete(spacing, axis)
    area = slices.sum(axis=(1, 2))
    main = np.flatnonzero(area >= max(_MAIN_SLICES * area.max(), _LEAST_PIXELS))
    hulls = [ConvexHull(surface_points(slices[i], in_plane)).volume / np.prod(in_plane) for i in main]
    return float(np.mean([1 - area[i] / hull for i, hull in zip(main, hulls, strict=True)])) if hulls else None


def _shape(
    mask: np.ndarray,
    depth: np.ndarray,
    spacing: np.ndarray,
    long_mm: float,
    outline: float | None,
    structure: str | None,
) -> str:
    thickness = 2 * float(depth.max())
    hollow = structure is not None and structure.startswith(_NOT_A_YARDSTICK[1:])
    if hollow and thickness < THIN * float(np.linalg.norm(np.ptp(np.argwhere(mask) * spacing, axis=0))):
        return "wall thickening"
    if outline is not None and outline >= IRREGULAR:
        return "irregular"
    return "punctate/nodular" if long_mm <= PUNCTATE_MM + float(spacing.min()) else "round-like"


def _calcified(hu: np.ndarray, core: np.ndarray, organ_hu: float | None, structure: str | None) -> bool | None:
    """Whether a few voxels of the core are denser than tissue and contrast can be; None in bone."""
    if structure and structure.startswith(_BONES):
        return None
    limit = max(CALCIFIED_HU, (organ_hu or 0.0) + CALCIFIED_ABOVE_HU)
    return bool(((ndimage.median_filter(hu, 3) > limit) & core).sum() >= 3)


def _zones(hu: np.ndarray, mask: np.ndarray, depth: np.ndarray, noise_sd: float | None) -> Mapping[str, bool | None]:
    """Necrosis and rim, from the median HU of centre, middle and shell."""
    deepest = float(depth.max())
    centre = mask & (depth >= _CENTRE * deepest)
    shell = mask & (depth > _EDGE_MM) & (depth <= _SHELL * deepest + _EDGE_MM)
    middle = mask & (depth >= _MIDDLE[0] * deepest) & (depth <= _MIDDLE[1] * deepest)
    if min(centre.sum(), shell.sum(), middle.sum()) < _LEAST_VOXELS or noise_sd is None:
        return {"necrotic": None, "rim": None}
    inner, outer, between = (float(np.median(hu[where])) for where in (centre, shell, middle))
    return {
        "necrotic": inner <= NECROSIS_HU and max(outer, between) - inner >= ZONE_HU,
        "rim": outer - between >= ZONE_HU,
    }
