"""Noise is the host's; paint keeps its variance from the core through the edge into the host."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synth.errors import InputError
from synth.lesions import LesionPlan
from synth.lesions.shape import Grown
from synth.lesions.texture import paint
from synth.report.noise import measure_noise
from synth.types import LabelMap, Volume

SD = 14.0


def correlation(field: np.ndarray, axis: int) -> float:
    """Correlation of neighbours along an axis."""
    a, b = (np.take(field, range(i, field.shape[axis] - 1 + i), axis).ravel() for i in (0, 1))
    return float(np.corrcoef(a, b)[0, 1])


def whole(field: np.ndarray) -> tuple[Volume, LabelMap]:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    return (
        Volume(np.rint(60 + field).astype(np.int16), affine),
        LabelMap(np.full(field.shape, 5, np.uint8), affine, {5: "liver"}),
    )


def test_drawn_noise_has_the_hosts_sd_and_grain() -> None:
    truth = gaussian_filter(np.random.default_rng(0).standard_normal((72, 72, 24)), (1.0, 1.0, 0))
    truth *= SD / truth.std()
    drawn = measure_noise(*whole(truth)).draw((60, 50, 21), np.random.default_rng(1))
    assert drawn.std() == pytest.approx(SD, rel=0.08)
    assert abs(drawn.mean()) < 2
    for axis in range(3):
        assert correlation(drawn, axis) == pytest.approx(correlation(truth, axis), abs=0.06)
    assert correlation(drawn, 0) > 0.6  # and that is far from white


def test_the_phantoms_noise_is_found(host: Volume, organs: LabelMap) -> None:
    model = measure_noise(host, organs)
    assert model.tissue == "liver"
    assert model.sd == pytest.approx(SD, rel=0.1)


def test_a_gradient_and_a_vessel_are_not_noise() -> None:
    field = SD * np.random.default_rng(0).standard_normal((72, 72, 24))
    field += np.linspace(-40, 40, 72)[:, None, None]
    field[30:36, 30:36] += 150
    assert measure_noise(*whole(field)).sd == pytest.approx(SD, rel=0.1)


def test_without_labelled_tissue_any_soft_tissue_serves(host: Volume, organs: LabelMap) -> None:
    lungs_only = LabelMap(np.where(organs.ids <= 14, organs.ids, 0) * (organs.ids >= 10), organs.affine, organs.names)
    model = measure_noise(host, lungs_only)
    assert model.tissue == "soft tissue"
    assert model.sd == pytest.approx(SD, rel=0.15)


def test_without_soft_tissue_there_is_no_noise_to_measure(host: Volume, organs: LabelMap) -> None:
    air = Volume(np.full_like(host.hu, -900), host.affine)
    nothing = LabelMap(np.zeros_like(organs.ids), organs.affine, organs.names)
    with pytest.raises(InputError, match="label one of: liver"):
        measure_noise(air, nothing)


def painted(plan: LesionPlan, share: np.ndarray, depth: np.ndarray, field: np.ndarray) -> np.ndarray:
    host, organs = whole(field)
    grown = Grown((slice(0, None),) * 3, share > 0.5, share.astype(np.float32), depth.astype(np.float32))
    return paint(plan, grown, 60 + field.astype(np.float32), host.spacing, measure_noise(host, organs))


def test_the_variance_is_the_hosts_at_every_share(make_plan: Callable[..., LesionPlan]) -> None:
    field = SD * np.random.default_rng(0).standard_normal((64, 64, 24))
    share = np.broadcast_to(np.linspace(0, 1, 64)[:, None, None], field.shape)
    zones = ({"name": "tissue", "reach": 1.0, "hu": 60.0, "opacity": 1.0},)
    out = painted(make_plan(zones=zones), share, np.zeros(field.shape), field)
    by_share = out.reshape(8, 8, 64, 24).std(axis=(1, 2, 3))
    np.testing.assert_allclose(by_share, SD, rtol=0.08)
    np.testing.assert_array_equal(out[0], 60 + field[0].astype(np.float32))  # share 0: untouched


def test_zones_take_their_hu_and_ground_glass_keeps_the_host(make_plan: Callable[..., LesionPlan]) -> None:
    field = np.random.default_rng(0).standard_normal((64, 64, 24))
    depth = np.broadcast_to(np.linspace(0, 1, 64)[:, None, None], field.shape)
    zones = (
        {"name": "glass", "reach": 1.0, "hu": 160.0, "opacity": 0.3},
        {"name": "core", "reach": 0.5, "hu": 20.0, "opacity": 1.0},
    )
    out = painted(make_plan(zones=zones), np.ones(field.shape), depth, field)
    assert out[:10].mean() == pytest.approx(20, abs=1)
    assert out[-10:].mean() == pytest.approx(60 + 0.3 * 100, abs=1)
    kept = np.corrcoef(out[-8:].ravel(), field[-8:].ravel())[0, 1]
    assert kept == pytest.approx(0.7, abs=0.05)


def test_grain_adds_its_own_variance(make_plan: Callable[..., LesionPlan]) -> None:
    field = 5.0 * np.random.default_rng(0).standard_normal((64, 64, 24))
    out = painted(make_plan(grain_hu=12.0), np.ones(field.shape), np.zeros(field.shape), field)
    assert out.std() == pytest.approx(13.0, rel=0.1)  # 5, 12, 13
