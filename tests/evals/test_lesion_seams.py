"""Seams are found where there is one: the gradient by depth against steps put there by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from evals import lesion_seams
from synth.lesions import LesionPlan
from synth.volumes.geometry import world_of
from synth.volumes.types import Case, LabelMap, Volume

SHAPE = (48, 48, 24)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
AT = lesion_seams._DEPTHS.index(0)


def case_of(hu: np.ndarray, lesion: np.ndarray) -> Case:
    organs = LabelMap(np.full(SHAPE, 5, np.uint8), AFFINE, {5: "liver"})
    ct = Volume(np.rint(hu).astype(np.int16), AFFINE)
    return Case(ct, organs, LabelMap(lesion.astype(np.uint8), AFFINE, {1: "liver_tumour_1"}))


def noise(seed: int) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), (0.7, 0.7, 0))
    return 15 * field / field.std()


@pytest.fixture
def ball() -> np.ndarray:
    grid = np.indices(SHAPE).transpose(1, 2, 3, 0)
    offset = world_of(grid.reshape(-1, 3), AFFINE).reshape(*SHAPE, 3) - [24, 24, 24]
    return np.linalg.norm(offset, axis=-1) <= 15


@pytest.mark.parametrize(("step", "seen"), [(0.0, False), (12.0, True)])
def test_a_step_at_the_surface_is_an_edge_and_none_is_none(
    ball: np.ndarray, monkeypatch: pytest.MonkeyPatch, step: float, seen: bool
) -> None:
    monkeypatch.setattr(lesion_seams, "_reach", lambda before, plan: ball)
    rows = []
    for seed in range(8):
        host = 60 + noise(seed)
        before = case_of(host, np.zeros(SHAPE))
        rows.append(lesion_seams.profile(before, case_of(host + step * ball, ball), None))  # type: ignore[arg-type]
    found = lesion_seams.gradient_summary(np.array(rows))
    assert (found["excess_p_one_sided"] < 0.05) is seen
    assert (found["surface_hu"]["after"] > found["surface_hu"]["before"] + 2) is seen
    assert found["ratio_by_depth"]["-2"] == found["ratio_by_depth"]["3"] == 1.0


@pytest.mark.parametrize("level", [0.8, 1.0, 1.25])
def test_noise_power_inside_is_over_the_organs(ball: np.ndarray, level: float) -> None:
    host, other = 60 + noise(0), 20 + level * noise(1)
    before, after = case_of(host, np.zeros(SHAPE)), case_of(np.where(ball, other, host), ball)
    sd = float(noise(0).std())
    power = lesion_seams.noise_ratio(before, after, sd)
    assert power is not None
    for name in ("all", "band_2_of_3", "band_3_of_3", "paired"):
        assert power[name] == pytest.approx(level**2, rel=0.15)
    assert power["null"] == pytest.approx(1, rel=0.15)
    assert lesion_seams.noise_ratio(before, case_of(host, np.zeros(SHAPE)), sd) is None
    assert lesion_seams.noise_ratio(before, after, sd / 3) is None  # an organ whose structure hides its noise


@pytest.mark.parametrize("spread", [0.0, 0.35])
def test_a_lesion_that_changes_nothing_or_only_the_draw_reads_one(ball: np.ndarray, spread: float) -> None:
    """Also where noise differs from place to place more in the organ than in the lesion, which quiet halves mistake."""
    unchanged, redrawn = [], []
    for seed in range(6):
        strength = np.exp(spread * gaussian_filter(np.random.default_rng(seed + 50).standard_normal(SHAPE), 4) * 30)
        level = float(np.median(strength))
        host = 60 + strength * noise(seed)
        before = case_of(host, np.zeros(SHAPE))
        sd = level * float(noise(seed).std())
        same = lesion_seams.noise_ratio(before, case_of(host, ball), sd)
        other = np.where(ball, 60 + level * noise(seed + 100), host)
        anew = lesion_seams.noise_ratio(before, case_of(other, ball), sd)
        assert same and anew and same["paired"] == pytest.approx(1) and same["all"] == same["null"]
        unchanged.append(same)
        redrawn.append(anew)
    summary = lesion_seams._power_summary(redrawn)
    assert summary["all"]["mean"] == pytest.approx(1, abs=0.1) and summary["lesions"] == 6
    low, high = summary["all"]["interval_95"]
    assert low < summary["all"]["mean"] < high


def test_a_crop_holds_the_lesion_and_its_plan_fits_it() -> None:
    fields = {
        "id": 1, "kind": "liver_tumour", "organ": "liver", "structures": ("liver",), "invades": False,
        "bulges": False, "phase": "native", "centre": (30, 24, 12), "size_mm": 10.0, "ball_mm": 8.0,
        "axes": (0.9, 0.8), "rotation": (0.0, 0.0, 0.0, 1.0), "roughness": 0.0, "lobes": 0, "lobe_depth": 0.0,
        "spicules": 0, "spicule_mm": 0.0, "margin_mm": 1.5, "grain_hu": 0.0, "grain_mm": 2.0, "seed": 7,
        "zones": ({"name": "tissue", "reach": 1.0, "hu": 40.0, "opacity": 1.0},),
    }  # fmt: skip
    whole = case_of(60 + noise(0), np.zeros(SHAPE))
    host = type("Host", (), {"ct": whole.ct, "organs": whole.organs})()
    crop, plan = lesion_seams.cropped(host, LesionPlan.model_validate(fields))
    assert crop.ct.hu[plan.centre] == whole.ct.hu[30, 24, 12]
    np.testing.assert_allclose(
        world_of(np.array(plan.centre), crop.ct.affine), world_of(np.array([30, 24, 12]), AFFINE)
    )
