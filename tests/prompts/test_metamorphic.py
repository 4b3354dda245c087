"""What must not change the meaning of a text, and what must change it in one way: case, layout, dashes, sides, "no"."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

import pytest

from prompts import Finding, read
from prompts.lexicon import kinds

TEXTS = (
    "A 9 mm spiculated nodule is seen in the left upper lobe, with a small right pleural effusion.",
    "Multiple cysts in both kidneys, the largest measuring 41 mm in the lower pole of the right kidney.",
    "Mass of the pancreatic head, 32 x 28 mm, and two liver metastases: segment 4 (14 mm) and segment 8 (21 mm).",
    "No pneumothorax or consolidation. Emphysema in the upper lobes of both lungs. Lymph node station 4R, 14 mm.",
    "CT of the chest: 12 mm ground-glass nodule RUL, 5 mm solid nodule LLL; coronary calcification, hiatal hernia.",
    "Liver: 3 cm hypodense lesion in segment VI, likely a simple cyst. Kidneys: 6 mm stone in the left lower pole.",
    "Target lesions: 1. Right adrenal 24 mm (was 20 mm). 2. Left lower lobe 18 mm (was 22 mm).",
    "Known rectal cancer 4.5 cm; mesorectal node 11 mm; no liver lesion; left-sided hydronephrosis due to a stone.",
    "left lower lobe mass 5 cm right adrenal nodule 2 cm small pericardial effusion",
    "Ascites and splenomegaly. Aortic aneurysm of 58 mm with mural thrombus. Old fractures of left 5th and 6th ribs.",
)
Row = tuple[str, ...]


def rows(text: str) -> list[Row]:
    return sorted(_row(f) for f in read(text).findings)


def _row(f: Finding) -> Row:
    return (f.status, f.kind, *map(str, (f.organ, f.side, f.part, f.size_mm, f.count)))


SAME: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "lower case": str.lower,
    "hyphens that are not ASCII": lambda text: text.replace("-", "\u2011"),
    "blanks that do not break": lambda text: text.replace(" ", "\u00a0"),
    "many blanks": lambda text: f"  {text.replace(' ', '   ')} ",
    "a sentence a line": lambda text: re.sub(r"(?<=[a-z)])\. (?=[A-Z])", ".\n", text),
    "lines of 60": lambda text: "\n".join(textwrap.wrap(text, 60, break_on_hyphens=False)),
    "no full stop": lambda text: text.rstrip("."),
    "blanks for hyphens": lambda text: re.sub(r"(?<=[a-z])-(?=[a-z])", " ", text),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("change", SAME)
def test_what_changes_no_meaning(change: str, text: str) -> None:
    changed = SAME[change](text)
    assert rows(changed) == rows(text), changed


@pytest.mark.parametrize(
    "text",
    [
        "Lesions of the liver with a diameter of/13 mm in segment/8 and a hemangioma of/2 cm in segment/V.",
        "Lung nodules in both lungs, the largest measures/7 x 5 mm and is in the right lower lobe.",
        "8 mm nodule (right/Lung) and a small effusion on the/Left",
    ],
)
def test_a_line_that_was_only_wrapped_goes_on(text: str) -> None:
    assert rows(text.replace("/", "\n")) == rows(text.replace("/", " "))
    assert len(rows("8 mm nodule RUL\n5 mm nodule LLL\nSmall effusion on the left")) == 3


_OTHER = {"left": "right", "right": "left", "rul": "lul", "lul": "rul", "rll": "lll", "lll": "rll", "4r": "4l"}


@pytest.mark.parametrize("text", [t for t in TEXTS if "segment" not in t])
def test_a_mirrored_text_is_read_mirrored(text: str) -> None:
    mirrored = re.sub(r"\b(left|right|RUL|LUL|RLL|LLL|4R)\b", lambda m: _OTHER[m[0].lower()], text, flags=re.IGNORECASE)
    back = sorted((*r[:3], _OTHER.get(r[3], r[3]), *r[4:]) for r in rows(mirrored))
    assert back == rows(text) and mirrored != text


_NAMED = sorted(
    name for name, kind in kinds().items() if not (kind.device or kind.history or kind.needs_place or kind.generic)
)


@pytest.mark.parametrize("kind", _NAMED)
def test_no_before_a_finding_rules_it_out(kind: str) -> None:
    plain = [f.kind for f in read(f"chest CT, {kind}").findings if f.status == "present"]
    ruled_out = read(f"chest CT, no {kind}").findings
    assert plain, f"'{kind}' names no finding"
    assert [f.status for f in ruled_out] == ["absent"] * len(ruled_out) and ruled_out


@pytest.mark.parametrize("number", [*range(1, 4), *range(6, 11)])
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_segment_of_a_lung_in_every_notation(number: int, side: str) -> None:
    letter, lobe = side[0].upper(), "upper" if number < 4 else "lower"
    for where in (
        f"in segment {number} of the {side} lung",
        f"in the {side} lung (S{number})",
        f"in {side} S{number}",
        f"in the lung, {letter}B{number}",
    ):
        (found,) = read(f"8 mm nodule {where}").findings
        assert (found.organ, found.side, found.part) == ("lung", side, lobe), where


@pytest.mark.parametrize(
    ("number", "roman"), list(enumerate(["I", "II", "III", "IV", "V", "VI", "VII", "VIII"], start=1))
)
def test_a_segment_of_the_liver_in_every_notation(number: int, roman: str) -> None:
    word = ["one", "two", "three", "four", "five", "six", "seven", "eight"][number - 1]
    for where in (f"segment {number}", f"segment {roman}", f"S{number}", f"seg. {number}", f"segment {word}"):
        (found,) = read(f"2 cm liver lesion, {where}").findings
        assert (found.organ, found.part, found.size_mm) == ("liver", str(number), (20.0,)), where


@pytest.mark.parametrize(
    "station", ["1R", "2L", "3A", "4R", "4L", "5", "6", "7", "8", "9", "10R", "11L", "11Rs", "12R", "14L"]
)
def test_a_lymph_node_station_in_every_notation(station: str) -> None:
    side = {"R": "right", "L": "left"}.get(station.rstrip("si")[-1])
    for text in (f"14 mm lymph node station {station}", f"station {station} node 14 mm", f"node in station {station}"):
        (found,) = read(text).findings
        assert (found.kind, found.organ, found.side) == ("lymph node", "mediastinum", side), text
