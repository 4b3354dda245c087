"""Facts that a report says: flags of findings become columns and facts of a prepared patient."""

from __future__ import annotations

import numpy as np
import pytest

from synth.data.said import said_in
from synth.regions.region import Region, parse

REGION = """
name: thorax
frame: {shape: [8, 8, 4], lower_mm: [-64, -64, -32]}
anchor: {lungs: middle}
organs: [spleen]
symmetric: false
facts:
  effusion: {said: {finding: effusion}, centre: 0, scale: 1}
  lung_nodule: {said: {finding: nodule, organ: lung}, centre: 0, scale: 1}
  hernia: {said: {finding: hiatal hernia}, centre: 0, scale: 1}
"""
EFFUSION, NODULE, HERNIA = "report: effusion", "report: nodule in lung", "report: hiatal hernia"


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("Small left effusion. No nodule.", {EFFUSION: "1", NODULE: "0", HERNIA: "0"}),
        ("No effusion. 8 mm nodule in the right upper lobe.", {EFFUSION: "0", NODULE: "1", HERNIA: "0"}),
        ("A nodule of the thyroid. Hiatal hernia.", {EFFUSION: "0", NODULE: "0", HERNIA: "1"}),
        ("Possible effusion.", {NODULE: "0", HERNIA: "0"}),
        ("The effusion has resolved.", {EFFUSION: "0", NODULE: "0", HERNIA: "0"}),
        ("", {}),
        ("Kein Nachweis von Pleuraerguss oder Rundherd der Lunge links.", {}),
    ],
)
def test_flags_of_a_report(report: str, expected: dict[str, str]) -> None:
    assert said_in(report, parse(REGION)) == expected


def test_a_region_that_does_not_ask_gets_nothing() -> None:
    assert said_in("Small effusion.", parse(REGION[: REGION.index("facts:")])) == {}


def test_the_flag_is_a_fact() -> None:
    region = parse(REGION)
    facts = _measured(region, said_in("No effusion. 8 mm nodule in the left lung.", region))
    assert facts == {"effusion": 0.0, "lung_nodule": 1.0, "hernia": 0.0}
    assert _measured(region, {}) == {}


def _measured(region: Region, columns: dict[str, str]) -> dict[str, float]:
    hu = np.zeros(region.frame.shape_at(4.0), np.int16)
    organs = np.zeros_like(hu, np.uint8)
    return dict(region.measure(region.placed(hu, region.frame.affine_at(4.0), organs, organs, (), columns)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("finding: effusion", "finding: hiccup", "'hiccup' is no finding"),
        ("organ: lung", "organ: lunge", "'lunge' is no organ"),
    ],
)
def test_an_unknown_word_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(REGION.replace(old, new))
