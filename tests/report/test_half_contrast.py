"""The body of a nodule at half contrast: the same whatever the outline, and what is measured of it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synth.report.attributes import RAGGED, SOLID_HU, concavity
from synth.report.half_contrast import half_contrast_body, raggedness
from synth.report.lesions import _margin

SHAPE = (41, 41, 41)
ONE = np.ones(3)
POINTS = np.indices(SHAPE) - 20.0
RADIUS = np.linalg.norm(POINTS, axis=0)
ANGLE = np.arctan2(POINTS[1], POINTS[0])
LUNG_HU = -850.0


def scanned(inside: np.ndarray, hu: float, blur: float = 1.0, noise: float = 10.0) -> np.ndarray:
    field = gaussian_filter(np.where(inside, hu, LUNG_HU), blur)
    return field + noise * np.random.default_rng(0).standard_normal(SHAPE)


@pytest.mark.parametrize("outlined", [8.0, 9.5, 11.0])
def test_the_body_is_the_same_whatever_the_outline(outlined: float) -> None:
    mask = outlined > RADIUS
    body = half_contrast_body(scanned(RADIUS < 8, 30.0), mask, ~mask, ONE)
    assert body is not None
    assert body.mask.sum() == pytest.approx((RADIUS < 8).sum(), rel=0.08)  # blur takes from balls
    assert body.lung_hu == pytest.approx(LUNG_HU, abs=5)


@pytest.mark.parametrize("radius", [3.0, 4.0, 8.0])
@pytest.mark.parametrize(("hu", "solid"), [(30.0, True), (-600.0, False)])
def test_small_solid_nodules_are_solid_though_blur_makes_them_pale(radius: float, hu: float, solid: bool) -> None:
    ball = radius > RADIUS
    seen = scanned(ball, hu, blur=1.5)
    body = half_contrast_body(seen, ball, ~ball, ONE)
    assert body is not None
    assert (body.dense_hu(ball) > SOLID_HU) is solid
    if solid and radius == 3.0:
        assert np.percentile(seen[ball], 90) < SOLID_HU  # without the correction it would be ground glass


def test_what_is_hardly_denser_than_the_lung_has_no_body() -> None:
    ball = RADIUS < 8
    assert half_contrast_body(scanned(ball, LUNG_HU + 30), ball, ~ball, ONE) is None
    assert half_contrast_body(scanned(ball, 30.0), ball, np.zeros(SHAPE, bool), ONE) is None


def test_spikes_are_ragged_and_ellipsoids_are_not() -> None:
    ellipsoid = np.linalg.norm(POINTS / np.array([1.4, 1.0, 0.8])[:, None, None, None], axis=0) < 8
    spiky = 10 * (1 + 0.4 * np.cos(5 * ANGLE)) > RADIUS
    for inside, ragged in ((ellipsoid, False), (spiky, True)):
        body = half_contrast_body(scanned(inside, 30.0), inside, ~inside, ONE)
        assert body is not None
        assert (raggedness(body, ONE) > RAGGED) is ragged


def test_thick_slices_do_not_make_a_ball_ragged() -> None:
    ball = RADIUS < 9
    thick = scanned(ball, 30.0)[:, :, :40].reshape(41, 41, 10, 4).mean(axis=-1)
    mask = ball[:, :, :40].reshape(41, 41, 10, 4).mean(axis=-1) > 0.5
    body = half_contrast_body(thick, mask, ~mask, np.array([1.0, 1.0, 4.0]))
    assert body is not None
    assert raggedness(body, np.array([1.0, 1.0, 4.0])) < RAGGED


def test_hollows_between_lobes_are_concave_and_stretching_is_not() -> None:
    stretched = np.hypot(POINTS[0] / 1.5, POINTS[1]) < 9
    lobed = 10 * (1 + 0.3 * np.cos(4 * ANGLE)) > np.hypot(POINTS[0], POINTS[1])
    assert abs(concavity(stretched, ONE, 2) or 0.0) < 0.03
    assert (concavity(lobed, ONE, 2) or 0.0) > 0.12
    assert concavity(RADIUS < 1, ONE, 2) is None


def test_a_ragged_nodule_is_ill_defined_however_narrow_its_edge() -> None:
    assert [_margin(2.0, None), _margin(2.0, 0.1), _margin(2.0, 0.3), _margin(5.0, 0.1), _margin(None, None)] == [
        "well-defined", "well-defined", "ill-defined", "ill-defined", None,
    ]  # fmt: skip
