"""Laws of the shape model: flows invert, mirrors mirror, a known deformation is found, the Gaussian is fitted."""

import numpy as np
import pytest
import torch

from synth.data.dataset import PreparedPatient
from synth.errors import InputError
from synth.models.condition import base_maps, refine_maps
from synth.shape.deformation import exponential, mirror, warp
from synth.shape.model import ShapeModel, cut
from synth.shape.register import PatientGroup, Round, fit_velocities, mean_of, on_grid, register, smooth
from synth.training.shape import load_placed, mean_ct
from synth.training.shape_config import load_shape_config
from tests.regions import CLASSES, FACTS_DIM, HEAD_NECK, MEAN_CHANNELS, REGION, encode

FINE = HEAD_NECK.shape_at(8.0)


def a_velocity(count: int = 1, seed: int = 0, size_mm: float = 60.0) -> torch.Tensor:
    noise = torch.randn(count, 3, *HEAD_NECK.shape, generator=torch.Generator().manual_seed(seed))
    return size_mm * smooth(noise, 3.0)


def blocks(count: int = 1) -> torch.Tensor:
    """Features of a body with a bright core, the same in every patient."""
    body = torch.zeros(count, 9, *FINE)
    body[:, 0, 16:48, 8:32, 8:40] = 1.0
    body[:, 1, 26:38, 14:26, 8:40] = 1.0
    body[:, 4, 38:44, 16:24, 20:30] = 1.0  # a parotid on the one side
    body[:, 5, 20:26, 16:24, 20:30] = 1.0
    return smooth(body, 1.0)


def group(features: torch.Tensor) -> PatientGroup:
    count = len(features)
    return PatientGroup(REGION, features, torch.ones(count, FINE[2]), torch.ones(count, 9))


def test_a_flow_is_undone_by_the_opposite_velocity() -> None:
    velocity = a_velocity()
    there, back = exponential(velocity, HEAD_NECK), exponential(-velocity, HEAD_NECK)
    assert there.abs().max() > 4.0
    left = there + warp(back, there, HEAD_NECK)
    assert left[:, :, 4:-4, 4:-4, 4:-4].abs().max() < 0.1 * there.abs().max()


def test_a_constant_velocity_shifts_by_its_mm() -> None:
    velocity = torch.zeros(1, 3, *HEAD_NECK.shape)
    velocity[:, 0] = 16.0
    image = torch.rand(1, 1, *FINE)
    torch.testing.assert_close(
        warp(image, exponential(velocity, HEAD_NECK), HEAD_NECK)[:, :, :-2], image[:, :, 2:], atol=1e-4, rtol=0
    )


def test_the_mirrored_velocity_makes_the_mirror_image() -> None:
    velocity, image = a_velocity(), blocks()[:, :1]
    moved = warp(image.flip(2), exponential(mirror(velocity), HEAD_NECK), HEAD_NECK)
    torch.testing.assert_close(
        moved, warp(image, exponential(velocity, HEAD_NECK), HEAD_NECK).flip(2), atol=1e-4, rtol=0
    )


def test_a_velocity_says_the_same_on_a_finer_grid() -> None:
    velocity, image = a_velocity(), blocks()[:, :1]
    fine = on_grid(velocity, 8.0, HEAD_NECK)
    assert fine.shape[2:] == FINE
    torch.testing.assert_close(
        warp(image, exponential(fine, HEAD_NECK), HEAD_NECK),
        warp(image, exponential(velocity, HEAD_NECK), HEAD_NECK),
        atol=0.05,
        rtol=0,
    )


def test_folds_do_not_occur() -> None:
    place = exponential(a_velocity(size_mm=100.0), HEAD_NECK) / 16.0
    gradient = torch.stack(torch.gradient(place[0], dim=(1, 2, 3)), dim=1)  # (3, 3, X, Y, Z)
    jacobian = torch.linalg.det((gradient + torch.eye(3)[:, :, None, None, None]).permute(2, 3, 4, 0, 1))
    assert jacobian.min() > 0


@pytest.mark.slow
def test_registration_finds_a_known_deformation() -> None:
    target = warp(blocks(), exponential(a_velocity(size_mm=50.0), HEAD_NECK), HEAD_NECK)
    found = torch.zeros(1, 3, *HEAD_NECK.shape)
    before, after = fit_velocities(group(target), blocks()[0], found, Round(pool=1, sigma=2.0, iterations=25))
    assert after < 0.15 * before


@pytest.mark.slow
def test_the_mean_of_moved_copies_is_sharper_after_registration_and_symmetric() -> None:
    patients = warp(blocks(6), exponential(a_velocity(6, seed=1, size_mm=400.0), HEAD_NECK), HEAD_NECK)
    g = group(patients)
    said: list[str] = []
    rounds = [Round(pool=2, sigma=2.0), Round(pool=2, sigma=1.5), Round(pool=1, grid_mm=8, sigma=1.3, iterations=2)]
    mean, velocities = register(g, rounds, said.append)
    blurred = mean_of(g, torch.zeros_like(velocities), 1)
    assert mean.shape == (MEAN_CHANNELS, *FINE) and len(said) == 3
    assert mean[0].diff(dim=0).square().sum() > 1.15 * blurred[0].diff(dim=0).square().sum()
    torch.testing.assert_close(mean[0], mean[0].flip(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(mean[3], mean[4].flip(0), atol=1e-3, rtol=0)
    both = (velocities + mirror(velocities)).mean(dim=0)
    assert both.abs().max() < 1e-3


def test_the_mean_ct_is_finer_than_what_is_shown_of_it() -> None:
    hu = np.full(HEAD_NECK.shape_at(4.0), -1000, np.int16)
    hu[60:68, 36:44, 20:76] = 1000  # 32 mm of bone in the middle
    facts = {"top_mm": 80.0, "bottom_mm": 150.0}
    patient = PreparedPatient(REGION, "a", hu, np.zeros_like(hu), np.zeros_like(hu), torch.ones(7), facts)
    shift = torch.zeros(1, 3, *HEAD_NECK.shape)
    shift[:, 0] = 16.0
    mean = mean_ct([patient], shift)
    assert mean.shape == (1, *HEAD_NECK.shape_at(4.0))
    torch.testing.assert_close(mean, mean.flip(1))
    model = ShapeModel(rank=1)
    model.mean_ct.copy_(mean_ct([patient], 0 * shift))
    shown = model.deform(0 * shift)
    assert shown.shape == (1, MEAN_CHANNELS, *FINE)
    torch.testing.assert_close(shown[0, 0, 31, 19, 20], torch.tensor(2.0))


def test_what_was_not_scanned_or_annotated_does_not_count() -> None:
    patients = blocks(2)
    patients[1] = 0
    g = PatientGroup(REGION, patients, torch.stack([torch.ones(FINE[2]), torch.zeros(FINE[2])]), torch.ones(2, 9))
    torch.testing.assert_close(mean_of(g, torch.zeros(2, 3, *HEAD_NECK.shape), 1)[0], blocks()[0, 0], atol=1e-4, rtol=0)


def test_the_model_learns_slope_and_modes() -> None:
    generator = torch.Generator().manual_seed(0)
    facts = torch.zeros(60, FACTS_DIM)
    facts[:, 0] = torch.randn(60, generator=generator)
    score = torch.randn(60, generator=generator)
    along, across = a_velocity(seed=1), a_velocity(seed=2)
    velocities = facts[:, 0].view(-1, 1, 1, 1, 1) * along + score.view(-1, 1, 1, 1, 1) * across
    model = ShapeModel(rank=1)
    model.fit(velocities, facts, ridge=1e-4)
    rebuilt = model.velocity(facts, model.coefficients(velocities, facts))
    assert (rebuilt - velocities).square().mean() < 0.01 * velocities.square().mean()
    assert float(model.coefficients(velocities, facts).std()) == pytest.approx(1.0, abs=0.1)
    lean = model.lean()  # one of the facts is known to matter, and one row is kept
    assert lean.slope.shape[0] == 1 and lean.told == [0]
    torch.testing.assert_close(lean.velocity(facts, score[:, None]), model.velocity(facts, score[:, None]))
    torch.testing.assert_close(lean.coefficients(velocities, facts), model.coefficients(velocities, facts))


def test_new_shapes_lie_near_those_of_patients_of_like_sizes() -> None:
    generator = torch.Generator().manual_seed(0)
    velocities = torch.randn(30, 3, *HEAD_NECK.shape, generator=generator)
    facts = torch.stack([torch.from_numpy(encode({"neck_area_cm2": 90.0 + 10 * i, "larynx_ml": i})) for i in range(30)])
    model = ShapeModel(rank=2, patients=30)
    model.fit(velocities, facts, ridge=0.1)
    torch.testing.assert_close(model.known.square().mean(dim=0), torch.ones(2), atol=1e-3, rtol=0)
    normal = torch.randn(1, 2, generator=generator)
    slim = torch.from_numpy(encode({"neck_area_cm2": 91.0, "larynx_ml": 29.0}))[None]
    own = {tuple(model.near(normal, slim, pick, 0.0)[0].tolist()) for pick in range(80)}
    assert own == {tuple(row.tolist()) for row in model.known[:16]}  # the larynx is no size of the body
    torch.testing.assert_close(model.near(normal, slim, 8, 1.0), normal)
    assert torch.equal(ShapeModel(rank=2).near(normal, slim, 8, 0.0), normal)  # where nobody is known
    anyone = torch.zeros(1, FACTS_DIM)
    drawn = torch.cat([model.near(torch.randn(1, 2, generator=generator), anyone, i, 0.5) for i in range(4000)])
    expected = 0.75 * model.known[:16].square().mean(dim=0) + 0.25
    torch.testing.assert_close(drawn.square().mean(dim=0), expected, atol=0.1, rtol=0)


def test_a_cut_patient_ends_where_the_scan_does() -> None:
    patient = cut(torch.ones(1, *FINE), HEAD_NECK, (80.0, 100.0))
    z = HEAD_NECK.lower_mm[2] + 8.0 * (torch.arange(FINE[2]) + 0.5)
    inside = (z < 80.0) & (z > -100.0)
    assert torch.equal(patient[0, 0, 0] > 0.5, inside)
    assert float(patient[0, 0, 0].sum()) == pytest.approx(180.0 / 8.0)


def test_both_networks_are_told_in_as_many_channels() -> None:
    patient = torch.rand(1, MEAN_CHANNELS, *FINE)
    for maps in (base_maps(patient), refine_maps(patient)):
        assert maps.shape == (1, CLASSES, *HEAD_NECK.shape)


def test_errors_name_the_file_and_the_remedy(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="synthct train shape"):
        load_placed(tmp_path)
    bad = tmp_path / "shape.yaml"
    bad.write_text("ranks: 3")
    with pytest.raises(InputError, match="ranks"):
        load_shape_config(bad, {})
