"""Flow matching against known truth: a Gaussian has a closed-form velocity."""

import pytest
import torch

from synth.flow.guidance import asked, away_from, away_from_prior, sharpened
from synth.flow.losses import label_loss, velocity_loss
from synth.flow.samplers import euler
from synth.flow.schedule import draw_times, interpolate, sampling_times
from synth.models.condition import Condition, map_channels
from tests import networks
from tests.regions import FACTS_DIM, GRID_DIM, HEAD_NECK, REGION

MEAN, SD = 0.7, 0.3


def gaussian_velocity(x, t, mean=MEAN):
    """E[noise - x0 | x_t] for data ~ N(mean, SD^2)."""
    t = t.view(-1, 1, 1, 1, 1)
    variance = (1 - t) ** 2 * SD**2 + t**2
    innovation = x - (1 - t) * mean
    noise = t / variance * innovation
    data = mean + (1 - t) * SD**2 / variance * innovation
    return noise - data


def test_the_sampler_finds_mean_and_variance_of_a_gaussian():
    noise = torch.randn(1, 1, 40, 40, 40, generator=torch.Generator().manual_seed(0))
    x = euler(gaussian_velocity, noise, steps=200)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.005)
    assert float(x.std()) == pytest.approx(SD, rel=0.02)


def test_too_few_steps_lose_variance():
    noise = torch.randn(1, 1, 30, 30, 30, generator=torch.Generator().manual_seed(0))
    assert float(euler(gaussian_velocity, noise, steps=2).std()) < 0.9 * SD


def test_sharpening_leaves_white_data_alone_and_deepens_structure():
    pattern = torch.ones(1, 1, 16, 16, 16)
    pattern[..., ::2] = -1
    noise = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))

    def velocity(contrast, scale):
        def of(x, t):
            return sharpened(gaussian_velocity(x, t, contrast * pattern), x, t, SD, scale)

        return of

    depths = [float((euler(velocity(0.4, scale), noise, 20) * pattern).mean()) for scale in (0.0, 0.2, 0.4)]
    assert depths[0] == pytest.approx(0.4, abs=0.02) and depths[0] < depths[1] < depths[2] < 0.8
    torch.testing.assert_close(euler(velocity(0.0, 0.4), noise, 20), euler(velocity(0.0, 0.0), noise, 20))


def test_what_is_known_stays():
    noise = torch.randn(1, 1, 6, 6, 6)
    known = torch.full_like(noise, 3.0)
    mask = torch.zeros_like(noise)
    mask[..., :3] = 1
    x = euler(gaussian_velocity, noise, 10, known=known, known_mask=mask)
    assert (x[..., :3] == 3).all()
    assert not (x[..., 3:] == 3).any()


def test_times_run_from_noise_to_data():
    for shift in (1.0, 3.0):
        t = sampling_times(8, shift)
        assert t[0] == 1 and t[-1] == 0 and (t.diff() < 0).all()
    assert sampling_times(8, 3.0)[4] > sampling_times(8, 1.0)[4]


def test_training_times_cover_the_clean_end():
    t = draw_times(20_000, torch.Generator().manual_seed(0), mean=0.0, scale=1.0, uniform=0.5)
    assert float((t < 0.1).float().mean()) > 0.04  # a logit-normal alone gives 0.014
    assert float(t.min()) >= 0 and float(t.max()) <= 1


def test_the_true_velocity_has_no_loss_and_weights_choose_where():
    x0, noise = torch.randn(2, 2, 4, 4, 4), torch.randn(2, 2, 4, 4, 4)
    weight = torch.ones(2, 1, 4, 4, 4)
    assert velocity_loss(noise - x0, x0, noise, weight) == 0
    wrong = noise - x0
    wrong[..., :2] += 1
    assert velocity_loss(wrong, x0, noise, weight) == pytest.approx(0.5)
    weight[..., :2] = 0
    assert velocity_loss(wrong, x0, noise, weight) == 0


def test_interpolation_ends():
    x0, noise = torch.randn(2, 1, 2, 2, 2), torch.randn(2, 1, 2, 2, 2)
    torch.testing.assert_close(interpolate(x0, noise, torch.tensor([0.0, 1.0]))[0], x0[0])
    torch.testing.assert_close(interpolate(x0, noise, torch.tensor([0.0, 1.0]))[1], noise[1])


def test_an_organ_that_was_not_annotated_is_never_scored_as_background():
    fractions = torch.zeros(1, 3, 2, 2, 2)
    fractions[:, 0] = 1  # all background, as far as the annotator went
    sure_of_organ_2 = torch.zeros(1, 3, 2, 2, 2)
    sure_of_organ_2[:, 2] = 20.0
    drawn = torch.tensor([[1.0, 1.0]])
    missing = torch.tensor([[1.0, 0.0]])
    assert label_loss(sure_of_organ_2, fractions, missing, torch.ones(1)) < 1e-3
    assert label_loss(sure_of_organ_2, fractions, drawn, torch.ones(1)) > 10


def test_starting_half_way_from_noised_data_keeps_the_distribution():
    # data and x_t at t = 0.5 correlate by SD / sqrt(SD^2 + 1), and the flow is monotone
    g = torch.Generator().manual_seed(0)
    data = MEAN + SD * torch.randn(1, 1, 30, 30, 30, generator=g)
    noised = 0.5 * data + 0.5 * torch.randn(data.shape, generator=g)
    x = euler(gaussian_velocity, noised, steps=100, start=0.5)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(x.std()) == pytest.approx(SD, rel=0.03)
    assert float(torch.corrcoef(torch.stack([x.flatten(), data.flatten()]))[0, 1]) == pytest.approx(0.287, abs=0.03)


def a_condition(facts: torch.Tensor) -> Condition:
    """Of the whole frame, without words."""
    return Condition(
        facts=facts,
        text=torch.zeros(1, 1, 384),
        text_mask=torch.zeros(1, 1, dtype=torch.bool),
        grid=torch.zeros(1, GRID_DIM),
        maps=torch.zeros(1, map_channels(2, False, REGION), *HEAD_NECK.shape),
    )


def test_what_is_asked_is_pushed_away_from_the_same_without_it():
    model, condition, other = networks.base(spread=0.1), *(a_condition(s * torch.ones(1, FACTS_DIM)) for s in (1, -1))
    x, t = torch.randn(1, 2, *HEAD_NECK.shape, generator=torch.Generator().manual_seed(0)), torch.tensor([0.5])
    plain = asked(model, condition)
    with torch.no_grad():
        pushed = away_from(plain, model, other, 2.0)(x, t)
        torch.testing.assert_close(pushed, 3 * plain(x, t) - 2 * model(x, t, other).velocity)
    assert not torch.allclose(pushed, plain(x, t))
    assert away_from(plain, model, other, 0.0) is plain


def test_base_is_pushed_away_from_its_own_prior():
    model, condition = networks.base(), a_condition(torch.zeros(1, FACTS_DIM))
    x, t = torch.randn(1, 2, *HEAD_NECK.shape, generator=torch.Generator().manual_seed(0)), torch.tensor([0.5])
    plain = asked(model, condition)
    prior = model.prior(x, t, condition.facts, torch.zeros_like(x))[1]
    with torch.no_grad():
        known, pushed = plain(x, t), away_from_prior(plain, model, condition, 0.5)(x, t)
    torch.testing.assert_close(pushed, known + 0.5 * (known - prior))
    assert not torch.allclose(pushed, known)
    assert away_from_prior(plain, model, condition, 0.0) is plain
    assert away_from_prior(plain, networks.refine(), condition, 0.5) is plain  # which has none
