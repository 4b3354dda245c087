"""Every structure and every type of lesion has a code; the codes that pydicom knows are what they should be."""

from __future__ import annotations

import pytest
from pydicom.sr import _concepts_dict

from synth.dicom import codes
from synth.lesions.extent_types import extent_types
from synth.lesions.lesion_types import lesion_types
from synth.volumes import labels

KNOWN = {code: meaning for table in _concepts_dict.concepts["SCT"].values() for code, (meaning, _) in table.items()}


def test_every_structure_has_a_code_and_its_side() -> None:
    for structure in labels.structures():
        known = codes.structure_code(structure.name)
        assert known is not None and known[1].value.isdecimal(), structure.name
        assert (codes.laterality(structure.name) is not None) == bool(
            {"left", "right"} & set(structure.name.split("_"))
        )


@pytest.mark.parametrize(
    ("name", "word"),
    [("kidney_left", "kidney"), ("vertebrae_T7", "t7"), ("mandible", "mandible"), ("larynx", "larynx")],
)
def test_structures_mean_what_they_say(name: str, word: str) -> None:
    known = codes.structure_code(name)
    assert known and word in KNOWN[known[1].value].lower()


def test_every_type_of_lesion_has_a_code_of_its_own_kind() -> None:
    found = {name: codes.lesion_code(f"{name}_1")[1] for name in (*lesion_types(), *extent_types())}
    assert {name for name, code in found.items() if code.meaning == "Lesion"} == set()
    for name, code in found.items():
        assert code.value not in KNOWN or KNOWN[code.value].split(" (")[0] == code.meaning, name
    assert found["lung_nodule"] != found["lung_tumour"] != found["lung_metastasis"]


def test_what_is_not_known_is_a_lesion_in_an_organ_of_ours() -> None:
    assert codes.lesion_code("odd_thing_3")[1].meaning == "Lesion"
    assert codes.site(None, "spleen").value == "78961009"
    assert codes.site("nowhere", "heel").scheme_designator == codes.PRIVATE
    assert codes.site("lung_upper_lobe_left", "lung").value == "45653009"
