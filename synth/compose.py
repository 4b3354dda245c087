"""Base: words and facts -> coarse CT, prescribed dose and organ fractions of a whole frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from synth.facts import ORGANS, encode
from synth.flow.guidance import asked, away_from, away_from_prior
from synth.flow.samplers import euler
from synth.frames import BASE_SPACING_MM, FRAMES, Frame
from synth.given import Given
from synth.models.conditioning import FACTS_DIM, Condition, grid_vector, position_map, stack_maps
from synth.models.denoiser import Denoiser
from synth.models.scaling import ct_from_network, dose_from_network
from synth.models.text import TEXT_DIM, text_encoder
from synth.models.threads import one_thread
from synth.plan import CasePlan
from synth.seeding import normal
from synth.shape.scaffold import base_maps
from synth.torso.patchwork import Atlas

_NATIVE_VESSELS_HU = 55.0  # about the lower of the training patients' two peaks


@dataclass(frozen=True)
class Drawn:
    """A frame at one spacing.

    ct: (1, 1, X, Y, Z) intensity units; dose: (1, 1, X, Y, Z) steps of the dose ladder at the base spacing;
    labels: (1, CLASSES, X, Y, Z) organ fractions; scaffold: the deformed mean patient at 8 mm, see synth.shape.
    given: the organs that labels were made to have. atlas: where organs are to be told from, in the torso: the networks
    read none there. details: (1, 7, X, Y, Z) of the next finer grid in network units, which `refine` starts from.
    """

    frame: Frame
    spacing: float
    ct: torch.Tensor
    dose: torch.Tensor
    labels: torch.Tensor
    scaffold: torch.Tensor | None
    given: Given | None = None
    atlas: Atlas | None = None
    details: torch.Tensor | None = None


def request_tensors(plan: CasePlan) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Facts (1, F), text features (1, L, D), text mask (1, L) of a plan."""
    facts = torch.from_numpy(encode(plan.facts))[None]
    if not plan.request.prompt:
        return (facts, *no_request()[1:])
    return (facts, *text_encoder()([plan.request.prompt]))


def no_request() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same where nothing is asked."""
    return torch.zeros(1, FACTS_DIM), torch.zeros(1, 1, TEXT_DIM), torch.zeros(1, 1, dtype=torch.bool)


@torch.no_grad()
def compose(
    plan: CasePlan,
    scaffold: torch.Tensor,
    model: Denoiser,
    on_step: Callable[[], None] = lambda: None,
    given: Given | None = None,
) -> Drawn:
    """Draw the coarse volume of a plan on its scaffold: flow from noise to data, then read the organs off it.

    Organs that are given stand in place of those that are read.
    """
    frame = FRAMES[str(plan.region)]
    condition = _condition(plan, frame, scaffold, model).to(model.device)
    noise = normal((1, model.config.channels, *frame.shape), plan.base_seed).to(model.device)
    noise = plan.sampling.temperature * noise
    native = replace(condition, facts=_without_contrast(plan).to(model.device))
    velocity = asked(model, condition)
    velocity = away_from(velocity, model, condition.without_request(), plan.sampling.guidance - 1)
    velocity = away_from(velocity, model, native, plan.sampling.contrast_guidance)
    velocity = away_from_prior(velocity, model, condition, plan.sampling.prior_guidance)
    with one_thread():
        x = euler(velocity, noise, plan.sampling.base_steps, plan.sampling.base_shift, on_step=on_step)
        labels = model(x, x.new_zeros(1), condition).labels.softmax(dim=1)
    ct = ct_from_network(x[:, :1]).clamp(-1.0, 1.5)
    if given is not None:
        labels = given.impose(labels, BASE_SPACING_MM)
    return Drawn(frame, BASE_SPACING_MM, ct, dose_from_network(x[:, 1:2]), labels, scaffold, given)


def _without_contrast(plan: CasePlan) -> torch.Tensor:
    """The facts of a plan as if nothing had been injected, (1, F)."""
    return torch.from_numpy(encode({**plan.facts, "neck_vessels_hu": _NATIVE_VESSELS_HU}))[None]


def _condition(plan: CasePlan, frame: Frame, scaffold: torch.Tensor, model: Denoiser) -> Condition:
    facts, text, text_mask = request_tensors(plan)
    spacing = torch.full((1, 3), BASE_SPACING_MM)
    nothing = torch.zeros(1, 1, *frame.shape)
    return Condition(
        facts=facts,
        text=text,
        text_mask=text_mask,
        grid=grid_vector(spacing, torch.ones(1, len(ORGANS)), torch.zeros(1, 1)),
        maps=stack_maps(
            nothing.expand(-1, model.config.channels, -1, -1, -1),
            nothing,
            position_map(torch.tensor([frame.lower_mm]), spacing, frame.shape),
            scaffold=base_maps(scaffold),
        ),
    )
