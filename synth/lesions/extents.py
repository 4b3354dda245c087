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
from synth.lesions.embolism import embolism, with_arteries
from synth.lesions.emphysema import emphysema
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.extent_types import extent_types
from synth.lesions.fracture import fracture
from synth.lesions.liver_ways import steatosis
from synth.lesions.lung_space import LungSpace, lung_space
from synth.report.noise import NoiseModel
from synth.volumes.types import HU_MAX, HU_MIN, LabelMap, Volume

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


def _atelectasis(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    draw = lobar_atelectasis if plan.pattern == Pattern.LOBAR else bands
    return draw(plan, host, organs, noise)


WAYS: dict[str, Way] = {
    "glass": in_lung(lung_textures.glass),
    "paving": in_lung(lung_textures.paving),
    "consolidation": in_lung(lung_textures.consolidation),
    "mosaic": in_lung(lung_textures.mosaic),
    "septal": in_lung(lung_textures.septal),
    "reticulation": in_lung(lung_textures.reticulation),
    "emphysema": _emphysema,
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


def draw_extent(plan: ExtentPlan, host: Volume, organs: LabelMap, noise: NoiseModel | None) -> Changed:
    """One finding in its host. Raises InputError where the host has no place for it."""
    return WAYS[extent_types()[plan.kind].draw](plan, host, organs, noise)


@dataclass(frozen=True)
class Extended:
    """A host with its findings: CT, organs, and the findings' masks (X, Y, Z) uint8, ids of their plans; its trees,
    where it has them."""

    ct: Volume
    organs: LabelMap
    masks: np.ndarray
    trees: np.ndarray | None = None


def with_extents(
    host: Volume,
    organs: LabelMap,
    plans: Sequence[ExtentPlan],
    noise: NoiseModel | None,
    trees: np.ndarray | None = None,
) -> Extended:
    """The host with findings drawn one upon the other, in order. A voxel of two has the later one's id.

    Without `noise`, what a finding takes of the host's is not made up for: enough to plan by. `trees`: (X, Y, Z) ids of
    airways and vessels.
    """
    masks = np.zeros(host.hu.shape, np.uint8)
    for plan in plans:
        changed = draw_extent(plan, host, with_arteries(organs, trees), noise)
        hu = host.hu.copy()
        stored = np.rint(changed.hu).clip(HU_MIN, HU_MAX).astype(np.int16)
        hu[changed.box][changed.touched] = stored[changed.touched]
        host = Volume(hu, host.affine)
        if trees is not None:
            trees = trees.copy()
            trees[changed.box] = changed.trees(trees, organs.ids)
        if changed.ids is not None:
            ids = organs.ids.copy()
            ids[changed.box] = changed.ids
            organs = LabelMap(ids, organs.affine, organs.names)
        masks[changed.box][changed.mask] = plan.id
    return Extended(host, organs, masks, trees)
