"""Tables load, and say the same things about the same closed sets."""

import re
import subprocess
import sys

import pytest

from prompts import lexer
from prompts.phrases import load
from prompts.sampler import SETS
from prompts.vocabulary import (
    EXTENT_LANDMARKS,
    HOME_REGION,
    INSERTABLE_ORGANS,
    REGION_ORGANS,
    Density,
    Dose,
    Extent,
    FindingKind,
    Habitus,
    Heterogeneity,
    Invasion,
    Organ,
    Pattern,
    Phase,
    Region,
    Segment,
    Severity,
    Sex,
    Shape,
    Side,
    Surface,
    Texture,
    structures_of,
)

CLOSED = {
    "region": Region,
    "phase": Phase,
    "sex": Sex,
    "habitus": Habitus,
    "extent": Extent,
    "shape": Shape,
    "density": Density,
    "heterogeneity": Heterogeneity,
    "surface": Surface,
    "invasion": Invasion,
    "texture": Texture,
    "kind": FindingKind,
    "pattern": Pattern,
    "severity": Severity,
}


@pytest.mark.parametrize("field", CLOSED)
def test_every_value_can_be_written_and_read(field: str) -> None:
    values = [str(v) for v in CLOSED[field]]
    assert sorted(load("phrases.yaml")[field]) == sorted(values)
    table = load("lexicon.yaml")
    named = {entry["means"][field] for entry in table["compounds"] if field in entry["means"]}  # "effusion" has a place
    assert sorted({*table["fields"][field], *named}) == sorted(values)


def test_lexicon_names_known_values_only() -> None:
    table = load("lexicon.yaml")
    known = {**CLOSED, "organ": Organ, "side": Side, "segment": Segment}
    for entry in table["compounds"]:
        for field, value in entry["means"].items():
            assert str(value) in list(known[field]), entry
    assert sorted(table["dose"]) == [str(int(d)) for d in Dose]


def test_each_region_has_organs_and_each_organ_a_region() -> None:
    assert set(REGION_ORGANS) == set(Region)
    assert set(EXTENT_LANDMARKS) == set(Extent)
    for organ in Organ:
        assert organ in REGION_ORGANS[HOME_REGION[organ]]
    assert set(INSERTABLE_ORGANS) <= set(Organ)


def test_enums_are_closed() -> None:
    with pytest.raises(ValueError, match="spork"):
        Organ("spork")
    with pytest.raises(ValueError, match="60"):
        Dose(60)


@pytest.mark.parametrize("name", sorted(load("lexicon.yaml")["absent"]))
def test_a_finding_that_is_ruled_out_keeps_its_name(name: str) -> None:
    assert lexer.ruled_out(f"no {name}") == (name,)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("sarcoidosis", True), ("lymphoma", True), ("pancreatitis", True), ("shoulder", False), ("woman", False)],
)
def test_disease_names_are_told_by_their_ending(word: str, expected: bool) -> None:
    assert lexer.looks_like_a_finding(word) is expected


@pytest.mark.parametrize(
    ("organ", "side", "segment", "expected"),
    [
        (Organ.LUNG, Side.RIGHT, Segment.UPPER, ("lung_upper_lobe_right",)),
        (Organ.LUNG, None, Segment.MIDDLE, ("lung_middle_lobe_right",)),
        (Organ.LUNG, Side.LEFT, None, ("lung_upper_lobe_left", "lung_lower_lobe_left")),
        (Organ.KIDNEY, Side.BILATERAL, None, ("kidney_right", "kidney_left")),
        (Organ.KIDNEY, Side.LEFT, Segment.LOWER, ("kidney_left",)),
        (Organ.LIVER, None, Segment.S6, ("liver",)),
        (Organ.BLADDER, None, None, ("urinary_bladder",)),
        (Organ.PLEURA, Side.LEFT, None, ("lung_upper_lobe_left", "lung_lower_lobe_left")),
        (Organ.MEDIASTINUM, None, None, ("mediastinal_fat",)),
    ],
)
def test_structures(organ: Organ, side: Side | None, segment: Segment | None, expected: tuple[str, ...]) -> None:
    assert structures_of(organ, side, segment) == expected


def test_structures_stand_in_the_label_table() -> None:
    from synth.labels import ids
    from synth.lesions.spaces import SPACES

    for organ in Organ:
        assert set(structures_of(organ)) <= {*ids(), *SPACES}, organ


@pytest.mark.parametrize("name", SETS)
def test_sets_use_known_words(name: str) -> None:
    table = load(f"sets/{name}.yaml")
    for field in ("region", "phase", "sex", "habitus", "extent"):
        values = set(table.get(field, {})) - {"unsaid"}
        assert values <= {str(v) for v in CLOSED[field]}
    for organ in table.get("findings", {}).get("organ", {}):
        assert organ in INSERTABLE_ORGANS
        for kind in table["findings"][organ]["kind"]:
            assert kind in list(FindingKind)


def test_no_heavy_import() -> None:
    code = "import sys, prompts, prompts.report, prompts.sampler; print(sorted(m for m in sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'prompts.report'" in modules
    assert not re.search(r"'(torch|synth|numpy|transformers)[.']", modules)
