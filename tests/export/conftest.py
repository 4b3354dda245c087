"""A finished cohort of three cases, one in each part of the split, as far as exports look at it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from synth import report
from synth.case import folder as case_folder
from synth.cohort import finalise, layout
from synth.cohort.table import SCHEMA, write_table
from synth.volumes.types import Case, LabelMap
from tests import phantoms

PARTS = {"case_00000": "train", "case_00001": "val", "case_00002": "test"}


_BUFFER = io.BytesIO()
Image.new("RGB", (4, 4), "red").save(_BUFFER, "png")
_PNG = _BUFFER.getvalue()


def a_case() -> Case:
    """The phantom with a second lesion of the same type and a target."""
    case = phantoms.case()
    ids = case.lesions.ids.copy()
    ids[6:8, 8:11, 7:9], ids[6:8, 12:14, 7:9] = 2, 3
    names = {1: "liver_cyst_1", 2: "liver_cyst_2", 3: "planning_target_70gy"}
    return Case(case.ct, case.organs, LabelMap(ids, case.ct.affine, names))


def _row(name: str, part: str) -> dict[str, Any]:
    measured = report.measure(a_case())
    lesions = [lesion.model_dump(mode="json") for lesion in measured.lesions]
    said = {"case": name, "split": part, "patient": f"patient of {name}", "prompt": "two cysts", "healthy": False}
    return dict.fromkeys(SCHEMA.names) | said | {"lesions": lesions, "number_of_lesions": len(lesions)}


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """A finished cohort of three cases, as far as exports look at it."""
    out = tmp_path / "cohort"
    for name in PARTS:
        written = report.write(report.measure(a_case()))
        case_folder.write_case(
            layout.case_folder(out, name),
            a_case(),
            plan_json=json.dumps({"case": name, "door": "insert", "request": {"prompt": "two cysts"}}),
            report_json=written.model_dump_json(),
            report_text=written.text(),
            preview_png=_PNG,
            manifest={"weights": {}},
        )
    rows = [_row(name, part) for name, part in PARTS.items()]
    write_table(out / layout.TABLE, rows)
    text = json.dumps({"name": "two-cysts", "description": "", "licence": "CC0", "synthct": "0"})
    (out / layout.COHORT).write_text(text)
    (out / layout.RECIPE).write_text("{}")
    (out / layout.CARD).write_text("# two-cysts\n\nA card.\n\n## Examples\n\nnone\n")
    (out / layout.CHECKSUMS).write_text(finalise.checksums(out))
    return out
