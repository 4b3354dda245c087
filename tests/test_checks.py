"""The checks before a case is written: one made-up case that passes, and each check failing alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from prompts import CaseRequest, TargetRequest
from prompts.vocabulary import Extent, Habitus, Phase, Side
from synth.case.plan import GeneratePlan, InsertPlan
from synth.draw.checks import check_generated, check_inserted
from synth.lesions import LesionPlan
from synth.provenance import Check
from synth.report import measure
from synth.volumes import labels
from synth.volumes.types import Case, LabelMap, Volume
from tests.regions import HEAD_NECK, ORGANS, REGION, prior

SPACING = 8.0
AFFINE, SHAPE = HEAD_NECK.affine_at(SPACING), HEAD_NECK.shape_at(SPACING)
LEFT, RIGHT = slice(14, 24), slice(40, 50)  # voxels on the patient's left have the lower x
SELDOM = ("esophagus", "larynx")  # drawn in fewer than half of the training patients
LEFT_70 = TargetRequest(dose_gy=70, side=Side.LEFT)


def generated(
    volumes_ml: dict[str, float] | None = None,
    shoulders_mm: float = 400.0,
    target: slice | None = LEFT,
    names: Sequence[str] = ("planning_target_70gy",),
) -> Case:
    """A body with every organ at the median of real patients unless told otherwise, and a target on the left."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[12:52, 8:32, 6:40] = 40
    half = round(shoulders_mm / SPACING / 2)
    hu[32 - half : 32 + half, 8:32, 4:12] = 40
    ids, table = np.zeros(SHAPE, np.uint8), labels.ids()
    medians = {
        name: float(np.median([p[f"{name}_ml"] for p in prior().patients if f"{name}_ml" in p])) for name in ORGANS
    }
    for row, name in enumerate(ORGANS):
        voxels = round((medians | (volumes_ml or {}))[name] / (SPACING**3 / 1000))
        slab = ids[12:52, 8 + 3 * row : 11 + 3 * row, 20:40]  # 2400 voxels, more than any organ has
        slab[np.unravel_index(np.arange(voxels), slab.shape)] = table[name]
    lesions = np.zeros(SHAPE, np.uint8)
    for number in range(1, len(names) + 1):
        if target is not None:
            lesions[target, 12 : 20 + number, 12:20][lesions[target, 12 : 20 + number, 12:20] == 0] = number
    return Case(
        Volume(hu, AFFINE),
        LabelMap(ids, AFFINE, {table[name]: name for name in ORGANS}),
        LabelMap(lesions, AFFINE, dict(enumerate(names, start=1))),
    )


def plan(*targets: TargetRequest, extent: Extent | None = None) -> GeneratePlan:
    request = CaseRequest(targets=targets, extent=extent)
    return GeneratePlan(case="case_00000", seed=0, request=request, region="head_neck", spacing_mm=SPACING)


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.ok]


def test_a_case_like_real_patients_passes_every_check() -> None:
    checks = check_generated(generated(), plan(LEFT_70), REGION, prior())
    assert failed(checks) == []
    names = [*(f"{name}_ml" for name in ORGANS), "shoulder_width_mm", "planning_target_70gy_ml"]
    assert [check.name for check in checks] == [*names, "planning_target_70gy_side"]
    side = checks[-1]
    assert (side.value, side.low, side.high) == (1.0, 0.5, 1.0)


@pytest.mark.parametrize("organ", ORGANS)
def test_an_organ_that_is_too_large_fails(organ: str) -> None:
    assert failed(check_generated(generated({organ: 1000.0}), plan(LEFT_70), REGION, prior())) == [f"{organ}_ml"]


@pytest.mark.parametrize("organ", ORGANS)
def test_an_organ_that_is_missing_fails_unless_it_is_seldom_annotated(organ: str) -> None:
    checks = check_generated(generated({organ: 0.0}), plan(LEFT_70), REGION, prior())
    assert failed(checks) == ([] if organ in SELDOM else [f"{organ}_ml"])
    assert (f"{organ}_ml" in [check.name for check in checks]) is (organ not in SELDOM)


def test_a_field_without_shoulders_fails_unless_it_was_asked_for() -> None:
    narrow = generated(shoulders_mm=288.0)
    narrow.ct.hu[:12], narrow.ct.hu[52:] = -1000, -1000
    narrow.ct.hu[:, :, :12][:14], narrow.ct.hu[:, :, :12][50:] = -1000, -1000
    assert failed(check_generated(narrow, plan(LEFT_70), REGION, prior())) == ["shoulder_width_mm"]
    assert failed(check_generated(narrow, plan(LEFT_70, extent=Extent.NECK), REGION, prior())) == []


@pytest.mark.parametrize(
    ("asked", "target", "wrong"),
    [
        (Side.LEFT, RIGHT, ["planning_target_70gy_side"]),
        (Side.RIGHT, LEFT, ["planning_target_70gy_side"]),
        (Side.BILATERAL, LEFT, ["planning_target_70gy_side"]),
        (Side.LEFT, slice(22, 42), ["planning_target_70gy_side"]),
        (Side.BILATERAL, slice(22, 42), []),
        (Side.RIGHT, RIGHT, []),
        (None, RIGHT, []),
        (None, None, ["planning_target_70gy_ml"]),
        (Side.LEFT, None, ["planning_target_70gy_ml", "planning_target_70gy_side"]),
    ],
)
def test_a_target_elsewhere_fails(asked: Side | None, target: slice | None, wrong: list[str]) -> None:
    checks = check_generated(generated(target=target), plan(TargetRequest(dose_gy=70, side=asked)), REGION, prior())
    assert failed(checks) == wrong


def test_a_lower_dose_holds_the_higher_ones() -> None:
    """70 Gy fills 10 x 9 x 8 voxels; 63 Gy alone is the one row round it."""
    case = generated(names=("planning_target_70gy", "planning_target_63gy"))
    checks = {c.name: c for c in check_generated(case, plan(LEFT_70, TargetRequest(dose_gy=63)), REGION, prior())}
    assert checks["planning_target_70gy_ml"].value == pytest.approx(10 * 9 * 8 * 0.512)
    assert checks["planning_target_63gy_ml"].value == pytest.approx(10 * 10 * 8 * 0.512)
    own = checks["planning_target_63gy_own_ml"]
    assert own.value == pytest.approx(10 * 8 * 0.512, abs=1e-3) and own.ok
    case.lesions.ids[case.lesions.ids == 2] = 0
    assert "planning_target_63gy_own_ml" in failed(
        check_generated(case, plan(LEFT_70, TargetRequest(dose_gy=63)), REGION, prior())
    )


@pytest.mark.parametrize(
    ("vessels", "phase", "wrong"),
    [
        (55, Phase.NON_CONTRAST, []),
        (115, Phase.NON_CONTRAST, ["neck_vessels_hu"]),
        (115, Phase.ENHANCED, []),
        (115, Phase.PORTAL_VENOUS, []),
        (85, Phase.ENHANCED, []),  # faint
        (55, Phase.ARTERIAL, ["neck_vessels_hu"]),
        (55, None, []),
        (115, None, []),
    ],
)
def test_contrast_is_looked_for_in_the_vessels(vessels: int, phase: Phase | None, wrong: list[str]) -> None:
    affine, shape = HEAD_NECK.affine_at(4.0), HEAD_NECK.shape_at(4.0)
    hu = np.full(shape, -1000, np.int16)
    hu[24:104, 16:64, 4:84] = 40
    hu[50:54, 34:42, 12:84] = hu[74:78, 34:42, 12:84] = vessels
    empty = LabelMap(np.zeros(shape, np.uint8), affine, {})
    said = CaseRequest(phase=phase)
    asked = GeneratePlan(case="c", seed=0, request=said, region="head_neck", spacing_mm=4.0)
    checks = check_generated(Case(Volume(hu, affine), empty, empty), asked, REGION, prior())
    assert [name for name in failed(checks) if name.startswith("neck")] == wrong


def test_contrast_is_not_looked_for_where_vessels_are_blurred() -> None:
    asked = plan(LEFT_70).model_copy(update={"request": CaseRequest(targets=(LEFT_70,), phase=Phase.NON_CONTRAST)})
    assert failed(check_generated(generated(), asked, REGION, prior())) == []


@pytest.mark.parametrize(("habitus", "fails"), [(Habitus.SLIM, True), (Habitus.AVERAGE, True), (Habitus.LARGE, False)])
def test_habitus_that_was_said_is_measured(habitus: Habitus, fails: bool) -> None:
    """The neck of the made-up case has 40 x 24 voxels of 8 mm: 614 cm2."""
    asked = plan(LEFT_70).model_copy(update={"request": CaseRequest(targets=(LEFT_70,), habitus=habitus)})
    assert failed(check_generated(generated(), asked, REGION, prior())) == (["neck_area_cm2"] if fails else [])


def test_a_volume_of_air_fails_and_does_not_break() -> None:
    empty = Case(
        Volume(np.full(SHAPE, -1024, np.int16), AFFINE),
        LabelMap(np.zeros(SHAPE, np.uint8), AFFINE, {}),
        LabelMap(np.zeros(SHAPE, np.uint8), AFFINE, {}),
    )
    assert len(failed(check_generated(empty, plan(LEFT_70), REGION, prior()))) == len(ORGANS) - len(SELDOM) + 3


@pytest.fixture
def inserted() -> Callable[[float, float], list[Check]]:
    """Checks of a box of some length in mm where another was planned, in slices across the third axis."""

    def measured(length_mm: float, planned_mm: float) -> list[Check]:
        affine = np.diag([-1.0, 1.5, 3.0, 1.0])
        hu, ids = np.full((40, 20, 8), 40, np.int16), np.zeros((40, 20, 8), np.uint8)
        ids[4 : 4 + round(length_mm), 8:10, 3:5] = 1
        lesion = LesionPlan.model_validate(
            {
                "id": 1, "kind": "lung_nodule", "organ": "lung", "structures": ("lung_upper_lobe_right",),
                "invades": False, "bulges": False, "phase": "native", "centre": (10, 9, 4), "size_mm": planned_mm,
                "ball_mm": 20.0, "axes": (0.9, 0.8), "rotation": (0.0, 0.0, 0.0, 1.0), "roughness": 0.0, "lobes": 0,
                "lobe_depth": 0.0, "spicules": 0, "spicule_mm": 0.0, "margin_mm": 1.5, "grain_hu": 0.0,
                "grain_mm": 2.0, "seed": 7, "zones": ({"name": "tissue", "reach": 1.0, "hu": 40.0, "opacity": 1.0},),
            }
        )  # fmt: skip
        organs = LabelMap(np.zeros_like(ids), affine, {})
        case = Case(Volume(hu, affine), organs, LabelMap(ids, affine, {1: "lung_nodule_1"}))
        request = CaseRequest()
        return check_inserted(measure(case), InsertPlan(case="x", seed=0, request=request, lesions=(lesion,)))

    return measured


@pytest.mark.parametrize(("planned", "ok"), [(16.3, True), (15.0, True), (18.0, False), (13.0, False)])
def test_a_lesion_is_as_long_as_planned_to_one_voxel(
    inserted: Callable[[float, float], list[Check]], planned: float, ok: bool
) -> None:
    (check,) = inserted(16.0, planned)
    assert check.name == "lung_nodule_1_long_axis_mm" and check.ok is ok
    assert check.value == pytest.approx(16.3, abs=0.4)  # 16 mm long, 3 mm across
    assert (check.low, check.high) == pytest.approx((planned - 1.5, planned + 1.5))


def test_a_lesion_that_is_not_there_fails(inserted: Callable[[float, float], list[Check]]) -> None:
    (check,) = inserted(0.0, 10.0)
    assert check.value == 0.0 and not check.ok
