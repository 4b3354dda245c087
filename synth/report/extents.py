"""Measure findings that are told by their extent: mL in each part of an organ, HU, figures of a kind's own."""

from __future__ import annotations

import numpy as np

from prompts.vocabulary import EXTENT_KINDS, KIND_ORGANS, FindingKind
from synth.report import location
from synth.report.diameters import axial_diameters
from synth.report.extent_figures import figures_of
from synth.report.lobes import nearest_lobe, with_lobes
from synth.report.location import Box
from synth.report.measurements import Attributes, ExtentMeasurements, LesionMeasurement, Side, rounded
from synth.report.scene import Scene
from synth.volumes.geometry import voxel_spacing
from synth.volumes.types import LabelMap

_SIDED = 0.9  # of a finding that is called one-sided
_CALCIFIED_HU = 130.0
_AROUND_MM = 25.0  # of an artery: how far the lung about it is looked for


_KINDS = {kind.replace("-", " "): kind.value for kind in EXTENT_KINDS}


def extent_kind(words: str) -> str | None:
    """The kind that a mask's name without its number means, where it is one that is told by its extent."""
    return _KINDS.get(words.replace("_", " "))


def measure_extent(scene: Scene, number: int, box: Box, kind: str) -> LesionMeasurement:
    """One finding of the lesion map, by its id and bounding box. Diameters are those of its mask in a slice."""
    case, name = scene.case, scene.case.lesions.names[number]
    spacing, axis = case.ct.spacing, location.slice_axis(case.ct.affine)
    mask = case.lesions.ids[box] == number
    values = case.ct.hu[box][mask].astype(np.float64)
    organs = with_lobes(case.organs)
    affected, parts = _parts(organs, case.ct.voxel_ml, _structures(organs, box, mask, kind))
    structure = max(affected, key=lambda part: affected[part]) if affected else None
    centre = location.points_of(mask, box, case.ct.affine).mean(axis=0)
    axial = axial_diameters(mask, spacing, axis)
    x, y, z = (rounded(v) for v in centre)
    return LesionMeasurement(
        id=number,
        name=name,
        kind=kind,
        structure=structure,
        organ=KIND_ORGANS[FindingKind(kind)][0].value,
        side=_side(scene, affected, centre),
        segment=None,
        voxels=int(mask.sum()),
        centre_mm=(x, y, z),
        volume_ml=rounded(mask.sum() * case.ct.voxel_ml),
        long_axis_mm=rounded(axial.long_mm),
        short_axis_mm=rounded(axial.short_mm),
        long_axis_3d_mm=rounded(axial.long_mm),
        sphericity=0.0,
        mean_hu=rounded(values.mean()),
        sd_hu=rounded(values.std()),
        mask_mean_hu=rounded(values.mean()),
        organ_mean_hu=None,
        contrast_hu=None,
        margin_mm=None,
        margin=None,
        contacts=(),
        outside=0.0,
        invasion="no close relationship",
        vessel_contact_deg={},
        pleura_mm=None,
        attributes=_attributes(values),
        extent=ExtentMeasurements(
            median_hu=rounded(np.median(values)),
            affected_ml=affected,
            part_ml=parts,
            figures={k: rounded(v) for k, v in figures_of(kind, scene, number, box, mask).items()},
        ),
    )


def _structures(organs: LabelMap, box: Box, mask: np.ndarray, kind: str) -> np.ndarray:
    """The label of each voxel of a crop's mask (N,); of an embolism, whose artery may have one, the lobe's about it."""
    if kind != FindingKind.PULMONARY_EMBOLISM:
        return np.asarray(organs.ids[box][mask])
    wide = location.grown(box, organs.ids.shape, voxel_spacing(organs.affine), _AROUND_MM)
    nearest, _ = nearest_lobe(organs, wide)
    within = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))
    return np.asarray(nearest[within][mask])


def _parts(organs: LabelMap, voxel_ml: float, ids: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    """mL of the finding, whose voxels have `ids` (N,), in each labelled structure, and of the structures that it is in
    and others of their organ."""
    size = int(organs.ids.max()) + 1
    inside = np.bincount(ids, minlength=size)
    there = {name: int(i) for i, name in organs.names.items() if 0 < i < size and inside[i]}
    groups = {_organ(name) for name in there}
    alike = {name: i for i, name in organs.names.items() if 0 < i < size and _organ(name) in groups}
    whole = np.bincount(organs.ids.ravel(), minlength=size)
    return (
        {name: rounded(inside[i] * voxel_ml) for name, i in there.items()},
        {name: rounded(whole[i] * voxel_ml) for name, i in alike.items() if whole[i]},
    )


def _organ(structure: str | None) -> str:
    if structure is None:
        return "soft tissue"
    words = [w for w in structure.split("_") if w not in ("left", "right")]
    return "lung" if words[0] == "lung" else " ".join(words)


def _side(scene: Scene, affected: dict[str, float], centre: np.ndarray) -> Side | None:
    """The side that holds nearly all of it, bilateral where neither does; None of what has no sides."""
    left = sum(ml for name, ml in affected.items() if "left" in name.split("_"))
    right = sum(ml for name, ml in affected.items() if "right" in name.split("_"))
    if left + right == 0:
        return None if affected else ("left" if centre[0] < scene.midline_x else "right")
    share = left / (left + right)
    return "left" if share > _SIDED else "right" if share < 1 - _SIDED else "bilateral"


def _attributes(values: np.ndarray) -> Attributes:
    """What a finding without edge or core has of a body's attributes."""
    mean = float(values.mean())
    return Attributes(
        core_hu=rounded(mean),
        density="hyperdense" if mean > _CALCIFIED_HU else "isodense" if mean > 0 else "hypodense",
        heterogeneity_hu=None,
        heterogeneity=None,
        texture=None,
        shape="irregular",
        outline=None,
        lobulated=None,
        strands=None,
        spiculated=None,
        necrotic=None,
        calcified=None,
        rim=None,
    )
