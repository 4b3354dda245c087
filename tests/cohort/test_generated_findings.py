"""A cohort of generated findings: quotas, twins, and what the set says of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from synth import cli
from synth.case.folder import read_case
from synth.cohort.planning import CohortPlan
from synth.cohort.recipe import read_recipe

RECIPE = """
name: chests
number: 3
seed: 1
spacing_mm: 8
region: chest
healthy: 0.34
twins: 0.5
findings:
  - {organ: pleura, kind: effusion, side: [left, right], volume_ml: {"300": 1}}
"""


def test_regions_follow_from_the_organ_and_quotas_hold(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(RECIPE.replace("region: chest\n", "").replace("number: 3", "number: 9"))
    plan = CohortPlan(read_recipe(file), {})
    assert plan.regions == ("chest",)
    assert [case.request.region for case in plan] == ["chest"] * 9
    assert plan.quotas["group"] == {"healthy": 3, "pleura effusion": 6, "twin": 3} | plan.quotas["group"]
    sides = [case.request.findings[0].side for case in plan if case.request.findings]
    assert sorted(sides) == ["left"] * 3 + ["right"] * 3


@pytest.mark.slow
def test_a_set_has_its_findings_its_twin_and_its_healthy_case(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    out = tmp_path / "set"
    assert cli.main(["cohort", str(tmp_path / "r.yaml"), "--out", str(out), "--quiet"]) == 0
    assert cli.main(["verify", str(out)]) == 0
    rows = pq.read_table(out / "cases.parquet").to_pylist()
    twins = [row for row in rows if row["sibling_of"]]
    assert len(rows) == 4
    assert len(twins) == 1
    assert sorted(row["healthy"] for row in rows) == [False, False, True, True]
    (twin, ill) = (read_case(out / "cases" / name)[0] for name in (twins[0]["case"], twins[0]["sibling_of"]))
    assert not twin.lesions.ids.any()
    assert 0.9 * 300 < (ill.lesions.ids > 0).sum() * ill.ct.voxel_ml < 1.1 * 300
