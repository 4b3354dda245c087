"""Sentences against sentences written by hand."""

from dataclasses import replace

import pytest

from prompts import report
from prompts.report import CaseFacts, LesionFacts, OrganFacts, TargetFacts, VolumeFacts
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
    assert report.lesion_sentence(NODULE) == (
        "A well-defined nodule of 18 x 9.7 mm in the right upper lobe of the lung, volume 1.2 mL; attenuation 34 HU "
        "(SD 22), 880 HU above the lung (-846 HU); in contact with the right rib 3 and right middle lobe of the lung."
    )


def test_lesion_of_which_little_is_known() -> None:
    bare = replace(NODULE, organ_mean_hu=None, contrast_hu=None, margin=None, contacts=(), side=None, segment=None)
    assert report.lesion_sentence(bare) == (
        "A nodule of 18 x 9.7 mm in the lung, volume 1.2 mL; attenuation 34 HU (SD 22); "
        "no contact with other labelled structures."
    )


def test_density_in_the_lung_is_solid_part_solid_or_ground_glass() -> None:
    """Against air all tissue is dense: isodense, or 880 HU above the lung, says nothing of a nodule."""
    seen = replace(NODULE, density="isodense", texture="solid", heterogeneity="homogeneous", calcified=True)
    assert report.lesion_sentence(seen) == (
        "A well-defined nodule of 18 x 9.7 mm in the right upper lobe of the lung, volume 1.2 mL; solid, homogeneous; "
        "with calcification; attenuation 34 HU (SD 22); in contact with the right rib 3 and right middle lobe of the "
        "lung."
    )
    glass = replace(NODULE, density="hypodense", texture="ground-glass", mean_hu=-560.0, contrast_hu=286.0)
    said = report.lesion_sentence(glass)
    assert "; ground-glass; attenuation -560 HU (SD 22), 286 HU above the lung (-846 HU)" in said
    assert "hypodense" not in said
    assert "; hypodense; " in report.lesion_sentence(replace(glass, organ="liver", texture=None))


def test_contacts_with_neighbouring_ribs_and_vertebrae_are_one_run() -> None:
    ribs = tuple(f"rib_right_{i}" for i in (5, 6, 7, 10, 11))
    vertebrae = ("vertebrae_L1", "vertebrae_T12", "vertebrae_T11")
    assert "in contact with the liver, right ribs 5 to 7, right rib 10, right rib 11 and vertebrae T11 to L1." in (
        report.lesion_sentence(replace(NODULE, contacts=("liver", *ribs, *vertebrae)))
    )


def test_organs_are_said_as_one_says_them_and_cysts_have_no_necrosis() -> None:
    spine = replace(NODULE, organ="vertebrae C6", side=None, segment=None, mean_hu=125.0)
    said = report.lesion_sentence(replace(spine, kind="metastasis", organ_mean_hu=389.0, contrast_hu=-264.0))
    assert " in the vertebra C6, " in said and "264 HU below the vertebra C6 (389 HU)" in said
    back = replace(NODULE, organ="autochthon", side="right", segment=None)
    assert report.place_phrase(back) == "in the right paravertebral muscles"
    assert "with necrosis" in report.lesion_sentence(replace(NODULE, necrotic=True))
    assert "necrosis" not in report.lesion_sentence(replace(NODULE, kind="cyst", necrotic=True))


def test_fluid_has_a_side_and_neither_margin_nor_shape_nor_lobe() -> None:
    fluid = replace(NODULE, kind="pleural effusion", texture="solid", heterogeneity="homogeneous", lobulated=True)
    assert report.lesion_sentence(replace(fluid, mean_hu=9.0, contacts=())) == (
        "A right pleural effusion of 18 x 9.7 mm, volume 1.2 mL; homogeneous; attenuation 9 HU (SD 22); "
        "no contact with other labelled structures."
    )
    ascites = replace(fluid, kind="ascites", organ="liver", segment=None, side=None, contacts=())
    said = report.lesion_sentence(ascites)
    assert said.startswith("Ascites of 18 x 9.7 mm about the liver, volume 1.2 mL; homogeneous; attenuation")
    lines = report.impression(
        report.CaseFacts(VolumeFacts((1, 1, 1), (100, 100, 100)), (fluid, replace(ascites, id=2)))
    )
    assert lines[0] == "1 pleural effusion and 1 ascites."
    assert lines[1:] == ("18 mm right pleural effusion.", "18 mm ascites about the liver.")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "mass"),
        ("organ", "liver"),
        ("side", "left"),
        ("segment", "lower"),
        ("long_axis_mm", 21.0),
        ("short_axis_mm", 8.0),
        ("volume_ml", 1.5),
        ("mean_hu", 40.0),
        ("sd_hu", 30.0),
        ("organ_mean_hu", -800.0),
        ("contrast_hu", -880.0),
        ("margin", "ill-defined"),
        ("contacts", ("aorta",)),
    ],
)
def test_every_measured_fact_is_in_the_sentence(field: str, value: object) -> None:
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
    target = TargetFacts(dose_gy=70, side="left", volume_ml=119.6, long_axis_mm=67.7)
    assert report.target_sentence(target) == "Planning target volume of 70 Gy on the left: 120 mL, long axis 68 mm."
    assert report.target_sentence(TargetFacts(56, None, 0.456)) == "Planning target volume of 56 Gy: 0.46 mL."
    organ = OrganFacts("parotid_gland_right", 28.37, -0.4)
    assert report.organ_sentence(organ) == "Right parotid gland: 28.4 mL, mean attenuation 0 HU."
    assert report.technique_sentence(VolumeFacts((0.7, 0.7, 2.5), (358.4, 358.4, 332.5), "head_neck")) == (
        "CT of the head and neck, voxel spacing 0.70 x 0.70 x 2.50 mm, field of view 358 x 358 x 332 mm "
        "(left-right x front-back x head-foot)."
    )


def test_impression_counts_and_sorts() -> None:
    volume = VolumeFacts((1, 1, 1), (100, 100, 100))
    small = replace(NODULE, id=2, long_axis_mm=7.46, side="left", segment="lower")
    cyst = replace(NODULE, id=3, kind="cyst", organ="kidney", side="left", segment=None, long_axis_mm=30)
    facts = CaseFacts(volume, lesions=(small, NODULE, cyst), targets=(TargetFacts(70, "bilateral", 50.0),))
    assert report.impression(facts) == (
        "1 cyst in the kidney and 2 nodules in the lung.",
        "30 mm cyst in the left kidney.",
        "18 mm nodule in the right upper lobe of the lung.",
        "7.5 mm nodule in the left lower lobe of the lung.",
        "70 Gy planning target volume on both sides, 50.0 mL.",
    )
    assert report.impression(CaseFacts(volume)) == ("No lesion or planning target volume is labelled in this volume.",)


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


@pytest.mark.parametrize(("value", "text"), [(0.123, "0.12"), (0.996, "1.0"), (99.94, "99.9"), (99.96, "100")])
def test_volumes_round_where_the_rule_says(value: float, text: str) -> None:
    assert report.shown_ml(value) == text
