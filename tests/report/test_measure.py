"""Measurements of a case whose every number is known by construction."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from synth.report.margin import margin_width
from synth.report.measure import measure
from synth.volumes.types import Case, LabelMap, Volume

SPACING = (0.8, 0.8, 2.0)
SHAPE = (90, 80, 36)
ORGAN_NAMES = {5: "liver", 12: "lung_upper_lobe_right", 1: "spleen", 79: "spinal_cord"}


def make_case(
    lesion: np.ndarray, organ_ids: np.ndarray, hu: np.ndarray, name: str, affine: np.ndarray | None = None
) -> Case:
    if affine is None:
        affine = np.diag([-SPACING[0], *SPACING[1:], 1.0])
    return Case(
        Volume(np.rint(hu).astype(np.int16), affine),
        LabelMap(organ_ids, affine, ORGAN_NAMES),
        LabelMap(lesion.astype(np.uint8), affine, {1: name}),
    )


@pytest.fixture(scope="module")
def ball_in_liver(ellipsoid: Callable) -> Case:
    """A ball of 10 mm radius and 20 HU in a liver of 60 HU that touches the spleen."""
    ball = ellipsoid(SHAPE, SPACING, (10, 10, 10))
    ids = np.full(SHAPE, 5, np.uint8)
    ids[57:] = 1  # the ball reaches x index 56, 0.4 mm short of 44.5 + 12.5
    hu = np.where(ball, 20.0, np.where(ids == 5, 60.0, 110.0))
    return make_case(ball, ids, hu, "liver_tumour_1")


def test_a_ball_by_hand(ball_in_liver: Case) -> None:
    measured = measure(ball_in_liver)
    (ball,) = measured.lesions
    voxels = int((ball_in_liver.lesions.ids == 1).sum())
    assert (ball.id, ball.name, ball.kind, ball.organ, ball.structure) == (
        1,
        "liver_tumour_1",
        "tumour",
        "liver",
        "liver",
    )
    assert ball.voxels == voxels
    assert ball.volume_ml == pytest.approx(voxels * 0.8 * 0.8 * 2.0 / 1000, abs=1e-3)
    assert ball.volume_ml == pytest.approx(4 / 3 * np.pi, rel=0.03)  # 10 mm radius: 4.19 mL
    assert ball.long_axis_mm == pytest.approx(20, abs=0.8)
    assert ball.short_axis_mm == pytest.approx(20, abs=0.8)
    assert ball.long_axis_3d_mm == pytest.approx(20, abs=2.0)
    assert ball.sphericity > 0.93
    assert (ball.mean_hu, ball.sd_hu, ball.mask_mean_hu) == (20, 0, 20)
    assert (ball.organ_mean_hu, ball.contrast_hu) == (60, -40)
    assert ball.contacts == ("spleen",)
    assert ball.centre_mm == pytest.approx((-44.5 * 0.8, 39.5 * 0.8, 17.5 * 2.0))
    assert ball.side is None  # no gallbladder, no cava: the halves of the liver are not known
    assert ball.pleura_mm is None


def test_organs_are_measured_without_the_lesion(ball_in_liver: Case) -> None:
    spleen, liver = measure(ball_in_liver).organs
    assert (spleen.name, liver.name) == ("spleen", "liver")
    assert liver.voxels == 57 * 80 * 36
    assert (liver.mean_hu, liver.sd_hu) == (60, 0)
    assert spleen.mean_hu == 110


def test_the_volume_is_told_in_the_patients_axes(ball_in_liver: Case) -> None:
    turned = [
        type(part)(np.moveaxis(array, 2, 0), part.affine[:, [2, 0, 1, 3]], *rest)
        for part, array, rest in (
            (ball_in_liver.ct, ball_in_liver.ct.hu, ()),
            (ball_in_liver.organs, ball_in_liver.organs.ids, (ball_in_liver.organs.names,)),
            (ball_in_liver.lesions, ball_in_liver.lesions.ids, (ball_in_liver.lesions.names,)),
        )
    ]
    assert measure(Case(*turned)) == measure(ball_in_liver)
    assert measure(ball_in_liver).volume.extent_mm == pytest.approx((72.0, 64.0, 72.0))


def test_an_oblique_grid_keeps_sizes(ellipsoid: Callable) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [15, 10, 30], degrees=True).as_matrix() * SPACING
    lesion = ellipsoid(SHAPE, SPACING, (14, 8, 8))
    case = make_case(lesion, np.full(SHAPE, 5, np.uint8), np.full(SHAPE, 60.0), "liver_cyst_1", affine)
    (cyst,) = measure(case).lesions
    assert cyst.long_axis_mm == pytest.approx(28, abs=0.8)
    assert cyst.short_axis_mm == pytest.approx(16, abs=np.hypot(0.8, 0.8))
    assert cyst.margin is None  # same HU as the liver: no edge to measure


def test_side_lobe_and_pleura_of_a_lung_nodule(ellipsoid: Callable) -> None:
    """Lung up to x index 60; the ball's edge is at index 40 + 10: ten voxels of lung lie between."""
    ids = np.zeros(SHAPE, np.uint8)
    ids[5:61, 5:75, 2:34] = 12
    ball = ellipsoid(SHAPE, SPACING, (8, 8, 8), (40 * 0.8, 40 * 0.8, 18 * 2.0))
    hu = np.where(ball, 30.0, np.where(ids == 12, -850.0, 40.0))
    (nodule,) = measure(make_case(ball, ids, hu, "lung_nodule_1")).lesions
    assert (nodule.organ, nodule.side, nodule.segment) == ("lung", "right", "upper")
    assert nodule.pleura_mm == pytest.approx(11 * 0.8)  # from voxel 50 to voxel 61, centre to centre
    assert nodule.contacts == ()
    assert nodule.margin == "well-defined"


def test_a_lesion_outside_every_label_takes_its_side_from_the_midline(ellipsoid: Callable) -> None:
    ids = np.zeros(SHAPE, np.uint8)
    ids[44:46, 38:42] = 79
    lesion = ellipsoid(SHAPE, SPACING, (6, 6, 6), (60.0, 32.0, 36.0))  # x runs to the left
    (found,) = measure(make_case(lesion, ids, np.full(SHAPE, 40.0), "mass_1")).lesions
    assert (found.organ, found.structure, found.side, found.organ_mean_hu) == ("soft tissue", None, "left", None)


@pytest.mark.parametrize("width", [1.5, 3.0, 6.0])
def test_the_width_of_a_blurred_edge_is_found(ellipsoid: Callable, width: float) -> None:
    """A Gaussian edge of SD s rises from 10 to 90% over 2.563 s."""
    spacing = np.array((0.7, 0.7, 2.0))
    ball = ellipsoid((90, 90, 24), tuple(spacing), (16, 16, 60))  # a rod: no cap in the way
    sigma = width / 2.563
    noise = np.random.default_rng(0).normal(0, 5, ball.shape)
    hu = 60 - 80 * gaussian_filter(ball.astype(float), (sigma / 0.7, sigma / 0.7, 0)) + noise
    measured = margin_width(hu, ball, ~ball, spacing, 2)
    assert measured == pytest.approx(width, abs=0.6)


def targets_case(ids: np.ndarray) -> Case:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[0, 3] = -49.5
    cord = np.zeros(ids.shape, np.uint8)
    cord[49:51, 20:22] = 79
    names = {1: "planning_target_56gy", 2: "planning_target_63gy", 3: "planning_target_70gy"}
    return Case(
        Volume(np.zeros(ids.shape, np.int16), affine),
        LabelMap(cord, affine, ORGAN_NAMES),
        LabelMap(ids, affine, names),
    )


def test_planning_targets_are_nested() -> None:
    ids = np.zeros((100, 40, 20), np.uint8)
    ids[10:90, 10:30, 5:15] = 1
    ids[10:45, 10:30, 5:15] = 2
    ids[10:30, 10:20, 5:10] = 3
    high, middle, low = measure(targets_case(ids)).targets
    assert [t.dose_gy for t in (high, middle, low)] == [70, 63, 56]
    assert [t.voxels for t in (high, middle, low)] == [20 * 10 * 5, 35 * 20 * 10, 80 * 20 * 10]
    assert high.volume_ml == pytest.approx(2.0)
    assert (high.side, middle.side, low.side) == ("left", "left", "bilateral")
    assert low.masks == ("planning_target_56gy", "planning_target_63gy", "planning_target_70gy")
    assert high.masks == ("planning_target_70gy",)
    assert not measure(targets_case(ids)).lesions


def test_a_target_about_the_midline() -> None:
    ids = np.zeros((100, 40, 20), np.uint8)
    ids[35:65, 10:30, 5:15] = 1
    (target,) = measure(targets_case(ids)).targets
    assert target.side == "midline"
    assert target.long_axis_mm == pytest.approx(np.sqrt(30**2 + 20**2 + 20**2), abs=2)


def test_an_empty_case_has_nothing_to_measure() -> None:
    measured = measure(targets_case(np.zeros((100, 40, 20), np.uint8)))
    assert measured.lesions == ()
    assert measured.targets == ()
    assert measured.volume.region is None


@pytest.mark.parametrize("up", [1.0, -1.0], ids=["feet first", "head first"])
@pytest.mark.parametrize(("cut", "region"), [(True, "chest"), (False, "chest_abdomen")])
def test_kidneys_that_the_foot_end_cuts_make_no_abdomen(up: float, cut: bool, region: str) -> None:
    """Whole lungs above, a kidney below; slices run either way."""
    ids = np.zeros((40, 40, 100), np.uint8)
    ids[10:30, 10:30, 40:95] = 10
    ids[15:25, 5:12, (0 if cut else 6) : 20] = 2
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    if up < 0:
        ids, affine = ids[..., ::-1].copy(), affine @ np.diag([1.0, 1.0, -1.0, 1.0])
    organs = LabelMap(ids, affine, {10: "lung_upper_lobe_left", 2: "kidney_right"})
    hu = np.full(ids.shape, 30, np.int16)
    case = Case(Volume(hu, affine), organs, LabelMap(np.zeros(ids.shape, np.uint8), affine, {}))
    assert measure(case).volume.region == region
