"""Noise is the host's; paint keeps its variance from the core through the edge into the host."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synth.errors import InputError
from synth.lesions import LesionPlan
from synth.lesions.seam import joined
from synth.lesions.shape import Grown
from synth.lesions.texture import paint
from synth.report.noise import measure_noise, patches_in
from synth.volumes.types import LabelMap, Volume

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


def test_drawn_noise_reads_as_the_hosts_in_small_patches_beside_vessels() -> None:
    truth = gaussian_filter(np.random.default_rng(0).standard_normal((96, 96, 24)), (1.0, 1.0, 0))
    truth *= SD / truth.std()
    vessels = truth.copy()
    vessels[8::16, 8::16] += 120  # in each patch of 16 pixels, and in a quarter of those of 8
    drawn = measure_noise(*whole(vessels)).draw(truth.shape, np.random.default_rng(1))

    def median_power(field: np.ndarray) -> float:
        return float(np.median(patches_in(field, np.ones(field.shape, bool), (8, 8, 4)).var(axis=(1, 2, 3))))

    assert median_power(drawn) == pytest.approx(median_power(truth), rel=0.1)


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


def test_the_noise_here_is_as_strong_as_the_detail_here() -> None:
    truth = gaussian_filter(np.random.default_rng(0).standard_normal((72, 72, 24)), (1.0, 1.0, 0))
    truth *= SD / truth.std()
    model = measure_noise(*whole(truth))
    stripes = 100.0 * (np.arange(72)[:, None, None] // 24 % 2) + 60  # edges, which are no noise
    organ = np.ones(truth.shape, bool)
    for level in (0.7, 1.0, 1.5):
        here = model.here(level * truth + stripes, organ, axis=2)
        assert here.sd == pytest.approx(level * SD, rel=0.1)
        assert here.draw((40, 40, 20), np.random.default_rng(1)).std() == pytest.approx(level * SD, rel=0.15)
    assert model.here(truth[:8, :8, :2], organ[:8, :8, :2], axis=2) is model  # too few to tell
    assert model.here(2 * truth - 800, organ, axis=2) is model  # lung
    assert model.here(2 * truth, ~organ, axis=2) is model


def test_a_small_shift_loses_little_noise() -> None:
    model = measure_noise(*whole(SD * np.random.default_rng(0).standard_normal((72, 72, 24))))
    lost = [1 - float(model.kept_variance(np.array([[f], [0.0], [0.0]]))[0]) for f in (0.01, 0.02, 0.1)]
    assert lost[1] == pytest.approx(4 * lost[0], rel=0.01)  # even in the shift, so quadratic
    assert lost[2] == pytest.approx(100 * lost[0], rel=0.01)


@pytest.mark.parametrize("kept", [0.0, 0.8, 1.0])
def test_a_redraw_that_leaves_noise_out_gets_it_back(kept: float) -> None:
    field = SD * np.random.default_rng(0).standard_normal((64, 64, 24)).astype(np.float32)
    blocks = field.reshape(32, 2, 32, 2, 12, 2)
    means = np.broadcast_to(blocks.mean(axis=(1, 3, 5), keepdims=True), blocks.shape).reshape(field.shape)
    drawn = means + kept * (field - means)
    where = np.zeros(field.shape, bool)
    where[8:56, 8:56] = True
    model, spacing = measure_noise(*whole(field)), np.array([1.0, 1.0, 2.0])
    out = joined(field, drawn, where, spacing, model, np.random.default_rng(1))
    assert out[where].std() == pytest.approx(SD, rel=0.05)
    np.testing.assert_array_equal(out[~where], field[~where])
    rim = np.abs(np.diff(out, axis=0))[7, 8:56].mean()  # over the faces where the redraw begins
    assert rim == pytest.approx(np.abs(np.diff(field, axis=0))[7, 8:56].mean(), rel=0.03)
