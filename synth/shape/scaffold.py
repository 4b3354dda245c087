"""The scaffold: the mean patient deformed as a plan says, in the form in which the networks are told of it.

Training and drawing both come here, so that a network is told the same of the same patient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from synth import intensity, wavelet
from synth.data.measure_facts import extent
from synth.facts import FACTS, encode
from synth.frames import HEAD_NECK
from synth.given import Given
from synth.models.scaling import ct_to_network, detail_to_network
from synth.plan import CasePlan
from synth.seeding import derive, normal
from synth.shape.fitting import fit_velocity
from synth.shape.model import MEAN_SPACING_MM, ShapeModel, cut

_SIZES = {"neck_area_cm2": 2.0, "body_ml": 1.0, "shoulder_width_mm": 1.0}  # weights; words speak of the neck


@torch.no_grad()
def draw_scaffold(plan: CasePlan, model: ShapeModel, given: Given | None = None) -> torch.Tensor:
    """(1, MEAN_CHANNELS, X, Y, Z) at 8 mm: a deformation drawn for the plan's facts, cut to its field of view.

    Of several the one whose sizes are nearest those of the plan is taken: sizes vary with the modes, and what is drawn
    on a scaffold has the scaffold's. Organs that are given draw one onto themselves instead and take the place of the
    mean patient's.
    """
    facts = torch.from_numpy(encode(plan.facts))[None]
    spine = plan.sampling.shape_temperature * normal((model.config.spine_rank,), derive(plan.shape_seed, "spine"))
    if given is not None:
        coefficients = _coefficients(plan, model, plan.shape_seed)
        organs, known = given.fractions(MEAN_SPACING_MM), torch.from_numpy(given.known)
        with torch.enable_grad():
            velocity = fit_velocity(model, facts, coefficients, organs, known)
        patient = model.deform(velocity, model.places(spine))
        patient[:, 1:][:, known] = organs[known]
        return cut(patient, plan.facts["top_mm"], plan.facts["bottom_mm"])
    seeds = [derive(plan.shape_seed, f"shape {i}") for i in range(plan.sampling.shapes)]
    velocities = [model.velocity(facts, _near_someone(plan, model, facts, seed)) for seed in seeds]
    nearest = min(velocities, key=lambda velocity: _apart(plan, model.deform(velocity)))
    return cut(model.deform(nearest, model.places(spine)), plan.facts["top_mm"], plan.facts["bottom_mm"])


def _coefficients(plan: CasePlan, model: ShapeModel, seed: int) -> torch.Tensor:
    return plan.sampling.shape_temperature * normal((1, model.config.rank), seed)


def _near_someone(plan: CasePlan, model: ShapeModel, facts: torch.Tensor, seed: int) -> torch.Tensor:
    return model.near(normal((1, model.config.rank), seed), facts, derive(seed, "patient"), plan.sampling.shape_spread)


def _apart(plan: CasePlan, patient: torch.Tensor) -> float:
    """Squared distance of a deformed mean patient's sizes from those of the plan, in units of the facts' scales."""
    patient = cut(patient, plan.facts["top_mm"], plan.facts["bottom_mm"])
    sizes = extent(intensity.to_hu(patient[0, 0].numpy() - 1.0), HEAD_NECK.affine_at(MEAN_SPACING_MM))
    known = [fact for fact in FACTS if fact.name in _SIZES and fact.name in plan.facts]
    apart = (fact.encode(sizes[fact.name]) - fact.encode(plan.facts[fact.name]) for fact in known)
    return sum(_SIZES[fact.name] * d**2 for fact, d in zip(known, apart, strict=True))


def base_maps(patient: torch.Tensor) -> torch.Tensor:
    """(B, MEAN_CHANNELS, 2X, 2Y, 2Z) at 8 mm -> (B, SCAFFOLD_CHANNELS, X, Y, Z): CT in network units, organs."""
    coarse = F.avg_pool3d(patient, 2)
    return torch.cat([ct_to_network(coarse[:, :1] - 1.0), coarse[:, 1:]], dim=1)


def refine_maps(patient: torch.Tensor) -> torch.Tensor:
    """The same at the level from 16 to 8 mm: the eight wavelet bands of its CT in network units."""
    bands = wavelet.forward(patient[:, :1] - 1.0)
    return torch.cat([ct_to_network(bands[:, :1]), detail_to_network(bands[:, 1:])], dim=1)
