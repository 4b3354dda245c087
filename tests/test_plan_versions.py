"""Plans of version 6 are read, and are those that are drawn today: drawing is a function of the plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompts import CaseRequest
from synth.case.order import Order
from synth.case.plan import GeneratePlan, InsertPlan, plan_of, read_plan
from synth.case.weights_folder import Weights

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


def test_each_door_has_its_own_fields() -> None:
    insert = InsertPlan(case="x", seed=0, request=CaseRequest())
    assert "facts" not in insert.to_json() and "host" in insert.to_json()
    old = json.loads(insert.to_json()) | {"version": 6, "facts": {}, "shape_seed": 0, "region": None}
    assert plan_of(old) == insert
    with pytest.raises(ValueError, match="facts"):
        plan_of(json.loads(insert.to_json()) | {"facts": {}})
    with pytest.raises(ValueError, match="neither generate nor insert"):
        read_plan('{"door": "back"}')
