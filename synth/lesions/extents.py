"""Put findings that are told by their extent into a CT: each way to draw one, and the host with all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from prompts.vocabulary import Pattern
from synth.lesions import abdomen_ways, calcium, devices, layers, lung_textures, shape_ways
from synth.lesions.airways import bronchi_ways
from synth.lesions.bands import bands
from synth.lesions.changed import Changed, mixed
from synth.lesions.collapse import lobar_atelectasis
from synth.lesions.diffuse import Affected, affected
from synth.lesions.dissection import dissection
from synth.lesions.embolism import ARTERIES, embolism, with_arteries
from synth.lesions.emphysema import emphysema
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.extent_types import extent_types
from synth.lesions.fracture import fracture
from synth.lesions.liver_ways import steatosis
from synth.lesions.lung_space import LungSpace, lung_space
from synth.report.noise import NoiseModel
from synth.volumes.types import HU_MAX, HU_MIN, LabelMap, Volume

Way = Callable[[ExtentPlan, Volume, LabelMap, NoiseModel | None], Changed]
Texture = Callable[[ExtentPlan, LungSpace], tuple[Affected, np.ndarray, np.ndarray]]
"""Where a diffuse finding of the lung is; (X, Y, Z) its HU, and the share of the host that they replace."""


def _in_lung(
    texture: Texture, plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None, taken: np.ndarray
) -> Changed:
    """A diffuse finding of the lung, where it has no other finding's mask."""
    space = lung_space(host, organs, plan.structures, taken)
    where, target, share = texture(plan, space)
    return mixed(plan, space.grid.box, space.hu, target, share, where.mask, noise)


def _where_it_scores(texture: Callable[[ExtentPlan, LungSpace, Affected], tuple[np.ndarray, np.ndarray]]) -> Texture:
    """The texture of a finding whose place follows from its score."""

    def draw(plan: ExtentPlan, space: LungSpace) -> tuple[Affected, np.ndarray, np.ndarray]:
        where = affected(plan, space)
        return (where, *texture(plan, space, where))

    return draw


def _atelectasis(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    draw = lobar_atelectasis if plan.pattern == Pattern.LOBAR else bands
    return draw(plan, host, organs, noise)


IN_LUNG: dict[str, Texture] = {
    "glass": _where_it_scores(lung_textures.glass),
    "paving": _where_it_scores(lung_textures.paving),
    "consolidation": _where_it_scores(lung_textures.consolidation),
    "mosaic": _where_it_scores(lung_textures.mosaic),
    "septal": _where_it_scores(lung_textures.septal),
    "reticulation": _where_it_scores(lung_textures.reticulation),
    "emphysema": emphysema,
}
WAYS: dict[str, Way] = {
    "cardiomegaly": shape_ways.cardiomegaly,
    "splenomegaly": shape_ways.splenomegaly,
    "aneurysm": shape_ways.aneurysm,
    "pericardial_effusion": layers.pericardial_effusion,
    "pneumothorax": layers.pneumothorax,
    "atelectasis": _atelectasis,
    "bands": bands,
    "steatosis": steatosis,
    "bronchi": bronchi_ways,
    "hiatal_hernia": abdomen_ways.hiatal_hernia,
    "hydronephrosis": abdomen_ways.hydronephrosis,
    "dilated_duct": abdomen_ways.dilated_duct,
    "central_line": devices.central_line,
    "port": devices.port,
    "pacemaker": devices.pacemaker,
    "chest_tube": devices.chest_tube,
    "arterial_wall_calcification": calcium.arterial_wall_calcification,
    "coronary_calcification": calcium.coronary_calcification,
    "dissection": dissection,
    "fracture": fracture,
    "embolism": embolism,
}


def draw_extent(
    plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None, taken: np.ndarray
) -> Changed:
    """One finding in its host, in which some voxels are `taken` (X, Y, Z) by masks of others.

    Raises InputError where the host has no place for it.
    """
    draw = extent_types()[plan.kind].draw
    if draw in IN_LUNG:
        return _in_lung(IN_LUNG[draw], plan, host, organs, noise, taken)
    return WAYS[draw](plan, host, organs, noise)


@dataclass(frozen=True)
class Extended:
    """A host with its findings: CT, organs, and the findings' masks (X, Y, Z) uint8, ids of their plans; its trees,
    where it has them. `taken`: (X, Y, Z) boolean, masks that diffuse findings leave alone: all but those of a shape,
    which are what moved."""

    ct: Volume
    organs: LabelMap
    masks: np.ndarray
    taken: np.ndarray
    trees: np.ndarray | None = None

    @classmethod
    def of(cls, ct: Volume, organs: LabelMap, trees: np.ndarray | None = None) -> Extended:
        """A host without any. `trees`: (X, Y, Z) ids of airways and vessels."""
        return cls(ct, organs, np.zeros(ct.hu.shape, np.uint8), np.zeros(ct.hu.shape, bool), trees)


def with_extent(host: Extended, plan: ExtentPlan, noise: NoiseModel | None) -> Extended:
    """A host with one more finding; a voxel of two has the later one's id.

    Without `noise`, what a finding takes of the host's is not made up for: enough to plan by.
    """
    organs, trees = host.organs, host.trees
    seen = with_arteries(organs, trees) if ARTERIES in extent_types()[plan.kind].needs else organs
    changed = draw_extent(plan, host.ct, seen, noise, host.taken)
    hu, masks, taken = host.ct.hu.copy(), host.masks.copy(), host.taken.copy()
    stored = np.rint(changed.hu).clip(HU_MIN, HU_MAX).astype(np.int16)
    hu[changed.box][changed.touched] = stored[changed.touched]
    if trees is not None:
        trees = trees.copy()
        trees[changed.box] = changed.trees(trees, organs.ids)
    if changed.ids is not None:
        ids = organs.ids.copy()
        ids[changed.box] = changed.ids
        organs = LabelMap(ids, organs.affine, organs.names)
    masks[changed.box][changed.mask] = plan.id
    if extent_types()[plan.kind].changes != "shape":
        taken[changed.box] |= changed.mask
    return Extended(Volume(hu, host.ct.affine), organs, masks, taken, trees)


def with_extents(host: Extended, plans: Sequence[ExtentPlan], noise: NoiseModel | None) -> Extended:
    """A host with findings drawn one upon the other, in order (`with_extent`)."""
    for plan in plans:
        host = with_extent(host, plan, noise)
    return host
