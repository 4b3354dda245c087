"""Lengths, sides and places that stand where they are easily taken for another's."""

from __future__ import annotations

import pytest

from prompts import Finding, parse, read
from prompts.vocabulary import Region


def told(finding: Finding) -> tuple[object, ...]:
    return finding.kind, finding.organ, finding.side, finding.part, finding.size_mm


SAID = {
    "Growth of the RUL nodule from 6 mm to 11 mm": [("nodule", "lung", "right", "upper", (11.0,))],
    "nodules of from 3 mm to 8 mm in the left lung": [("nodule", "lung", "left", None, (3.0, 8.0))],
    "tumour in segment II 30 mm, another 14 mm one in segment VI": [
        ("tumour", "liver", None, "2", (30.0,)),
        ("tumour", "liver", None, "6", (14.0,)),
    ],
    "HCC segment VII 33 mm, and an 11 mm satellite in segment IV": [
        ("tumour", "liver", None, "7", (33.0,)),
        ("tumour", "liver", None, "4", (11.0,)),
    ],
    "ascites, spleen 14 cm": [
        ("ascites", "peritoneum", None, None, None),
        ("splenomegaly", "spleen", None, None, (140.0,)),
    ],
    "cirrhosis and ascites, splenic size 14.5 cm": [
        ("cirrhosis", "liver", None, None, None),
        ("ascites", "peritoneum", None, None, None),
        ("splenomegaly", "spleen", None, None, (145.0,)),
    ],
    "spleen of 15 cm": [("splenomegaly", "spleen", None, None, (150.0,))],
    "the spleen measures 13.4 cm, aorta 2.1 cm": [
        ("splenomegaly", "spleen", None, None, (134.0,)),
        ("aneurysm", "aorta", None, None, None),
    ],
    "ascending aorta measures up to 4.5 x 4.2 cm": [("aneurysm", "aorta", None, None, (45.0, 42.0))],
    "12 mm stone in the left kidney, fatty liver, spleen of 15 cm": [
        ("stone", "kidney", "left", None, (12.0,)),
        ("steatosis", "liver", None, None, None),
        ("splenomegaly", "spleen", None, None, (150.0,)),
    ],
    "3 cm mass in the liver which abuts the aorta over 4 cm": [("mass", "liver", None, None, (30.0,))],
    "spleen 12.4 cm": [],
    "CT chest: right pneumothorax with chest tube, mass 4 cm left lower lobe": [
        ("pneumothorax", "pleura", "right", None, None),
        ("medical material", None, "right", None, None),
        ("mass", "lung", "left", "lower", (40.0,)),
    ],
    "right effusion with chest tube, cavitating mass left lower lobe": [
        ("effusion", "pleura", "right", None, None),
        ("medical material", None, "right", None, None),
        ("mass", "lung", "left", "lower", None),
    ],
    "left effusion, scar, nodule 8 mm right upper lobe": [
        ("effusion", "pleura", "left", None, None),
        ("fibrotic sequela", "lung", None, None, None),
        ("nodule", "lung", "right", "upper", (8.0,)),
    ],
    "atelectasis, consolidation in the left lower lobe": [
        ("atelectasis", "lung", "left", "lower", None),
        ("consolidation", "lung", "left", "lower", None),
    ],
    "Left kidney. 12 mm stone, liver is normal.": [
        ("abnormality", "liver", None, None, None),
        ("stone", "kidney", "left", None, (12.0,)),
    ],
    "splenomegaly, spleen 17 cm": [("splenomegaly", "spleen", None, None, (170.0,))],
    "pneumothorax left, apical": [("pneumothorax", "pleura", "left", "upper", None)],
    "CT chest w/o: LLL 19 mm mass": [("mass", "lung", "left", "lower", (19.0,))],
    "Reason for exam: r/o PE. CTPA: 7 mm RUL nodule.": [
        ("pulmonary embolism", "pulmonary artery", None, None, None),
        ("nodule", "lung", "right", "upper", (7.0,)),
    ],
    "large L effusion": [("effusion", "pleura", "left", None, None)],
    "goiter with a 2 cm nodule on the right": [
        ("goiter", "thyroid", None, None, None),
        ("nodule", "thyroid", "right", None, (20.0,)),
    ],
    "HCC in a cirrhotic liver, segment 3, 25 mm": [
        ("tumour", "liver", None, "3", (25.0,)),
        ("cirrhosis", "liver", None, None, None),
    ],
    "metastatic colon cancer: 4 liver lesions": [
        ("metastasis", "colorectum", None, None, None),
        ("lesion", "liver", None, None, None),
    ],
    "mediastinal mass 9 cm, spleen 16 cm": [
        ("mass", "mediastinum", None, None, (90.0,)),
        ("splenomegaly", "spleen", None, None, (160.0,)),
    ],
    "5 mm and 8 mm nodules in the left and right lower lobes": [
        ("nodule", "lung", "left", "lower", (5.0,)),
        ("nodule", "lung", "right", "lower", (8.0,)),
    ],
    "18 mm lymph node level IIb right": [("lymph node", "neck", "right", None, (18.0,))],
}


@pytest.mark.parametrize(("text", "expected"), SAID.items(), ids=SAID.keys())
def test_each_length_side_and_place_is_its_own(text: str, expected: list[tuple[object, ...]]) -> None:
    assert [told(finding) for finding in read(text).findings] == expected


def test_a_length_below_the_limit_rules_out_and_one_in_between_says_nothing() -> None:
    (aorta,) = read("CT chest, the aorta measures 31 mm").findings
    assert (aorta.kind, aorta.status) == ("aneurysm", "absent")
    reading = read("CT chest, the aorta measures 37 mm")
    assert not reading.findings and reading.ignored_words() == ("37 mm",)


def test_what_was_grown_from_is_kept() -> None:
    (finding,) = read("Growth of the RUL nodule from 6 mm to 11 mm").findings
    assert finding.attributes["earlier_mm"] == 6


def test_what_is_asked_is_possible_and_what_is_found_is_there() -> None:
    found = read("Reason for exam: r/o PE. CTPA: 7 mm RUL nodule.").findings
    assert [finding.status for finding in found] == ["possible", "present"]


@pytest.mark.parametrize("text", ["11 mm ground-glass nodule with a 4 mm solid component in the LUL",
                                  "LUL nodule of 11 mm with solid core"])  # fmt: skip
def test_a_solid_component_makes_a_nodule_part_solid(text: str) -> None:
    (finding,) = read(text).findings
    assert finding.drawn and finding.attributes["texture"] == "part-solid" and finding.size_mm == (11.0,)
    (other,) = read("20 mm cyst in the pancreatic tail with a solid component").findings
    assert other.drawn and "texture" not in other.attributes


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("AAA 50 mm", Region.ABDOMEN),
        ("ascending aortic aneurysm 50 mm", Region.CHEST),
        ("hiatal hernia and a thyroid nodule", Region.CHEST),
        ("9 mm LUL nodule. Upper abdomen: normal.", Region.CHEST_ABDOMEN),
        ("abdomen, calcification of the aorta, 2 cm cyst in the right kidney", Region.ABDOMEN),
    ],
)
def test_the_region_shows_the_part_that_is_meant(text: str, region: Region) -> None:
    assert read(text).region == region


def test_a_size_word_is_no_part_of_a_name() -> None:
    (finding,) = read("large hiatal hernia").findings
    assert finding.size == "large"
    assert read("nonobstructing 4 mm stone in the left kidney").findings[0].attributes["obstructing"] is False


def test_a_short_axis_is_one_under_its_letters() -> None:
    assert read("4R node 15 mm SA").findings[0].attributes["short_axis_mm"] == 15
    assert parse("CT abdomen w/o contrast").phase == "non_contrast"


@pytest.mark.parametrize("text", ["GB wall not thickened", "The pleura is not thickened. 2 cm liver cyst."])
def test_what_is_not_thickened_is_not_there(text: str) -> None:
    assert not [f for f in read(text).findings if f.status == "present" and "thickening" in f.kind]


@pytest.mark.parametrize(("text", "pattern"), [("pneumonia in the right lower lobe", "consolidation"),
                                               ("COVID pneumonia of both lungs", "ground-glass opacity")])  # fmt: skip
def test_pneumonia_is_drawn_as_what_it_looks_like_and_that_is_said(text: str, pattern: str) -> None:
    reading = read(text)
    assert [request.kind for request in reading.request.findings] == [pattern]
    assert f"drawn as {pattern}" in reading.line()
