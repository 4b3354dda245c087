"""Laws of mass effect: nothing folds, nothing outside the ball moves, organs move with the CT."""

from collections.abc import Callable

import numpy as np
import pytest

from synth.lesions import LesionPlan, insert, keep_painted
from synth.lesions.mass_effect import bone_mask, displace, source_ratio
from synth.lesions.shape import grow
from synth.report.noise import measure_noise
from synth.volumes.types import LabelMap, Volume


def jacobian(source: np.ndarray) -> np.ndarray:
    """Determinant of the derivative of a map given as voxel indices, (3, x, y, z)."""
    rows = [np.stack(np.gradient(source[axis].astype(float)), axis=-1) for axis in range(3)]
    return np.linalg.det(np.stack(rows, axis=-2))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("changes", [{}, {"lobes": 6, "lobe_depth": 0.2, "roughness": 0.07, "axes": (0.8, 0.6)}])
def test_the_jacobian_is_positive(
    host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan], share: float, changes: dict
) -> None:
    plan = make_plan(mass_effect=share, ball_mm=19.0, **changes)
    displacement = displace(plan, grow(plan, host, organs), host, organs)
    assert displacement.moved.sum() > 1000
    assert jacobian(displacement.source()).min() > 0


def test_the_map_along_a_ray_rises_and_ends() -> None:
    depth = np.linspace(0.01, 3, 600)
    for outer in (1.05, 1.5, 2.0):
        source = depth * source_ratio(depth, np.full(600, outer), 0.8)
        assert (np.diff(source) > 0).all()
        np.testing.assert_allclose(source[depth > outer], depth[depth > outer])
    np.testing.assert_allclose(source_ratio(depth, np.full(600, 0.9), 0.8), 1)  # bone at the surface: nothing moves


def test_a_straight_line_of_contrast_bends_outwards_and_labels_go_with_it(make_plan: Callable[..., LesionPlan]) -> None:
    """Liver below x = 30, spleen above: a lesion in the liver pushes the border away from itself."""
    affine = np.eye(4)
    ids = np.full((60, 48, 48), 5, np.uint8)
    ids[30:] = 1
    hu = np.where(ids == 5, 60, 120).astype(np.int16)
    host, organs = Volume(hu, affine), LabelMap(ids, affine, {5: "liver", 1: "spleen"})
    plan = make_plan(
        structures=("liver",), centre=(20, 24, 24), size_mm=16.0, ball_mm=17.0, mass_effect=0.8, roughness=0.0
    )
    case = insert(host, organs, [plan], keep_painted)
    border = (case.organs.ids == 5).sum(axis=0)
    assert border[24, 24] >= 32
    assert border[2, 2] == 30
    beyond = (slice(30, border[24, 24] - 1), 24, 24)
    assert (case.ct.hu[beyond] < 90).all()  # where the label says liver, the CT shows liver
    distance = np.linalg.norm(np.indices(ids.shape).T - plan.centre, axis=-1).T
    np.testing.assert_array_equal(case.ct.hu[distance > plan.ball_mm], hu[distance > plan.ball_mm])
    np.testing.assert_array_equal(case.organs.ids[distance > plan.ball_mm], ids[distance > plan.ball_mm])


def test_bone_does_not_move(make_plan: Callable[..., LesionPlan]) -> None:
    affine = np.eye(4)
    ids = np.full((60, 48, 48), 5, np.uint8)
    ids[33:38] = 92
    organs = LabelMap(ids, affine, {5: "liver", 92: "rib_left_1"})
    host = Volume(np.where(ids == 5, 60, 500).astype(np.int16), affine)
    plan = make_plan(structures=("liver",), centre=(20, 24, 24), size_mm=16.0, ball_mm=20.0, mass_effect=0.8)
    assert bone_mask(organs.names, ids).sum() == (ids == 92).sum()
    case = insert(host, organs, [plan], keep_painted)
    np.testing.assert_array_equal(case.organs.ids == 92, ids == 92)


def test_pushed_tissue_keeps_the_hosts_noise(
    host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan]
) -> None:
    plan = make_plan(
        structures=("liver",), centre=(30, 43, 7), size_mm=14.0, ball_mm=15.0, mass_effect=0.9, roughness=0.0
    )
    noise = measure_noise(host, organs)
    case = insert(host, organs, [plan], keep_painted, noise)
    grown = grow(plan, host, organs)
    displacement = displace(plan, grown, host, organs)
    shell = displacement.moved & (grown.share == 0) & organs.mask("liver")[grown.box]
    assert shell.sum() > 300
    assert case.ct.hu[grown.box][shell].std() == pytest.approx(host.hu[grown.box][shell].std(), rel=0.12)
