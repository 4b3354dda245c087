"""What was asked against what is there: agreement where it holds, and a table that shows where it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals import agreement, readings
from evals.result import read
from prompts import parse
from prompts.vocabulary import Density, Texture
from synth import cli, provenance, report
from synth.case import folder as case_folder
from synth.volumes.types import Case, LabelMap, Volume

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
PROMPT = "24 mm hypodense tumour in the left kidney"


def make(side: str = "left", hu: float = 0.0, radius: int = 3, second: bool = False) -> Case:
    """Two kidneys of 100 HU in a body, a lesion in one of them."""
    shape = (48, 32, 24)
    x, y, z = np.indices(shape)
    volume = np.full(shape, -1000.0)
    volume[4:44, 4:28] = 40
    organs = np.zeros(shape, np.uint8)
    for number, centre in ((3, 13), (2, 35)):  # x rises to the right of the patient's left: RAS, kidney_left at low x
        organs[(x - centre) ** 2 + (y - 16) ** 2 + ((z - 12) / 1.4) ** 2 < 64] = number
    volume[organs > 0] = 100
    lesions = np.zeros(shape, np.uint8)
    at = 13 if side == "left" else 35
    lesions[((x - at) ** 2 + (y - 16) ** 2 + (z - 12) ** 2 < radius**2 + 1) & (organs > 0)] = 1
    names = {1: "kidney_tumour_1"}
    if second:
        lesions[(x - 48 + at) ** 2 + (y - 16) ** 2 + (z - 12) ** 2 < 5] = 2
        names[2] = "kidney_tumour_2"
    volume[lesions > 0] = hu
    volume += np.random.default_rng(0).normal(0, 5, shape)
    ct = Volume(volume.astype(np.int16), AFFINE)
    return Case(ct, LabelMap(organs, AFFINE, {2: "kidney_right", 3: "kidney_left"}), LabelMap(lesions, AFFINE, names))


def write(folder: Path, case: Case, prompt: str = PROMPT, told: str | None = None) -> Path:
    """A case folder; `told`: a report of other words than its own."""
    written = report.write(report.measure(case))
    plan = {"request": json.loads(parse(prompt).model_dump_json()), "facts": {}, "lesions": [
        {"organ": "kidney", "kind": "kidney_tumour", "structures": ["kidney_left"], "size_mm": 24.0}
    ]}  # fmt: skip
    return case_folder.write_case(
        folder,
        case,
        plan_json=json.dumps(plan),
        report_json=written.model_dump_json(),
        report_text=told or written.text(),
        preview_png=b"",
        manifest=provenance.manifest(command="", seeds={}, weights={}, device="cpu"),
    )


def test_a_case_that_obeys_agrees_at_every_place(tmp_path: Path) -> None:
    write(tmp_path / "cases/a", make())
    assert (
        cli.main(["evaluate", "agreement", "--cases", str(tmp_path / "cases"), "--out", str(tmp_path / "out"), "-q"])
        == 0
    )
    result = read(tmp_path / "out/agreement.json")
    found = {f.part: f.value for f in result.figures}
    assert set(found) == {"findings", *(f"finding {n}" for n in ("organ", "side", "size", "density", "visible"))}
    assert set(found.values()) == {100.0} and result.tables[-1].rows == []
    links = {row[0]: row[1:] for row in result.tables[0].rows}
    assert links["finding side"] == ["1/1"] * 5 and links["finding kind"][:3] == ["1/1", "-", "1/1"]


def test_on_voxels_larger_than_its_shell_a_lesion_is_held_against_the_voxel_beside_it() -> None:
    for hu, seen in ((0.0, True), (100.0, False)):
        fine = make(hu=hu)
        coarse = np.diag([8.0, 8.0, 8.0, 1.0])
        maps = (LabelMap(m.ids, coarse, m.names) for m in (fine.organs, fine.lesions))
        assert readings.visible(Case(Volume(fine.ct.hu, coarse), *maps), 1) is seen


@pytest.mark.parametrize(
    ("case", "attribute", "asked", "got"),
    [
        (make(side="right"), "finding side", "left", "right"),
        (make(hu=200), "finding density", "hypodense", "hyperdense"),
        (make(hu=100), "finding visible", "yes", "no"),
        (make(radius=1), "finding size", "20-30 mm", "10-20 mm"),
        (make(second=True), "findings", "1", "2"),
    ],
)
def test_a_case_that_does_not_obey_is_told_by_the_attribute(
    case: Case, attribute: str, asked: str, got: str, tmp_path: Path
) -> None:
    write(tmp_path / "cases/good", make())
    write(tmp_path / "cases/wrong", case)
    result, _ = agreement.evaluate(tmp_path / "cases")
    figure = next(f for f in result.figures if f.part == attribute)
    assert figure.value == 50 and figure.low is not None and figure.low < 50
    confusion = next(t for t in result.tables if t.title == f"Confusion: {attribute}")
    assert [row[0] for row in confusion.rows] == [asked] and set(confusion.columns) == {"asked", asked, got}
    assert confusion.rows[0][1:] == [1, 1]
    (line,) = [row for row in result.tables[-1].rows if general(row[1]) == attribute]
    assert line[0] == "wrong" and line[2:4] == [asked, got]


def general(name: object) -> str:
    return agreement.general(str(name))


def test_a_report_that_tells_of_another_side_disagrees_with_the_volume(tmp_path: Path) -> None:
    text = report.write(report.measure(make())).text().replace("left kidney", "right kidney")
    write(tmp_path / "cases/a", make(), told=text)
    found, _, _ = agreement.read_cases(tmp_path / "cases", agreement.Progress(quiet=True))
    rates = {(r.attribute, r.link): r.percent for r in agreement.all_rates(found)}
    assert rates["finding side", ("prompt", "volume")] == 100
    assert rates["finding side", ("volume", "report")] == rates["finding side", ("prompt", "report")] == 0


def test_findings_are_paired_by_what_they_are_not_by_their_order() -> None:
    asked = readings.expanded(parse("9 mm cyst in the right kidney and a 24 mm tumour in the left kidney"))
    found = [
        {"organ": "kidney", "side": "left", "size": "20-30 mm"},
        {"organ": "kidney", "side": "right", "size": "6-10 mm"},
    ]
    paired = readings._numbered(asked, found)
    order = [finding.side for finding in asked]
    assert [paired[f"finding {i + 1} side"] for i in range(2)] == order


@pytest.mark.parametrize(
    ("structure", "prompt", "organ"),
    [
        ("lung_lower_lobe_left", "left pleural effusion", "pleura"),
        ("lung_lower_lobe_left", "24 mm nodule in the left lower lobe", "lung"),
        ("heart", "pericardial effusion", "pericardium"),
        ("liver", "ascites", "peritoneum"),
        ("colon", "24 mm tumour in the colon", "colorectum"),
        ("urinary_bladder", "24 mm tumour in the bladder", "bladder"),
        ("vertebrae_L3", "24 mm lytic metastasis in L3", "bone"),
        ("gluteus_maximus_left", "24 mm sarcoma in the left gluteal muscle", "muscle"),
        ("spleen", "left pleural effusion", "spleen"),  # elsewhere: a miss
        ("liver", "24 mm tumour in the colon", "liver"),
    ],
)
def test_the_organ_of_a_label_is_said_as_prompts_say_it(structure: str, prompt: str, organ: str) -> None:
    case = make()
    case = replace(case, organs=LabelMap(case.organs.ids, AFFINE, {2: "kidney_right", 3: structure}))
    told = readings.of_volume(case, report.measure(case), parse(prompt).findings)
    assert told["finding 1 organ"] == organ


def test_what_was_not_asked_counts_nowhere() -> None:
    assert readings.of_request(parse("CT of the head and neck")) == {"region": "head_neck"}
    told = readings.of_request(parse("contrast-enhanced CT of the neck with a 70 Gy target on the left side"))
    assert told["contrast"] == "yes" and told["target 70 Gy side"] == "left" and told["targets"] == "70 Gy"


def test_words_for_numbers() -> None:
    assert [readings.bin_of(v, (6, 10), "mm") for v in (5.9, 6, 9.9, 10)] == [
        "under 6 mm",
        "6-10 mm",
        "6-10 mm",
        "from 10 mm",
    ]
    assert [readings.density_of(v) for v in (-30, 5, 30)] == [Density.HYPODENSE, Density.ISODENSE, Density.HYPERDENSE]
    assert [readings.texture_of(v) for v in (-650, -400, 20)] == [
        Texture.GROUND_GLASS,
        Texture.PART_SOLID,
        Texture.SOLID,
    ]


def test_what_is_no_case_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*more: str) -> int:
        return cli.main(
            ["evaluate", "agreement", "--cases", str(tmp_path / "cases"), "--out", str(tmp_path / "o"), "-q", *more]
        )

    assert run() == 2 and "no such folder" in capsys.readouterr().err
    (tmp_path / "cases").mkdir()
    assert run() == 2 and "holds no case folders" in capsys.readouterr().err
    write(tmp_path / "cases/a", make())
    (tmp_path / "cases/b").mkdir()
    assert (
        run() == 2
        and "1 of 2 folders cannot be used: " in (error := capsys.readouterr().err)
        and "/b: no case" in error
    )
    assert run("--skip-bad") == 0 and list(read(tmp_path / "o/agreement.json").left_out) == ["b"]


@pytest.mark.parametrize("wrong", [{"structures": 1}, {"organ": "kidney"}, {"size_mm": "long"}])
def test_a_plan_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, object]
) -> None:
    folder = write(tmp_path / "cases/a", make())
    plan = json.loads((folder / "plan.json").read_text())
    plan["lesions"] = [wrong if "organ" in wrong else plan["lesions"][0] | wrong]
    (folder / "plan.json").write_text(json.dumps(plan))
    code = cli.main(["evaluate", "agreement", "--cases", str(tmp_path / "cases"), "--out", str(tmp_path / "o"), "-q"])
    assert code == 2 and "plan.json: its facts or lesions are not a plan's" in capsys.readouterr().err
