"""Tables load, and say the same things about the same closed sets."""

import re
import subprocess
import sys

import pytest

from prompts import asking, lexicon, parse
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


# what can be written and read of each closed set; "lesion" of `kind` is any finding
@pytest.mark.parametrize("field", CLOSED)
def test_every_value_can_be_written_and_read(field: str) -> None:
    values = [str(v) for v in CLOSED[field]]
    assert sorted(load("phrases.yaml")[field]) == sorted(values)
    if field == "kind":
        table = load("words/asked.yaml")
        read = {table["kinds"].get(kind, kind) for kind in lexicon.kinds()} | set(table["devices"].values())
    elif field == "severity":
        read = set(asking._SEVERITY.values())
    elif field == "pattern":
        tables = load("words/attributes.yaml")
        read = {*tables["drawn"]["pattern"], *tables["noted"]["distribution"]}
    elif field in load("words/scan.yaml"):
        read = set(load("words/scan.yaml")[field])
    else:
        read = set(load("words/attributes.yaml")["drawn"][field])
    assert set(values) <= read


def test_lexicon_names_known_values_only() -> None:
    attributes = load("words/attributes.yaml")["drawn"]
    for field in set(CLOSED) & set(attributes) - {"pattern"}:
        assert set(attributes[field]) == {str(v) for v in CLOSED[field]}, field
    places = load("words/places.yaml")
    called = load("words/asked.yaml")["organs"]
    assert set(map(str, Organ)) <= {called.get(organ, organ) for organ in places["organs"]}
    assert set(places["sides"]) == {str(v) for v in Side}
    for entry in places["places"]:
        assert entry.get("organ") in {*places["organs"], None}, entry
        assert entry.get("side") in {*places["sides"], None}, entry
    assert sorted(load("words/scan.yaml")["dose"]) == [str(int(d)) for d in Dose]


def test_kinds_lead_to_kinds_and_organs_that_there_are() -> None:
    organs = {*load("words/places.yaml")["organs"], "none", "artery", "abdomen", "pelvis", "skin"}
    for name, line in load("words/findings.yaml").items():
        assert set(line) <= {"say", "kind", "organ", "always", "in", "generic", "cause", "mass", "means", "device",
                             "primary", "history", "several", "needs", "also"}, name  # fmt: skip
        assert line.get("organ", "none") in organs, name
        assert set(line.get("in", {})) <= organs | {"chest wall"}, name


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


@pytest.mark.parametrize(
    "name",
    ["pneumothorax", "pneumonia", "consolidation", "atelectasis", "emphysema", "pulmonary embolism", "lymphadenopathy",
     "ascites", "hydronephrosis", "hepatomegaly", "steatosis", "cardiomegaly", "fracture", "aneurysm", "thrombosis",
     "abscess", "pneumoperitoneum", "calcification", "foreign body", "metal artefact", "pleural effusion",
     "pericardial effusion"],
)  # fmt: skip
def test_a_finding_that_is_ruled_out_keeps_its_name(name: str) -> None:
    assert parse(f"chest CT, no {name}").absent == (name,)


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
    from synth.lesions.spaces import SPACES
    from synth.volumes.labels import ids

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
