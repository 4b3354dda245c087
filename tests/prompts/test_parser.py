"""Hand-written prompts with the requests that a reader would make of them."""

import json
from random import Random
from typing import Any

import pytest

from prompts import PromptError, parse, unread


def said(prompt: str) -> dict[str, Any]:
    """What the prompt said: the request as JSON without the prompt and without what is None or empty."""
    everything: dict[str, Any] = json.loads(parse(prompt).model_dump_json(exclude_defaults=True))
    everything.pop("prompt")
    return everything


def nodule(**more: Any) -> dict[str, Any]:
    return {"kind": "nodule", "organ": "lung", **more}


RUL = {"side": "right", "segment": "upper"}
LLL = {"side": "left", "segment": "lower"}

TABLE: list[tuple[str, dict[str, Any]]] = [
    (
        "CT of the head and neck, non-contrast, with a 70 Gy target on the left side",
        {"region": "head_neck", "phase": "non_contrast", "targets": [{"dose_gy": 70, "side": "left"}]},
    ),
    (
        "18 mm spiculated solid nodule in the right upper lobe",
        {"findings": [nodule(**RUL, size_mm=18, spiculated=True, texture="solid")]},
    ),
    (
        "chest CT of a 68-year-old woman with two ground-glass nodules of 9 and 12 mm in the left lower lobe, "
        "no pleural effusion",
        {
            "region": "chest",
            "sex": "female",
            "age": 68,
            "findings": [nodule(**LLL, size_mm=mm, texture="ground-glass") for mm in (9, 12)],
            "absent": ["pleural effusion"],
        },
    ),
    (
        "hypodense 3 cm ill-defined liver tumour in segment 6 and a 15 mm cyst in the left kidney",
        {
            "findings": [
                {
                    "kind": "tumour",
                    "organ": "liver",
                    "segment": "6",
                    "size_mm": 30,
                    "density": "hypodense",
                    "surface": "ill-defined",
                },
                {"kind": "cyst", "organ": "kidney", "side": "left", "size_mm": 15},
            ]
        },
    ),
    ("1.8cm nodule RUL", {"findings": [nodule(**RUL, size_mm=18)]}),
    ("an 18-mm pulmonary nodule", {"findings": [nodule(size_mm=18)]}),
    ("two 9 mm nodules in the right lung", {"findings": [nodule(side="right", size_mm=9, count=2)]}),
    ("multiple 9 mm lung nodules", {"findings": [nodule(size_mm=9, count=None)]}),
    ("bilateral lung nodules", {"findings": [nodule(side="bilateral", count=None)]}),
    ("left and right lung nodules", {"findings": [nodule(side="bilateral", count=None)]}),
    ("9 mm nodule in the lingula", {"findings": [nodule(side="left", segment="upper", size_mm=9)]}),
    ("nodule in the middle lobe", {"findings": [nodule(segment="middle")]}),
    ("GGN in the LLL", {"findings": [nodule(**LLL, texture="ground-glass")]}),
    ("GGO in the LLL", {"findings": [{"kind": "ground-glass opacity", "organ": "lung", **LLL}]}),
    (
        "mild patchy consolidation in 20% of the left lung",
        {
            "findings": [
                {
                    "organ": "lung",
                    "side": "left",
                    "kind": "consolidation",
                    "severity": "mild",
                    "pattern": "patchy",
                    "share": 0.2,
                }
            ]
        },
    ),
    (
        "cardiomegaly with a cardiothoracic ratio of 0.58",
        {"findings": [{"kind": "cardiomegaly", "organ": "heart", "ratio": 0.58}]},
    ),
    (
        "200 mL pericardial effusion",
        {"findings": [{"kind": "pericardial effusion", "organ": "pericardium", "volume_ml": 200.0}]},
    ),
    ("chest CT, 6 mm nodule", {"region": "chest", "findings": [nodule(size_mm=6)]}),
    (
        "Chest CT. There is a 9 mm nodule. It is in the left lower lobe.",
        {"region": "chest", "findings": [nodule(**LLL, size_mm=9)]},
    ),
    (
        "a non-spiculated part-solid nodule in the right lung",
        {"findings": [nodule(side="right", spiculated=False, texture="part-solid")]},
    ),
    ("lobulated pulmonary mass", {"findings": [{"kind": "mass", "organ": "lung", "lobulated": True}]}),
    (
        "2.3 x 1.8 cm HCC in segment VII",
        {"findings": [{"kind": "tumour", "organ": "liver", "segment": "7", "size_mm": 23}]},
    ),
    (
        "hepatic metastases, portal venous phase",
        {"phase": "portal_venous", "findings": [{"kind": "metastasis", "organ": "liver", "count": None}]},
    ),
    (
        "liver cyst, segment IVa, well-defined margin",
        {"findings": [{"kind": "cyst", "organ": "liver", "segment": "4", "surface": "well-defined"}]},
    ),
    (
        "2 cm RCC in the upper pole of the left kidney",
        {"findings": [{"kind": "tumour", "organ": "kidney", "side": "left", "segment": "upper", "size_mm": 20}]},
    ),
    (
        "interpolar renal cyst on the right",
        {"findings": [{"kind": "cyst", "organ": "kidney", "side": "right", "segment": "interpolar"}]},
    ),
    (
        "a heterogeneous mass in the right lobe of the liver with close relationship to adjacent structures",
        {
            "findings": [
                {
                    "kind": "mass",
                    "organ": "liver",
                    "side": "right",
                    "heterogeneity": "heterogeneous",
                    "invasion": "close relationship",
                }
            ]
        },
    ),
    (
        "a tumour in liver segment 6, 3 cm, ill-defined and a 15 mm, well-defined cyst in the left kidney",
        {
            "findings": [
                {"kind": "tumour", "organ": "liver", "segment": "6", "size_mm": 30, "surface": "ill-defined"},
                {"kind": "cyst", "organ": "kidney", "side": "left", "size_mm": 15, "surface": "well-defined"},
            ]
        },
    ),
    (
        "nodule in the left lung and cyst in the right kidney",
        {"findings": [nodule(side="left"), {"kind": "cyst", "organ": "kidney", "side": "right"}]},
    ),
    (
        "left lung nodule, right kidney cyst",
        {"findings": [nodule(side="left"), {"kind": "cyst", "organ": "kidney", "side": "right"}]},
    ),
    ("PTV70", {"targets": [{"dose_gy": 70}]}),
    ("70 Gy", {"targets": [{"dose_gy": 70}]}),
    ("7000 cGy target", {"targets": [{"dose_gy": 70}]}),
    ("planning target volume (PTV) of 63 Gy", {"targets": [{"dose_gy": 63}]}),
    (
        "head and neck CT, unenhanced, PTV70 left 120 mL, PTV56 bilateral, large habitus",
        {
            "region": "head_neck",
            "phase": "non_contrast",
            "habitus": "large",
            "targets": [
                {"dose_gy": 70, "side": "left", "volume_ml": 120},
                {"dose_gy": 56, "side": "bilateral"},
            ],
        },
    ),
    (
        "PTV56/63/70 on the right",
        {"targets": [{"dose_gy": dose, "side": "right"} for dose in (56, 63, 70)]},
    ),
    (
        "targets of 56 and 70 Gy (300 and 90 mL)",
        {"targets": [{"dose_gy": 56, "volume_ml": 300}, {"dose_gy": 70, "volume_ml": 90}]},
    ),
    (
        "high-dose target on the left, elective target on both sides",
        {"targets": [{"dose_gy": 70, "side": "left"}, {"dose_gy": 56, "side": "bilateral"}]},
    ),
    (
        "Neck CT without shoulders, slim build, 63 Gy target in the midline",
        {
            "region": "head_neck",
            "extent": "neck",
            "habitus": "slim",
            "targets": [{"dose_gy": 63, "side": "midline"}],
        },
    ),
    (
        "contrast-enhanced CT of the chest, abdomen and pelvis, male, 54 years",
        {"region": "torso", "phase": "enhanced", "sex": "male", "age": 54},
    ),
    ("low-dose chest CT, 71M", {"region": "chest", "sex": "male", "age": 71}),
    (
        "abdomen and pelvis, late arterial phase, obese",
        {"region": "abdomen_pelvis", "phase": "arterial", "habitus": "large"},
    ),
    ("contrast-enhanced abdominal CT in the venous phase", {"region": "abdomen", "phase": "portal_venous"}),
    ("CT of the liver", {"region": "abdomen"}),
    (
        "chest CT without pneumothorax, pleural effusion or lung nodules",
        {"region": "chest", "absent": ["pneumothorax", "pleural effusion", "lung nodule"]},
    ),
    ("abdominal CT; no sarcoidosis; no ascites", {"region": "abdomen", "absent": ["sarcoidosis", "ascites"]}),
    ("no effusion, 8 mm nodule in the RUL", {"findings": [nodule(**RUL, size_mm=8)], "absent": ["pleural effusion"]}),
    ("CT", {}),
    (
        "a lung nodule beside cyst of the liver",
        {"findings": [nodule(), {"kind": "cyst", "organ": "liver"}]},
    ),
    (
        "a 15 mm nodule and a 20 mm nodule in the right lung",
        {"findings": [nodule(size_mm=15), nodule(size_mm=20, side="right")]},
    ),
    (
        "Liver cyst in segment 4. No ascites.",
        {"findings": [{"kind": "cyst", "organ": "liver", "segment": "4"}], "absent": ["ascites"]},
    ),
    (
        "cyst of the ureter and a nodule in the left lung",
        {"findings": [nodule(side="left")]},
    ),
    ("5-10 mm nodule in the lung", {"findings": [nodule(size_range_mm=[5, 10])]}),
    ("1,8 cm nodule in the lung", {"findings": [nodule(size_mm=18)]}),
    ("8 inch mass in the liver", {"findings": [{"kind": "mass", "organ": "liver", "size_mm": 203.2}]}),
    ("zero lung nodules, chest CT", {"region": "chest", "absent": ["lung nodule"]}),
    ("cyst in the left pancreas", {"findings": [{"kind": "cyst", "organ": "pancreas"}]}),
    (
        "liver metastases in segments V and VII",
        {
            "findings": [
                {"kind": "metastasis", "organ": "liver", "segment": number, "count": None} for number in ("5", "7")
            ]
        },
    ),
    ("chest CT and abdomen CT", {"region": "chest_abdomen"}),
    ("chest CT with pneumoperitoneum", {"region": "chest"}),
    ("chest CT with sarcoidosis", {"region": "chest"}),
    ("chest CT without spork", {"region": "chest"}),
    ("head and neck CT, high-dose", {"region": "head_neck"}),
    ("chest CT, 1 mm slices", {"region": "chest"}),
    (
        "chest CT with a liver cyst of 3 mL",
        {"region": "chest", "findings": [{"kind": "cyst", "organ": "liver", "size_mm": 17.9}]},
    ),
    ("nodule of 8 in the lung", {"findings": [nodule()]}),
    ("a cyst in each kidney", {"findings": [{"kind": "cyst", "organ": "kidney", "side": "bilateral"}]}),
]


@pytest.mark.parametrize(("prompt", "expected"), TABLE, ids=[p for p, _ in TABLE])
def test_prompt_is_read_as_a_reader_would(prompt: str, expected: dict[str, Any]) -> None:
    assert said(prompt) == expected


@pytest.mark.parametrize(("prompt", "expected"), TABLE[:6])
def test_case_and_blanks_do_not_matter(prompt: str, expected: dict[str, Any]) -> None:
    assert said(f"  {prompt.upper()} ".replace(" ", "  ")) == expected
    assert said(prompt.lower()) == expected


REFUSED: list[tuple[str, str]] = [
    ("", "empty"),
    ("  \n ", "empty"),
    ("hello world", "'hello world' is understood"),
    ("8 mm nodule in the spork", "'spork'"),
    ("chest CT with an 8 mm nodule in the spork", "'spork'"),
    ("8 mm nodule", "in which organ"),
    ("-8 mm nodule in the lung", "-8 mm"),
    ("0 mm nodule in the lung", "0 mm"),
    ("900 mm mass in the liver", "900 mm"),
    ("95 cm mass in the liver", "950 mm"),
    ("three lung nodules of 9 and 12 mm", "9 mm and 12 mm"),
    ("nodule in the left middle lobe", "'left middle lobe'"),
    ("nodule in the right lung on the left side", "contradict"),
    ("homogeneous heterogeneous liver mass", "'homogeneous' and 'heterogeneous'"),
    ("cyst in segment 9 of the liver", "segment 9"),
    ("tumour in segment 2 of the right lobe of the liver", "segment 2"),
    ("ground-glass cyst in the kidney", "'ground-glass'"),
    ("head and neck CT with a liver cyst", "'liver'"),
    ("60 Gy target", "60 Gy"),
    ("MRI of the head and neck", "'MRI'"),
    ("planning target volume on the left", "without a dose"),
    ("3 cm 70 Gy target", "30 mm"),
    ("targets of 56 and 70 Gy of 90 mL", "1 volumes for 2 targets"),
    ("70 Gy target of 0 mL", "0 mL"),
    ("head and neck CT of a woman, male", "'woman' and 'male'"),
    ("non-contrast CT in the arterial phase", "contradict"),
    ("head and neck CT, skull base to shoulders, without shoulders", "contradict"),
    ("chest CT without shoulders", "extent 'neck'"),
    ("chest CT of a 168-year-old man", "age 168"),
    ("8 mm nodule in the lung, no lung nodule", "ruled out"),
]


@pytest.mark.parametrize(("prompt", "names"), REFUSED, ids=[p or "(empty)" for p, _ in REFUSED])
def test_what_cannot_be_used_is_refused_in_one_line(prompt: str, names: str) -> None:
    with pytest.raises(PromptError) as refusal:
        parse(prompt)
    message = str(refusal.value)
    assert names in message
    assert "\n" not in message and len(message) < 220


def test_any_words_give_a_request_or_a_refusal() -> None:
    words = [
        "chest",
        "head",
        "and",
        "neck",
        "ct",
        ",",
        ".",
        ";",
        "no",
        "without",
        "with",
        "8",
        "mm",
        "3",
        "cm",
        "-2",
        "70",
        "gy",
        "ptv56",
        "left",
        "right",
        "upper",
        "lobe",
        "middle",
        "segment",
        "vii",
        "9",
        "liver",
        "lung",
        "kidney",
        "nodule",
        "nodules",
        "cyst",
        "target",
        "120",
        "ml",
        "a",
        "two",
        "several",
        "solid",
        "68-year-old",
        "woman",
        "man",
        "effusion",
        "spork",
        "in",
        "the",
        "of",
        "not",
        "high-dose",
        "rul",
        "1,5",
        "(",
        ")",
        "5-10",
        "mm",
        "2",
        "x",
        "3",
        "0",
        "aged",
        "-",
    ]
    outcomes = {"request": 0, "refusal": 0}
    for seed in range(400):
        random = Random(seed)
        prompt = " ".join(random.choices(words, k=random.randint(1, 12)))
        try:
            parse(prompt)
            outcomes["request"] += 1
        except PromptError as refusal:
            assert "\n" not in str(refusal)
            outcomes["refusal"] += 1
    assert min(outcomes.values()) > 20


def test_a_very_long_prompt_is_refused() -> None:
    with pytest.raises(PromptError, match="210000 characters"):
        parse("no " * 70_000)


def test_words_that_change_nothing_are_told() -> None:
    assert unread("chest CT with a shiny 8 mm nodule") == ("shiny",)
    assert unread("CT of the head and neck, non-contrast") == ()


def test_prompt_is_kept() -> None:
    assert parse("PTV70 ").prompt == "PTV70 "


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("bilateral pleural effusions", {"kind": "effusion", "organ": "pleura", "side": "bilateral", "count": None}),
        ("ascites", {"kind": "ascites", "organ": "peritoneum", "count": 1}),
        ("80 mm soft-tissue sarcoma on the left", {"kind": "sarcoma", "organ": "muscle", "side": "left"}),
        ("chest CT with an enlarged lymph node", {"kind": "lymph node", "organ": "mediastinum"}),
        ("12 mm retroperitoneal lymph node", {"kind": "lymph node", "organ": "retroperitoneum", "size_mm": 12}),
        ("lytic bone metastasis", {"kind": "metastasis", "organ": "bone", "density": "hypodense"}),
        ("30 mm rim-enhancing necrotic liver metastasis", {"rim": True, "necrotic": True, "calcified": None}),
        ("calcified lung nodule without necrosis", {"calcified": True, "necrotic": False}),
        ("annular colon carcinoma", {"kind": "tumour", "organ": "colorectum", "shape": "wall thickening"}),
    ],
)
def test_findings_beyond_nodules_and_masses(prompt: str, expected: dict[str, object]) -> None:
    (finding,) = parse(prompt).findings
    assert {field: getattr(finding, field) for field in expected} == expected


def test_what_can_be_drawn_can_still_be_ruled_out() -> None:
    request = parse("chest CT, no pleural effusion, no lymphadenopathy or ascites, 9 mm nodule")
    assert request.absent == ("pleural effusion", "lymphadenopathy", "ascites")
    assert [f.kind for f in request.findings] == ["nodule"]
