"""What a reading says of texts as people write them: each line a thing that is easily misread."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from prompts import Door, Finding, PromptError, Reading, read


def present(text: str) -> list[Finding]:
    return [f for f in read(text).findings if f.status == "present"]


def only(text: str) -> Finding:
    (finding,) = present(text)
    return finding


def status(text: str) -> dict[str, str]:
    return {f.kind: f.status for f in read(text).findings}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No effusion or pneumothorax.", {"effusion": "absent", "pneumothorax": "absent"}),
        ("Pneumothorax was not seen, and a mass is present.", {"pneumothorax": "absent", "mass": "present"}),
        ("There is no consolidation, but a nodule is seen.", {"consolidation": "absent", "nodule": "present"}),
        ("The lungs are free of emphysema.", {"emphysema": "absent"}),
        ("Effusion: none. Atelectasis: present.", {"effusion": "absent", "atelectasis": "present"}),
        ("no effusion, 8 mm nodule in the left lung", {"effusion": "absent", "nodule": "present"}),
        ("no pleural or pericardial effusion", {"effusion": "absent", "pericardial effusion": "absent"}),
        ("Lymph nodes are unremarkable.", {"lymph node": "absent"}),
        ("not a mass but a cyst of the kidney", {"mass": "absent", "cyst": "present"}),
        ("suspicious for pneumonia", {"pneumonia": "possible"}),
        ("r/o PE, chest CT", {"pulmonary embolism": "possible"}),
        ("Metastasis cannot be excluded.", {"metastasis": "possible"}),
        ("History of lung cancer. 9 mm nodule in the liver.", {"tumour": "past", "nodule": "present"}),
        ("The consolidation has resolved.", {"consolidation": "past"}),
        ("55M, breast ca, liver mets", {"tumour": "past", "metastasis": "present"}),
        ("INDICATION: hernia?\nFINDINGS: There is emphysema.", {"hernia": "possible", "emphysema": "present"}),
        ("Unchanged 4 mm lung nodule.", {"nodule": "present"}),
    ],
)
def test_what_is_there_and_what_is_not(text: str, expected: dict[str, str]) -> None:
    assert status(text) == expected


@pytest.mark.parametrize(
    ("text", "kind", "size_mm", "attributes"),
    [
        ("2 x 3 cm mass of the liver", "mass", (30, 20), {}),
        ("3 by 2 cm mass of the liver", "mass", (30, 20), {}),
        ("liver mass 30 mm x 2 cm", "mass", (30, 20), {}),
        ("liver mass (4.1 x 5.6, cm)", "mass", (56, 41), {}),
        ("liver mass 2\u00d73\u202fcm", "mass", (30, 20), {}),
        ("nodule of 1,5 cm in the left lung", "nodule", (15,), {}),
        ("lung nodule, 1-2 cm", "nodule", (10, 20), {"size_is": "range"}),
        ("lung nodules up to 9 mm", "nodule", (9,), {"size_is": "largest"}),
        ("lung nodules, the largest 4 cm", "nodule", (40,), {"size_is": "largest"}),
        ("lung nodule < 5 mm", "nodule", (5,), {"size_is": "below"}),
        ("lung nodule >= 1 cm", "nodule", (10,), {"size_is": "above"}),
        ("lung nodule 6 mm (previously 4 mm)", "nodule", (6,), {"earlier_mm": 4.0}),
        ("mediastinal node with a short axis of 12 mm", "lymph node", None, {"short_axis_mm": 12.0}),
        ("right pleural effusion, 20 mm in thickness", "effusion", None, {"thickness_mm": 20.0}),
        ("9 mm nodule in the lung, series 3 image 41, 35 HU, 120 kV, 3.4.2021", "nodule", (9,), {}),
        ("bladder tumour T2 25 mm", "tumour", (25,), {"stage": "T2"}),
        ("Bosniak IIF renal cyst 31 mm", "cyst", (31,), {"stage": "Bosniak IIF"}),
        ("pancreatic mass 2 cm with 90 degrees of contact", "mass", (20,), {"contact_degrees": 90.0}),
    ],
)
def test_numbers_are_what_their_neighbours_say(
    text: str, kind: str, size_mm: tuple[float, ...] | None, attributes: dict[str, Any]
) -> None:
    finding = only(text)
    assert (finding.kind, finding.size_mm) == (kind, size_mm)
    assert {name: finding.attributes.get(name) for name in attributes} == attributes


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("9 mm nodule RUL and 14 mm nodule LLL", [("lung", "right", "upper", 9), ("lung", "left", "lower", 14)]),
        ("nodules, 9 mm RUL and 14 mm LLL", [("lung", "right", "upper", 9), ("lung", "left", "lower", 14)]),
        ("fibrosis, left upper and lower lobes", [("lung", "left", "upper", 0), ("lung", "left", "lower", 0)]),
        ("cysts in the liver and both kidneys", [("liver", None, None, 0), ("kidney", "bilateral", None, 0)]),
        ("Pancreas: 3 cm mass. Liver: normal.", [("pancreas", None, None, 30)]),
        ("mass in the neck of the pancreas", [("pancreas", None, "neck", 0)]),
        ("4 cm pancreas cyst, tail", [("pancreas", None, "tail", 40)]),
        ("liver tumour in segment 5/6", [("liver", None, "5", 0)]),
        ("nodule in segment 6 of the right lung", [("lung", "right", "lower", 0)]),
        ("cyst, native kidneys, right", [("kidney", "right", None, 0)]),
        ("lung nodules, the largest in the right upper lobe", [("lung", None, None, 0)]),
        ("apical nodule of the left lung", [("lung", "left", "upper", 0)]),
        ("nodule in both lungs adjacent to the heart", [("lung", "bilateral", None, 0)]),
        ("bilateral effusions, 2 x 3 cm on the right and 1 x 1 cm on the left",
         [("pleura", "right", None, 30), ("pleura", "left", None, 10)]),
        ("nodules in the right lung (5, 8 and 11 mm)", [("lung", "right", None, mm) for mm in (5, 8, 11)]),
    ],
)  # fmt: skip
def test_one_finding_a_place(text: str, places: list[tuple[Any, ...]]) -> None:
    found = [(f.organ, f.side, f.part, max(f.size_mm) if f.size_mm else 0) for f in present(text)]
    assert found == places


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("3 cm lung mass, suspicious for malignancy", "mass"),
        ("hypodense lesion in the kidney (cyst?)", "cyst"),
        ("lung nodules consistent with metastases", "metastasis"),
        ("mass in the liver, suggestive of a cyst", "cyst"),
        ("calcified plaques of the aorta", "arterial wall calcification"),
        ("calcification of the coronary arteries", "coronary calcification"),
        ("haemangioma of the liver", "hemangioma"),
        ("PDAC", "tumour"),
        ("side branch IPMN", "cyst"),
        ("mediastinal LAD", "lymph node"),
        ("lung noduel", "nodule"),
        ("bilateral GGOs, COVID-19", "ground-glass opacity"),
    ],
)
def test_one_lesion_has_one_name(text: str, kind: str) -> None:
    assert only(text).kind == kind


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("CTPA, 45 y/o F, bilateral PE", {"region": "chest", "sex": "female", "age": 45, "phase": "arterial"}),
        ("CT TAP w/ contrast", {"region": "torso", "phase": "enhanced"}),
        ("CT A/P w/o contrast, 60M", {"region": "abdomen_pelvis", "phase": "non_contrast", "sex": "male", "age": 60}),
        ("KUB, 4 mm left kidney stone", {"region": "abdomen_pelvis"}),
        ("HRCT: emphysema", {"region": "chest"}),
        ("nephrographic phase CT abd, renal mass", {"region": "abdomen", "phase": "portal_venous"}),
        ("central venous catheter", {"phase": None}),
        ("celiac trunk aneurysm", {"region": "abdomen"}),
        ("spleen cyst", {"region": "abdomen"}),
        ("head CT with subdural hematoma", {"region": "head"}),
    ],
)
def test_the_scan_and_the_patient(text: str, facts: dict[str, Any]) -> None:
    said = read(text).as_json()
    assert {name: said[name] for name in facts} == facts


REPORT = """TECHNIQUE: Chest CT after contrast, 1 mm slices.
COMPARISON: 3.4.2021, with a 4 cm mass.
FINDINGS:
Lungs: There is an 18 mm spiculated nodule in the right upper lobe. No consolidation.
Two cysts of the liver are seen, the larger 3 cm. The spleen is unremarkable.
IMPRESSION:
1. 18 mm nodule in the right upper lobe, suspicious for malignancy.
2. Liver cysts."""


def test_a_report_is_read_by_its_sections_and_nothing_twice() -> None:
    reading = read(REPORT)
    assert (reading.region, reading.request.phase) == ("chest", "enhanced")
    told = [(f.kind, f.organ, f.size_mm, f.count) for f in reading.findings if f.status == "present"]
    assert told == [("nodule", "lung", (18.0,), 1), ("cyst", "liver", (30.0,), 2)]
    ruled_out = {(f.kind, f.organ) for f in reading.ruled_out}
    assert ruled_out == {("consolidation", "lung"), ("abnormality", "spleen")}


def test_left_and_right_are_not_exchanged() -> None:
    left, right = only("nodule in the left lung"), only("nodule in the right lung")
    assert (left.side, right.side) == ("left", "right")


def test_every_word_is_somewhere() -> None:
    text = "chest CT with a shiny 8 mm nodule, hiatal hernia, a pacemaker and a spork"
    reading = read(text)
    assert reading.ignored_words() == ("shiny", "spork")
    assert {f.kind for f in reading.findings} == {"nodule", "hiatal hernia", "medical material"}
    for finding in reading.findings:
        assert text[slice(*finding.span)] == finding.text


def test_a_size_word_is_a_range_that_is_told() -> None:
    reading = read("small nodule in the left lung")
    assert reading.request.findings[0].size_range_mm == (4.0, 8.0)
    assert "4 to 8 mm (small)" in reading.assumed.values()


def test_a_door_draws_what_its_table_has() -> None:
    door = Door("wall", frozenset({("lung", "nodule")}), "no")
    reading = read("lung nodule and kidney cyst", door)
    assert [(f.kind, f.drawn, f.why_not) for f in reading.findings] == [("nodule", True, ""), ("cyst", False, "no")]
    assert [f.kind for f in reading.request.findings] == ["nodule"]


def test_strict_refuses_what_is_ignored_or_not_drawn() -> None:
    assert isinstance(read("9 mm nodule in the left lung").drawable(strict=True), Reading)
    for text in ("9 mm shiny nodule in the left lung", "9 mm nodule in the left lung, appendicitis"):
        read(text).drawable()
        with pytest.raises(PromptError, match="strict"):
            read(text).drawable(strict=True)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("\u80ba\u90e8\u7ed3\u8282 8mm", "Chinese"),
        ("Rundherd im rechten Oberlappen der Lunge, kein Erguss", "German"),
        ("nodule dans le lobe inf\u00e9rieur gauche du poumon", "French"),
        ("n\u00f3dulo de 8 mm en el pulm\u00f3n derecho", "Spanish"),
        ("\u0443\u0437\u0435\u043b \u0432 \u043b\u0435\u0433\u043a\u043e\u043c", "Russian"),
    ],
)
def test_another_language_is_named(text: str, language: str) -> None:
    with pytest.raises(PromptError, match=language):
        read(text)


_FUZZ = (
    "no not nodule masses 3 x cm , . ; : ( ) left right lobe upper and or with without ? 1. HU segment 6 of the T2 "
    "largest suspicious for 20 mL PTV70 in both previously"
)


def test_no_text_hangs_or_breaks() -> None:
    rng = random.Random(0)
    words = _FUZZ.split()
    for number in range(300):
        if number % 3:
            text = " ".join(rng.choices(words, k=rng.randint(1, 60)))
        else:
            text = "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x2FFF)))) for _ in range(80))
        try:
            read(text).drawable()
        except PromptError as refusal:
            assert "\n" not in str(refusal)


@pytest.mark.parametrize("piece", ["5 mm nodule and ", "no ", "5 x ", "x", "(", "3 cm mass in the right upper lobe, "])
def test_a_long_text_takes_no_time(piece: str) -> None:
    start = time.process_time()
    try:
        read(piece * (10_000 // len(piece)))
    except PromptError as refusal:
        assert "understood" in str(refusal)
    assert time.process_time() - start < 2.5


def test_a_general_word_is_drawn_as_the_commonest_of_its_kind_and_says_so() -> None:
    (finding,) = read("CT of the chest with an opacity in the left lung").findings
    assert finding.drawn
    assert finding.why_not == "drawn as ground-glass opacity"
    (asked,) = read("CT of the chest with an opacity in the left lung").request.findings
    assert (asked.kind, asked.side) == ("ground-glass opacity", "left")
