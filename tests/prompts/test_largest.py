"""The largest of several: its own length and place, and the others smaller; and how a finding is called."""

from __future__ import annotations

import pytest

from prompts import Finding, read
from prompts.request import FindingRequest

Row = tuple[str | None, str | None, float | None, tuple[float, float] | None, int | None]


def requests(text: str) -> list[Row]:
    def row(f: FindingRequest) -> Row:
        return f.side, f.segment, f.size_mm, f.size_range_mm, f.count

    return [row(f) for f in read(text).request.findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "nodules in both lungs, the largest 9 mm in the left lower lobe",
            [("left", "lower", 9, None, 1), ("bilateral", None, None, (4.5, 8.1), None)],
        ),
        (
            "right kidney: 3 cysts, the largest 40 mm in the lower pole",
            [("right", "lower", 40, None, 1), ("right", None, None, (20, 36), 2)],
        ),
        ("liver: three cysts, up to 2 cm", [(None, None, 20, None, 1), (None, None, None, (10, 18), 2)]),
        (
            "two liver metastases, the largest 3 cm in segment VI",
            [(None, "6", 30, None, 1), (None, None, None, (15, 27), 1)],
        ),
        (
            "two lung nodules, one on each side, the largest 8 mm",
            [("bilateral", None, None, (4, 8), 2)],
        ),
        ("two nodules in both lungs, up to 9 mm", [("bilateral", None, None, (4.5, 9), 2)]),
        ("a lung nodule of up to 9 mm", [(None, None, 9, None, 1)]),
        ("two 9 mm lung nodules", [(None, None, 9, None, 2)]),
    ],
)
def test_the_largest_and_the_others(text: str, expected: list[Row]) -> None:
    assert requests(text) == expected


def test_both_sizes_are_told_as_assumed() -> None:
    assumed = read("CT of the liver with three cysts, up to 2 cm").assumed
    assert assumed["size of 3 cysts up to 20 mm in the liver"] == "20 mm of the largest, 10 to 18 mm of the others"


@pytest.mark.parametrize(
    ("text", "there", "ruled_out"),
    [
        ("chest CT, no lymphadenopathy, old granuloma", {"nodule"}, {"lymph node"}),
        ("no nodule, old rib fracture", {"fracture"}, {"nodule"}),
        ("no effusion, chronic atelectasis", {"atelectasis"}, {"effusion"}),
        ("no pulmonary embolism, stable lung nodule", {"nodule"}, {"pulmonary embolism"}),
        ("no acute or chronic rib fracture", set(), {"fracture"}),
        ("no nodule, old fracture, or effusion", set(), {"nodule", "fracture", "effusion"}),
        ("no mass, nodule, effusion", set(), {"mass", "nodule", "effusion"}),
    ],
)
def test_what_was_there_before_ends_what_is_ruled_out(text: str, there: set[str], ruled_out: set[str]) -> None:
    findings = read(text).findings
    assert {f.kind for f in findings if f.status == "present"} == there
    assert {f.kind for f in findings if f.status == "absent"} == ruled_out


@pytest.mark.parametrize(
    ("finding", "name"),
    [
        (Finding("nodule", "lung", "right", "upper", (18.0,), count=1), "18 mm nodule in the right upper lobe"),
        (Finding("effusion", "pleura", "bilateral", size="small", count="several"),
         "2 small effusions in both pleural spaces"),
        (Finding("metastasis", "liver", part="6", size_mm=(31.0,), count=2, attributes={"size_is": "largest"}),
         "2 metastases up to 31 mm in segment 6 of the liver"),
        (Finding("cyst", "kidney", "left", "lower", (4.0, 9.0), attributes={"size_is": "range"}),
         "4-9 mm cyst in the lower pole of the left kidney"),
        (Finding("opacity", "lung", "bilateral", "lower", count="several"), "several opacities in both lower lobes"),
        (Finding("mass", "bone", "right", "femur", (30.0, 20.0)), "30x20 mm mass in the right femur"),
        (Finding("metastasis", "bone", part="T7", count=1), "metastasis in T7"),
        (Finding("emphysema", "lung", "bilateral", count="several"), "emphysema in both lungs"),
        (Finding("lymph node", "mediastinum", "right", size_mm=(14.0,), count=1, attributes={"segment": "station 4R"}),
         "14 mm lymph node in station 4R of the mediastinum"),
        (Finding("mass"), "mass"),
    ],
)  # fmt: skip
def test_a_finding_has_a_name_as_in_a_report(finding: Finding, name: str) -> None:
    assert finding.named() == name
