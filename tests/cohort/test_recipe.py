"""Recipes: what they may say, and the line that names what they may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from synth.case import doors
from synth.cohort import command, engine
from synth.cohort.command import Launch
from synth.cohort.processes import Engine
from synth.cohort.recipe import read_recipe
from synth.errors import InputError
from tests.cohort.conftest import RECIPE, write_recipe

CONFIGS = sorted((Path(__file__).parents[2] / "configs/cohort").glob("*.yaml"))
NODULE = RECIPE["findings"][0]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_recipes_that_ship_are_read(path: Path) -> None:
    assert read_recipe(path).number > 0


def test_there_are_recipes_that_ship() -> None:
    assert {path.stem for path in CONFIGS} >= {"head_neck", "lung_nodules", "chest_scanners"}


def test_a_value_a_list_and_a_table_are_weights(tmp_path: Path) -> None:
    finding = {"organ": "lung", "kind": "nodule", "side": "left", "texture": ["solid", "ground-glass"], "count": {2: 3}}
    recipe = read_recipe(write_recipe(tmp_path, findings=[finding | {"spiculated": {True: 1, "unsaid": 2}}]))
    assert recipe.findings is not None
    assert recipe.findings[0].quotas() == {
        "side": {"left": 1.0},
        "count": {"2": 3.0},
        "texture": {"solid": 1.0, "ground-glass": 1.0},
        "spiculated": {"true": 1.0, "unsaid": 2.0},
    }


def test_paths_are_beside_the_file(tmp_path: Path) -> None:
    hosts = read_recipe(write_recipe(tmp_path, hosts={"folder": "ct", "index": "ct.csv"})).hosts
    assert hosts is not None and (hosts.folder, hosts.index) == (tmp_path / "ct", tmp_path / "ct.csv")


def test_what_may_change_is_not_pinned(tmp_path: Path) -> None:
    one = read_recipe(write_recipe(tmp_path / "a")).pinned()
    other = read_recipe(write_recipe(tmp_path / "b", max_failures=0.5, licence="CC0", description="x")).pinned()
    assert one == other != read_recipe(write_recipe(tmp_path / "c", seed=4)).pinned()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "red"}, "colour: unknown key"),
        ({"hosts": {"folder": "x", "masks": "y"}}, "hosts.masks: unknown key"),
        ({"findings": [NODULE | {"size": "3-4"}]}, "findings.0.size: unknown key"),
        ({"number": 0}, "number '0': input should be greater than or equal to 1"),
        ({"healthy": 1.5}, "healthy '1.5'"),
        ({"prompts": ["9 mm lung nodule"]}, "give one of prompts, draw and findings"),
        ({"findings": None}, "give one of prompts, draw and findings (none given)"),
        ({"region": "chest"}, "region is for findings in generated cases"),
        ({"findings": None, "draw": "head_neck"}, "draw is for generated cases"),
        ({"findings": [NODULE, NODULE]}, "lung nodule given twice; give each a `label`"),
        ({"findings": [NODULE | {"side": {"left": -1}}]}, "weights are 0 to 1e+09"),
        ({"findings": [NODULE | {"kind": "wart"}]}, "findings.0.kind 'wart'"),
        ({"hosts": {"folder": "x", "ct": "ct.nii.gz"}}, "write one * in place of the host's name"),
        ({"name": "../up"}, "name '../up'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(write_recipe(tmp_path, **changes))
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'recipe.yaml'}: ") and said in line and "\n" not in line


@pytest.mark.parametrize(
    ("text", "said"), [("a: [", "not YAML"), ("just words", "not a table"), (None, "no such file")]
)
def test_files_that_are_no_recipe(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "r.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=said):
        read_recipe(file)


@pytest.mark.parametrize("part", ["../../ESCAPED", "/abs", "..", "", "a\\0b", "x" * 300, ".hidden", "a/b"])
def test_a_part_of_the_split_that_leads_out_is_refused(tmp_path: Path, part: str) -> None:
    (tmp_path / "recipe.yaml").write_text(f'name: a\nnumber: 1\nprompts: CT of the chest\nsplit: {{"{part}": 1.0}}\n')
    with pytest.raises(InputError, match="recipe.yaml: "):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    "line",
    [
        "split: {a: .inf}",
        "split: {train: .nan, val: 1}",
        "split: {a: 1e308, b: 1e308}",
        "split: {a: -1}",
        "number: true",
        "seed: 99999999999999999999",
        "healthy: .nan",
        'description: "\\ud800"',
        "hosts: {folder: a, ct: /abs/*}",
        "hosts: {folder: a, ct: ../*}",
        "hosts: {folder: a, ct: '[ab]*'}",
    ],
)
def test_what_no_cohort_can_be_made_of_is_refused(tmp_path: Path, line: str) -> None:
    number = "" if line.startswith("number") else "number: 2\n"
    (tmp_path / "recipe.yaml").write_text(f"name: a\n{number}prompts: CT of the chest\n{line}\n")
    with pytest.raises(InputError, match="recipe.yaml: "):
        read_recipe(tmp_path / "recipe.yaml")


def test_a_language_model_reads_the_prompts_of_a_recipe_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    said = {"kind": "nodule", "organ": "lung", "side": "left", "quote": "shadow of 11 mm", "size_mm": [11]}
    answer = json.dumps({"findings": [said | {"status": "present"}]})
    monkeypatch.setattr("synth.case.language_model.model_of", lambda _: lambda text: asked.append(text) or answer)
    monkeypatch.setattr(doors, "_BY_MODEL", {})
    prompt = "chest CT with a shadow of 11 mm on the left"
    recipe = write_recipe(tmp_path, findings=None, hosts=None, healthy=0.0, prompts=[prompt], number=2)
    command.read_prompts(recipe, "llm:stub", Launch())
    cases = list(engine.plan_of(recipe))
    assert len(asked) == 1 and [c.request.findings[0].size_mm for c in cases] == [11.0, 11.0]


@pytest.mark.parametrize(
    ("changes", "launch", "said"),
    [
        ({}, Launch(), "has no prompts to read"),
        ({}, Launch(Engine.slurm, 2), "make this cohort in one process"),
    ],
)
def test_a_language_model_that_cannot_read_a_recipe(
    changes: dict[str, Any], launch: Launch, said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        command.read_prompts(write_recipe(tmp_path, **changes), "llm:stub", launch)
