"""Sound inputs of every kind, small, from which the hostile ones are made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from synth import report
from synth.case import folder as case_folder
from synth.case import order
from synth.cohort import finalise, layout
from synth.cohort.table import SCHEMA, write_table
from synth.volumes import labels, nifti
from synth.volumes.types import Case, LabelMap, Volume

_SHAPE = (40, 36, 20)
_AFFINE = np.diag([4.0, 4.0, 6.0, 1.0])
_AFFINE[:3, 3] = (-80.0, -72.0, -60.0)


def case() -> Case:
    """A chest in air: two lungs of two lobes each, a liver with a cyst."""
    hu, ids = np.full(_SHAPE, -1000.0), np.zeros(_SHAPE, np.uint8)
    hu[3:37, 4:32] = 40.0
    table = labels.ids()
    for side, x in (("left", slice(5, 18)), ("right", slice(22, 35))):
        for lobe, z in (("lower", slice(6, 12)), ("upper", slice(12, 19))):
            ids[x, 8:28, z] = table[f"lung_{lobe}_lobe_{side}"]
            hu[x, 8:28, z] = -850.0
    ids[20:35, 8:28, 0:5] = table["liver"]
    hu[20:35, 8:28, 0:5] = 60.0
    noise = gaussian_filter(np.random.default_rng(5).standard_normal(_SHAPE), (0.7, 0.7, 0))
    hu = np.rint(hu + 12 * noise / noise.std()).astype(np.int16)
    lesions = np.zeros(_SHAPE, np.uint8)
    lesions[26:30, 16:20, 2:4] = 1
    names = {int(i): labels.names()[int(i)] for i in np.unique(ids) if i}
    return Case(Volume(hu, _AFFINE), LabelMap(ids, _AFFINE, names), LabelMap(lesions, _AFFINE, {1: "liver_cyst_1"}))


def write_host(folder: Path) -> None:
    """ct.nii.gz and organs.nii.gz."""
    folder.mkdir(parents=True, exist_ok=True)
    made = case()
    nifti.write_volume(folder / "ct.nii.gz", made.ct)
    nifti.write_labels(folder / "organs.nii.gz", made.organs)


def write_cohort(out: Path) -> None:
    """A finished cohort of one case."""
    made, name = case(), "case_00000"
    measured = report.measure(made)
    written = report.write(measured)
    case_folder.write_case(
        layout.case_folder(out, name),
        made,
        plan_json=order.plan_json("CT of the chest", 0, 8.0, 0),
        report_json=written.model_dump_json(),
        report_text=written.text(),
        preview_png=None,
        manifest={"weights": {}, "checks": [], "attempts": 1, "environment": {}},
    )
    lesions = [lesion.model_dump(mode="json") for lesion in measured.lesions]
    said = {"case": name, "split": "train", "patient": "p", "prompt": "CT of the chest", "healthy": False}
    write_table(out / layout.TABLE, [dict.fromkeys(SCHEMA.names) | said | {"lesions": lesions, "number_of_lesions": 1}])
    counts = {"asked": 1, "complete": 1, "quarantined": 0}
    told = {"name": "fuzz", "description": "", "licence": "", "synthct": "0", "cases": counts, "split": {"train": 1}}
    (out / layout.COHORT).write_text(json.dumps(told))
    (out / layout.RECIPE).write_text("{}")
    (out / layout.CARD).write_text("# fuzz\n")
    (out / layout.CHECKSUMS).write_text(finalise.checksums(out))
