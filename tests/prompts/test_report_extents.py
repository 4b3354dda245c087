"""Sentences of findings that are told by their extent: what they say, and that the reader of words reads them back."""

import pytest

from prompts import parse
from prompts.report_extents import ExtentFacts, extent_line, extent_sentence
from prompts.vocabulary import EXTENT_KINDS, KIND_ORGANS, FindingKind, Organ

PARTS = {
    **{f"lung_{lobe}_lobe_right": 500.0 for lobe in ("upper", "middle", "lower")},
    **{f"lung_{lobe}_lobe_left": 750.0 for lobe in ("upper", "lower")},
}
FIGURES = {"cardiothoracic_ratio": 0.58, "heart_ml": 610.0, "spleen_ml": 400.0, "length_mm": 140.0, "width_mm": 45.0}
FIGURES |= {"deposits": 4.0, "volume_mm3": 220.0, "peak_hu": 900.0}
PLACES = [
    ({"lung_lower_lobe_right": 250.0}, {"side": "right", "segment": "lower", "share": 0.5}),
    ({"lung_lower_lobe_right": 250.0, "lung_upper_lobe_right": 200.0}, {"side": "right", "share": 0.3}),
    ({"lung_lower_lobe_right": 300.0, "lung_upper_lobe_left": 450.0}, {"side": "bilateral", "share": 0.25}),
]
SPREAD = [
    *(FindingKind.GROUND_GLASS_OPACITY, FindingKind.CRAZY_PAVING, FindingKind.CONSOLIDATION, FindingKind.EMPHYSEMA),
    *(FindingKind.MOSAIC_ATTENUATION, FindingKind.SEPTAL_THICKENING, FindingKind.FIBROSIS),
]


@pytest.mark.parametrize("kind", SPREAD)
@pytest.mark.parametrize(("affected", "said"), PLACES)
def test_a_share_is_read_back_with_its_place(kind: FindingKind, affected: dict[str, float], said: dict) -> None:
    text = extent_sentence(kind, "lung", said["side"], 300.0, ExtentFacts(-600.0, affected, PARTS))
    (found,) = parse(text).findings
    assert found.kind is kind and found.side == said["side"] and found.segment == said.get("segment")
    assert found.share == pytest.approx(said["share"], abs=0.005)


@pytest.mark.parametrize("kind", sorted(EXTENT_KINDS - set(SPREAD)))
def test_every_other_kind_is_read_back(kind: FindingKind) -> None:
    organ = KIND_ORGANS[kind][0]
    affected = {"lung_lower_lobe_left": 40.0} if organ is Organ.LUNG else {}
    text = extent_sentence(kind, organ, "left", 120.0, ExtentFacts(20.0, affected, PARTS, FIGURES))
    (found,) = parse(text).findings
    assert found.kind is kind and found.organ is organ
    if kind is FindingKind.CARDIOMEGALY:
        assert found.ratio == 0.58
    if kind in (FindingKind.PNEUMOTHORAX, FindingKind.PERICARDIAL_EFFUSION, FindingKind.HYDRONEPHROSIS):
        assert found.volume_ml == 120


def test_the_line_of_the_impression_is_one_sentence() -> None:
    facts = ExtentFacts(-600.0, {"lung_lower_lobe_right": 300.0, "lung_upper_lobe_left": 450.0}, PARTS)
    assert extent_line("emphysema", "lung", "bilateral", 750.0, facts) == "Emphysema in 25% of both lungs."
