"""Made-up patients in the head-and-neck frame: a cylinder of tissue with a bone, an airway and two parotids."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from synth import provenance
from synth.case import folder as case_folder
from synth.volumes import labels
from synth.volumes.types import Case, LabelMap, Volume
from tests.regions import HEAD_NECK, ORGANS

RIGHT, LEFT = (ORGANS.index(f"parotid_gland_{side}") + 1 for side in ("right", "left"))


def anatomy(affine: np.ndarray, shape: tuple[int, ...], bone_hu: float = 900.0) -> tuple[np.ndarray, np.ndarray]:
    """HU and organ numbers (X, Y, Z) of one patient whose parotids' midpoint is the origin."""
    x, y, z = (affine[i, 3] + affine[i, i] * np.arange(n).reshape([-1 if i == j else 1 for j in range(3)])
               for i, n in enumerate(shape))  # fmt: skip
    hu = np.full(shape, -1000.0)
    hu[np.broadcast_to(x**2 + (y + 20) ** 2 < 90.0**2, shape)] = 40.0
    hu[np.broadcast_to((abs(x) < 16) & (abs(y + 60) < 16), shape)] = bone_hu
    hu[np.broadcast_to((abs(x) < 8) & (abs(y) < 8), shape)] = -1000.0
    organs = np.zeros(shape, np.uint8)
    for number, side in ((RIGHT, 1), (LEFT, -1)):
        organs[(x - side * 60) ** 2 + y**2 + z**2 < 20.0**2] = number
    return hu.astype(np.int16), organs


@pytest.fixture
def write_synthetic(tmp_path: Path):
    """Writes a case folder below tmp_path/synthetic; returns that folder."""

    def write(name: str, spacing: float = 8.0, bone_hu: float = 900.0) -> Path:
        affine, shape = HEAD_NECK.affine_at(spacing), HEAD_NECK.shape_at(spacing)
        hu, numbers = anatomy(affine, shape, bone_hu)
        ids = np.zeros(shape, np.uint8)
        for number, organ in enumerate(ORGANS, start=1):
            ids[numbers == number] = labels.ids()[organ]
        organs = LabelMap(ids, affine, {labels.ids()[organ]: organ for organ in ORGANS})
        case = Case(Volume(hu, affine), organs, LabelMap(np.zeros(shape, np.uint8), affine, {}))
        case_folder.write_case(
            tmp_path / "synthetic" / name,
            case,
            plan_json="{}",
            report_json="{}",
            report_text="",
            preview_png=b"",
            manifest=provenance.manifest(command="", seeds={}, weights={}, device="cpu"),
        )
        return tmp_path / "synthetic"

    return write


@pytest.fixture
def real_root(tmp_path: Path) -> Path:
    """A folder of two patients in the layout that `synth.data.sources.openkbp` reads; the second has no parotids."""
    root = tmp_path / "real"
    affine = np.diag([4.0, 4.0, 3.0, 1.0])
    affine[:3, 3] = (-130.0, -140.0, -90.0)
    hu, organs = anatomy(affine, (64, 64, 64))
    rows = ["case,split,organs_annotated"]
    for name, numbers in (("hn_1", organs), ("hn_2", np.zeros_like(organs))):
        (root / "val" / name).mkdir(parents=True)
        for file, array in (("ct", hu), ("organs", numbers), ("targets", np.zeros_like(organs))):
            nib.Nifti1Image(array, affine).to_filename(root / "val" / name / f"{file}.nii.gz")
        rows.append(f"{name},val,RightParotid;LeftParotid")
    (root / "index.csv").write_text("\n".join(rows) + "\n")
    return root
