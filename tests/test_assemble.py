"""From a drawn frame to a case: HU, organs in one piece under the table's ids, targets nested by dose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prompts import CaseRequest, TargetRequest
from prompts.vocabulary import Side
from synth.case.plan import GeneratePlan
from synth.draw.drawn import Drawn
from synth.draw.organs import assemble, isodose, main_pieces
from synth.models import intensity
from synth.regions.prior import Prior
from synth.regions.sides import side_share
from synth.volumes import labels
from synth.volumes.types import Case
from tests.regions import CLASSES, HEAD_NECK, ORGANS, REGION, prior

SHAPE = HEAD_NECK.shape
SOFT = float(intensity.to_unit(np.array(40.0)))


def a_case(
    dose: torch.Tensor | None = None,
    doses: tuple[int, ...] = (),
    fractions: torch.Tensor | None = None,
    side: Side | None = None,
    facts: dict[str, float] | None = None,
) -> Case:
    ct = torch.full((1, 1, *SHAPE), -1.0)
    ct[:, :, 4:28, 4:16, 2:22] = SOFT
    if fractions is None:
        fractions = torch.zeros(1, CLASSES, *SHAPE)
        fractions[:, 0] = 1
    request = CaseRequest(targets=tuple(TargetRequest(dose_gy=dose, side=side) for dose in doses))
    plan = GeneratePlan(case="case_00000", seed=0, request=request, region="head_neck", spacing_mm=16.0)
    plan = plan.model_copy(update={"facts": facts or {}})
    return assemble(
        plan,
        Drawn(REGION, HEAD_NECK, 16.0, ct, torch.zeros(1, 1, *SHAPE) if dose is None else dose, fractions, ct),
        prior(),
    )


def test_main_pieces_drops_islands_and_keeps_real_parts() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[1:6, 1:6, 1:6] = True  # 125 voxels
    mask[10:13, 10:13, 10:13] = True  # 27: a fifth of the largest
    mask[16:18, 16:18, 16:18] = True  # 8: an island
    mask[6, 6, 6] = True  # touches the largest by its corner
    kept = main_pieces(mask)
    assert kept[1:6, 1:6, 1:6].all() and kept[10:13, 10:13, 10:13].all() and kept[6, 6, 6]
    assert kept.sum() == 125 + 27 + 1
    assert main_pieces(mask, keep=0.5).sum() == 126
    assert not main_pieces(np.zeros_like(mask)).any()


def test_the_case_lies_on_the_frame_with_the_anchor_at_the_origin() -> None:
    case = a_case()
    assert case.ct.hu[0, 0, 0] == -1024 and case.ct.hu[16, 10, 12] == 40
    np.testing.assert_allclose(case.ct.affine, HEAD_NECK.affine_at(16.0))
    np.testing.assert_allclose(case.ct.affine @ [15.5, 10.75, 14.5, 1], [0, 0, 0, 1])
    assert case.lesions.names == {} and not case.lesions.ids.any()


def test_organs_have_the_ids_of_the_table_and_no_islands() -> None:
    fractions = torch.zeros(1, CLASSES, *SHAPE)
    fractions[:, 0] = 0.4
    for i in range(1, CLASSES):
        fractions[:, i, 3 * i : 3 * i + 2, 8:12, 8:12] = 0.6
        fractions[:, i, 3 * i, 0, 0] = 0.6  # an island
    case = a_case(fractions=fractions)
    assert case.organs.names == {labels.ids()[name]: name for name in ORGANS}
    for i, name in enumerate(ORGANS, start=1):
        expected = np.zeros(SHAPE, bool)
        expected[3 * i : 3 * i + 2, 8:12, 8:12] = True
        np.testing.assert_array_equal(case.organs.mask(name), expected)
        assert (case.organs.ids[expected] == labels.ids()[name]).all()


def test_a_stump_of_an_organ_that_few_patients_taught_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Prior, "organ_range", lambda self, organ: (5.0, 500.0))
    fractions = torch.zeros(1, CLASSES, *SHAPE)
    fractions[:, 0] = 0.4
    for i in range(1, CLASSES):
        fractions[:, i, 3 * i, 8, 8] = 0.6  # a voxel of 4.1 mL
    case = a_case(fractions=fractions)
    left = {name for name in ORGANS if not prior().may_be_missing(name)}
    assert set(case.organs.names.values()) == left and "esophagus" not in left and "mandible" in left
    assert set(np.unique(case.organs.ids)) - {0} == {labels.ids()[name] for name in left}
    assert not prior().is_stump("esophagus", 5.1) and prior().is_stump("esophagus", 4.1)


def shells() -> torch.Tensor:
    """Steps of the dose ladder: 70 Gy inside 63 Gy inside 56 Gy, each 4 voxels wider, and 70 Gy in air."""
    dose = torch.zeros(1, 1, *SHAPE)
    for step, edge in ((1, 6), (2, 8), (3, 10)):
        dose[:, :, edge : 32 - edge, 6:14, edge - 2 : 26 - edge] = step
    dose[:, :, 0:3, 0:3, 0:2] = 3
    return dose


def test_targets_are_nested_and_the_highest_wins() -> None:
    case = a_case(shells(), (56, 70, 63))
    assert case.lesions.names == {1: "planning_target_70gy", 2: "planning_target_63gy", 3: "planning_target_56gy"}
    ids = case.lesions.ids[:, 10, 12]
    assert ids.tolist() == [0] * 6 + [3] * 2 + [2] * 2 + [1] * 12 + [2] * 2 + [3] * 2 + [0] * 6
    assert not case.lesions.ids[:4].any()  # none in air


@pytest.mark.parametrize(("dose", "voxels"), [(70, 12), (63, 16), (56, 20)])
def test_one_target_alone_holds_the_higher_doses(dose: int, voxels: int) -> None:
    case = a_case(shells(), (dose,))
    assert case.lesions.names == {1: f"planning_target_{dose}gy"}
    assert (case.lesions.ids[:, 10, 12] == 1).sum() == voxels


def two_sided() -> torch.Tensor:
    """Dose about two centres, the one on the right (larger x) a little stronger."""
    x, y, z = (torch.arange(n) + 0.5 for n in SHAPE)
    dose = torch.zeros(1, 1, *SHAPE)
    for centre, strength in ((11.0, 2.4), (21.0, 2.6)):
        r2 = (x - centre)[:, None, None] ** 2 + (y - 10)[:, None] ** 2 + (z - 12) ** 2
        dose[0, 0] = torch.maximum(dose[0, 0], strength * torch.exp(-r2 / 24))
    return dose


@pytest.mark.parametrize(
    ("side", "low", "high"),
    [(None, -0.4, 0.4), (Side.RIGHT, -1, -0.5), (Side.LEFT, 0.5, 1), (Side.BILATERAL, -0.5, 0.5)],
)
def test_the_dose_is_tilted_to_the_side_that_was_asked_and_volumes_hold(
    side: Side | None, low: float, high: float
) -> None:
    doses = {70: 600.0, 56: 1500.0}
    facts = {f"target_{dose}_ml": ml for dose, ml in doses.items()}
    case = a_case(two_sided(), tuple(doses), side=side, facts=facts)
    x = case.ct.affine[0, 3] + 16.0 * np.arange(SHAPE[0])
    inside = case.lesions.ids == 1
    assert low <= side_share(inside, x) <= high
    assert inside.sum() * 4.096 == pytest.approx(600.0, rel=0.2)  # voxels of 4 mL, many of one dose
    assert (case.lesions.ids > 0).sum() * 4.096 == pytest.approx(1500.0, rel=0.2)
    assert not (case.lesions.ids > 0)[np.abs(x) > 12 * 16].any()  # none far from where dose was drawn


def test_targets_that_were_not_asked_for_are_left_out() -> None:
    assert not a_case(shells(), ()).lesions.ids.any()


def test_a_target_holds_the_volume_of_its_plan() -> None:
    inside = np.sort(np.linspace(0.0, 3.0, 301))
    assert (inside > isodose(inside, 40, 2.5)).sum() == 40
    assert isodose(inside, 0.0, 2.5) == 2.5  # no volume is known
    assert isodose(inside, 10_000, 2.5) == pytest.approx(0.2)  # where no dose is, no target
