"""Vertebrae: strips read along a spine, laid over one another, and painted where they were found."""

import numpy as np
import pytest
import torch

from synth.data.dataset import PreparedPatient
from synth.shape import spine
from synth.shape.model import ShapeModel
from synth.shape.vertebrae import Rows, align, alike, band, places_on, rows_of, shifted
from synth.training.shape import fit_vertebrae
from tests.regions import HEAD_NECK, ORGANS, REGION

FINE, COARSE = HEAD_NECK.shape_at(4.0), HEAD_NECK.shape_at(8.0)
STILL = np.zeros((3, *HEAD_NECK.shape))
EVERYWHERE = np.ones(spine.LENGTH, bool)


def cord() -> np.ndarray:
    """A straight cord that leans back."""
    out = np.zeros(COARSE)
    for z in range(35):
        out[31:33, 10 + z // 4, z] = 0.5
    return out


def line(displacement: np.ndarray = STILL) -> spine.Line:
    curve = spine.cord_curve(cord(), REGION)
    assert curve is not None
    return spine.carried(curve, displacement, HEAD_NECK)


def stripes(places: np.ndarray) -> np.ndarray:
    """A strip whose vertebrae, of uneven height, stand at `places` of the template; all of it tissue."""
    at = np.interp(np.arange(spine.LENGTH), places, np.arange(spine.LENGTH), left=-20, right=spine.LENGTH + 20)
    wave = np.sin(2 * np.pi * at / (8 + 0.02 * at)) + np.where(np.abs(at - 15) < 4, 1.5, 0)
    back = np.exp(-(((spine.FRONT_MM + 20) / 12) ** 2))
    return 0.45 + 0.15 * wave[:, None, None] * back[None, :, None] * np.ones(len(spine.SIDE_MM))


def test_a_line_follows_the_cord_from_the_top_down() -> None:
    found = line()
    assert found.points[2, 0] > 200 > 40 > found.points[2, -1]
    step = np.linalg.norm(np.diff(found.points, axis=1), axis=0)
    assert step == pytest.approx(spine.STEP_MM, abs=0.05)
    assert found.front[1].min() > 0.9 and found.side[0].min() > 0.99
    for a, b in (("along", "front"), ("along", "side"), ("front", "side")):
        assert np.abs((getattr(found, a) * getattr(found, b)).sum(axis=0)).max() < 1e-6


def test_a_deformation_carries_the_line() -> None:
    shift = np.zeros((3, *HEAD_NECK.shape))
    shift[1] = 12.0
    np.testing.assert_allclose(line(shift).points, line().points + [[0.0], [12.0], [0.0]], atol=1e-9)


def test_without_a_cord_there_is_no_line() -> None:
    assert spine.cord_curve(np.zeros(COARSE), REGION) is None


def test_what_is_painted_is_read_back_along_the_line() -> None:
    pattern = np.zeros(spine.SHAPE, np.float32)
    pattern[60:66, 8:14, 4:10] = 1.0
    places = np.arange(spine.LENGTH) + 5.0
    read = spine.strip(spine.painted(pattern, places, line(), FINE, HEAD_NECK), line(), HEAD_NECK)
    where = np.argwhere(np.nan_to_num(read) > 0.5)
    np.testing.assert_allclose(where.mean(axis=0), [62.5 + 5, 10.5, 6.5], atol=0.7)
    assert np.nanmax(read) > 0.8


@pytest.mark.parametrize("seed", range(4))
def test_places_are_found_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.arange(spine.LENGTH)
    true = rng.uniform(0.88, 1.12) * rows + rng.uniform(-4, 4) + 1.5 * np.sin(rows / 25 + rng.uniform(0, 6))
    noisy = stripes(true) + rng.normal(0, 0.05, spine.SHAPE)
    template, strip = rows_of(stripes(rows.astype(float)), EVERYWHERE), rows_of(noisy, EVERYWHERE)
    found = places_on(strip, template)
    inside = (rows > 12) & (rows < 125) & (true > 2) & (true < spine.LENGTH - 8)
    assert np.abs(found - true)[inside].max() < 2.0  # steps; vertebrae are eight apart
    assert (np.diff(found) >= 0).all()
    assert alike(shifted(strip, found), template) > 0.9 > alike(strip, template)


def test_the_mean_of_a_group_has_the_stripes_that_a_plain_mean_has_not() -> None:
    rng = np.random.default_rng(0)
    rows = np.arange(spine.LENGTH)
    group = [
        rows_of(
            stripes(rng.uniform(0.9, 1.1) * rows + rng.uniform(-5, 5)) + rng.normal(0, 0.05, spine.SHAPE), EVERYWHERE
        )
        for _ in range(8)
    ]
    said: list[str] = []
    template = align(group, said.append)
    plain = np.mean([rows.detail for rows in group], axis=0)
    assert template.detail[20:120].std() > 1.8 * plain[20:120].std()
    assert "correlation 0.9" in said[-1]


def test_rows_without_tissue_or_scan_do_not_count() -> None:
    strip = stripes(np.arange(spine.LENGTH).astype(float))
    strip[:30] = -1.0
    scanned = EVERYWHERE.copy()
    scanned[100:] = False
    rows = rows_of(strip, scanned)
    assert not rows.seen[:30].any() and rows.seen[30:100].all() and not rows.seen[100:].any()
    assert not rows.detail[~rows.seen].any()
    nothing = Rows(rows.detail * 0, np.zeros(spine.LENGTH, bool))
    assert alike(rows, nothing) == -1.0
    assert np.isfinite(places_on(nothing, rows)).all()


def test_what_does_not_vary_along_the_spine_has_no_detail() -> None:
    assert np.abs(band(np.full((spine.LENGTH, 3), 0.7), EVERYWHERE)).max() < 1e-6


def subjects(count: int) -> list[PreparedPatient]:
    """Necks with stripes along the cord, each shifted and stretched."""
    rng = np.random.default_rng(1)
    out = []
    for number in range(count):
        places = rng.uniform(0.93, 1.07) * np.arange(spine.LENGTH) + rng.uniform(-4, 4)
        unit = 0.4 + spine.painted(
            4 * (stripes(np.arange(spine.LENGTH).astype(float)) - 0.45), places, line(), FINE, HEAD_NECK
        )
        hu = np.round((unit - 0.125) / 0.0025).astype(np.int16)  # the scale of soft tissue
        facts = {"top_mm": 140.0, "bottom_mm": 235.0}
        out.append(
            PreparedPatient(
                REGION, f"p{number}", hu, np.zeros(FINE, np.uint8), np.zeros(FINE, np.uint8), torch.ones(7), facts
            )
        )
    return out


def test_a_fitted_model_paints_vertebrae_where_each_patient_has_them() -> None:
    model = ShapeModel(rank=1, spine_rank=2)
    model.mean_organs[ORGANS.index("spinal_cord")] = torch.from_numpy(cord())
    model.mean_ct += 1.4
    group = subjects(6)
    still = torch.zeros(3, *HEAD_NECK.shape)
    said: list[str] = []
    places = fit_vertebrae(model, group, {s.name: still for s in group}, 5, said.append)
    assert sorted(places) == [f"p{i}" for i in range(6)] and "6 of 6" in said[-1]
    own = model.deform(still[None], places["p5"].numpy()) - model.deform(still[None])
    other = model.deform(still[None], places["p0"].numpy()) - model.deform(still[None])
    real = torch.from_numpy(group[5].hu.astype(np.float32))[None, None]
    truth = torch.nn.functional.avg_pool3d(real, 2)[0, 0, 29:35, 6:22, 6:30]
    match = [float(np.corrcoef(truth.flatten(), x[0, 0, 29:35, 6:22, 6:30].flatten())[0, 1]) for x in (own, other)]
    assert match[0] > 0.6 and match[0] > match[1] + 0.2
    assert (np.diff(model.places(torch.zeros(2))) > 0).all()
    assert np.abs(model.places(torch.ones(2)) - model.places(torch.zeros(2))).max() > 0.5


def test_patients_without_a_cord_give_a_model_without_vertebrae() -> None:
    model = ShapeModel(rank=1)
    said: list[str] = []
    still = torch.zeros(3, *HEAD_NECK.shape)
    assert fit_vertebrae(model, subjects(1), {"p0": still}, 1, said.append) == {}
    assert "no spinal cord" in said[-1] and not model.pattern.any()
    assert torch.equal(model.deform(still[None], np.arange(spine.LENGTH)), model.deform(still[None]))


def test_a_single_spine_is_too_few_to_learn_from() -> None:
    model = ShapeModel(rank=1)
    model.mean_organs[ORGANS.index("spinal_cord")] = torch.from_numpy(cord())
    said: list[str] = []
    assert fit_vertebrae(model, subjects(1), {"p0": torch.zeros(3, *HEAD_NECK.shape)}, 1, said.append) == {}
    assert "fewer than two" in said[-1] and not model.pattern.any()
