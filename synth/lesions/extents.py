"""Put findings that are told by their extent into a CT: each way to draw one, and the host with all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from synth.lesions import lung_textures
from synth.lesions.diffuse import Affected, affected
from synth.lesions.emphysema import emphysema
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.extent_types import extent_types
from synth.lesions.lung_space import LungSpace, bounding, lung_space
from synth.report.location import Box
from synth.report.noise import NoiseModel
from synth.types import HU_MAX, HU_MIN, LabelMap, Volume


@dataclass(frozen=True)
class Changed:
    """A finding on a crop of the host: its CT (X, Y, Z) float32 HU, its labels where they changed, and the mask.

    Voxels that are not in `touched` are the host's, bit for bit.
    """

    box: Box
    hu: np.ndarray
    touched: np.ndarray
    mask: np.ndarray
    ids: np.ndarray | None = None


Way = Callable[[ExtentPlan, Volume, LabelMap, NoiseModel | None], Changed]
Texture = Callable[[ExtentPlan, LungSpace, Affected], tuple[np.ndarray, np.ndarray]]


def in_lung(texture: Texture) -> Way:
    """The way to draw a diffuse finding of the lung whose place follows from its score."""

    def draw(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
        space = lung_space(host, organs, plan.structures)
        where = affected(plan, space)
        target, share = texture(plan, space, where)
        return mixed(plan, space.grid.box, space.hu, target, share, where.mask, noise)

    return draw


def _emphysema(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    space = lung_space(host, organs, plan.structures)
    where, target, share = emphysema(plan, space)
    return mixed(plan, space.grid.box, space.hu, target, share, where.mask, noise)


WAYS: dict[str, Way] = {
    "glass": in_lung(lung_textures.glass),
    "paving": in_lung(lung_textures.paving),
    "consolidation": in_lung(lung_textures.consolidation),
    "mosaic": in_lung(lung_textures.mosaic),
    "septal": in_lung(lung_textures.septal),
    "reticulation": in_lung(lung_textures.reticulation),
    "emphysema": _emphysema,
}


def mixed(
    plan: ExtentPlan,
    box: Box,
    hu: np.ndarray,
    target: np.ndarray,
    share: np.ndarray,
    mask: np.ndarray,
    noise: NoiseModel | None,
) -> Changed:
    """The host's crop with a target mixed in by share, noise added for what the mixture takes of the host's."""
    touched = share > 0
    out = hu + share * (target - hu)
    inner = bounding(touched)
    if inner is not None and noise is not None:
        missing = np.sqrt(1 - (1 - share[inner]) ** 2)
        out[inner] += missing * noise.draw(missing.shape, plan.generator("noise"))
    return Changed(box, out, touched, mask)


def draw_extent(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """One finding in its host. Raises InputError where the host has no place for it."""
    return WAYS[extent_types()[plan.kind].draw](plan, host, organs, noise)


@dataclass(frozen=True)
class Extended:
    """A host with its findings: CT, organs, and the findings' masks (X, Y, Z) uint8, ids of their plans."""

    ct: Volume
    organs: LabelMap
    masks: np.ndarray


def with_extents(host: Volume, organs: LabelMap, plans: Sequence[ExtentPlan], noise: NoiseModel | None) -> Extended:
    """The host with findings drawn one upon the other, in order. A voxel of two has the later one's id.

    Without `noise`, what a finding takes of the host's is not made up for: enough to plan by.
    """
    masks = np.zeros(host.hu.shape, np.uint8)
    for plan in plans:
        changed = draw_extent(plan, host, organs, noise)
        hu = host.hu.copy()
        stored = np.rint(changed.hu).clip(HU_MIN, HU_MAX).astype(np.int16)
        hu[changed.box][changed.touched] = stored[changed.touched]
        host = Volume(hu, host.affine)
        if changed.ids is not None:
            ids = organs.ids.copy()
            ids[changed.box] = changed.ids
            organs = LabelMap(ids, organs.affine, organs.names)
        masks[changed.box][changed.mask] = plan.id
    return Extended(host, organs, masks)
