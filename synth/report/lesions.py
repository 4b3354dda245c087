"""Measure one lesion: size, place, attenuation, edge, contacts."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
from scipy import ndimage

from prompts import report as language
from prompts.vocabulary import FindingKind, Organ
from synth.report import location
from synth.report.attributes import RAGGED, measure_attributes
from synth.report.couinaud import couinaud
from synth.report.diameters import axial_diameters, longest_diameter, sphericity
from synth.report.extents import extent_kind, measure_extent
from synth.report.lobes import is_whole, with_lobes
from synth.report.location import Box
from synth.report.margin import margin_width
from synth.report.measurements import Attributes, LesionMeasurement, Side, rounded
from synth.report.scene import Scene
from synth.report.stations import STATIONS, stations
from synth.report.vessels import vessel_contacts
from synth.volumes.geometry import world_of

_EDGE_MM = 2.0
_LEAST_CORE = 5  # voxels
_SURROUND_MM = 10.0
_PLEURA_MM = 40.0  # how far the pleura is looked for
SHARP_MM = 3.5  # edges of this width or less are well defined
_IN_LUNG = ("pulmonary_vein", "trachea", "lung_nodule")  # inside the pleura though no lobe
_OUTSIDE_SHARE = 0.05  # of the mask: from here on it leaves the organ
_ORGAN_WORDS = {organ.split()[0] for organ in Organ}
_TOUCHING = np.ones((3, 3, 3), bool)


def measure_lesion(scene: Scene, number: int, box: Box) -> LesionMeasurement:
    """One lesion of the lesion map, by its id and bounding box."""
    case, name = scene.case, scene.case.lesions.names[number]
    if kind := extent_kind(_without_number(name)):
        return measure_extent(scene, number, box, kind)
    spacing, axis = case.ct.spacing, location.slice_axis(case.ct.affine)
    mask = case.lesions.ids[box] == number
    hu = case.ct.hu[box].astype(np.float64)
    core = hu[core_of(mask, spacing)]
    structure = _structure(scene, number, box)
    centre = location.points_of(mask, box, case.ct.affine).mean(axis=0)
    axial = axial_diameters(mask, spacing, axis)
    organ_mean = scene.organs[structure].mean_hu if structure else None
    edge = _edge_width(scene, number, box, structure)
    contacts = _contacts(scene, number, box, structure)
    outside = _outside(scene, mask, box, structure)
    node = _kind(name) == FindingKind.LYMPH_NODE
    organ = _space(scene, centre) if node else _organ(structure)
    pleura = _pleura_gap(scene, number, box) if organ == "lung" else None
    seen = _attributes(scene, number, box, structure, axial.long_mm, edge)
    x, y, z = (rounded(v) for v in centre)
    return LesionMeasurement(
        id=number,
        name=name,
        kind=_kind(name),
        structure=structure,
        organ=organ,
        side=None if node else _side(scene, structure, centre),
        segment=_station(scene, organ, centre) if node else _segment(scene, structure, centre),
        voxels=int(mask.sum()),
        centre_mm=(x, y, z),
        volume_ml=rounded(mask.sum() * case.ct.voxel_ml),
        long_axis_mm=rounded(axial.long_mm),
        short_axis_mm=rounded(axial.short_mm),
        long_axis_3d_mm=rounded(longest_diameter(mask, spacing)),
        sphericity=rounded(sphericity(mask, spacing)),
        mean_hu=rounded(core.mean()),
        sd_hu=rounded(core.std()),
        mask_mean_hu=rounded(hu[mask].mean()),
        organ_mean_hu=organ_mean,
        contrast_hu=None if organ_mean is None else rounded(core.mean() - organ_mean),
        margin_mm=edge,
        margin=_margin(edge, seen.ragged),
        contacts=contacts,
        outside=rounded(outside),
        invasion=_invasion(contacts, outside, structure, pleura),
        vessel_contact_deg=vessel_contacts(case, number, box, contacts),
        pleura_mm=pleura,
        attributes=seen,
        depth_mm=_depth_mm(mask, spacing) if language.is_fluid(_kind(name)) else None,
    )


def _margin(edge_mm: float | None, ragged: float | None) -> Literal["well-defined", "ill-defined"] | None:
    """An edge is well defined where it is narrow, and in the lung also smooth."""
    if ragged is not None and ragged > RAGGED:
        return "ill-defined"
    return None if edge_mm is None else "well-defined" if edge_mm <= SHARP_MM else "ill-defined"


def _space(scene: Scene, centre: np.ndarray) -> str:
    """Where a lymph node is, whatever label it touches: beside the heart or the lungs and above, or below them."""
    names = [name for name in scene.present if name == "heart"] or [n for n in scene.present if n.startswith("lung")]
    affine = scene.case.organs.affine
    axis = location.slice_axis(affine)
    ends = [end for n in names for end in (scene.present[n][1][axis].start, scene.present[n][1][axis].stop - 1)]
    heights = [float(affine[2, axis] * end + affine[2, 3]) for end in ends]
    return (Organ.MEDIASTINUM if heights and centre[2] >= min(heights) else Organ.RETROPERITONEUM).value


def _depth_mm(mask: np.ndarray, spacing: np.ndarray) -> float:
    """How thick a layer is where it is thickest: across the widest ball in it."""
    inside = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)
    return rounded(2 * float(inside.max()) - float(spacing.min()))


def _attributes(
    scene: Scene, number: int, box: Box, structure: str | None, long_mm: float, edge: float | None
) -> Attributes:
    wide, mask = _crop(scene, number, box, _SURROUND_MM)
    ids = scene.case.organs.ids[wide]
    group = [i for name, (i, _) in scene.present.items() if structure and _organ(name) == _organ(structure)]
    return measure_attributes(
        scene.case.ct.hu[wide].astype(np.float64),
        mask,
        np.isin(ids, group) & (scene.case.lesions.ids[wide] == 0),
        scene.case.ct.affine,
        structure=structure,
        organ_hu=scene.organs[structure].median_hu if structure else None,
        enhanced=scene.enhanced(),
        long_mm=long_mm,
        margin_mm=edge,
        noise=scene.noise,
    )


def _outside(scene: Scene, mask: np.ndarray, box: Box, structure: str | None) -> float:
    """Share of the mask outside the organ that holds it; 0 where no organ does."""
    if structure is None:
        return 0.0
    inside = [i for name, (i, _) in scene.present.items() if _organ(name) == _organ(structure)]
    return float(1 - np.isin(scene.case.organs.ids[box][mask], inside).mean())


def _invasion(
    contacts: tuple[str, ...], outside: float, structure: str | None, pleura_mm: float | None
) -> Literal["no close relationship", "close relationship"]:
    touched = any(_organ(name) != _organ(structure) for name in contacts) or pleura_mm == 0
    return "close relationship" if touched or outside >= _OUTSIDE_SHARE else "no close relationship"


def core_of(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """A mask (X, Y, Z) without its edge: voxels with neighbours on all sides, deeper than `_EDGE_MM`.

    The whole mask where fewer than `_LEAST_CORE` voxels are left.
    """
    padded = np.pad(mask, 1)
    deep = ndimage.distance_transform_edt(padded, sampling=spacing) > _EDGE_MM
    core = (deep & ndimage.binary_erosion(padded))[1:-1, 1:-1, 1:-1]
    return core if core.sum() >= _LEAST_CORE else mask


def _without_number(name: str) -> str:
    return re.sub(r"_\d+$", "", name)


def is_body(name: str) -> bool:
    """Whether a mask's name is that of a body, which takes the place of its organ."""
    return extent_kind(_without_number(name)) is None


def _kind(name: str) -> str:
    """`lung_nodule_1` -> `nodule`: the name without its organ and number."""
    words = _without_number(name).split("_")
    return " ".join(words[1:] if words[0] in _ORGAN_WORDS and len(words) > 1 else words)


def _organ(structure: str | None) -> str:
    """Plain name of the organ of a label, without side and lobe."""
    if structure is None:
        return "soft tissue"
    words = [w for w in structure.split("_") if w not in ("left", "right")]
    return "lung" if words[0] == "lung" else " ".join(words)


def _crop(scene: Scene, number: int, box: Box, by_mm: float) -> tuple[Box, np.ndarray]:
    wide = location.grown(box, scene.case.ct.hu.shape, scene.case.ct.spacing, by_mm)
    return wide, scene.case.lesions.ids[wide] == number


def _structure(scene: Scene, number: int, box: Box) -> str | None:
    """The label that holds most of the mask; where none does, the one that touches most of it."""
    wide, mask = _crop(scene, number, box, float(scene.case.ct.spacing.max()))
    ids = scene.case.organs.ids[wide]
    for where in (mask, ndimage.binary_dilation(mask, _TOUCHING)):
        counts = np.bincount(ids[where].astype(np.intp))
        counts[0] = 0
        known = [i for i in np.argsort(-counts, kind="stable") if counts[i] and int(i) in scene.case.organs.names]
        if known:
            return scene.case.organs.names[int(known[0])]
    return None


def _lobe(scene: Scene, centre: np.ndarray) -> str:
    """The lobe of a lung that is labelled whole, about `centre`, RAS mm: approximate (`synth.report.lobes`)."""
    organs = with_lobes(scene.case.organs)
    index = np.argwhere(organs.mask(*(name for name in organs.names.values() if "_lobe_" in name)))
    nearest = index[np.linalg.norm(world_of(index, organs.affine) - centre, axis=1).argmin()]
    return organs.names[int(organs.ids[tuple(nearest)])]


def _side(scene: Scene, structure: str | None, centre: np.ndarray) -> Side | None:
    """From the label's name; in the liver from Cantlie's plane where it can be drawn; else from the midline."""
    if structure == "liver":
        plane = location.cantlie_plane(scene.case.organs, scene.present)
        return None if plane is None else "left" if bool(plane.is_left(centre)) else "right"
    if structure is not None and structure != "lung":
        words = structure.split("_")
        return "left" if "left" in words else "right" if "right" in words else None
    return "left" if centre[0] < scene.midline_x else "right"


def _segment(scene: Scene, structure: str | None, centre: np.ndarray) -> str | None:
    """Lobe of the lung, pole of a kidney, segment of the liver."""
    if structure and is_whole(structure):
        structure = _lobe(scene, centre)
    if structure and structure.startswith("lung_") and "lobe" in structure:
        return structure.split("_")[1]
    if structure == "liver":
        planes = couinaud(scene.case.organs, scene.present)
        return None if planes is None else str(planes.segment(centre))
    if structure in ("kidney_left", "kidney_right"):
        number, box = scene.present[structure]
        points = location.points_of(scene.case.organs.ids[box] == number, box, scene.case.organs.affine)
        return location.POLES[int(location.Poles.of(points).part(centre))]
    return None


def _station(scene: Scene, organ: str, centre: np.ndarray) -> str | None:
    """ "station 4R" of a node in the mediastinum, where it has one and trachea, aorta and lungs are labelled."""
    borders = stations(scene.case.organs, scene.present) if organ == Organ.MEDIASTINUM.value else None
    index = -1 if borders is None else int(borders.station(centre))
    return None if index < 0 else f"station {STATIONS[index]}"


def _edge_width(scene: Scene, number: int, box: Box, structure: str | None) -> float | None:
    if structure is None:
        return None
    wide, mask = _crop(scene, number, box, _SURROUND_MM)
    host = (scene.case.organs.ids[wide] == scene.present[structure][0]) & (scene.case.lesions.ids[wide] == 0)
    axis = location.slice_axis(scene.case.ct.affine)
    width = margin_width(scene.case.ct.hu[wide], mask, host, scene.case.ct.spacing, axis)
    return None if width is None else rounded(width)


def _contacts(scene: Scene, number: int, box: Box, structure: str | None) -> tuple[str, ...]:
    """Names of the other labels in the mask or within one voxel of it, in order of id."""
    wide, mask = _crop(scene, number, box, float(scene.case.ct.spacing.max()))
    found = np.unique(scene.case.organs.ids[wide][ndimage.binary_dilation(mask, _TOUCHING)])
    names = [scene.case.organs.names.get(int(i)) for i in found if i]
    return tuple(name for name in names if name and name != structure)


def _pleura_gap(scene: Scene, number: int, box: Box) -> float | None:
    """mm between the mask and the nearest voxel outside the lung; None where that is farther than `_PLEURA_MM`.

    Vessels and airways that the label map leaves out of the lobes are closed first; the border of the volume is
    no pleura.
    """
    wide, mask = _crop(scene, number, box, _PLEURA_MM)
    inside = [i for name, (i, _) in scene.present.items() if name.startswith("lung_") or name in _IN_LUNG]
    lung = ndimage.binary_fill_holes(np.isin(scene.case.organs.ids[wide], inside))
    if lung.all():
        return None
    return rounded(max(float(ndimage.distance_transform_edt(lung, sampling=scene.case.ct.spacing)[mask].min()), 0.0))
