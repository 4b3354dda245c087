"""Scanners of a cohort: an exact quota, the same cases in any run, slices and masks that agree, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from synth import cli
from synth.case import folder as case_folder
from synth.case.plan import CasePlan, InsertPlan, plan_of, read_plan
from synth.cohort import engine, layout
from synth.cohort.recipe import Recipe, read_recipe
from synth.errors import InputError
from synth.seeding import derive
from synth.volumes import nifti
from tests.cohort.conftest import RECIPE, files_of, write_recipe
from tests.cohort.test_planning import plan

pytestmark = pytest.mark.slow

SCANNERS: dict[str, Any] = {
    "thick": {"slice_mm": 6, "kernel": "smooth", "noise_hu": 9, "dose": 0.5, "beam": "fan", "views": 492},
    "noisy": {"share": 2, "noise_hu": 15},
}
GENERATED = {"hosts": None, "findings": None, "draw": "head_neck", "healthy": 0.0}


def test_the_quota_is_exact_and_independent_of_the_others() -> None:
    planned = plan(60, healthy=0.2, scanners=SCANNERS)
    cases = list(planned)
    assert Counter(case.asked["scanner"] for case in cases) == {"thick": 20, "noisy": 40}
    assert planned.quotas["scanner"] == {"noisy": 40, "thick": 20}
    assert {(case.group, case.asked["scanner"]) for case in cases} == {
        (group, name) for group in ("healthy", "lung nodule") for name in SCANNERS
    }
    thick = next(case.scanner for case in cases if case.asked["scanner"] == "thick")
    assert thick is not None and thick.told() == (
        "thick: 6 mm slices, smooth kernel, noise of 9 HU added, dose 0.5, beam fan, views 492"
    )


def test_without_scanners_nothing_of_them_is_said() -> None:
    recipe = Recipe.model_validate(RECIPE)
    assert "scanners" not in recipe.pinned() and "scanner" not in plan().quotas
    assert all(case.scanner is None and "scanner" not in case.asked for case in plan(5))
    text = InsertPlan(case="x", seed=0, request=plan()[0].request).to_json()
    assert "scanner" not in text and read_plan(text).to_json() == text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scanners": {"a": {"slices": 3}}}, "scanners.a.slices: unknown key"),
        ({"scanners": {"a": {"kernel": "B30f"}}}, "scanners.a.kernel 'B30f'"),
        ({"scanners": {"a": {"noise_hu": -1}}}, "scanners.a.noise_hu '-1'"),
        ({"scanners": {"a": {"dose": 0}}}, "scanners.a.dose '0'"),
        ({"scanners": {"a": {"dose": 1.5}}}, "scanners.a.dose '1.5'"),
        ({"scanners": {"a": {"views": 0}}}, "scanners.a.views '0'"),
        ({"scanners": {"a": {"angle_deg": 200}}}, "scanners.a.angle_deg '200'"),
        ({"scanners": {"a": {"share": 0}}}, "and not all 0"),
        ({"scanners": {}}, "and not all 0"),
    ],
)
def test_what_is_no_scanner_is_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(write_recipe(tmp_path, **changes))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_generated_cases_have_no_thinner_slices_than_they_are_drawn_in() -> None:
    with pytest.raises(InputError, match="scanners: thin: slice_mm 2 is less than spacing_mm 4"):
        plan(5, scanners={"thin": {"slice_mm": 2}}, **GENERATED)
    assert len(plan(5, scanners={"thick": {"slice_mm": 4}}, **GENERATED)) == 5


def test_deltas_and_scanners_do_not_go_together(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_recipe(tmp_path, hosts={"folder": str(place / "hosts")}, scanners=SCANNERS)
    assert cli.main(["cohort", str(recipe), "--out", str(tmp_path / "out"), "--store", "delta"]) == 2
    assert "--store delta: scanners change every voxel of a host" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def scanned(quick: None, place: Path) -> Path:
    """Three cases in two scanners, one healthy, each other one with a twin."""
    changes = {"number": 3, "twins": 1.0, "previews": False, "hosts": {"folder": "../hosts"}, "attempts": 3}
    recipe = write_recipe(place / "scanned", scanners=SCANNERS, **changes)
    outcome = engine.run(recipe, place / "scanned/out", quiet=True)
    assert outcome.finished and not outcome.given_up
    return place / "scanned/out"


def read(out: Path, row: dict[str, Any]) -> tuple[Any, CasePlan, dict[str, Any]]:
    case, plan, _, manifest = case_folder.read_case(layout.case_folder(out, row["case"]))
    return case, plan_of(plan), manifest


def test_a_cohort_shows_its_scanners_and_is_proved_whole(scanned: Path) -> None:
    rows = pq.read_table(scanned / "cases.parquet").to_pylist()
    assert Counter(row["scanner"] for row in rows if not row["sibling_of"]) == {"noisy": 2, "thick": 1}
    for row in rows:
        case, planned, manifest = read(scanned, row)
        assert planned.scanner is not None and planned.scanner.name == row["scanner"]
        assert row["spacing_mm"] == [2.0, 2.5, 6.0 if row["scanner"] == "thick" else 3.0]
        assert (row["kernel"], row["noise_hu"]) == (planned.scanner.kernel, planned.scanner.noise_hu)
        asked = {"slice_mm": 6.0, "dose": 0.5, "beam": "fan", "views": 492} if row["scanner"] == "thick" else {}
        columns = ("slice_mm", "dose", "beam", "views", "angle_deg", "reconstruction", "metal")
        assert {name: row[name] for name in columns} == {name: asked.get(name) for name in columns}
        assert manifest["seeds"]["scanner"] == planned.scanner_seed
        assert case.ct.hu.shape == case.organs.ids.shape == case.lesions.ids.shape
    assert cli.main(["verify", str(scanned)]) == 0
    assert cli.main(["check", *(str(folder) for folder in (scanned / "cases").iterdir())]) == 0
    quotas = [q for q in json.loads((scanned / "cohort.json").read_text())["quotas"] if q["quota"] == "scanner"]
    assert {q["value"]: (q["asked"], q["made"]) for q in quotas} == {"noisy": (2, 2), "thick": (1, 1)}
    assert "| thick | 6.0 | smooth | 9.0 | dose 0.5, beam fan, views 492 |" in (scanned / "README.md").read_text()


def test_a_scanned_host_has_the_noise_that_was_asked_for(scanned: Path, place: Path) -> None:
    rows = pq.read_table(scanned / "cases.parquet").to_pylist()
    row = next(row for row in rows if row["healthy"] and row["scanner"] == "noisy")
    case, planned, _ = read(scanned, row)
    assert planned.scanner_seed == derive(3, planned.case.removesuffix("_healthy"), "scanner", planned.attempt)
    host = nifti.read_volume(place / "hosts" / row["host"] / "ct.nii.gz")
    added = (case.ct.hu.astype(int) - host.hu)[host.hu > -500]
    assert added.std() == pytest.approx(15, rel=0.1)
    np.testing.assert_array_equal(case.ct.affine, host.affine)


def test_a_twin_is_the_same_scan_without_the_lesion(scanned: Path) -> None:
    rows = {row["case"]: row for row in pq.read_table(scanned / "cases.parquet").to_pylist()}
    twins = [row for row in rows.values() if row["sibling_of"]]
    assert twins
    for twin in twins:
        (healthy, _, _), (ill, _, _) = read(scanned, twin), read(scanned, rows[twin["sibling_of"]])
        differ = healthy.ct.hu != ill.ct.hu
        assert 0 < differ.mean() < 0.25 and twin["scanner"] == rows[twin["sibling_of"]]["scanner"]


def test_any_number_of_processes_scans_alike(
    scanned: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rank in (1, 0):
        for name, value in {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "here", "MASTER_PORT": 1}.items():
            monkeypatch.setenv(name, str(value))
        engine.run(place / "scanned/recipe.yaml", tmp_path / "out", quiet=True)
    assert files_of(tmp_path / "out") == files_of(scanned)


def test_a_host_of_thicker_slices_costs_an_attempt(quick: None, place: Path, tmp_path: Path) -> None:
    changes = {"number": 1, "healthy": 0.0, "max_failures": 1.0, "hosts": {"folder": str(place / "hosts")}}
    recipe = write_recipe(tmp_path, scanners={"thin": {"slice_mm": 1}}, **changes)
    engine.run(recipe, tmp_path / "out", quiet=True)
    record = json.loads((tmp_path / "out/quarantine/case_00000.json").read_text())
    assert len(record["attempts"]) == 2
    assert all("slice_mm 1: the volume has 30 slices of 3 mm" in a["reason"] for a in record["attempts"])
