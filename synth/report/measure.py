"""Measure a finished case: volume, organs, lesions, planning targets. Sees arrays and names, never a plan."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from nibabel.orientations import io_orientation

from synth.errors import InputError
from synth.report import location, normals
from synth.report.lesions import is_body, measure_lesion
from synth.report.lobes import is_whole
from synth.report.measurements import Measurements, OrganMeasurement, VolumeMeasurement, rounded
from synth.report.noise import NoiseModel, measure_noise
from synth.report.normals import ruled_out
from synth.report.scene import Scene
from synth.report.targets import dose_of, measure_targets
from synth.volumes.types import Case

_HEAD_NECK = ("brainstem", "mandible", "larynx", "parotid_gland_left", "parotid_gland_right")
_ABDOMEN = ("kidney_left", "kidney_right", "pancreas")


def measure(case: Case) -> Measurements:
    """Everything that a report may speak of. Ids without a name in their map are not measured."""
    present = location.present_boxes(case.organs)
    found = {i: box for i, box in location.boxes(case.lesions.ids).items() if i in case.lesions.names}
    tumours = [i for i in found if dose_of(case.lesions.names[i]) is None]
    organs = _measure_organs(case, [i for i in tumours if is_body(case.lesions.names[i])])
    by_name = {organ.name: organ for organ in organs}
    enhanced = location.is_enhanced({name: o.median_hu for name, o in by_name.items() if o.median_hu is not None})
    midline = location.midline_x(case.organs, present, case.ct.hu)
    scene = Scene(case, present, by_name, midline, _noise(case) if tumours else None)
    lesions = tuple(measure_lesion(scene, i, found[i]) for i in tumours)
    return Measurements(
        volume=_measure_volume(case, present, enhanced),
        organs=organs,
        lesions=lesions,
        targets=tuple(measure_targets(case, set(found), midline)),
        ruled_out=ruled_out(normals.NormalScene(case, present, by_name, enhanced), {lesion.kind for lesion in lesions}),
    )


def _noise(case: Case) -> NoiseModel | None:
    """The scanner's noise; None where no even tissue shows it."""
    try:
        return measure_noise(case.ct, case.organs)
    except InputError:
        return None


def _measure_volume(
    case: Case, present: Mapping[str, tuple[int, location.Box]], enhanced: bool | None
) -> VolumeMeasurement:
    """Spacing and extent, reordered to the patient's axes."""
    axes = np.argsort(io_orientation(case.ct.affine)[:, 0])
    spacing = case.ct.spacing[axes]
    right_left, front_back, head_foot = (rounded(v) for v in spacing)
    width, depth, height = (rounded(v) for v in spacing * np.array(case.ct.hu.shape)[axes])
    return VolumeMeasurement(
        spacing_mm=(right_left, front_back, head_foot),
        extent_mm=(width, depth, height),
        region=_region(case, present),
        lobes="approximate" if any(is_whole(name) for name in present) else None,
        enhanced=enhanced,
    )


def _region(case: Case, present: Mapping[str, tuple[int, location.Box]]) -> str | None:
    """The region whose organs the field shows; None where the labels do not tell.

    Lungs that reach the head end, to `NEAR_END_MM`, and are not `CHEST_MM` high are the bases that an abdomen shows,
    kidneys cut below the poles that a chest shows, unless there is nothing else.
    """
    if set(present) & set(_HEAD_NECK):
        return "head_neck"
    lungs = [name for name in present if name.startswith("lung") and name != "lung_nodule"]
    low = [name for name in _ABDOMEN if name in present]
    height, gap = location.height_and_gap(case.ct, [present[name][1] for name in lungs])
    chest = bool(lungs) and (height >= location.CHEST_MM or gap > location.NEAR_END_MM)
    foot = _at_foot(case, present)
    abdomen = not all(name in foot for name in low)
    if not (chest or abdomen):
        chest, abdomen = bool(lungs), bool(low)
    return {(True, True): "chest_abdomen", (True, False): "chest", (False, True): "abdomen"}.get((chest, abdomen))


def _at_foot(case: Case, present: Mapping[str, tuple[int, location.Box]]) -> set[str]:
    """Names of structures that the foot end of the field cuts."""
    axis = location.slice_axis(case.ct.affine)
    if case.ct.affine[2, axis] > 0:
        return {name for name, (_, box) in present.items() if box[axis].start == 0}
    return {name for name, (_, box) in present.items() if box[axis].stop == case.ct.hu.shape[axis]}


def _measure_organs(case: Case, tumours: list[int]) -> tuple[OrganMeasurement, ...]:
    """Voxels of each structure, and the mean and SD of its HU outside the lesions, from one histogram of id and HU."""
    labelled = case.organs.ids != 0
    healthy = labelled & ~np.isin(case.lesions.ids, tumours)
    low = int(case.ct.hu.min())
    levels = int(case.ct.hu.max()) - low + 1
    size = int(case.organs.ids.max()) + 1
    voxels = np.bincount(case.organs.ids[labelled], minlength=size)
    key = case.organs.ids[healthy].astype(np.int32) * levels + (case.ct.hu[healthy].astype(np.int32) - low)
    histogram = np.bincount(key, minlength=size * levels).reshape(size, levels)
    hu = low + np.arange(levels, dtype=np.float64)
    return tuple(
        _organ(case, number, int(voxels[number]), hu, histogram[number])
        for number in sorted(case.organs.names)
        if 0 < number < size and voxels[number]
    )


def _organ(case: Case, number: int, voxels: int, hu: np.ndarray, histogram: np.ndarray) -> OrganMeasurement:
    mean = sd = median = None
    if n := int(histogram.sum()):
        median = float(hu[int(np.searchsorted(histogram.cumsum(), n / 2))])
        mean = float(hu @ histogram) / n
        sd = float(np.sqrt((hu - mean) ** 2 @ histogram / n))
    return OrganMeasurement(
        id=number,
        name=case.organs.names[number],
        voxels=voxels,
        volume_ml=rounded(voxels * case.ct.voxel_ml),
        mean_hu=None if mean is None else rounded(mean),
        sd_hu=None if sd is None else rounded(sd),
        median_hu=None if median is None else rounded(median),
    )
