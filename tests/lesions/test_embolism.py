"""Pulmonary emboli: in arteries and nothing else, on the side that was asked for, as many as planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from prompts import parse
from synth.case.doors import ask
from synth.errors import InputError
from synth.lesions import insert, keep_painted
from synth.lesions.extent_acceptance import extent_checks
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.planning import one_by_one, plan_each
from synth.report import measure, write
from synth.volumes import labels
from synth.volumes.types import Case, LabelMap, Volume

SHAPE, MM = (110, 70, 80), 2.0
ARTERY, VEIN = labels.ids()["lung_arteries"], labels.ids()["lung_veins"]
BLOOD = 320


def host(blood: int = BLOOD) -> tuple[Volume, LabelMap, LabelMap]:
    """Two lungs of two lobes, x running to the patient's left; an artery and a vein of 9 mm through each lobe."""
    affine = np.diag([-MM, MM, MM, 1.0])
    affine[:3, 3] = [MM * SHAPE[0] / 2, -70.0, -80.0]
    ids = np.zeros(SHAPE, np.uint8)
    hu = np.full(SHAPE, 40, np.int16)
    trees = np.zeros(SHAPE, np.uint8)
    x, _, z = np.indices(SHAPE)
    for side, part in (("right", slice(6, 48)), ("left", slice(62, 104))):
        for lobe, high in (("lower", slice(4, 38)), ("upper", slice(40, 76))):
            ids[part, 8:62, high] = labels.ids()[f"lung_{lobe}_lobe_{side}"]
            hu[part, 8:62, high] = -850
    heart = (slice(50, 60), slice(30, 50), slice(20, 40))
    ids[heart], hu[heart] = labels.ids()["heart"], blood
    ids[52:58, 10:16], hu[52:58, 10:16] = labels.ids()["aorta"], blood
    for number, y in ((ARTERY, 24), (VEIN, 46)):
        for middle in (20, 58):
            tube = np.zeros(SHAPE, bool)
            tube[8:46, y, middle] = tube[64:102, y, middle] = True
            away = ndimage.distance_transform_edt(~tube) * MM
            trees[away <= 4.5], hu[away <= 4.5] = number, blood
            hu[(away > 3.9) & (away <= 4.5)] = (blood - 850) // 2  # half lung
    names = {i: name for i, name in labels.names().items() if (ids == i).any()}
    noise = np.random.default_rng(0).normal(0, 8, SHAPE)
    return (
        Volume((hu + noise).astype(np.int16), affine),
        LabelMap(ids, affine, names),
        LabelMap(trees, affine, {ARTERY: "lung_arteries", VEIN: "lung_veins"}),
    )


def drawn(prompt: str, seed: int = 1) -> tuple[ExtentPlan, Case]:
    ct, organs, trees = host()
    singles = one_by_one(parse(prompt).findings, np.random.default_rng(seed))
    (plan,) = plan_each(singles, ct, organs, np.random.default_rng(seed), None, None, trees.ids)
    assert isinstance(plan, ExtentPlan)
    return plan, insert(ct, organs, [plan], keep_painted, trees=trees)


@pytest.mark.parametrize("first", ["small pulmonary embolism in the right lung", "cardiomegaly"])
def test_a_heart_that_grows_leaves_clots_their_masks(first: str) -> None:
    """What moves organs is drawn before what lies in them, whichever was said first."""
    ct, organs, trees = host()
    other = {"cardiomegaly": "pulmonary embolism in the right lung"}.get(first, "cardiomegaly")
    asked = [*parse(f"CTPA: {first}").findings, *parse(f"CTPA: {other}").findings]
    singles = one_by_one(asked, np.random.default_rng(1))
    assert [f.kind for f in singles] == ["cardiomegaly", "pulmonary embolism"]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("side", ["right", "left"])
def test_clots_lie_in_arteries_of_the_side_that_was_asked_for(side: str, seed: int) -> None:
    plan, case = drawn(f"moderate pulmonary embolism in the {side} lung", seed)
    ct, _, trees = host()
    mask = case.lesions.ids > 0
    assert mask.any() and (trees.ids[mask] == ARTERY).all()
    x = np.argwhere(mask)[:, 0]
    assert (x > 55).all() if side == "left" else (x < 55).all()
    assert not (case.ct.hu != ct.hu)[trees.ids != ARTERY].any()
    assert np.median(case.ct.hu[mask]) < 100 < np.median(ct.hu[mask])
    brighter = case.ct.hu.astype(int) - ct.hu
    assert brighter.max() < 60, "half-filled voxels of the border stay as dark as they were"
    (found,) = measure(case).lesions
    assert not [c for c in extent_checks(plan, found) if not c.ok]
    assert found.side == side and found.extent and 1 <= found.extent.figures["defects"] <= round(plan.amount)
    assert f"arteries of the {side}" in write(measure(case)).text()


def test_on_both_sides_is_one_finding_in_both_lungs() -> None:
    plan, case = drawn("mild bilateral pulmonary embolism")
    (found,) = measure(case).lesions
    assert found.side == "bilateral" and not [c for c in extent_checks(plan, found) if not c.ok]
    one_sided = replace(
        case, lesions=replace(case.lesions, ids=np.where(np.indices(SHAPE)[0] < 55, case.lesions.ids, 0))
    )
    (wrong,) = measure(one_sided).lesions
    assert [c.name for c in extent_checks(plan, wrong) if not c.ok] == ["is_bilateral"]


def test_a_lobe_is_kept_to() -> None:
    plan, case = drawn("pulmonary embolism in the right lower lobe")
    assert plan.structures == ("lung_lower_lobe_right",)
    where = np.argwhere(case.lesions.ids > 0)
    assert (where[:, 0] < 55).all() and (where[:, 2] < 39).all()


@pytest.mark.parametrize("seed", range(4))
def test_arteries_that_lie_in_no_lung_are_of_no_lobe(seed: int) -> None:
    ct, organs, trees = host()
    central = (slice(51, 55), slice(18, 30), slice(2, 38))  # as wide as any, beside the right lower lobe
    ids = trees.ids.copy()
    ids[central], ct.hu[central] = ARTERY, BLOOD
    trees = LabelMap(ids, trees.affine, trees.names)
    asked = parse("severe pulmonary embolism in the right lower lobe").findings
    (plan,) = plan_each(asked, ct, organs, np.random.default_rng(seed), None, None, trees.ids)
    case = insert(ct, organs, [plan], keep_painted, trees=trees)
    (found,) = measure(case).lesions
    assert isinstance(plan, ExtentPlan) and not [c for c in extent_checks(plan, found) if not c.ok]
    assert (case.lesions.ids > 0).any() and not (case.lesions.ids > 0)[central].any()


def test_what_it_needs_is_said_in_one_line() -> None:
    ct, organs, trees = host()
    (asked,) = parse("pulmonary embolism").findings
    (plan,) = plan_each([asked], ct, organs, np.random.default_rng(0), None, None, trees.ids)
    with pytest.raises(InputError, match="label map has no lung_arteries"):
        insert(ct, organs, [plan], keep_painted)
    with pytest.raises(InputError, match="without contrast it does not show"):
        insert(ct, organs, [plan.model_copy(update={"phase": "native"})], keep_painted, trees=trees)
    dull, organs, trees = host(blood=110)
    with pytest.raises(InputError, match="110 HU.*arterial phase"):
        insert(dull, organs, [plan], keep_painted, trees=trees)


def test_a_host_that_labels_its_arteries_needs_no_trees() -> None:
    ct, organs, trees = host()
    ids = np.where(trees.ids == ARTERY, ARTERY, organs.ids).astype(np.uint8)
    own = LabelMap(ids, organs.affine, {**organs.names, ARTERY: "lung_arteries"})
    (asked,) = parse("pulmonary embolism in the right lower lobe").findings
    (plan,) = plan_each([asked], ct, own, np.random.default_rng(0))
    assert isinstance(plan, ExtentPlan)
    case = insert(ct, own, [plan], keep_painted)
    (found,) = measure(case).lesions
    assert not [c for c in extent_checks(plan, found) if not c.ok], "the lobe is that about the artery"
    assert (case.lesions.ids > 0).any() and (trees.ids[case.lesions.ids > 0] == ARTERY).all()
    assert (case.organs.ids == own.ids).all()


@pytest.mark.parametrize(
    ("prompt", "phase"),
    [
        ("CT chest with bilateral PE", "enhanced"),
        ("CTPA, bilateral PE", "arterial"),
        ("CT chest with a dissection", "enhanced"),
        ("CT chest with a nodule", None),
        ("non-contrast CT chest with PE", "non_contrast"),
    ],
)
def test_what_shows_with_contrast_alone_has_contrast(prompt: str, phase: str | None) -> None:
    reading = ask(prompt, "generate")
    assert reading.case_request.phase == phase
    assert ("phase" in reading.assumed) is (phase == "enhanced")
    assert "phase" not in ask(prompt, "insert").assumed  # which the user's CT has or has not
