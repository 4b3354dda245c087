"""Laws of a grown lesion: its size, its place, one piece, inside its ball."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from prompts.request import FindingRequest
from synth.errors import InputError
from synth.lesions import LesionPlan, plan_lesions, shape
from synth.lesions.shape import Grown, grow
from synth.report.diameters import axial_diameters, longest_diameter, sphericity
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

FINDINGS = (
    FindingRequest(kind="nodule", organ="lung", segment="upper", size_mm=14, spiculated=True),
    FindingRequest(kind="mass", organ="lung", segment="lower", size_mm=22, lobulated=True),
    FindingRequest(kind="nodule", organ="lung", size_mm=7.5, texture="ground-glass"),
    FindingRequest(kind="tumour", organ="liver", size_mm=19, shape="irregular", surface="ill-defined"),
    FindingRequest(kind="cyst", organ="kidney", size_mm=11.2),
)


def grown_and_full(plan: LesionPlan, host: Volume, organs: LabelMap) -> tuple[Grown, np.ndarray]:
    grown = grow(plan, host, organs)
    full = np.zeros(host.hu.shape, bool)
    full[grown.box] = grown.mask
    return grown, full


@pytest.mark.parametrize("seed", range(30))
def test_thirty_random_lesions_obey_their_plan(host: Volume, organs: LabelMap, seed: int) -> None:
    finding = FINDINGS[seed % len(FINDINGS)]
    (plan,) = plan_lesions([finding], host, organs, np.random.default_rng(seed))
    grown, mask = grown_and_full(plan, host, organs)
    in_plane = host.spacing[0]
    assert plan.size_mm <= axial_diameters(mask, host.spacing, 2).long_mm <= plan.size_mm + in_plane
    assert longest_diameter(mask, host.spacing) <= plan.size_mm + np.linalg.norm(host.spacing)
    assert mask[~organs.mask(*plan.structures)].sum() == 0
    assert grown.share[~organs.mask(*plan.structures)[grown.box]].max() == 0
    assert ndimage.label(mask)[1] == 1
    assert mask[plan.centre]
    reached = np.argwhere(grown.share > 0) + [s.start for s in grown.box]
    offsets = (reached - plan.centre) * host.spacing
    assert np.linalg.norm(offsets, axis=1).max() <= plan.ball_mm
    assert np.isfinite(grown.share).all()
    assert grown.share.min() >= 0
    assert grown.share.max() <= 1


def test_the_same_plan_grows_the_same_lesion(
    host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan]
) -> None:
    plan = make_plan(lobes=5, lobe_depth=0.2, spicules=12, spicule_mm=6.0)
    one, two = grow(plan, host, organs), grow(plan, host, organs)
    np.testing.assert_array_equal(one.share, two.share)
    other = grow(plan.model_copy(update={"seed": 8}), host, organs)
    assert not np.array_equal(one.share, other.share)


def test_only_what_the_surface_may_cross_is_sampled_finely(
    host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = []
    whole = shape.scale_and_distance
    monkeypatch.setattr(
        shape, "scale_and_distance", lambda plan, table, at: looked_up.append(at[0].size) or whole(plan, table, at)
    )
    grown = grow(make_plan(ball_mm=26.0), host, organs)
    voxels, lattice = grown.share.size, len(looked_up) - 1
    assert lattice == 16  # points in a voxel
    assert looked_up[0] == voxels
    assert sum(looked_up[1:]) < 0.2 * lattice * voxels


def test_a_plain_plan_grows_an_ellipsoid(host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan]) -> None:
    grown = grow(make_plan(roughness=0.0, axes=(0.8, 0.7)), host, organs)
    volume = grown.mask.sum() * np.prod(host.spacing)
    expected = np.pi / 6 * 18.0**3 * 0.8 * 0.7
    assert volume == pytest.approx(expected, rel=0.12)


def test_on_an_oblique_grid_the_long_axis_points_where_it_was_drawn(make_plan: Callable[..., LesionPlan]) -> None:
    turn = Rotation.from_euler("xyz", [12, 9, 25], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn * [0.8, 0.9, 1.5]
    shape = (72, 64, 40)
    liver = LabelMap(np.full(shape, 5, np.uint8), affine, {5: "liver"})
    host = Volume(np.full(shape, 60, np.int16), affine)
    yaw = Rotation.from_euler("z", 30, degrees=True)
    plan = make_plan(
        structures=("liver",), centre=(36, 32, 20), axes=(0.5, 0.45), roughness=0.0, rotation=tuple(yaw.as_quat())
    )
    grown = grow(plan, host, liver)
    points = world_of(np.argwhere(grown.mask), affine)
    _, _, directions = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    assert abs(directions[0] @ yaw.apply([1, 0, 0])) > 0.98
    # the slices are tilted against the long axis by 15 degrees, so the lesion is a little longer than in a slice
    assert 18 <= axial_diameters(grown.mask, host.spacing, 2).long_mm <= 18.9


def test_lobes_and_roughness_take_from_sphericity(
    host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan]
) -> None:
    smooth = grow(make_plan(roughness=0.0, axes=(1.0, 1.0)), host, organs)
    lobed = grow(make_plan(roughness=0.05, axes=(1.0, 1.0), lobes=6, lobe_depth=0.35), host, organs)
    assert sphericity(lobed.mask, host.spacing) < sphericity(smooth.mask, host.spacing) - 0.02


def test_spicules_leave_the_body_and_are_no_part_of_the_mask(
    host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan]
) -> None:
    plain = {"size_mm": 12.0, "ball_mm": 20.0, "roughness": 0.0}
    without, with_strands = (
        grow(make_plan(**plain, spicules=n, spicule_mm=8.0 if n else 0.0), host, organs) for n in (0, 24)
    )
    beyond = with_strands.depth > 1.4
    assert without.share[without.depth > 1.4].max() == 0
    assert (with_strands.share[beyond] > 0.1).sum() > 20
    assert not (with_strands.mask & beyond).any()


def test_an_invading_lesion_crosses_into_soft_tissue_and_spares_bone(make_plan: Callable[..., LesionPlan]) -> None:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    ids = np.zeros((40, 40, 20), np.uint8)
    ids[:22] = 5
    ids[22:, :20] = 92  # a rib beside unlabelled soft tissue
    organs = LabelMap(ids, affine, {5: "liver", 92: "rib_left_1"})
    host = Volume(np.full(ids.shape, 50, np.int16), affine)
    plan = make_plan(structures=("liver",), centre=(19, 20, 10), size_mm=16.0, invades=True)
    _, mask = grown_and_full(plan, host, organs)
    assert mask[22:, 20:].any()
    assert not mask[ids == 92].any()
    _, kept = grown_and_full(plan.model_copy(update={"invades": False}), host, organs)
    assert not kept[22:].any()


def test_a_bulging_lesion_grows_into_fat_and_no_further(make_plan: Callable[..., LesionPlan]) -> None:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    ids = np.zeros((48, 40, 20), np.uint8)
    ids[8:22] = 3
    hu = np.full(ids.shape, -110, np.int16)
    hu[8:22] = 35
    hu[:, :12] = 50  # muscle beside the fat
    organs = LabelMap(ids, affine, {3: "kidney_left"})
    host = Volume(hu, affine)
    plan = make_plan(structures=("kidney_left",), centre=(19, 20, 10), size_mm=20.0, bulges=True)
    _, mask = grown_and_full(plan, host, organs)
    assert mask[22:].any()
    assert not mask[(ids == 0) & (hu == 50)].any()


def test_a_plan_for_another_host_is_an_error(
    host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan]
) -> None:
    with pytest.raises(InputError, match="not in lung_upper_lobe_right of this host"):
        grow(make_plan(centre=(75, 40, 34)), host, organs)
    tiny = LabelMap(np.where(np.indices(organs.ids.shape)[0] == 28, organs.ids, 0), organs.affine, organs.names)
    with pytest.raises(InputError, match="95 mm does not fit"):
        grow(make_plan(size_mm=95.0, ball_mm=60.0), host, tiny)
