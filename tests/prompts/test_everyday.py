"""Everyday prompts, dictation and reports of several schools: units, lists, headings, names that come later."""

from __future__ import annotations

import pytest

from prompts import Finding, read
from prompts.errors import PromptError


def present(text: str) -> list[Finding]:
    return [f for f in read(text).findings if f.status == "present"]


Row = tuple[str, str | None, str | None, str | None, float | None, int | str | None]  # kind organ side part mm count


def rows(text: str) -> list[Row]:
    return [(f.kind, f.organ, f.side, f.part, max(f.size_mm) if f.size_mm else None, f.count) for f in present(text)]


NODE, MEDIASTINUM = "lymph node", "mediastinum"


@pytest.mark.parametrize(
    ("text", "mm"),
    [
        ("3/4 inch nodule in the RML", 19.05),
        ("1 1/2 in. mass in the RUL", 38.1),
        ("nodule RUL, 0.4 in.", 10.16),
        ("7000 µm nodule in the LLL", 7),
        ("7000 μm nodule in the LLL", 7),
        ("1. 9 mm nodule in the RUL", 9),
        ("Impression: 1. 2 x 3 cm mass in the RUL", 30),
        ("lesion of 3.4 cm in segment 2. 9 mm cyst in the spleen", 34),
    ],
)
def test_units_and_numbers_of_a_list(text: str, mm: float) -> None:
    found = read(text)
    assert found.findings[0].size_mm is not None
    assert max(found.findings[0].size_mm) == pytest.approx(mm)
    assert not found.ignored


def test_numbers_that_are_no_counts_or_ages() -> None:
    assert rows("smoker of 30 pack-years, CT chest: 8 mm RUL nodule") == [("nodule", "lung", "right", "upper", 8, 1)]
    assert read("57 years, male, 20 py, CT chest, 8 mm nodule").request.age == 57
    assert rows("left breast mass at the 2 o'clock position, 18 mm") == [("mass", "breast", "left", None, 18, 1)]
    assert rows("left axillary nodes, 3 in number, the largest 15 mm") == [(NODE, "axilla", "left", None, 15, 3)]
    assert rows("20 scans, each with one 8 mm nodule in the LUL") == [("nodule", "lung", "left", "upper", 8, 1)]
    child = read("child 4 yrs, neuroblastoma of the left adrenal 6 cm")
    assert child.request.age == 4 and "stage" not in child.findings[0].attributes
    assert read("cirrhosis Child B").findings[0].attributes["stage"] == "Child B"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L ribs 3-5 fx", [("fracture", "bone", "left", None, None, 3)]),
        ("compression fracture of T11 and L2", [("fracture", "bone", None, None, None, 2)]),
        ("old fracture of the left rib (7th)", [("fracture", "bone", "left", "rib 7", None, 1)]),
        ("R level III node 19 mm", [(NODE, "neck", "right", None, 19, 1)]),
        ("b/l renal cyst", [("cyst", "kidney", "bilateral", None, None, "several")]),
        ("8 mm nodule in the lungs", [("nodule", "lung", None, None, 8, 1)]),
        ("thyroid incidentaloma right lobe 12 mm", [("nodule", "thyroid", "right", None, 12, 1)]),
        ("left common iliac aneurysm 31 mm", [("aneurysm", "iliac artery", "left", None, 31, 1)]),
        ("2 cm mass of the right base of tongue", [("mass", "pharynx", "right", None, 20, 1)]),
        ("mass in the RLL reaching the pleura, 41 mm", [("mass", "lung", "right", "lower", 41, 1)]),
        (
            "Dissection from the left subclavian to the renal arteries with a thrombosed false lumen",
            [("dissection", "aorta", None, None, None, 1), ("thrombosis", "aorta", None, None, None, 1)],
        ),
        (
            "metastases in liver (x4, up to 3 cm), lung (x2, 7 mm and 1.2 cm) and R adrenal 2 cm",
            [
                ("metastasis", "liver", None, None, 30, 4),
                ("metastasis", "lung", None, None, 7, 1),
                ("metastasis", "lung", None, None, 12, 1),
                ("metastasis", "adrenal", "right", None, 20, 1),
            ],
        ),
        (
            "b/l nephrolithiasis, largest 8 mm lt upper pole, bladder stone 15 mm",
            [("stone", "kidney", "bilateral", None, 8, "several"), ("stone", "bladder", None, None, 15, 1)],
        ),
        (
            "Umbilical hernia and bilateral inguinal hernias.",
            [
                ("hernia", "abdominal wall", None, None, None, 1),
                ("hernia", "abdominal wall", "bilateral", None, None, "several"),
            ],
        ),
        (
            "Several gallstones, the larger one 9 mm.",
            [("stone", "gallbladder", None, None, 9, "several")],
        ),
        (
            "Left lower lobe collapse with scarring, bronchiectasis and calcified nodules.",
            [
                ("atelectasis", "lung", "left", "lower", None, 1),
                ("fibrotic sequela", "lung", "left", "lower", None, 1),
                ("bronchiectasis", "lung", "left", "lower", None, 1),
                ("nodule", "lung", "left", "lower", None, "several"),
            ],
        ),
        ("5 cm thick-walled collection in the right iliac fossa, consistent with abscess.",
         [("abscess", "peritoneum", "right", None, 50, 1)]),
    ],
)  # fmt: skip
def test_what_is_where_and_how_many(text: str, expected: list[Row]) -> None:
    assert rows(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Left kidney: 8 mm calculus. Two tiny cysts. 15 mm lesion in the mid pole.\nRight kidney: normal.",
            [
                ("stone", "kidney", "left", None, 8, 1),
                ("cyst", "kidney", "left", None, None, 2),
                ("lesion", "kidney", "left", "interpolar", 15, 1),
            ],
        ),
        ("Right kidney: 2 cm cyst. Gallstones.",
         [("cyst", "kidney", "right", None, 20, 1), ("stone", "gallbladder", None, None, None, "several")]),
        (
            "33 mm mass in the right upper lobe. Two satellite nodules in the same lobe of 5 and 8 mm.",
            [
                ("mass", "lung", "right", "upper", 33, 1),
                ("nodule", "lung", "right", "upper", 5, 1),
                ("nodule", "lung", "right", "upper", 8, 1),
            ],
        ),
        (
            "Findings: 31 mm mass in the pancreatic body.\nImpression: Pancreatic adenocarcinoma.",
            [("tumour", "pancreas", None, "body", 31, 1)],
        ),
        (
            "Findings: 18 mm lesion in segment 3 and 25 mm lesion in segment 8 of the liver.\n"
            "Impression: Two liver lesions, likely metastases.",
            [("metastasis", "liver", None, "3", 18, 1), ("metastasis", "liver", None, "8", 25, 1)],
        ),
        ("3.1 cm hypodensity in segment 5 is new and concerning for metastasis.",
         [("metastasis", "liver", None, "5", 31, 1)]),
        ("The small hypodensity of the left kidney is too small to characterize but likely a cyst.",
         [("cyst", "kidney", "left", None, None, 1)]),
        ("Segment 4: 26 mm lesion with peripheral enhancement, typical haemangioma.",
         [("hemangioma", "liver", None, "4", 26, 1)]),
        ("Wall thickening of the ascending colon in keeping with tumour.",
         [("tumour", "colorectum", None, "ascending", None, 1)]),
        ("Patchy GGO. Viral pneumonia (COVID-19) is considered.",
         [("ground-glass opacity", "lung", None, None, None, 1)]),
        ("3 cm left lower lobe opacity, infarct versus pneumonia.", [("lung opacity", "lung", "left", "lower", 30, 1)]),
        ("Adjacent sigmoid colon wall thickening.", [("wall thickening", "colorectum", None, "sigmoid", None, 1)]),
        ("Pulmonary emboli on the left. Unchanged 7 mm nodule.",
         [("pulmonary embolism", "pulmonary artery", "left", None, None, "several"),
          ("nodule", "lung", None, None, 7, 1)]),
        ("Aneurysm of the abdominal aorta, 47 mm in diameter, with a length of 7 cm.",
         [("aneurysm", "aorta", None, None, 47, 1)]),
    ],
)  # fmt: skip
def test_what_a_report_says_later(text: str, expected: list[Row]) -> None:
    assert rows(text) == expected


def test_each_level_has_its_share() -> None:
    for text in ("T12 and L2 compression fractures with 30% and 50% height loss",
                 "30% loss of height of T12 and 50% of L2"):  # fmt: skip
        assert [(f.part, f.attributes["share"]) for f in present(text)] == [("T12", 0.3), ("L2", 0.5)]


def test_dictation_has_its_headings_in_the_middle_of_it() -> None:
    text = (
        "REASON: cough\nfindings bronchiectasis in the right middle lobe no consolidation heart normal no effusion no"
        " pneumothorax impression emphysema"
    )
    assert [r[:4] for r in rows(text)] == [
        ("bronchiectasis", "lung", "right", "middle"),
        ("emphysema", "lung", None, None),
    ]
    noun = present("There is mass impression on the bladder. The findings are in keeping with a 3 cm prostate cancer.")
    assert [f.kind for f in noun] == ["mass", "tumour"]


def test_what_is_not_new_is_there() -> None:
    assert rows("The nodules of both lungs are stable, and no newly developed nodule was observed.") == [
        ("nodule", "lung", "bilateral", None, None, "several")
    ]
    with pytest.raises(PromptError, match="asked for and ruled out"):
        read("8 mm lung nodule, no lung nodule")


def test_no_fluid_on_the_other_side_is_of_the_same_space() -> None:
    found = read("Free fluid is seen in the left pleural space, and no fluid was detected on the right.").findings
    assert [(f.kind, f.side, f.status) for f in found] == [
        ("effusion", "left", "present"),
        ("effusion", "right", "absent"),
    ]


def test_well_distended_is_normal() -> None:
    found = read("The gallbladder is well distended and shows calculi. The bladder is partially distended.").findings
    assert [f.kind for f in found if f.status == "present"] == ["stone"]


def test_abbreviations() -> None:
    text = (
        "pericardial eff, bilat pleural effs, pulm edema, panc head mass 3 cm, dilated CBD and PD, degen changes L4-5"
    )
    assert [f.kind for f in present(text)] == [
        *("pericardial effusion", "effusion", "pulmonary edema", "mass", "bile duct dilatation"),
        *("pancreatic duct dilatation", "degenerative change"),
    ]
    assert [f.kind for f in present("liver lac. Hypodense area in the left MCA territory s/o infarct.")] == [
        *("laceration", "infarct"),
    ]


def test_devices() -> None:
    found = present("Lines/tubes: Endotracheal tube tip 5 cm above the carina. Dual lead pacemaker. TIPS shunt.")
    assert [(f.attributes["device"], f.count) for f in found] == [("tube", 1), ("pacemaker", 1), ("implant", 1)]
    implant = present("Bones: normal. Right breast implant.")
    assert [(f.kind, f.organ, f.side) for f in implant] == [("medical material", "breast", "right")]
    assert present("Chest tube with its tip in the right apex.")[0].side == "right"


def test_sinuses() -> None:
    text = "Opacification of the left maxillary sinus. Right maxillary retention cyst, 9 mm."
    assert rows(text) == [
        ("sinusitis", "pharynx", "left", None, None, 1),
        ("cyst", "pharynx", "right", None, 9, 1),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ca. 3.1 cm mass in the LUL", [("mass", "lung", "left", "upper", 31, 1)]),
        ("right tonsil ca 2 cm", [("tumour", "pharynx", "right", None, 20, 1)]),
        ("renal cysts upto 4cms on the left", [("cyst", "kidney", "left", None, 40, "several")]),
        ("3 rib fractures on the right", [("fracture", "bone", "right", None, None, 3)]),
        ("effusion, 3 rib fractures on the right",
         [("effusion", "pleura", None, None, None, 1), ("fracture", "bone", "right", None, None, 3)]),
        ("cystic fibrosis: bronchiectasis", [("bronchiectasis", "lung", None, None, None, 1)]),
        ("LUL mass with cavitation", [("mass", "lung", "left", "upper", None, 1)]),
        ("The right-sided arteries opacify normally.", []),
        ("The consolidation in the right upper lobe has resolved, leaving minimal scarring.",
         [("fibrotic sequela", "lung", "right", "upper", None, 1)]),
        ("Left nephrolithiasis measuring up to 7 mm.", [("stone", "kidney", "left", None, 7, "several")]),
        ("Right hydronephrosis with an 8 mm calculus at L4 level in the ureter.",
         [("hydronephrosis", "kidney", "right", None, None, 1), ("stone", "ureter", "right", None, 8, 1)]),
        ("Obstruction of the left lower lobe bronchus.", [("airway stenosis", "lung", "left", "lower", None, 1)]),
        ("Lymph nodes: subcarinal 21 mm, right hilar 17 mm, left paratracheal 9 mm.",
         [(NODE, MEDIASTINUM, None, None, 21, 1), (NODE, MEDIASTINUM, "right", None, 17, 1),
          (NODE, MEDIASTINUM, "left", None, 9, 1)]),
        ("Subarachnoid hemorrhage in the right sylvian fissure.", [("hematoma", "brain", "right", None, None, 1)]),
        ("Fluid in the left mastoid air cells.", [("sinusitis", "pharynx", "left", None, None, 1)]),
        ("Lungs and airways: Left upper lobe nodule measures 7 mm.\nImpression: Left upper lobe nodule.",
         [("nodule", "lung", "left", "upper", 7, 1)]),
        ("Sigmoid diverticulosis with wall thickening.",
         [("diverticulosis", "colorectum", None, "sigmoid", None, 1),
          ("wall thickening", "colorectum", None, "sigmoid", None, 1)]),
        ("Findings: 3.2 x 2 cm fluid collection.\nImpression: Abscess.", [("abscess", None, None, None, 32, 1)]),
        ("Left kidney displaced with mild hydronephrosis.", [("hydronephrosis", "kidney", "left", None, None, 1)]),
        ("thickened jejunum, 2 interloop abscesses",
         [("wall thickening", "bowel", None, None, None, 1), ("abscess", "peritoneum", None, None, None, 2)]),
        ("Double duct sign: CBD 14 mm, pancreatic duct 6 mm.",
         [("bile duct dilatation", "bile duct", None, None, 14, 1),
          ("pancreatic duct dilatation", "pancreas", None, None, None, 1)]),
        ("Left internal carotid stenosis with calcified plaque.",
         [("stenosis", "carotid artery", "left", None, None, 1),
          ("arterial wall calcification", "carotid artery", "left", None, None, 1)]),
    ],
)  # fmt: skip
def test_slips_that_put_a_finding_elsewhere(text: str, expected: list[Row]) -> None:
    assert rows(text) == expected


def test_ages_in_words_and_the_scan_behind_the_reason() -> None:
    case = read("seventy-two year old woman, CT chest, 8 mm RUL nodule").request
    assert (case.age, case.sex) == (72, "female")
    head = read("Reason: fall. CT brain without contrast. Thin right subdural hematoma.")
    assert (head.region, head.request.phase) == ("head", "non_contrast")


def test_ribs_are_in_the_chest() -> None:
    for text in (
        "healed fractures of right ribs 6 to 8",
        "3 rib fractures on the left",
        "left 9th and 10th rib fractures",
    ):
        assert read(text).region == "chest"


def test_characters() -> None:
    for text, mm in (("1\u00bd cm nodule RUL", 15), ("\u00bd inch nodule RUL", 12.7), ("1 1/2 cm nodule RUL", 15)):
        assert [row[4] for row in rows(text)] == [pytest.approx(mm)]
    for space in ("\u202f", " "):
        assert present(f"right effusion 1{space}500 mL")[0].attributes["volume_ml"] == 1500


@pytest.mark.parametrize("said", ["possible PE", "?PE", "possible infiltrate in the RLL"])
def test_what_is_possible_behind_a_negation_is_possible(said: str) -> None:
    assert [f.status for f in read(f"no effusion, {said}").findings] == ["absent", "possible"]


def test_the_line_says_all() -> None:
    line = read("CT chest, 8 mm nodule RUL, pacemaker on the left, no effusion, r/o PE, spork").line()
    said = ("8 mm nodule in the right upper lobe", "pacemaker on the left", "(only possible)", "ruled out: effusion")
    for words in (*said, "not understood: 'spork'"):
        assert words in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Examination: CT abdomen. Gallstones. Enlarged retrocaval node.",
         [("stone", "gallbladder", None, None, None, "several"), (NODE, "retroperitoneum", None, None, None, 1)]),
        ("Comparison: CT of 2020. 8 mm nodule in the RUL.", [("nodule", "lung", "right", "upper", 8, 1)]),
        ("Follow-up: new 7 mm nodule in the LUL.", [("nodule", "lung", "left", "upper", 7, 1)]),
        ("Technique: CT chest with contrast. The images were reviewed for PE.\nImpression: 8 mm nodule RUL.",
         [("nodule", "lung", "right", "upper", 8, 1)]),
        ("Findings: 8 mm nodule RUL.\nFollow-up: CT in 3 months for metastasis.",
         [("nodule", "lung", "right", "upper", 8, 1)]),
        ("There is a small pericardial effusion and the lungs are clear.",
         [("pericardial effusion", "pericardium", None, None, None, 1)]),
        ("the liver shows metastases the adrenals are normal", [("metastasis", "liver", None, None, None, "several")]),
        ("Right renal pelvis filling defect of 12 mm.", [("lesion", "kidney", "right", None, 12, 1)]),
        ("Filling defect in the right pulmonary artery.",
         [("pulmonary embolism", "pulmonary artery", "right", None, None, 1)]),
        ("3 HCCs (2, 3 and 5 cm) cirrhosis, PV thrombus",
         [("tumour", "liver", None, None, 20, 1), ("tumour", "liver", None, None, 30, 1),
          ("tumour", "liver", None, None, 50, 1), ("cirrhosis", "liver", None, None, None, None),
          ("thrombosis", "vessel", None, None, None, 1)]),
        ("lung masses 4cm R and 3cm L",
         [("mass", "lung", "right", None, 40, 1), ("mass", "lung", "left", None, 30, 1)]),
        ("bladder wall thickened + 3 cm mass of the rectum",
         [("wall thickening", "bladder", None, None, None, 1), ("mass", "colorectum", None, "rectum", 30, 1)]),
        ("Rectum: mass 5 cm. Perirectal nodes.",
         [("mass", "colorectum", None, "rectum", 50, 1), (NODE, "retroperitoneum", None, "rectum", None, "several")]),
        ("Sequelae of pulmonary tuberculosis in the right apex.",
         [("fibrotic sequela", "lung", "right", "upper", None, "several")]),
    ],
)  # fmt: skip
def test_nothing_is_swallowed(text: str, expected: list[Row]) -> None:
    assert rows(text) == expected
