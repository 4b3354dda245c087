"""The table of lesion types."""

import pytest
from pydantic import ValidationError

from prompts.vocabulary import INSERTABLE_ORGANS, FindingKind, Organ
from synth.errors import InputError
from synth.lesions.lesion_types import LesionType, lesion_types, type_of
from synth.report.noise import TISSUES
from synth.volumes import labels


def test_every_insertable_organ_takes_an_unnamed_lesion() -> None:
    assert {organ for t in lesion_types().values() for organ in t.organs} == set(INSERTABLE_ORGANS)
    for organ in INSERTABLE_ORGANS:
        assert organ in type_of(organ, FindingKind.LESION).organs


def test_kinds_mean_one_type_in_an_organ() -> None:
    for organ in INSERTABLE_ORGANS:
        kinds = [kind for t in lesion_types().values() if organ in t.organs for kind in t.kinds]
        assert len(kinds) == len(set(kinds))


def test_nodule_sizes_are_lidc_quantiles() -> None:
    nodule = lesion_types()["lung_nodule"]
    assert [nodule.size_at(q) for q in (0.25, 0.5, 0.75, 0.9)] == pytest.approx([5.6, 7.1, 10.4, 16.2])
    assert nodule.size_at(0.375) == pytest.approx((5.6 + 7.1) / 2)


def test_an_unknown_key_is_named() -> None:
    entry = lesion_types()["liver_cyst"].model_dump(by_alias=True) | {"colour": "red"}
    with pytest.raises(ValidationError, match="colour"):
        LesionType(**entry)


def test_weights_of_a_missing_appearance_are_an_error() -> None:
    entry = lesion_types()["liver_cyst"].model_copy(update={"usual": {"purple": 1.0}})
    with pytest.raises(ValidationError, match="purple"):
        LesionType.model_validate(dict(entry))


@pytest.mark.parametrize(
    ("organ", "kind", "named"), [(Organ.LUNG, FindingKind.STONE, "nodule"), (Organ.STOMACH, FindingKind.CYST, "tumour")]
)
def test_what_is_not_in_the_table_is_one_line_that_says_what_is(organ: Organ, kind: FindingKind, named: str) -> None:
    with pytest.raises(InputError, match=named) as error:
        type_of(organ, kind)
    assert "\n" not in str(error.value)


def test_noise_tissues_are_in_the_label_table() -> None:
    assert set(TISSUES) <= set(labels.ids())
