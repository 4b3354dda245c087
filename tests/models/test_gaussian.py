"""The Gaussian prior against its closed form."""

import pytest
import torch

from synth.flow.samplers import euler
from synth.models.gaussian import GaussianPart


def fitted(count=4000):
    """Volumes (1, 1, 2, 2) with mean facts * (1, 2, 0, 0) and covariance of rank one plus a small rest."""
    g = torch.Generator().manual_seed(0)
    facts = torch.randn(count, 1, generator=g)
    shared = torch.randn(count, 1, generator=g)
    flat = facts * torch.tensor([1.0, 2.0, 0.0, 0.0]) + shared * torch.tensor([0.0, 0.0, 1.0, 1.0])
    flat = flat + 0.1 * torch.randn(count, 4, generator=g)
    prior = GaussianPart(4, 1, rank=1)
    prior.fit(flat.view(count, 1, 1, 2, 2), facts, ridge=0.0)
    return prior


def test_the_fit_finds_slope_direction_and_rest():
    prior = fitted()
    torch.testing.assert_close(prior.slope[0], torch.tensor([1.0, 2.0, 0.0, 0.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(prior.basis[0].abs(), torch.tensor([0.0, 0.0, 0.7071, 0.7071]), atol=0.05, rtol=0)
    assert float(prior.variance[0]) == pytest.approx(2.0, rel=0.06)
    assert float(prior.rest[:2].mean()) == pytest.approx(0.01, rel=0.1)


def test_sampling_along_its_velocity_gives_back_the_distribution():
    prior = fitted()
    facts = torch.full((3000, 1), 0.5)
    noise = torch.randn(3000, 1, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    x = euler(lambda x, t: prior(x, t, facts, torch.zeros_like(x))[1], noise, 150).flatten(1)
    torch.testing.assert_close(x.mean(dim=0), torch.tensor([0.5, 1.0, 0.0, 0.0]), atol=0.05, rtol=0)
    covariance = torch.cov(x.T)
    assert float(covariance[2, 3]) == pytest.approx(1.0, abs=0.07)
    assert abs(float(covariance[0, 2])) < 0.03


def test_at_the_ends_it_says_what_must_be():
    prior, facts = fitted(), torch.zeros(1, 1)
    x = torch.tensor([0.3, -0.2, 1.0, 1.0]).view(1, 1, 1, 2, 2)
    none = torch.zeros_like(x)
    clean, _ = prior(x, torch.zeros(1), facts, none)
    torch.testing.assert_close(clean, x, atol=1e-3, rtol=0)
    noise_only, velocity = prior(x, torch.ones(1), facts, none)
    torch.testing.assert_close(noise_only.flatten(), prior.mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(velocity, x - noise_only)


def test_a_scaffold_shifts_the_whole_distribution():
    prior, facts, t = fitted(), torch.randn(2, 1), torch.tensor([0.3, 0.8])
    x, scaffold = torch.randn(2, 2, 1, 1, 2, 2)
    data, velocity = prior(x, t, facts, torch.zeros_like(x))
    there, moved = prior(x + (1 - t.view(-1, 1, 1, 1, 1)) * scaffold, t, facts, scaffold)
    torch.testing.assert_close(there, data + scaffold)
    torch.testing.assert_close(moved, velocity - scaffold)
