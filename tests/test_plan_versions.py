"""Plans of version 6 are read, and are those that are drawn today: drawing is a function of the plan."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from prompts import CaseRequest
from synth import cli
from synth.case import library
from synth.case.folder import read_case
from synth.case.order import Order
from synth.case.plan import GeneratePlan, InsertPlan, plan_of, read_plan
from synth.case.weights_folder import WEIGHTS_ENV, Weights
from synth.draw import generated
from synth.models.precision import PRECISION_ENV
from synth.progress import Progress
from synth.provenance import Check

STORED = Path(__file__).parent / "plans_v6"


@pytest.mark.parametrize("name", ["head_neck", "chest"])
def test_a_stored_plan_of_version_6_is_the_plan_of_today(name: str) -> None:
    text = (STORED / f"{name}.json").read_text()
    plan = read_plan(text)
    assert json.loads(text)["version"] == 6 and isinstance(plan, GeneratePlan) and plan.version == 7
    request = plan.request
    again = Order(request, Weights.covering(request.region), plan.seed, plan.spacing_mm).plan(0)
    same = {"reading": None, "sampling": plan.sampling, "request": request}
    assert again.model_copy(update=same) == plan
    assert again.sampling.model_copy(update={"precision": plan.sampling.precision}) == plan.sampling
    assert read_plan(plan.to_json()) == plan


def test_a_stored_plan_is_what_the_command_draws_today(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prompt, seed and spacing of a plan of version 6, typed again, give the voxels that the stored plan gives."""
    monkeypatch.setenv(WEIGHTS_ENV, str(tiny_weights))
    monkeypatch.setenv(PRECISION_ENV, "float32")
    monkeypatch.setattr(generated, "check_generated", lambda *_: [Check("volume_ml", 1.0, 0.0, 2.0)])
    library.forget()
    plan = read_plan((STORED / "head_neck.json").read_text())
    assert isinstance(plan, GeneratePlan)
    stored = generated.draw_case(plan, Weights.covering(plan.request.region), Progress(quiet=True))
    typed = ["generate", plan.request.prompt, "--seed", str(plan.seed), "--spacing", f"{plan.spacing_mm:g}"]
    assert cli.main([*typed, "--out", str(tmp_path), "-q"]) == 0
    case, written, _, _ = read_case(tmp_path / plan.case)
    assert read_plan(json.dumps(written)).model_copy(update={"reading": None, "request": plan.request}) == plan
    assert np.array_equal(case.ct.hu, stored.ct.hu) and np.array_equal(case.organs.ids, stored.organs.ids)
    assert np.array_equal(case.lesions.ids, stored.lesions.ids) and stored.lesions.ids.any()
    library.forget()


def test_each_door_has_its_own_fields() -> None:
    insert = InsertPlan(case="x", seed=0, request=CaseRequest())
    assert "facts" not in insert.to_json() and "host" in insert.to_json()
    old = json.loads(insert.to_json()) | {"version": 6, "facts": {}, "shape_seed": 0, "region": None}
    assert plan_of(old) == insert
    with pytest.raises(ValueError, match="facts"):
        plan_of(json.loads(insert.to_json()) | {"facts": {}})
    with pytest.raises(ValueError, match="is none of generate, insert, adopt, peer"):
        read_plan('{"door": "back"}')
