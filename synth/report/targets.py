"""Planning target volumes: nested by dose, named `planning_target_70gy` in the lesion map."""

from __future__ import annotations

import re

import numpy as np

from synth.report.diameters import longest_diameter
from synth.report.measurements import Side, TargetMeasurement, rounded
from synth.volumes.geometry import world_of
from synth.volumes.types import Case

_NAME = re.compile(r"planning_target_(\d+)gy(?:_\d+)?")
_SIDED = 0.5  # |left - right| / (left + right) from here on is one side
_MIDLINE_MM = 20.0
_MIDLINE_SHARE = 0.7  # of the volume within _MIDLINE_MM of the midline


def dose_of(name: str) -> int | None:
    """Prescribed dose in Gy of a mask's name; None where the mask is no planning target."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def measure_targets(case: Case, present: set[int], midline_x: float) -> list[TargetMeasurement]:
    """Every target, highest dose first.

    Args:
        case: the case.
        present: ids of the lesion map that have a voxel.
        midline_x: RAS x of the patient's midline, mm.
    """
    doses = {i: dose_of(name) for i, name in case.lesions.names.items() if i in present}
    levels = sorted({dose for dose in doses.values() if dose is not None}, reverse=True)
    return [
        _measure(case, dose, [i for i, d in doses.items() if d is not None and d >= dose], midline_x) for dose in levels
    ]


def _measure(case: Case, dose: int, ids: list[int], midline_x: float) -> TargetMeasurement:
    inside = np.isin(case.lesions.ids, ids)
    voxels = int(inside.sum())
    return TargetMeasurement(
        dose_gy=dose,
        masks=tuple(case.lesions.names[i] for i in ids),
        voxels=voxels,
        volume_ml=rounded(voxels * case.ct.voxel_ml),
        side=_side(world_of(np.argwhere(inside), case.ct.affine)[:, 0] - midline_x),
        long_axis_mm=rounded(longest_diameter(inside, case.ct.spacing)),
    )


def _side(x: np.ndarray) -> Side:
    """Side of a volume from its voxels' RAS x relative to the midline."""
    balance = float((x < 0).mean() - (x > 0).mean())
    if balance >= _SIDED:
        return "left"
    if balance <= -_SIDED:
        return "right"
    return "midline" if float((np.abs(x) <= _MIDLINE_MM).mean()) >= _MIDLINE_SHARE else "bilateral"
