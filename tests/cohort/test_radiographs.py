"""Radiographs of a cohort: every case has them, any run makes the same, the seal knows them, exports read them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from synth import cli
from synth.cohort import engine, layout
from synth.cohort.recipe import Recipe, read_recipe
from synth.errors import InputError
from synth.export.coco import run_lengths
from tests.cohort.conftest import RECIPE, files_of, write_recipe

pytest.importorskip("nanodrr", reason="the extra xray is not installed")
FILMS = {"views": ["pa", "20,5"], "detector": 48}


@pytest.fixture(scope="module")
def filmed(quick: None, place: Path) -> Path:
    """Two cases with lesions and films, one with a twin."""
    changes = {"number": 2, "healthy": 0.0, "twins": 0.5, "previews": False, "hosts": {"folder": "../hosts"}}
    recipe = write_recipe(place / "filmed", radiographs=FILMS, split={"train": 0.5, "test": 0.5}, **changes)
    outcome = engine.run(recipe, place / "filmed/out", quiet=True)
    assert outcome.finished and not outcome.given_up
    return place / "filmed/out"


def test_every_case_has_its_films(filmed: Path) -> None:
    assert layout.names_in(filmed / "radiographs") == layout.complete(filmed) and len(layout.complete(filmed)) == 3
    for name in layout.complete(filmed):
        content = json.loads((filmed / "radiographs" / name / "xrays.json").read_text())
        assert [view["view"] for view in content["views"]] == FILMS["views"]
        lesions = [s for view in content["views"] for s in view["structures"] if s["lesion"]]
        assert bool(lesions) != name.endswith("_healthy")
    assert cli.main(["verify", str(filmed), "--quick"]) == 0


def test_films_that_are_gone_are_made_again_the_same(filmed: Path, place: Path) -> None:
    before = files_of(filmed)
    shutil.rmtree(filmed / "radiographs/case_00000")
    assert engine.run(place / "filmed/recipe.yaml", filmed, quiet=True).finished
    assert files_of(filmed) == before


def test_coco_has_the_boxes_and_masks(filmed: Path, tmp_path: Path) -> None:
    out = tmp_path / "coco"
    assert cli.main(["export", str(filmed), "--to", "coco", "--out", str(out), "-q"]) == 0
    images = 0
    for file in (out / "annotations").iterdir():
        table = json.loads(file.read_text())
        part = file.stem.removeprefix("instances_")
        assert [category["name"] for category in table["categories"]] == ["lung_nodule"]
        for image in table["images"]:
            film = Image.open(out / part / image["file_name"])
            assert film.mode == "L" and film.size == (image["width"], image["height"]) == (48, 48)
            images += 1
        for one in table["annotations"]:
            counts, (height, width) = one["segmentation"]["counts"], one["segmentation"]["size"]
            flat = np.repeat(np.arange(len(counts)) % 2, counts)
            mask = flat.reshape(width, height).T > 0
            x, y, w, h = one["bbox"]
            assert mask.sum() == one["area"] == mask[y : y + h, x : x + w].sum() > 0
    assert images == 6


def test_run_lengths_start_with_what_is_not_there() -> None:
    assert run_lengths(np.array([[1, 0], [1, 1]], bool)) == [0, 2, 1, 1]
    assert run_lengths(np.array([[0, 0], [1, 0]], bool)) == [1, 1, 2]


def test_hugging_face_has_a_row_a_film(filmed: Path, tmp_path: Path) -> None:
    out = tmp_path / "hf"
    assert cli.main(["export", str(filmed), "--to", "huggingface", "--out", str(out), "-q"]) == 0
    rows = [row for file in (out / "radiographs").glob("*/metadata.parquet") for row in pq.read_table(file).to_pylist()]
    assert len(rows) == 6 and {row["view"] for row in rows} == set(FILMS["views"])
    for row in rows:
        for structure in json.loads(row["structures"]):
            assert (out / row["masks"] / f"{structure['name']}.png").is_file()
    assert "config_name: radiographs" in (out / "README.md").read_text()


def test_without_radiographs_nothing_of_them_is_said(tmp_path: Path, finished: Path) -> None:
    assert "radiographs" not in Recipe.model_validate(RECIPE).pinned()
    assert cli.main(["export", str(finished), "--to", "coco", "--out", str(tmp_path / "o"), "-q"]) == 2
    with pytest.raises(InputError, match="radiographs.views.*say ap, pa, lateral"):
        read_recipe(write_recipe(tmp_path, radiographs={"views": ["back"]}))
    with pytest.raises(InputError, match="radiographs.detector '4'"):
        read_recipe(write_recipe(tmp_path, radiographs={"detector": 4}))
