"""Base: words and facts -> coarse CT, prescribed dose and organ fractions of a whole frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from synth.case.plan import GeneratePlan
from synth.draw.drawn import Drawn
from synth.flow.guidance import asked, away_from, away_from_prior
from synth.flow.samplers import euler
from synth.models.condition import Condition, EncodedRequest, Known, told_base
from synth.models.denoiser import Denoiser
from synth.models.scaling import ct_from_network, dose_from_network
from synth.models.text import text_encoder
from synth.regions import Region
from synth.regions.frame import BASE_SPACING_MM
from synth.regions.given import Given
from synth.seeding import normal
from synth.shape.model import MEAN_SPACING_MM
from synth.threads import one_thread


def asked_of(plan: GeneratePlan, model: Denoiser) -> EncodedRequest:
    """What a plan asks of a network of its region."""
    facts = torch.from_numpy(model.region.encode(plan.facts))[None]
    if not plan.request.prompt:
        return replace(EncodedRequest.nothing(model.region, model.config.text_dim), facts=facts)
    with one_thread():  # texts of some lengths have other last bits on more
        return EncodedRequest(facts, *text_encoder(model.config.text_encoder)([plan.request.prompt]))


@torch.no_grad()
def compose(
    plan: GeneratePlan,
    scaffold: torch.Tensor | None,
    model: Denoiser,
    on_step: Callable[[], None] = lambda: None,
    given: Given | None = None,
) -> Drawn:
    """Draw the coarse volume of a plan on its scaffold: flow from noise to data, then read the organs off it.

    Organs that are given stand in place of those that are read.
    """
    frame = model.region.frame
    condition = _condition(plan, scaffold, model).to(model.device)
    noise = normal((1, model.config.channels, *frame.shape), plan.base_seed).to(model.device)
    noise = plan.sampling.temperature * noise
    native = replace(condition, facts=_without_contrast(plan, model.region).to(model.device))
    velocity = asked(model, condition)
    velocity = away_from(velocity, model, condition.without_request(), plan.sampling.guidance - 1)
    velocity = away_from(velocity, model, native, plan.sampling.contrast_guidance)
    velocity = away_from_prior(velocity, model, condition, plan.sampling.prior_guidance)
    with one_thread():
        x = euler(velocity, noise, plan.sampling.base_steps, plan.sampling.base_shift, on_step=on_step)
        labels = model(x, x.new_zeros(1), condition).labels.softmax(dim=1)
    ct = ct_from_network(x[:, :1], model.region.ct).clamp(-1.0, 1.5)
    dose = dose_from_network(x[:, 1:2]) if model.region.doses_gy else None
    if given is not None:
        labels = given.impose(labels, BASE_SPACING_MM)
    return Drawn(model.region, frame, BASE_SPACING_MM, ct, dose, labels, scaffold, given)


def of_scaffold(region: Region, scaffold: torch.Tensor, given: Given | None = None) -> Drawn:
    """The deformed mean patient as it is, at 8 mm, where no `base` draws on it."""
    organs = scaffold[:, 1:]
    labels = torch.cat([(1 - organs.sum(dim=1, keepdim=True)).clamp(min=0), organs], dim=1)
    if given is not None:
        labels = given.impose(labels, MEAN_SPACING_MM)
    return Drawn(region, region.frame, MEAN_SPACING_MM, scaffold[:, :1] - 1.0, None, labels, scaffold, given)


def _without_contrast(plan: GeneratePlan, region: Region) -> torch.Tensor:
    """The facts of a plan as if nothing had been injected, (1, F)."""
    native = {fact.name: fact.without for fact in region.facts if fact.without is not None}
    return torch.from_numpy(region.encode({**plan.facts, **native}))[None]


def _condition(plan: GeneratePlan, scaffold: torch.Tensor | None, model: Denoiser) -> Condition:
    frame, organs = model.region.frame, model.region.organs
    return told_base(
        asked_of(plan, model),
        torch.tensor([frame.lower_mm]),
        torch.ones(1, len(organs)),
        Known.nothing(model.config.channels, frame.shape),
        scaffold,
        model.region.ct,
    )
