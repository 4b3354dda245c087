"""Twins: the healthy host as a case beside the case, in any run, counted, and on the same side of the split."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from synth import cli
from synth.case import folder as case_folder
from synth.cohort import engine, layout
from synth.cohort.planning import CohortPlan
from synth.cohort.recipe import read_recipe
from synth.errors import InputError
from synth.volumes import nifti
from tests.cohort.conftest import files_of, write_recipe

CHANGES = {"number": 3, "healthy": 0.34, "twins": 0.5, "previews": False, "hosts": {"folder": "../hosts"}}


@pytest.fixture(scope="module")
def with_twins(quick: None, place: Path) -> Path:
    """A cohort of three cases, one healthy, one with a twin."""
    recipe = write_recipe(place / "twins", **CHANGES)
    outcome = engine.run(recipe, place / "twins/out", quiet=True)
    assert outcome.finished and (outcome.complete, outcome.given_up) == (3, 0)
    return place / "twins/out"


def test_a_twin_is_the_host_without_the_lesion(with_twins: Path, place: Path) -> None:
    rows = {row["case"]: row for row in pq.read_table(with_twins / "cases.parquet").to_pylist()}
    (twin,) = (row for row in rows.values() if row["sibling_of"])
    case = rows[twin["sibling_of"]]
    assert len(rows) == 4 and twin["case"] == f"{case['case']}_healthy" and twin["group"] == "twin"
    assert (twin["host"], twin["split"], twin["healthy"]) == (case["host"], case["split"], True)
    assert case["number_of_lesions"] == 1 and twin["number_of_lesions"] == 0
    host = nifti.read_volume(place / "hosts" / twin["host"] / "ct.nii.gz")
    np.testing.assert_array_equal(case_folder.read_case(with_twins / "cases" / twin["case"])[0].ct.hu, host.hu)
    cohort = json.loads((with_twins / "cohort.json").read_text())
    assert cohort["cases"] == {"asked": 3, "complete": 3, "twins": 1, "quarantined": 0, "draws": 3}
    assert {"quota": "group", "value": "twin", "asked": 1, "made": 1, "measured": None} in cohort["quotas"]
    assert cli.main(["verify", str(with_twins)]) == 0


def test_a_twin_that_is_missing_is_made_again(with_twins: Path, place: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(with_twins, tmp_path / "copy"))
    (twin,) = (name for name in layout.complete(out) if name.endswith("_healthy"))
    shutil.rmtree(layout.case_folder(out, twin))
    (out / layout.CHECKSUMS).unlink()
    assert engine.run(place / "twins/recipe.yaml", out, quiet=True).finished
    assert files_of(out) == files_of(with_twins)


def test_twins_need_findings(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, hosts=None, findings=None, prompts="CT of the head and neck", twins=0.5)
    with pytest.raises(InputError, match="twins: 'CT of the head and neck': asks for no finding"):
        CohortPlan(read_recipe(recipe), {})


def test_names_are_sorted_by_number(tmp_path: Path) -> None:
    names = ["case_00009", "case_00009_healthy", "case_99999", "case_99999_healthy", "case_100000"]
    for name in reversed(names):
        (tmp_path / "cases" / name).mkdir(parents=True)
    assert layout.complete(tmp_path) == names
