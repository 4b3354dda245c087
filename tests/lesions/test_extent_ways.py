"""Every kind that is told by its extent, in a made-up trunk: drawn, measured back, said, and nothing else touched."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from prompts import parse
from prompts.request import FindingRequest
from prompts.vocabulary import Organ, Pattern, Side
from synth.errors import InputError
from synth.lesions import insert, keep_painted, plan_lesions
from synth.lesions.extent_acceptance import extent_checks
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.extent_types import ONLY, extent_types
from synth.lesions.extents import IN_LUNG, Extended, with_extents
from synth.report import write
from synth.report.extent_figures import thorax_width_mm
from synth.report.measure import measure
from synth.volumes import labels
from synth.volumes.types import Case, LabelMap, Volume

SPACING = np.array([3.4, 3.4, 4.0])
SHAPE = (100, 74, 82)  # 340 x 252 x 328 mm
AFFINE = np.diag([-3.4, 3.4, 4.0, 1.0])
AFFINE[:3, 3] = [170.0, -125.0, -165.0]
# RAS mm: centre and semi-axes of ellipsoids, in order; later ones lie upon earlier ones
ORGANS = {
    "liver": ((60, 10, -110), (70, 70, 45)),
    "spleen": ((-95, -45, -95), (28, 30, 38)),
    "kidney_left": ((-55, -60, -140), (24, 24, 34)),
    "kidney_right": ((55, -60, -140), (24, 24, 34)),
    "stomach": ((-40, 15, -100), (30, 25, 25)),
    "pancreas": ((-15, -5, -135), (55, 11, 11)),
    "lung_upper_lobe_right": ((72, 0, 30), (55, 85, 110)),
    "lung_upper_lobe_left": ((-72, 0, 30), (55, 85, 110)),
    "heart": ((-15, 25, -20), (52, 45, 52)),
}
TUBES = {  # RAS mm: two ends and the radius
    "aorta": ((-12, -55, -160), (-12, -55, 90), 12),
    "superior_vena_cava": ((28, 10, 30), (28, 12, 95), 8),
    "brachiocephalic_vein_left": ((-60, 25, 110), (20, 15, 95), 6),
    "brachiocephalic_vein_right": ((28, 12, 95), (34, 14, 130), 6),
    "esophagus": ((4, -42, -70), (4, -42, 150), 6),
    "spinal_cord": ((0, -95, -165), (0, -95, 165), 7),
}
HU = {"lung": -860, "liver": 60, "spleen": 50, "kidney": 35, "heart": 42, "pancreas": 40, "spinal": 30, "stomach": 35}
_WAYS = ((-20, -50, -35), (10, 40, 20), (40, -10, 50), (-40, 10, -25), (70, 20, 30))
BRANCHES = [((s * 25, -10, z), (s * 118, y, z + dz)) for s in (1, -1) for z, y, dz in _WAYS]  # vessels of the lungs


def _points() -> np.ndarray:
    return np.moveaxis(np.indices(SHAPE), 0, -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]


def _tube(points: np.ndarray, a: tuple, b: tuple, radius: float) -> np.ndarray:
    a, b = np.array(a, float), np.array(b, float)
    t = ((points - a) @ (b - a) / ((b - a) @ (b - a))).clip(0, 1)
    return np.linalg.norm(points - a - t[..., None] * (b - a), axis=-1) <= radius


@pytest.fixture(scope="module")
def trunk() -> tuple[Volume, LabelMap]:
    points = _points()
    x, y, z = np.moveaxis(points, -1, 0)
    body = (x / 155) ** 2 + (y / 112) ** 2 <= 1
    fat = (x / 138) ** 2 + (y / 98) ** 2 > 1
    hu = np.where(body, np.where(fat, -100.0, 40.0), -1000.0)
    ids = np.zeros(SHAPE, np.uint8)
    number = labels.ids()
    for name, (centre, axes) in ORGANS.items():
        inside = (((points - centre) / np.array(axes)) ** 2).sum(axis=-1) <= 1
        if name == "heart":
            shell = (((points - centre) / (np.array(axes) + 7.0)) ** 2).sum(axis=-1) <= 1
            hu[shell], ids[shell] = -95.0, 0
        if name.startswith("lung"):
            side = name.split("_")[-1]
            inside &= (z > -75 + 0.002 * (y**2)) & ((x > 18) if side == "right" else (x < -18))
            ids[inside & (z < 20)] = number[f"lung_lower_lobe_{side}"]
            inside_upper = inside & (z >= 20)
            ids[inside_upper] = number[name]
        else:
            ids[inside] = number[name]
        hu[inside] = next(v for k, v in HU.items() if name.startswith(k))
    for a, b in BRANCHES:
        lobes = [i for name, i in number.items() if "_lobe_" in name]
        hu[_tube(points, a, b, 3.0) & np.isin(ids, lobes)] = 30.0
    for name, (a, b, radius) in TUBES.items():
        inside = _tube(points, a, b, radius)
        ids[inside] = number[name]
        hu[inside] = 40.0
    ascending = _tube(points, (2, 20, 25), (2, 20, 85), 13)
    ids[ascending], hu[ascending] = number["aorta"], 40.0
    hu = gaussian_filter(hu, 0.5)
    noise = gaussian_filter(np.random.default_rng(2).standard_normal(SHAPE), (0.7, 0.7, 0))
    hu = np.rint(hu + 10 * noise / noise.std()).clip(-1024, 3071).astype(np.int16)
    return Volume(hu, AFFINE), LabelMap(ids, AFFINE, labels.names())


def drawn(finding: FindingRequest, trunk: tuple[Volume, LabelMap], seed: int = 1) -> tuple[ExtentPlan, Case]:
    (plan,) = plan_lesions([finding], *trunk, np.random.default_rng(seed))
    assert isinstance(plan, ExtentPlan)
    return plan, insert(*trunk, [plan], keep_painted)


AMOUNTS = {"cardiomegaly": {"ratio": 0.5}, "splenomegaly": {"volume_ml": 330}, "aneurysm": {"size_mm": 34}}
ELSEWHERE = [t for t in extent_types().values() if t.unit != "share"]
OWN_TESTS = ("cardiomegaly", "dissection", "fracture", "pulmonary_embolism")
EACH = [(t.name, p) for t in ELSEWHERE for p in t.patterns if t.name not in OWN_TESTS]


@pytest.mark.parametrize(("name", "pattern"), EACH)
def test_every_kind_is_drawn_as_planned(name: str, pattern: str, trunk: tuple[Volume, LabelMap]) -> None:
    kind = extent_types()[name]
    finding = FindingRequest(
        kind=kind.kinds[0],
        organ=kind.organ,
        pattern=None if pattern == ONLY else Pattern(pattern),
        **AMOUNTS.get(name, {}),
    )
    plan, case = drawn(finding, trunk)
    host, organs = trunk
    mask = case.lesions.ids > 0
    changed = case.ct.hu != host.hu
    assert mask.any() and changed[mask].mean() > 0.3
    (found,) = measure(case).lesions
    failed = [c for c in extent_checks(plan, found) if not c.ok]
    assert not failed, failed
    text = write(measure(case)).section("findings")[0].text
    assert str(kind.kinds[0]).split()[-1] in text.lower() and text.endswith(".")
    if kind.unit in ("ratio", "organ mL") or name == "aneurysm":  # shapes: all that changed is in the mask
        assert not changed[~mask].any()
    elif name != "pneumothorax":  # which moves the lung, too
        assert changed[~mask].sum() < 4 * mask.sum() + 200


def test_a_heart_that_grows_takes_the_lungs_room(trunk: tuple[Volume, LabelMap]) -> None:
    plan, case = drawn(parse("cardiomegaly with a cardiothoracic ratio of 0.52").findings[0], trunk)
    host, organs = trunk
    assert not (case.ct.hu != host.hu)[case.lesions.ids == 0].any()
    (found,) = measure(case).lesions
    assert all(c.ok for c in extent_checks(plan, found))
    assert case.organs.mask("heart").sum() > 1.2 * organs.mask("heart").sum()
    lungs = [n for n in organs.names.values() if n.startswith("lung_")]
    assert case.organs.mask(*lungs).sum() < 0.98 * organs.mask(*lungs).sum()
    width = thorax_width_mm(case.organs)
    assert width == pytest.approx(thorax_width_mm(organs), abs=5.1)
    x = np.argwhere(case.organs.mask("heart"))[:, 0] * SPACING[0]
    assert np.ptp(x) / width == pytest.approx(0.52, abs=0.02)


def test_fluid_round_the_heart_is_no_longer_lung(trunk: tuple[Volume, LabelMap]) -> None:
    _, case = drawn(parse("300 mL pericardial effusion").findings[0], trunk)
    fluid = case.lesions.ids > 0
    assert fluid.sum() * case.ct.voxel_ml == pytest.approx(300, rel=0.1)
    lungs = [n for n in case.organs.names.values() if n.startswith("lung_")]
    assert not (case.organs.mask(*lungs) & fluid).any() and not (case.organs.mask("heart") & fluid).any()
    y = _points()[..., 1][fluid]
    heart_y = _points()[..., 1][case.organs.mask("heart")]
    assert y.mean() < heart_y.mean()  # most of it lies behind


def test_air_lies_in_front_and_the_lung_keeps_its_vessels(trunk: tuple[Volume, LabelMap]) -> None:
    host, organs = trunk
    _, case = drawn(parse("300 mL left pneumothorax").findings[0], trunk)
    air = case.lesions.ids > 0
    points = _points()
    assert (points[..., 0][air] < 0).all()  # RAS: left is -x
    assert (
        points[..., 1][air].mean() > points[..., 1][organs.mask("lung_upper_lobe_left", "lung_lower_lobe_left")].mean()
    )
    left = case.organs.mask("lung_upper_lobe_left", "lung_lower_lobe_left")
    before = organs.mask("lung_upper_lobe_left", "lung_lower_lobe_left")
    assert (before.sum() - left.sum()) * case.ct.voxel_ml == pytest.approx(300, rel=0.1)
    assert (case.ct.hu[left] > -300).mean() > 0.5 * (host.hu[before] > -300).mean()


@pytest.mark.parametrize("prompt", ["right pneumothorax", "cardiomegaly", "emphysema of 20% of the lungs"])
def test_a_host_s_arteries_do_not_become_organs(prompt: str, trunk: tuple[Volume, LabelMap]) -> None:
    number = labels.ids()["lung_arteries"]
    host, organs = trunk
    organs = LabelMap(organs.ids, AFFINE, {i: name for i, name in organs.names.items() if i != number})
    vessels = organs.mask("lung_lower_lobe_left") & (host.hu > -500)
    assert vessels.any()
    trees = np.where(vessels, number, 0).astype(np.uint8)
    (plan,) = plan_lesions(parse(prompt).findings, host, organs, np.random.default_rng(0))
    after = with_extents(Extended.of(host, organs, trees), [plan], None)
    assert not (after.organs.ids == number).any() and (after.trees == number).any()
    if prompt == "right pneumothorax":
        lobe = "lung_lower_lobe_left"
        assert np.array_equal(after.organs.mask(lobe), organs.mask(lobe))


def test_a_collapsed_lobe_gives_its_room_to_its_neighbour(trunk: tuple[Volume, LabelMap]) -> None:
    _, organs = trunk
    finding = parse("lobar atelectasis in the right lower lobe").findings[0]
    plan, case = drawn(finding, trunk)
    lobe, neighbour = "lung_lower_lobe_right", "lung_upper_lobe_right"
    share = case.organs.mask(lobe).sum() / organs.mask(lobe).sum()
    assert share == pytest.approx(plan.amount, abs=0.03)
    assert case.organs.mask(neighbour).sum() > organs.mask(neighbour).sum()
    assert np.median(case.ct.hu[case.organs.mask(lobe)]) > -100


def test_a_fatty_liver_is_darker_and_nothing_else_is(trunk: tuple[Volume, LabelMap]) -> None:
    host, organs = trunk
    plan, case = drawn(parse("severe steatosis").findings[0], trunk)
    assert np.median(case.ct.hu[organs.mask("liver")]) == pytest.approx(plan.amount, abs=4)
    assert (case.ct.hu == host.hu)[~organs.mask("liver")].all()


def test_plaques_lie_on_the_aorta_s_wall(trunk: tuple[Volume, LabelMap]) -> None:
    from scipy.ndimage import distance_transform_edt

    _, organs = trunk
    _, case = drawn(parse("severe arterial wall calcification").findings[0], trunk)
    aorta = organs.mask("aorta")
    deep = distance_transform_edt(aorta, sampling=SPACING)
    assert deep[(case.lesions.ids > 0) & aorta].max() < 8
    (found,) = measure(case).lesions
    assert found.extent is not None and found.extent.figures["agatston"] > 100


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("cardiomegaly with a cardiothoracic ratio of 0.3", "this host has"),
        ("splenomegaly of 100 mL", "this host has"),
        ("4000 mL pericardial effusion", "room for"),
    ],
)
def test_what_the_host_cannot_hold_is_one_line(prompt: str, names: str, trunk: tuple[Volume, LabelMap]) -> None:
    with pytest.raises(InputError, match=names) as error:
        drawn(parse(prompt).findings[0], trunk)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["heart", "aorta", "spleen", "liver", "esophagus"])
def test_a_missing_organ_is_named(name: str, trunk: tuple[Volume, LabelMap]) -> None:
    host, organs = trunk
    kinds = {"heart": "cardiomegaly", "aorta": "aneurysm", "spleen": "splenomegaly", "liver": "steatosis"}
    without = LabelMap(np.where(organs.mask(name), 0, organs.ids).astype(np.uint8), AFFINE, organs.names)
    prompt = kinds.get(name, "hiatal hernia")
    with pytest.raises(InputError, match=name if name != "esophagus" else "esophagus|stomach"):
        drawn(parse(prompt).findings[0], (host, without))


def test_a_chest_tube_is_on_its_side(trunk: tuple[Volume, LabelMap]) -> None:
    finding = FindingRequest(kind="chest tube", organ=Organ.PLEURA, side=Side.LEFT)
    _, case = drawn(finding, trunk)
    assert (_points()[..., 0][case.lesions.ids > 0] < 0).all()


@pytest.mark.parametrize("name", [t.name for t in extent_types().values() if t.draw in IN_LUNG])
def test_what_lies_beside_the_lung_and_is_no_air_stays(name: str, trunk: tuple[Volume, LabelMap]) -> None:
    """Outlines of lungs end short of the pleura, so half-filled voxels beyond are painted; fat and muscle are not."""
    host, organs = trunk
    kind = extent_types()[name]
    _, case = drawn(FindingRequest(kind=kind.kinds[0], organ=kind.organ, severity="severe"), trunk)
    lungs = organs.mask(*(n for n in organs.names.values() if n.startswith("lung_")))
    changed = (case.ct.hu != host.hu) & ~lungs
    assert (host.hu[changed] < -250).all()


PAIRS = [
    ("ground_glass_opacity", "interlobular_septal_thickening"),
    ("mosaic_attenuation", "emphysema"),
    ("crazy_paving", "fibrosis"),
    ("coronary_calcification", "cardiomegaly"),
    ("pacemaker", "cardiomegaly"),
    ("arterial_wall_calcification", "aneurysm"),
    ("chest_tube", "pneumothorax"),
    ("emphysema", "pneumothorax"),
]


@pytest.mark.parametrize("names", PAIRS, ids=" and ".join)
def test_two_findings_keep_each_its_mask_and_its_figure(names: tuple[str, str], trunk: tuple[Volume, LabelMap]) -> None:
    """What moves organs is drawn first, whichever was said first; diffuse findings leave each other's lung alone."""
    kinds = [extent_types()[name] for name in names]
    asked = [FindingRequest(kind=k.kinds[0], organ=k.organ, **AMOUNTS.get(k.name, {})) for k in kinds]
    plans = plan_lesions(asked, *trunk, np.random.default_rng(3))
    case = insert(*trunk, plans, keep_painted)
    found = {lesion.id: lesion for lesion in measure(case).lesions}
    for plan in plans:
        assert isinstance(plan, ExtentPlan)
        failed = [c for c in extent_checks(plan, found[plan.id]) if not c.ok]
        assert not failed, (plan.name, failed)


def test_lung_that_a_heart_moved_is_free_for_others(trunk: tuple[Volume, LabelMap]) -> None:
    plan, _ = drawn(FindingRequest(kind="cardiomegaly", organ="heart", ratio=0.5), trunk)
    one = with_extents(Extended.of(*trunk), [plan], None)
    assert (one.masks > 0).any() and not one.taken.any()


def test_more_than_all_of_the_lungs_is_one_line(trunk: tuple[Volume, LabelMap]) -> None:
    kinds = [extent_types()[name] for name in ("ground_glass_opacity", "crazy_paving")]
    asked = [FindingRequest(kind=k.kinds[0], organ=k.organ, share=0.6) for k in kinds]
    with pytest.raises(InputError, match=r"60% of a part asked for, and other findings leave 40% of it"):
        insert(*trunk, plan_lesions(asked, *trunk, np.random.default_rng(3)), keep_painted)


def test_what_others_leave_is_enough_where_no_figure_was_said(trunk: tuple[Volume, LabelMap]) -> None:
    asked = [
        FindingRequest(kind="ground-glass opacity", organ="lung", share=0.8),
        FindingRequest(kind="mosaic attenuation", organ="lung", severity="severe"),
    ]
    _, second = plan_lesions(asked, *trunk, np.random.default_rng(3))
    assert isinstance(second, ExtentPlan) and second.amount == pytest.approx(0.18, abs=0.01)


def test_every_amount_of_a_kind_can_be_planned() -> None:
    for kind in extent_types().values():
        for ranges in (kind.amount, *kind.amount_of.values()):
            assert all(low > 0 for low, _ in ranges.values()), kind.name
