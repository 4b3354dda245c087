"""Sentences against sentences written by hand."""

from dataclasses import replace

import pytest

from prompts import parse, report, report_impression, report_systems
from prompts.report import CaseFacts, LesionFacts, OrganFacts, TargetFacts, VolumeFacts
from prompts.report_impression import impression
from prompts.vocabulary import KIND_ORGANS, FindingKind, Organ
from synth.volumes import labels

NODULE = LesionFacts(
    id=1,
    kind="nodule",
    organ="lung",
    side="right",
    segment="upper",
    long_axis_mm=18.2,
    short_axis_mm=9.74,
    volume_ml=1.234,
    mean_hu=34.4,
    sd_hu=21.6,
    organ_mean_hu=-846.0,
    contrast_hu=880.4,
    margin="well-defined",
    contacts=("rib_right_3", "lung_middle_lobe_right"),
)


def test_lesion() -> None:
    assert report.lesion_sentence(replace(NODULE, pleura_mm=3.21)) == (
        "A well-defined nodule of 18 x 10 mm in the right upper lobe; in contact with the right rib 3. "
        "The pleura is 3.2 mm away."
    )
    assert report.impression_of(replace(NODULE, texture="solid")) == "18 mm solid nodule in the right upper lobe."


def test_lesion_of_which_little_is_known() -> None:
    bare = replace(NODULE, organ_mean_hu=None, contrast_hu=None, margin=None, contacts=(), side=None, segment=None)
    assert report.lesion_sentence(bare) == "A nodule of 18 x 10 mm in the lung."


def test_sizes_have_the_digits_of_the_long_axis() -> None:
    assert report.shown_size(NODULE) == "18 x 10 mm"
    assert report.shown_size(replace(NODULE, long_axis_mm=7.46, short_axis_mm=6.0)) == "7.5 x 6.0 mm"


def test_density_in_the_lung_is_solid_part_solid_or_ground_glass() -> None:
    """Against air all tissue is dense: isodense, or 880 HU above the lung, says nothing of a nodule."""
    seen = replace(NODULE, density="isodense", texture="solid", heterogeneity="homogeneous", calcified=True)
    assert report.lesion_sentence(seen) == (
        "A well-defined, solid nodule of 18 x 10 mm in the right upper lobe; with calcification; in contact with the "
        "right rib 3."
    )
    glass = replace(NODULE, density="hypodense", texture="ground-glass", mean_hu=-560.0, contrast_hu=286.0)
    said = report.lesion_sentence(glass)
    assert said.startswith("A well-defined, ground-glass nodule") and "HU" not in said and "hypodense" not in said
    liver = report.lesion_sentence(replace(glass, organ="liver", segment=None, texture=None))
    assert liver.startswith("A well-defined, hypodense nodule of 18 x 10 mm in the right lobe of the liver, -560 HU;")


def test_nodes_are_told_by_their_short_axis() -> None:
    node = replace(NODULE, kind="lymph node", organ="mediastinal fat", side=None, segment=None, contacts=())
    assert report.lesion_sentence(node).startswith(
        "A well-defined lymph node of 18 x 10 mm in the mediastinum, 9.7 mm in short axis, 34 HU"
    )
    assert report.impression_of(node) == "Lymph node in the mediastinum, 9.7 mm in short axis."


def test_contacts_with_neighbouring_ribs_and_vertebrae_are_one_run() -> None:
    ribs = tuple(f"rib_right_{i}" for i in (5, 6, 7, 10, 11))
    vertebrae = ("vertebrae_L1", "vertebrae_T12", "vertebrae_T11")
    assert "in contact with the liver, right ribs 5 to 7, right rib 10, right rib 11 and vertebrae T11 to L1." in (
        report.lesion_sentence(replace(NODULE, contacts=("liver", *ribs, *vertebrae)))
    )


def test_organs_are_said_as_one_says_them_and_cysts_have_no_necrosis() -> None:
    spine = replace(NODULE, organ="vertebrae C6", side=None, segment=None, mean_hu=125.0)
    said = report.lesion_sentence(replace(spine, kind="metastasis", organ_mean_hu=389.0, contrast_hu=-264.0))
    assert " in the vertebra C6, 125 HU" in said
    back = replace(NODULE, organ="autochthon", side="right", segment=None)
    assert report.place_phrase(back) == "in the right paravertebral muscles"
    assert "with necrosis" in report.lesion_sentence(replace(NODULE, necrotic=True))
    assert "necrosis" not in report.lesion_sentence(replace(NODULE, kind="cyst", necrotic=True))


def test_fluid_has_a_side_a_class_a_depth_and_neither_margin_nor_shape_nor_lobe() -> None:
    fluid = replace(NODULE, kind="pleural effusion", texture="solid", heterogeneity="homogeneous", lobulated=True)
    deep = replace(fluid, volume_ml=412.3, depth_mm=41.6)
    assert report.lesion_sentence(deep) == "A moderate right pleural effusion, 42 mm deep, volume 412 mL."
    assert report.impression_of(deep) == "Moderate right pleural effusion."
    ascites = replace(fluid, kind="ascites", organ="liver", segment=None, side=None, contacts=(), depth_mm=11.0)
    assert report.lesion_sentence(ascites) == "Ascites about the liver, 11 mm deep, volume 1.2 mL."
    assert report.impression_of(ascites) == "Ascites about the liver."


@pytest.mark.parametrize(("ml", "said"), [(20.0, "small"), (300.0, "moderate"), (999.0, "moderate"), (1000.0, "large")])
def test_effusions_are_classed_by_volume(ml: float, said: str) -> None:
    assert report.size_class(replace(NODULE, kind="pleural effusion", volume_ml=ml)) == said


@pytest.mark.parametrize("word", ["small", "moderate", "large"])
def test_an_effusion_is_drawn_as_what_its_report_will_call_it(word: str) -> None:
    (asked,) = parse(f"chest CT with a {word} left pleural effusion").findings
    assert asked.volume_range_ml is not None
    for ml in asked.volume_range_ml:
        assert report.size_class(replace(NODULE, kind="pleural effusion", volume_ml=0.92 * ml)) == word
        assert report.size_class(replace(NODULE, kind="pleural effusion", volume_ml=1.08 * ml)) == word


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "mass"),
        ("organ", "liver"),
        ("side", "left"),
        ("segment", "lower"),
        ("long_axis_mm", 21.0),
        ("short_axis_mm", 8.0),
        ("margin", "ill-defined"),
        ("contacts", ("aorta",)),
    ],
)
def test_every_fact_that_a_reader_tells_is_in_the_sentence(field: str, value: object) -> None:
    assert report.lesion_sentence(replace(NODULE, **{field: value})) != report.lesion_sentence(NODULE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("organ", "side", "segment", "expected"),
    [
        ("lung", "left", None, "in the left lung"),
        ("liver", None, "6", "in segment 6 of the liver"),
        ("liver", "right", None, "in the right lobe of the liver"),
        ("kidney", "left", "lower", "in the lower pole of the left kidney"),
        ("kidney", "right", "interpolar", "in the interpolar region of the right kidney"),
        ("pancreas", None, None, "in the pancreas"),
    ],
)
def test_places(organ: str, side: str | None, segment: str | None, expected: str) -> None:
    assert report.place_phrase(replace(NODULE, organ=organ, side=side, segment=segment)) == expected


def test_target_organ_and_technique() -> None:
    target = TargetFacts(dose_gy=70, side="left", volume_ml=119.6)
    assert report.target_sentence(target) == "Planning target volume of 70 Gy on the left, 120 mL."
    assert report.target_sentence(TargetFacts(56, None, 0.456)) == "Planning target volume of 56 Gy, 0.46 mL."
    organ = OrganFacts("parotid_gland_right", 28.37, -0.4)
    assert report.organ_sentence(organ) == "Right parotid gland: 28 mL, mean attenuation 0 HU."
    volume = VolumeFacts((0.7, 0.7, 1.25), (358.4, 358.4, 332.5), "head_neck")
    assert report.technique_sentence(volume) == "CT of the head and neck, voxel spacing 0.7 x 0.7 x 1.25 mm."
    said = [report.technique_sentence(replace(volume, region="chest", enhanced=e)) for e in (True, False)]
    assert [text.split(",")[0] for text in said] == [
        "CT of the chest with intravenous contrast",
        "CT of the chest without intravenous contrast",
    ]


def test_impression_numbers_each_finding_once_the_most_important_first() -> None:
    volume = VolumeFacts((1, 1, 1), (100, 100, 100))
    small = replace(NODULE, id=2, long_axis_mm=7.46, side="left", segment="lower")
    cyst = replace(NODULE, id=3, kind="cyst", organ="kidney", side="left", segment=None, long_axis_mm=30)
    facts = CaseFacts(volume, lesions=(cyst, small, NODULE), targets=(TargetFacts(70, "bilateral", 50.0),))
    assert impression(facts) == (
        "1. 18 mm nodule in the right upper lobe.",
        "2. 7.5 mm nodule in the left lower lobe.",
        "3. 30 mm cyst in the left kidney.",
        "4. 70 Gy planning target volume on both sides, 50 mL.",
    )
    assert impression(CaseFacts(volume)) == ("No lesion or other finding is labelled in this volume.",)


@pytest.mark.parametrize("kind", [kind for kind in FindingKind if kind is not FindingKind.LESION])
def test_every_kind_has_a_rank_and_a_heading(kind: FindingKind) -> None:
    assert kind in report_impression._ORDER
    assert report_systems.system_of(kind, KIND_ORGANS.get(kind, (Organ.LUNG,))[0].value) in report_systems.SYSTEMS


@pytest.mark.parametrize("structure", labels.structures(), ids=lambda s: s.name)
def test_every_structure_stands_under_a_heading(structure: labels.Structure) -> None:
    words = [w for w in structure.name.split("_") if w not in ("left", "right")]
    organ = "lung" if words[0] == "lung" else " ".join(words)
    system = report_systems.system_of("lesion", organ)
    soft = ("autochthon", "iliopsoas", "gluteus", "brain", "spinal", "prostate", "face", "skin", "tumour")
    assert system != "Soft tissues" or words[0] in soft, structure.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lung_upper_lobe_right", "right upper lobe of the lung"),
        ("kidney_left", "left kidney"),
        ("rib_left_3", "left rib 3"),
        ("vertebrae_C7", "vertebra C7"),
        ("inferior_vena_cava", "inferior vena cava"),
        ("iliac_vena_left", "left iliac vein"),
        ("gluteus_maximus_right", "right gluteus maximus"),
        ("brachiocephalic_vein_left", "left brachiocephalic vein"),
    ],
)
def test_structure_names_are_said_as_one_says_them(name: str, expected: str) -> None:
    assert report.readable(name) == expected


def test_every_structure_has_its_own_readable_name() -> None:
    names = [report.readable(s.name) for s in labels.structures()]
    assert len(set(names)) == len(names)
    assert not [n for n in names if "_" in n or "  " in n or n != n.strip()]


@pytest.mark.parametrize(("value", "text"), [(9.94, "9.9"), (9.96, "10"), (18.4, "18"), (0.26, "0.3")])
def test_lengths_round_where_the_rule_says(value: float, text: str) -> None:
    assert report.shown_mm(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.123, "0.12"), (0.996, "1.0"), (9.94, "9.9"), (9.96, "10")])
def test_volumes_round_where_the_rule_says(value: float, text: str) -> None:
    assert report.shown_ml(value) == text
