"""docs/architecture.md and docs/limits.md say what the code does."""

from __future__ import annotations

import ast
import graphlib
import re
from pathlib import Path

import numpy as np
import pytest

from prompts import parse
from prompts.request import MAX_COUNT, MAX_SIZE_MM
from prompts.vocabulary import Dose, Organ
from synth.case import attempts, order
from synth.case.plan import Sampling
from synth.errors import InputError
from synth.lesions.lesion_plan import MAX_LESIONS
from synth.lesions.lesion_types import lesion_types
from synth.lesions.planning import plan_lesions
from synth.regions.frame import BASE_SPACING_MM, spacings
from synth.volumes.types import LabelMap, Volume
from tests.regions import CLASSES, FACTS, FACTS_DIM, GRID_DIM, HEAD_NECK, ORGANS, prior

REPOSITORY = Path(__file__).parents[1]
ARCHITECTURE = (REPOSITORY / "docs/architecture.md").read_text()
METHODS = (REPOSITORY / "docs/methods.md").read_text()
LIMITS = " ".join((REPOSITORY / "docs/limits.md").read_text().split())
_PATH = re.compile(r"`((?:prompts|synth|evals|configs|tests|docs)/[\w./-]*)`")


@pytest.mark.parametrize("text", [ARCHITECTURE, METHODS, LIMITS], ids=["architecture", "methods", "limits"])
def test_every_file_named_exists(text: str) -> None:
    named = set(_PATH.findall(text))
    assert named and not [path for path in sorted(named) if not (REPOSITORY / path).exists()]


def test_every_package_is_named_and_few_modules_lie_loose() -> None:
    packages = {f"synth/{p.parent.name}/" for p in (REPOSITORY / "synth").glob("*/__init__.py")}
    assert not packages - set(_PATH.findall(ARCHITECTURE))
    loose = [p.name for p in (REPOSITORY / "synth").glob("*.py") if p.name != "__init__.py"]
    assert len(loose) <= 12, loose
    assert len((REPOSITORY / "synth/pipeline.py").read_text().splitlines()) < 120
    assert len(ARCHITECTURE.splitlines()) <= 90


def test_the_table_has_a_unit_and_a_file_for_every_step() -> None:
    rows = re.findall(r"^\| (.+) \|$", ARCHITECTURE.split("## The way of a case")[1].split("##")[0], flags=re.MULTILINE)
    assert rows[0].split(" | ") == ["step", "file", "in", "out", "units"]
    for row in rows[1:]:
        cells = row.split(" | ")
        assert len(cells) == 5 and all(_PATH.fullmatch(file) for file in cells[1].split(", "))


def test_numbers_in_the_architecture_are_the_code_s() -> None:
    text = " ".join(ARCHITECTURE.split())
    x, y, z = HEAD_NECK.shape
    assert f"(1, 2, {x}, {y}, {z})" in text and f"{x} x {y} x {z} voxels at {BASE_SPACING_MM:g} mm" in text
    assert " x ".join(f"{n * BASE_SPACING_MM:g}" for n in HEAD_NECK.shape) + " mm" in text
    assert f"facts (1, {FACTS_DIM}), grid (1, {GRID_DIM})" in text and f"{len(FACTS)} facts" in text
    assert f"organ fractions (1, {CLASSES}, ..)" in text
    assert attempts.MAX_ATTEMPTS == 10 and "ten draws in all (`MAX_ATTEMPTS`)" in text
    assert ", ".join(f"{s:g}" for s in spacings()) + " mm, isotropic" in text


def test_packages_import_only_what_the_table_allows() -> None:
    allowed = {"prompts": {"prompts"}, "synth": {"prompts", "synth"}, "evals": {"prompts", "synth", "evals"}}
    for package, may in allowed.items():
        for file in (REPOSITORY / package).rglob("*.py"):
            found = re.findall(r"^(?:from|import) (prompts|synth|evals)\b", file.read_text(), flags=re.MULTILINE)
            assert set(found) <= may, file


FLOORS = (
    *({"errors"}, {"files"}),
    {"progress", "settings", "seeding", "failure", "options", "provenance", "environment", "threads"},
    *({"volumes"}, {"report"}, {"scanner"}, {"lesions"}, {"regions"}, {"models"}, {"flow"}, {"shape"}, {"torso"}),
    *(
        {"case"},
        {"data"},
        {"draw"},
        {"peers"},
        {"training"},
        {"pipeline"},
        {"dicom"},
        {"xray"},
        {"cohort"},
        {"export"},
        {"viewer"},
    ),
    {"api", "cli", "train", "demo"},
)
"""Packages and loose modules of synth/, the lowest first: each imports its own floor and lower ones."""


def imports() -> dict[str, set[str]]:
    """Module of synth/ -> those that it imports, wherever in it; the package itself is asked for its version alone."""
    files = {_module(file): file for file in (REPOSITORY / "synth").rglob("*.py")}
    found = {}
    for name, file in files.items():
        if name == "synth":  # hands on `load_cohort` when it is asked for
            continue
        nodes = list(ast.walk(ast.parse(file.read_text())))
        asked = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and node.module:
                asked |= {
                    f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in files else node.module for a in node.names
                }
        found[name] = {m for m in asked if m in files} - {"synth", name}
    return found


def _module(file: Path) -> str:
    parts = file.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def test_each_floor_imports_its_own_and_lower_ones() -> None:
    height = {name: level for level, names in enumerate(FLOORS) for name in names}
    wrong = [
        f"{module} imports {other}"
        for module, others in imports().items()
        for other in others
        if height[other.split(".")[1]] > height[module.split(".")[1]]
    ]
    assert not wrong


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = imports()
    order = graphlib.TopologicalSorter(graph)
    order.prepare()  # raises CycleError, which names the circle
    assert len(graph) > 200


def test_limits_name_every_lesion_type_and_every_organ_without_one() -> None:
    assert [name for name in lesion_types() if f"`{name}`" not in LIMITS] == []
    listed = re.search(r"\*\*Lesion types\*\*: (.*?)\. ", LIMITS, flags=re.DOTALL)
    assert listed and set(re.findall(r"`(\w+)`", listed[1])) == set(lesion_types())
    without = set(Organ) - {organ for t in lesion_types().values() for organ in t.organs}
    assert [organ for organ in without if organ.value not in LIMITS.lower()] == []


def test_limits_state_the_code_s_numbers() -> None:
    assert (
        f"At most {MAX_LESIONS} lesions a case, {MAX_COUNT} of one finding, none longer than {MAX_SIZE_MM:g} mm"
        in LIMITS
    )
    assert " and ".join((", ".join(str(d.value) for d in list(Dose)[:-1]), f"{max(Dose).value} Gy")) in LIMITS
    assert Sampling().shape_temperature < 1 and "are drawn at a temperature below 1" in LIMITS
    eight, four, two, one = (f"{s:g}" for s in spacings()[1:])
    assert f"at {eight}, {four}, {two} or {one} mm, isotropic" in LIMITS
    assert len(ORGANS) == 7 and "**Seven organs**" in LIMITS
    assert {organ for organ in ORGANS if prior().annotated_share(organ) < 0.5}  # that some may be missing


@pytest.mark.parametrize(
    "prompt",
    ["pelvis CT", "abdomen CT with a 63 Gy target", "CT"],
)
def test_what_generate_cannot_draw_is_refused(prompt: str) -> None:
    with pytest.raises(InputError):
        order.plan_json(prompt, 0, 4.0, 0)


def test_sex_age_and_ruled_out_findings_change_nothing_that_is_drawn() -> None:
    plain, said = (
        order.plan_json(prompt, 0, 4.0, 0)
        for prompt in ("CT of the head and neck", "CT of the head and neck of a 60-year-old man, no pleural effusion")
    )
    facts = [re.search(r'"facts": \{.*?\}', text, flags=re.DOTALL) for text in (plain, said)]
    assert facts[0] and facts[1] and facts[0][0] == facts[1][0] and plain != said


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("20 mm tumour in liver segment 4", "segment 4 of the liver: segments are told apart by gallbladder and"),
        ("20 mm tumour in the left liver", "gallbladder and inferior vena cava, which the label map lacks"),
        ("20 mm liver tumour with wall thickening", "only hollow organs have a wall"),
        ("9 mm nodule in the right lung", "the label map has no lung_upper_lobe_right"),  # it has the left one, whole
        ("12 mm cyst in the stomach", "no such lesion type"),
        ("5 mm stone in the lung", "no such lesion type; in the lung there are"),
    ],
)
def test_what_insert_cannot_draw_is_refused(prompt: str, reason: str) -> None:
    ids = np.zeros((40, 40, 40), np.uint8)
    ids[4:20], ids[22:30, 4:36, 4:36], ids[30:38, 4:18], ids[30:38, 22:36] = 5, 9, 7, 3
    hu = np.random.default_rng(0).normal(50, 10, ids.shape).astype(np.int16)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    organs = LabelMap(ids, affine, {3: "kidney_left", 5: "liver", 7: "pancreas", 9: "lung_left"})
    with pytest.raises(InputError, match=reason):
        plan_lesions(parse(prompt).findings, Volume(hu, affine), organs, np.random.default_rng(0))


def test_a_class_has_a_name_of_its_own() -> None:
    """One word, one meaning; a region and a draft are words of prompts too (`prompts.vocabulary`, `prompts.drafts`)."""
    seen: dict[str, list[str]] = {}
    for file in (f for folder in ("synth", "evals", "prompts") for f in sorted((REPOSITORY / folder).rglob("*.py"))):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                seen.setdefault(node.name, []).append(file.relative_to(REPOSITORY).as_posix())
    assert {name: files for name, files in seen.items() if len(files) > 1}.keys() <= {"Region", "Draft"}
