"""Bones and muscles that have names: which is said is which is asked for, and what is said beside it is told."""

from __future__ import annotations

import pytest

from prompts import read
from prompts.request import FindingRequest
from prompts.vocabulary import SEGMENTS, FindingKind, Organ, Side, structures_of
from synth.volumes.labels import ids

Row = tuple[str | None, str | None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CT chest with a 2 cm metastasis in the sternum", [(None, "sternum")]),
        ("CT chest: lytic lesion of the left 6th rib", [("left", "rib 6")]),
        ("CT chest: lytic lesion of the right rib 11", [("right", "rib 11")]),
        ("CT chest: T8 vertebral body metastasis, 2 cm", [(None, "T8")]),
        ("CT abdomen, 2 cm met in a lumbar vertebra", [(None, "lumbar spine")]),
        ("CT abdomen with a 3 cm lesion in the left iliac bone", [("left", "hip")]),
        ("CT abdomen, 4 cm sarcoma of the right psoas", [("right", "psoas")]),
        ("CT chest, bone metastases in T4, T7 and the sternum", [(None, "T4"), (None, "T7"), (None, "sternum")]),
        ("CT of the chest, three sclerotic metastases in T7, T9 and L2", [(None, "T7"), (None, "T9"), (None, "L2")]),
    ],
)
def test_which_bone(text: str, expected: list[Row]) -> None:
    assert [(f.side, f.segment) for f in read(text).request.findings] == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CT chest, 2 cm lesion in the skull", "'skull' is not drawn"),
        ("CT chest, 1 cm met on the left of T9", "side 'left' is not drawn"),
        ("CT chest, 8 mm nodule in the apical segment of the right upper lobe", "'apical' is not drawn"),
        ("CT chest with a cavitary 3 cm mass in the right upper lobe", "a cavity is not drawn"),
        ("CT chest, loculated right pleural effusion", "loculation is not drawn"),
        ("CT abdomen, 3 cm cyst of the left kidney, Bosniak 2", "Bosniak 2 is not drawn"),
    ],
)
def test_what_changes_nothing_in_the_drawing_is_said(text: str, words: str) -> None:
    (finding,) = read(text).drawn
    assert words in finding.why_not


@pytest.mark.parametrize("organ", [Organ.BONE, Organ.MUSCLE])
def test_every_named_part_is_a_label_of_its_organ(organ: Organ) -> None:
    for segment in SEGMENTS[organ]:
        names = structures_of(organ, None, segment)
        assert names
        assert set(names) <= {*ids()} & set(structures_of(organ)), segment


def test_a_side_takes_one_of_a_pair() -> None:
    left = structures_of(Organ.BONE, Side.LEFT, SEGMENTS[Organ.BONE][-1])
    assert left == ("rib_left_12",)
    with pytest.raises(ValueError, match="it lies in the midline"):
        FindingRequest(kind=FindingKind.METASTASIS, organ=Organ.BONE, side=Side.LEFT, segment="L3")


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("a 2 cm metastasis in the left 5th rib", "chest"),
        ("sternal metastasis", "chest"),
        ("compression fracture of L2", "abdomen"),
        ("a 3 cm lesion in the right iliac bone", "pelvis"),
        ("lytic lesion in C4", "head_neck"),
    ],
)
def test_a_named_bone_tells_the_region(text: str, region: str) -> None:
    assert read(text).region == region


def test_every_bone_of_a_list_is_told() -> None:
    told = read("CT chest, bone metastases in the sternum, ribs and T5").request.findings
    assert {f.segment for f in told} == {"sternum", "rib", "T5"}


def test_a_bone_that_no_fracture_is_drawn_in_is_noted() -> None:
    (finding,) = read("CT chest with a fracture of the left clavicle").findings
    assert not finding.drawn and finding.why_not == "fracture of the clavicle is not drawn yet"
    (finding,) = read("CT chest with a fracture of the left 7th rib").findings
    assert finding.drawn
