"""A small oblique case with its plan, report and manifest, and the study made of it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from synth import report
from synth.volumes.types import Case, LabelMap
from tests import phantoms

# The tests here import highdicom and pydicom, of the extra [dicom]; without it there is nothing to collect.
collect_ignore_glob = [] if find_spec("highdicom") else ["test_*.py"]

MANIFEST: dict[str, Any] = {
    "files": {"ct.nii.gz": {"sha256": "aa"}, "plan.json": {"sha256": "bb"}},
    "weights": {"refine": {"file": "refine.safetensors", "sha256": "cc"}},
}
PLAN: dict[str, Any] = {"case": "case_00007", "door": "insert", "request": {"prompt": "a cyst in the liver, ö"}}


def turned(x: float, y: float, z: float) -> np.ndarray:
    """Rotation matrix (3, 3) about the three axes in turn, by degrees."""
    a, b, c = np.deg2rad([x, y, z])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def oblique() -> np.ndarray:
    """An affine whose axes run left, up and back, tilted, with spacings and an origin that are not round."""
    affine = np.eye(4)
    order = np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    affine[:3, :3] = turned(7, -11, 5) @ order @ np.diag([0.7031, 1.1113, 2.4999])
    affine[:3, 3] = [123.4567, -987.6543, 1501.2345]
    return affine


def a_case(affine: np.ndarray) -> Case:
    """The phantom with two cysts in the liver and two nested targets that overlap nothing else."""
    case = phantoms.case(affine=affine)
    ids = np.zeros(case.ct.hu.shape, np.uint8)
    ids[14:17, 8:11, 7:9], ids[14:16, 13:15, 7:9] = 1, 2
    ids[4:9, 8:12, 5:8], ids[5:7, 9:11, 6:8] = 3, 4
    names = {1: "liver_cyst_1", 2: "liver_cyst_2", 3: "planning_target_56gy", 4: "planning_target_70gy"}
    return Case(case.ct, case.organs, LabelMap(ids, affine, names))


def report_of(case: Case) -> dict[str, Any]:
    """report.json of a case."""
    written: dict[str, Any] = report.write(report.measure(case)).model_dump(mode="json")
    return written
