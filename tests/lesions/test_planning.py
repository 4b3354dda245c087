"""Plans: drawn once, all that was asked is in them, and what cannot be is an error that says why."""

import itertools
import re

import numpy as np
import pytest

from prompts.request import FindingRequest
from prompts.vocabulary import Density, Invasion, Segment, Shape, Side, Surface, Texture
from synth.errors import InputError
from synth.lesions import LesionPlan, insert, keep_painted, plan_lesions
from synth.lesions.acceptance import attribute_checks
from synth.report.diameters import longest_in_slice
from synth.report.location import POLES, Poles
from synth.report.measure import measure
from synth.volumes import labels
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

NODULE = FindingRequest(kind="nodule", organ="lung", side="right", segment="upper", size_mm=14)


def plan(host: Volume, organs: LabelMap, *findings: FindingRequest, seed: int = 0) -> tuple[LesionPlan, ...]:
    return plan_lesions(findings, host, organs, np.random.default_rng(seed))


def at(organs: LabelMap, lesion: LesionPlan) -> str:
    return organs.names[int(organs.ids[lesion.centre])]


def test_a_seed_gives_one_plan_and_another_another(host: Volume, organs: LabelMap) -> None:
    assert plan(host, organs, NODULE, seed=1) == plan(host, organs, NODULE, seed=1)
    assert plan(host, organs, NODULE, seed=1) != plan(host, organs, NODULE, seed=2)


def test_a_plan_is_json(host: Volume, organs: LabelMap) -> None:
    (lesion,) = plan(host, organs, NODULE)
    assert LesionPlan.model_validate_json(lesion.model_dump_json()) == lesion


def test_what_was_asked_is_planned(host: Volume, organs: LabelMap) -> None:
    asked = NODULE.model_copy(
        update={"spiculated": True, "lobulated": True, "texture": Texture.PART_SOLID, "surface": Surface.ILL_DEFINED}
    )
    (lesion,) = plan(host, organs, asked)
    assert at(organs, lesion) == "lung_upper_lobe_right"
    assert lesion.structures == ("lung_upper_lobe_right",)
    assert lesion.size_mm == 14
    assert lesion.spicules > 0
    assert lesion.lobes > 0
    assert lesion.margin_mm >= 2.5
    assert [zone.name for zone in lesion.zones] == ["ground glass", "solid part"]


def test_asked_without_spicules_or_lobes_there_are_none(host: Volume, organs: LabelMap) -> None:
    smooth = NODULE.model_copy(update={"spiculated": False, "lobulated": False})
    plans = [plan(host, organs, smooth, seed=seed)[0] for seed in range(8)]
    assert all(p.spicules == 0 and p.lobes == 0 for p in plans)


@pytest.mark.parametrize("density", list(Density))
def test_density_is_against_the_liver(host: Volume, organs: LabelMap, density: Density) -> None:
    (lesion,) = plan(host, organs, FindingRequest(kind="tumour", organ="liver", size_mm=15, density=density))
    difference = lesion.zones[0].hu - np.median(host.hu[organs.mask("liver")])
    expected = {Density.HYPODENSE: (-30, -10), Density.ISODENSE: (-6, 4), Density.HYPERDENSE: (10, 30)}
    assert expected[density][0] <= difference <= expected[density][1]


def test_drawn_sizes_shrink_to_the_room_there_is(host: Volume, organs: LabelMap) -> None:
    mass = FindingRequest(kind="tumour", organ="kidney", side="left")  # drawn from 12 to 110 mm; 32 mm fit
    sizes = [plan(host, organs, mass, seed=seed)[0].size_mm for seed in range(6)]
    assert max(sizes) < 34
    assert min(sizes) >= 12


@pytest.mark.parametrize("seed", range(3))
def test_several_lesions_lie_apart(host: Volume, organs: LabelMap, seed: int) -> None:
    plans = plan(host, organs, FindingRequest(kind="metastasis", organ="lung", size_mm=6, count=5), seed=seed)
    assert [p.id for p in plans] == [1, 2, 3, 4, 5]
    for a, b in itertools.combinations(plans, 2):
        apart = np.linalg.norm(world_of(np.array(a.centre) - b.centre, host.affine) - host.affine[:3, 3])
        assert apart >= a.ball_mm + b.ball_mm


def test_a_number_not_said_is_two_to_five(host: Volume, organs: LabelMap) -> None:
    several = FindingRequest(kind="metastasis", organ="lung", size_mm=5, count=None)
    counts = {len(plan(host, organs, several, seed=seed)) for seed in range(8)}
    assert counts <= {2, 3, 4, 5}
    assert len(counts) > 1


def test_bilateral_lesions_take_turns(host: Volume, organs: LabelMap) -> None:
    plans = plan(host, organs, FindingRequest(kind="nodule", organ="lung", side=Side.BILATERAL, size_mm=6, count=4))
    assert [at(organs, p).split("_")[-1] for p in plans] == ["right", "left", "right", "left"]


@pytest.mark.parametrize("pole", [Segment.UPPER, Segment.INTERPOLAR, Segment.LOWER])
def test_a_kidney_pole_is_a_third_of_its_long_axis(host: Volume, organs: LabelMap, pole: Segment) -> None:
    cyst = FindingRequest(kind="cyst", organ="kidney", side="left", segment=pole, size_mm=8)
    (lesion,) = plan(host, organs, cyst)
    poles = Poles.of(world_of(np.argwhere(organs.mask("kidney_left")), organs.affine))
    assert POLES[int(poles.part(world_of(np.array(lesion.centre), organs.affine)))] == pole.value


def test_no_contact_keeps_clear_of_the_border_and_contact_seeks_it(host: Volume, organs: LabelMap) -> None:
    clear = FindingRequest(kind="tumour", organ="liver", size_mm=14, invasion=Invasion.NONE)
    close = FindingRequest(kind="tumour", organ="liver", size_mm=14, invasion=Invasion.CLOSE)
    liver = np.argwhere(~organs.mask("liver")) * host.spacing
    for seed in range(3):
        gaps = []
        for finding in (clear, close):
            (lesion,) = plan(host, organs, finding, seed=seed)
            gaps.append(np.linalg.norm(liver - lesion.centre * host.spacing, axis=1).min())
            assert lesion.invades is (finding is close)
        assert gaps[0] >= 9
        assert gaps[1] <= 0.75 * 7 + 1e-3


def error_of(host: Volume, organs: LabelMap, *findings: FindingRequest) -> str:
    with pytest.raises(InputError) as error:
        plan(host, organs, *findings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_organ_that_is_not_there_lists_what_is(host: Volume, organs: LabelMap) -> None:
    message = error_of(host, organs, FindingRequest(kind="cyst", organ="kidney", side="right"))
    assert "no kidney_right" in message
    assert "kidney_left" in message
    assert "liver" in message


def test_a_lobe_that_is_not_there(host: Volume, organs: LabelMap) -> None:
    message = error_of(host, organs, FindingRequest(kind="nodule", organ="lung", segment="middle"))
    assert "no lung_middle_lobe_right" in message


def test_no_room_names_the_size_and_the_largest_that_fits(host: Volume, organs: LabelMap) -> None:
    message = error_of(host, organs, FindingRequest(kind="tumour", organ="kidney", side="left", size_mm=60))
    assert "60 mm" in message
    largest = int(re.search(r"largest that fits is about (\d+) mm", message)[1])
    assert largest in (32, 33, 34)  # an ellipsoid of semi-axes 17, 17, 19 mm
    plan(host, organs, FindingRequest(kind="tumour", organ="kidney", side="left", size_mm=largest))


def test_no_room_beside_another_lesion(host: Volume, organs: LabelMap) -> None:
    cyst = FindingRequest(kind="cyst", organ="kidney", side="left", size_mm=24, count=2)
    assert "beside the other lesions" in error_of(host, organs, cyst)


def test_an_organ_cut_by_the_border_of_the_volume_counts_that_border(host: Volume, organs: LabelMap) -> None:
    thin = slice(6, 9)  # 3 slices of the liver: 7.5 mm
    ct = Volume(host.hu[..., thin], host.affine)
    cut = LabelMap(organs.ids[..., thin], organs.affine, organs.names)
    message = error_of(ct, cut, FindingRequest(kind="tumour", organ="liver", size_mm=20))
    assert "largest that fits is about 10 mm" in message


def test_a_sarcoma_takes_the_shape_of_a_compartment_that_holds_no_such_ball(host: Volume) -> None:
    """A slab of muscle, 36 mm thick, between bones; a sarcoma of 50 mm and none of 70."""
    table = labels.ids()
    ids = np.full(host.hu.shape, table["femur_left"], np.uint8)
    ids[40:64] = table["gluteus_maximus_left"]
    hu = np.where(ids == table["femur_left"], 400, 55).astype(np.int16)
    slab = LabelMap(ids, host.affine, labels.names())
    bone_and_muscle = Volume(hu + (host.hu - host.hu.mean()).clip(-20, 20).astype(np.int16), host.affine)
    wide = FindingRequest(kind="sarcoma", organ="muscle", side="left", size_mm=50)
    (lesion,) = plan(bone_and_muscle, slab, wide)
    mask = insert(bone_and_muscle, slab, [lesion], keep_painted).lesions.ids > 0
    assert longest_in_slice(mask, host.spacing, 2)[1] == pytest.approx(50, abs=2.5)
    assert not mask[ids == table["femur_left"]].any()
    assert lesion.centre[0] in range(40, 64) and np.ptp(np.flatnonzero(mask.any(axis=(1, 2)))) <= 23
    assert "largest that fits" in error_of(bone_and_muscle, slab, wide.model_copy(update={"size_mm": 70}))


@pytest.mark.parametrize(
    ("finding", "says"),
    [
        (FindingRequest(kind="cyst", organ="liver", size_mm=1.0), "pixels of this CT are 1.5 mm; ask for 3 mm or more"),
        (
            FindingRequest(kind="cyst", organ="liver", segment="7"),
            "gallbladder and inferior vena cava, which .* ask for the liver as a whole",
        ),
        (FindingRequest(kind="cyst", organ="liver", side="left"), "gallbladder"),
        (FindingRequest(kind="stone", organ="lung"), "no such lesion type"),
        (FindingRequest(kind="cyst", organ="pancreas"), "the label map has no pancreas"),
        (FindingRequest(kind="mass", organ="liver", size_mm=30, shape=Shape.PUNCTATE), "at most 10 mm"),
        (FindingRequest(kind="cyst", organ="liver", necrotic=True), "liver_cyst has none"),
        (FindingRequest(kind="mass", organ="lung", shape=Shape.WALL_THICKENING), "wall"),
        (FindingRequest(kind="nodule", organ="lung", count=50, size_mm=12), "no room|largest that fits"),
    ],
)
def test_what_cannot_be_met_says_why(host: Volume, organs: LabelMap, finding: FindingRequest, says: str) -> None:
    with pytest.raises(InputError, match=says):
        plan(host, organs, finding)


def test_halves_of_the_liver_part_at_gallbladder_and_cava(host: Volume, organs: LabelMap) -> None:
    ids = organs.ids.copy()
    ids[30:33, 64:68, 5:8] = labels.ids()["gallbladder"]
    ids[30:33, 22:26, 2:12] = labels.ids()["inferior_vena_cava"]
    parted = LabelMap(ids, organs.affine, organs.names)
    for side, left in (("left", True), ("right", False)):
        for seed in range(3):
            asked = FindingRequest(kind="cyst", organ="liver", side=side, size_mm=8)
            (lesion,) = plan_lesions([asked], host, parted, np.random.default_rng(seed))
            assert (lesion.centre[0] > 31) is left  # x runs to the left, the plane stands at x = 31


@pytest.mark.parametrize("segment", ["3", "4", "5", "6", "7", "8"])
def test_a_lesion_lies_in_the_segment_of_the_liver_that_was_asked_for(
    host: Volume, organs: LabelMap, segment: str
) -> None:
    ids = organs.ids.copy()
    ids[30:33, 64:68, 5:8] = labels.ids()["gallbladder"]
    ids[30:33, 22:26, 2:12] = labels.ids()["inferior_vena_cava"]
    parted = LabelMap(ids, organs.affine, organs.names)
    asked = FindingRequest(kind="cyst", organ="liver", segment=segment, size_mm=6)
    (lesion,) = plan_lesions([asked], host, parted, np.random.default_rng(1))
    (found,) = measure(insert(host, parted, [lesion], keep_painted)).lesions
    assert found.segment == segment
    elsewhere = found.model_copy(update={"segment": "1"})
    assert [[c.name for c in attribute_checks(asked, f) if not c.ok] for f in (found, elsewhere)] == [
        [],
        [f"is_{segment}"],
    ]
    assert found.side == ("left" if segment in "1234" else "right")
