"""The scaffold: the mean patient deformed as a plan says."""

from __future__ import annotations

import torch

from synth.case.plan import GeneratePlan
from synth.models import intensity
from synth.regions import Region
from synth.regions.given import Given
from synth.seeding import derive, normal
from synth.shape.fitting import fit_velocity
from synth.shape.model import MEAN_SPACING_MM, ShapeModel, cut


@torch.no_grad()
def draw_scaffold(plan: GeneratePlan, model: ShapeModel, given: Given | None = None) -> torch.Tensor:
    """(1, 1 + organs, X, Y, Z) at 8 mm: a deformation drawn for the plan's facts, cut to its field of view.

    Of several the one whose sizes are nearest those of the plan is taken: sizes vary with the modes, and what is drawn
    on a scaffold has the scaffold's. Organs that are given draw one onto themselves instead and take the place of the
    mean patient's.
    """
    region, ends = model.region, model.region.ends(plan.facts)
    facts = torch.from_numpy(region.encode(plan.facts))[None]
    spine = plan.sampling.shape_temperature * normal((model.config.spine_rank,), derive(plan.shape_seed, "spine"))
    if given is not None:
        coefficients = _coefficients(plan, model, plan.shape_seed)
        organs, known = given.fractions(MEAN_SPACING_MM), torch.from_numpy(given.known)
        with torch.enable_grad():
            velocity = fit_velocity(model, facts, coefficients, organs, known)
        patient = model.deform(velocity, model.places(spine))
        patient[:, 1:][:, known] = organs[known]
        return cut(patient, region.frame, ends)
    seeds = [derive(plan.shape_seed, f"shape {i}") for i in range(plan.sampling.shapes)]
    velocities = [model.velocity(facts, _near_someone(plan, model, facts, seed)) for seed in seeds]
    nearest = min(velocities, key=lambda velocity: _apart(plan, region, model.deform(velocity)))
    return cut(model.deform(nearest, model.places(spine)), region.frame, ends)


def _coefficients(plan: GeneratePlan, model: ShapeModel, seed: int) -> torch.Tensor:
    return plan.sampling.shape_temperature * normal((1, model.config.rank), seed)


def _near_someone(plan: GeneratePlan, model: ShapeModel, facts: torch.Tensor, seed: int) -> torch.Tensor:
    return model.near(normal((1, model.config.rank), seed), facts, derive(seed, "patient"), plan.sampling.shape_spread)


def _apart(plan: GeneratePlan, region: Region, patient: torch.Tensor) -> float:
    """Squared distance of a deformed mean patient's sizes from those of the plan, in units of the facts' scales."""
    patient = cut(patient, region.frame, region.ends(plan.facts))
    hu = intensity.to_hu(patient[0, 0].numpy() - 1.0)
    sizes = region.measure_outline(hu, region.frame.affine_at(MEAN_SPACING_MM))
    known = [fact for fact in region.facts if fact.size and fact.name in sizes and fact.name in plan.facts]
    apart = (fact.encode(sizes[fact.name]) - fact.encode(plan.facts[fact.name]) for fact in known)
    return sum(fact.size * d**2 for fact, d in zip(known, apart, strict=True))
