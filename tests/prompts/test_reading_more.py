"""Ways of saying things that are easily misread, each with what it means: tables, stations, lists, devices, slips."""

from __future__ import annotations

from typing import Any

import pytest

from prompts import Finding, read


def present(text: str) -> list[Finding]:
    return [f for f in read(text).findings if f.status == "present"]


Row = tuple[str, str | None, str | None, str | None, float | None, int | str | None]  # kind organ side part mm count


def rows(text: str) -> list[Row]:
    return [(f.kind, f.organ, f.side, f.part, max(f.size_mm) if f.size_mm else None, f.count) for f in present(text)]


NODE = "lymph node"
MEDIASTINUM = "mediastinum"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Targets:\n1. Right upper lobe: 31 mm (earlier 36 mm)\n2. Left adrenal: 17 mm\nSum of diameters: 48 mm",
            [("lesion", "lung", "right", "upper", 31, 1), ("lesion", "adrenal", "left", None, 17, 1)],
        ),
        (
            "Station 4L: 17 x 11 mm. Station 7: 21 mm.",
            [(NODE, MEDIASTINUM, "left", None, 17, 1), (NODE, MEDIASTINUM, None, None, 21, 1)],
        ),
        (
            "Small bilateral pleural effusions and cardiomegaly.",
            [
                ("effusion", "pleura", "bilateral", None, None, "several"),
                ("cardiomegaly", "heart", None, None, None, None),
            ],
        ),
        ("Aortocaval: 19 x 13 mm", [(NODE, "retroperitoneum", None, None, 19, 1)]),
        ("Target 1 (liver segment 7): 26 mm, nadir 20 mm.", [("lesion", "liver", None, "7", 26, 1)]),
        ("Target lesion 1: left para-aortic node 24 mm", [(NODE, "retroperitoneum", "left", None, 24, 1)]),
        (
            "Lesion\tBaseline\tCurrent\nLLL nodule\t21 mm\t12 mm\nSegment 6 liver\t33 mm\t25 mm",
            [("nodule", "lung", "left", "lower", 12, 1), ("lesion", "liver", None, "6", 25, 1)],
        ),
        (
            "Targets: A) LUL mass 41 mm B) Left adrenal 22 mm",
            [("mass", "lung", "left", "upper", 41, 1), ("lesion", "adrenal", "left", None, 22, 1)],
        ),
        (
            "Enlarged left paratracheal (1.9 cm) and subcarinal (1.4 cm) lymph nodes.",
            [(NODE, MEDIASTINUM, "left", None, 19, 1), (NODE, MEDIASTINUM, None, None, 14, 1)],
        ),
    ],
)
def test_tables_and_stations(text: str, expected: list[Row]) -> None:
    found = rows(text)
    assert [row[:5] for row in found] == [row[:5] for row in expected]
    if "Enlarged" not in text:
        assert [row[5] for row in found] == [row[5] for row in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two by one point five centimeter nodule of the left lung", ("nodule", "lung", "left", None, 20, 1)),
        ("three cm mass in the liver", ("mass", "liver", None, None, 30, 1)),
        ("lung mass about 37mm\u00d729mm with lobulation", ("mass", "lung", None, None, 37, 1)),
        ("left lung mass which has decreased from 44 mm to 31 mm", ("mass", "lung", "left", None, 31, 1)),
        ("kidney cyst, left, upper, round-like, 17 mm", ("cyst", "kidney", "left", "upper", 17, 1)),
        ("right kidney, lower pole: 6 mm stone", ("stone", "kidney", "right", "lower", 6, 1)),
        ("cyst in the inferior pole of the left kidney", ("cyst", "kidney", "left", "lower", None, 1)),
        ("Colon tumor, ascending, 38 mm", ("tumour", "colorectum", None, "ascending", 38, 1)),
        ("esophageal carcinoma, mid third", ("tumour", "esophagus", None, "middle", None, 1)),
        ("17 mm nodule in the left thyroid lobe", ("nodule", "thyroid", "left", None, 17, 1)),
        (
            "liver metastases, the largest 42 mm in the right lobe",
            ("metastasis", "liver", "right", None, 42, "several"),
        ),
        ("fractures of T9 and T12", ("fracture", "bone", None, None, None, 2)),
        ("half a dozen small liver cysts", ("cyst", "liver", None, None, None, 6)),
        ("4x liver mets", ("metastasis", "liver", None, None, None, 4)),
        ("an area of consolidation in the left lung", ("consolidation", "lung", "left", None, None, 1)),
        ("multiple metastatic hypodense lesions in the spleen", ("metastasis", "spleen", None, None, None, "several")),
        ("3 cm mass of the left kidney, oncocytoma", ("tumour", "kidney", "left", None, 30, 1)),
        ("left lower lobe collapse", ("atelectasis", "lung", "left", "lower", None, 1)),
        ("collapse of the T8 vertebra", ("fracture", "bone", None, "T8", None, 1)),
        ("big spleen", ("splenomegaly", "spleen", None, None, None, None)),
        ("calcified aorta", ("arterial wall calcification", "aorta", None, None, None, 1)),
        ("thrombus in the right pulmonary artery", ("pulmonary embolism", "pulmonary artery", "right", None, None, 1)),
        ("The diameter of the ascending aorta has increased.", ("aneurysm", "aorta", None, None, None, 1)),
        ("- 7 mm nodule, left lower lobe\n", ("nodule", "lung", "left", "lower", 7, 1)),
        ("Crohn's disease", ("colitis", "colorectum", None, None, None, 1)),
        ("no nodules except for a 5 mm one in the right apex", ("nodule", "lung", "right", "upper", 5, 1)),
        ("subcarinal node 13 mm", (NODE, MEDIASTINUM, None, None, 13, 1)),
    ],
)
def test_one_finding(text: str, expected: Row) -> None:
    assert rows(text) == [expected]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("s/p right upper lobectomy with surgical clips", {"operation": "past", "medical material": "present"}),
        ("Sternal wires are intact.", {"medical material": "present"}),
        ("no effusion liver has a cyst", {"effusion": "absent", "cyst": "present"}),
        ("no pleural fluid heart enlarged", {"effusion": "absent", "cardiomegaly": "present"}),
        ("no PE, bibasilar atelectasis", {"pulmonary embolism": "absent", "atelectasis": "present"}),
        ("The consolidation has nearly completely resolved.", {"consolidation": "past"}),
        ("Effusion: neg.", {"effusion": "absent"}),
        ("Bile ducts are not dilated.", {"bile duct dilatation": "absent"}),
        ("nodule in the liver, metastasis cannot be excluded", {"nodule": "present"}),
        ("the nodule in the lung, which measured 6 mm, has disappeared", {"nodule": "past"}),
        ("lymph nodes are not enlarged in the mediastinum", {"lymph node": "absent"}),
        ("sigmoid diverticulosis without diverticulitis", {"diverticulosis": "present", "diverticulitis": "absent"}),
    ],
)
def test_there_or_not(text: str, kinds: dict[str, str]) -> None:
    assert {f.kind: f.status for f in read(text).findings} == kinds


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Scattered lung nodules, including a 3 mm nodule on the right and a 4 mm nodule on the left", 2),
        ("Multiple lung nodules. For example a 9 mm nodule on the right.", 1),
        ("reticulation and honeycombing of both lungs", 1),
        ("RV/LV ratio is 1.3 with bowing of the septum, in keeping with right heart strain", 1),
        ("LIVER: 3 cm mass in segment 5.\nIMPRESSION: HCC in segment 5.", 1),
        ("Consolidation of the left lung.\nIMPRESSION: Left-sided pneumonia.", 1),
        ("a pacemaker with leads in the right atrium", 1),
        ("tracheostomy cannula and nasogastric tube", 2),
        ("several nodules and covid-19", 1),
    ],
)
def test_nothing_twice_and_nothing_lost(text: str, number: int) -> None:
    assert len(present(text)) == number


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("right hydronephrosis due to a 7 mm ureteric stone", "right"),
        ("2 cm cyst in the upper pole of the left kidney, 4 mm stone in the lower pole", "left"),
        ("right chest tube, small pneumothorax", "right"),
        ("Kidneys: L: 2 cm cyst; L: 5 mm stone", "left"),
    ],
)
def test_what_goes_together_is_on_one_side(text: str, side: str) -> None:
    assert {f.side for f in present(text)} == {side}


def test_a_place_that_is_no_region() -> None:
    reading = read("free fluid was seen in the perihepatic space and pelvis")
    assert [f.kind for f in reading.drawn] and reading.region != "pelvis"
    assert read("a stone is seen at the neck of the gallbladder").region == "abdomen"


def test_an_earlier_length_is_kept_apart() -> None:
    attributes: dict[str, Any] = dict(present("left lung mass, decreased from 44 mm to 31 mm")[0].attributes)
    assert attributes["earlier_mm"] == 44


def test_a_part_that_an_organ_has_not_is_named_and_the_finding_drawn() -> None:
    (effusion,) = present("small right basal effusion")
    assert effusion.drawn and "'lower' is not drawn: anywhere in the pleura" in effusion.why_not


def test_what_was_taken_out_is_told() -> None:
    (finding,) = read("gallbladder surgically absent").findings
    assert (finding.kind, finding.organ, finding.status) == ("operation", "gallbladder", "past")


@pytest.mark.parametrize(
    "first", ["coronary calcification", "cardiomegaly", "pericardial effusion", "pleural thickening"]
)
@pytest.mark.parametrize("second", ["arterial wall calcification", "aortic calcification", "vascular calcification"])
def test_a_finding_that_names_its_vessels_is_in_them(first: str, second: str) -> None:
    found = present(f"CT of the chest with {first} and {second}")
    assert [(f.kind, f.organ) for f in found][1:] == [("arterial wall calcification", "aorta")]
    assert [f.kind for f in found][:1] == [first]
