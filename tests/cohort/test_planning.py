"""Plans by index: exact quotas, the same for anyone who asks, and what cannot be planned."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from prompts import PromptError, parse
from synth.cohort.hosts import HostFiles, find_hosts
from synth.cohort.planning import HEALTHY, CohortPlan
from synth.cohort.quotas import apportion, assign, bounds
from synth.cohort.recipe import HostFolder, Recipe
from synth.cohort.requests import findings_of
from synth.errors import InputError
from synth.seeding import numpy_rng
from tests.cohort.conftest import RECIPE

NODULE = RECIPE["findings"][0]


def hosts(number: int, **facts: Any) -> dict[str, HostFiles]:
    names = [f"h{i}" for i in range(number)]
    return {n: HostFiles(n, Path(f"{n}/ct.nii.gz"), Path(f"{n}/organs.nii.gz"), n, **facts) for n in names}


def plan(number: int = 60, among: dict[str, HostFiles] | None = None, **changes: Any) -> CohortPlan:
    table = RECIPE | {"number": number} | changes
    recipe = Recipe.model_validate({k: v for k, v in table.items() if v is not None})
    return CohortPlan(recipe, among or (hosts(4) if recipe.hosts else {}))


@pytest.mark.parametrize(
    ("number", "weights", "counts"),
    [
        (10, {"a": 1, "b": 1}, {"a": 5, "b": 5}),
        (10, {"a": 2, "b": 1}, {"a": 7, "b": 3}),  # 6.67 and 3.33
        (3, {"a": 1, "b": 1}, {"a": 2, "b": 1}),  # a tie goes to the first
        (7, {"a": 0, "b": 3, "c": 4}, {"a": 0, "b": 3, "c": 4}),
        (1, {"a": 0.1, "b": 0.2, "c": 0.7}, {"a": 0, "b": 0, "c": 1}),
    ],
)
def test_largest_remainders(number: int, weights: dict[str, float], counts: dict[str, int]) -> None:
    assert apportion(number, weights) == counts
    assert Counter(assign(number, weights, numpy_rng(0))) == Counter(counts)


def test_assignments_are_in_random_order() -> None:
    one, other = (assign(40, {"a": 1, "b": 1}, numpy_rng(seed)) for seed in (0, 1))
    assert one != other and one != sorted(one)


@pytest.mark.parametrize(("text", "ends"), [("8-15", (8, 15)), ("8.5 - 9", (8.5, 9)), ("12", (12, 12))])
def test_ranges(text: str, ends: tuple[float, float]) -> None:
    assert bounds(text, "size") == ends


@pytest.mark.parametrize("text", ["15-8", "0-3", "large", "-3"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(InputError, match="size_mm '"):
        bounds(text, "size_mm")


def test_quotas_are_met_exactly() -> None:
    cases = list(plan(60, healthy=0.2))
    assert Counter(case.group for case in cases) == {HEALTHY: 12, "lung nodule": 48}
    findings = [case.request.findings[0] for case in cases if case.group != HEALTHY]
    assert Counter(f.side for f in findings) == {"left": 24, "right": 24}
    assert sum(9 <= (f.size_mm or 0) < 12 for f in findings) == sum(12 < (f.size_mm or 0) <= 16 for f in findings) == 24
    assert all(not case.request.findings for case in cases if case.group == HEALTHY)
    assert plan(60, healthy=0.2).quotas["lung nodule: side"] == {"left": 24, "right": 24}


def test_a_case_is_the_same_whoever_asks() -> None:
    backwards = {i: plan()[i] for i in reversed(range(60))}
    assert [backwards[i] for i in range(60)] == list(plan())
    assert [case.request for case in plan(seed=4)] != [case.request for case in plan()]


def test_prompts_say_what_is_asked() -> None:
    for case in plan():
        assert parse(case.request.prompt).findings == case.request.findings


def test_hosts_are_used_evenly_and_each_attempt_takes_another() -> None:
    cases = list(plan(61, attempts=6))
    assert set(Counter(case.hosts[0] for case in cases).values()) <= {15, 16}
    assert all(len(case.hosts) == 6 and len(set(case.hosts[:4])) == 4 for case in cases)
    assert len({case.hosts for case in cases}) > 12


def test_patients_choose_hosts_that_match() -> None:
    old = hosts(2, sex="female", age=70)
    young = {f"y{name}": HostFiles(f"y{name}", h.ct, h.organs, name, None, "male", 30) for name, h in hosts(2).items()}
    quotas = {"sex": {"female": 3, "male": 1}}
    cases = list(plan(40, old | young, patients=quotas))
    assert Counter(case.asked["sex"] for case in cases) == {"female": 30, "male": 10}
    assert all((case.hosts[0] in old) == (case.asked["sex"] == "female") for case in cases)
    with pytest.raises(InputError, match="no host of 4 is sex male, age 60-80"):
        plan(40, old | young, patients=quotas | {"age": "60-80"})


def test_generated_cases_say_who_is_scanned() -> None:
    quotas = {"phase": ["non_contrast", "enhanced"], "sex": {"male": 3, "female": 1}, "age": {"40-49": 1, "60-80": 1}}
    cases = list(plan(20, hosts=None, findings=None, draw="head_neck", patients=quotas))
    assert Counter(case.request.sex for case in cases) == {"male": 15, "female": 5}
    assert Counter(case.request.phase for case in cases) == {"non_contrast": 10, "enhanced": 10}
    assert sum(40 <= (case.request.age or 0) <= 49 for case in cases) == 10
    assert all(not case.request.targets for case in cases if case.group == HEALTHY)


def test_prompts_are_shared_out_by_weight() -> None:
    prompts = {"9 mm nodule in the left lung": 3, "20 mm liver tumour": 1}
    cases = list(plan(40, findings=None, prompts=prompts, healthy=0))
    assert Counter(case.group for case in cases) == {"9 mm nodule in the left lung": 30, "20 mm liver tumour": 10}
    assert all(case.request.findings == parse(case.group).findings for case in cases)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"findings": [NODULE | {"side": ["left"], "segment": ["middle"]}]}, "only the right lung has a middle lobe"),
        ({"findings": [NODULE | {"size_mm": "big"}]}, "size_mm 'big'"),
        ({"findings": [NODULE | {"count": {"1.5": 1}}]}, "count '1.5': write a whole number"),
        ({"findings": [NODULE | {"size_mm": "9-400"}]}, "give more than 0 and at most 300 mm"),
        ({"findings": None, "prompts": "CT of the chest"}, "no lesion to insert"),
        ({"findings": None, "prompts": "a frobnicated lung"}, "frobnicated"),
        ({"findings": None, "hosts": None, "prompts": "CT of the pelvis"}, "region 'pelvis'"),
        ({"findings": None, "hosts": None, "draw": "faces"}, "draw: 'faces'"),
        ({"findings": None, "hosts": None, "draw": "head_neck", "spacing_mm": 3}, "--spacing 3"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_drawn(changes: dict[str, Any], said: str) -> None:
    with pytest.raises((InputError, PromptError), match=said):
        plan(**changes)


def test_many_cases_are_planned_in_little_time() -> None:
    started = time.process_time()
    assert sum(1 for _ in plan(2000)) == 2000
    assert time.process_time() - started < 2.4  # 50,000 in a minute


def folder(tmp_path: Path, *files: str) -> HostFolder:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return HostFolder(folder=tmp_path)


def test_hosts_are_found_by_pattern(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = find_hosts(
        folder(tmp_path, "b/ct.nii.gz", "b/organs.nii.gz", "a/ct.nii.gz", "a/organs.nii.gz", "c/ct.nii.gz")
    )
    assert list(found) == ["a", "b"] and "1 CT without '*/organs.nii.gz' are left aside" in caplog.text
    files = folder(tmp_path, "images/p1_0000.nii.gz", "labels/p1.nii.gz")
    nnunet = find_hosts(files.model_copy(update={"ct": "images/*_0000.nii.gz", "organs": "labels/*.nii.gz"}))
    assert nnunet["p1"].organs == tmp_path / "labels/p1.nii.gz"


def test_an_index_describes_hosts(tmp_path: Path) -> None:
    given = folder(tmp_path, "a/ct.nii.gz", "a/organs.nii.gz", "b/ct.nii.gz", "b/organs.nii.gz")
    (tmp_path / "index.csv").write_text("host,patient,sex,age\na,P1,female,61\n")
    found = find_hosts(given.model_copy(update={"index": tmp_path / "index.csv"}))
    assert (found["a"].patient, found["a"].sex, found["a"].age, found["a"].phase) == ("P1", "female", 61, None)
    assert (found["b"].patient, found["b"].sex) == ("b", None)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("name\na\n", "no column 'host'"),
        ("host,sex\na,F\n", "a: sex 'F'; write one of"),
        ("host,age\na,x\n", "age 'x'"),
        ("host,patient\n1,P1\na,P2\n", "host '1' is '001' on disk"),
        ("host,patients\na,P2\n", "column 'patients'; call it 'patient'"),
        ("host,patient\na,P1\na,P2\n", "host 'a' has 2 rows"),
        ("host,patient\nx,P1\n", "none of its 1 hosts is in the folder, which has 001, a"),
    ],
)
def test_an_index_that_cannot_be_read(tmp_path: Path, index: str, said: str) -> None:
    (tmp_path / "i.csv").write_text(index)
    files = ("a/ct.nii.gz", "a/organs.nii.gz", "001/ct.nii.gz", "001/organs.nii.gz")
    given = folder(tmp_path, *files).model_copy(update={"index": tmp_path / "i.csv"})
    with pytest.raises(InputError, match=said):
        find_hosts(given)


def test_a_folder_without_hosts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no host matches"):
        find_hosts(HostFolder(folder=tmp_path))
    with pytest.raises(InputError, match="no such folder"):
        find_hosts(HostFolder(folder=tmp_path / "x"))


def test_the_list_is_yaml_free_of_surprises() -> None:
    assert yaml.safe_load("8-15") == "8-15"  # ranges need no quotes


def test_several_lesions_of_a_range_have_sizes_of_their_own() -> None:
    asked = {"count": "3", "size_mm": "8-20", "side": "left"}
    found = findings_of("lung", "nodule", asked, random.Random(1))
    sizes = [finding.size_mm for finding in found]
    assert len(found) == 3 and len(set(sizes)) == 3 and all(s is not None and 8 <= s <= 20 for s in sizes)
    assert {(finding.count, finding.side) for finding in found} == {(1, "left")}  # no count is several of each
    one = findings_of("lung", "nodule", asked | {"count": "1"}, random.Random(1))
    assert [finding.size_mm for finding in one] == sizes[:1]  # the first is the one that it was
    assert len(findings_of("lung", "nodule", asked | {"size_mm": "12"}, random.Random(1))) == 1  # all of 12 mm
    assert len(findings_of("lung", "nodule", asked | {"side": "bilateral"}, random.Random(1))) == 1
