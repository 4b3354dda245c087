"""The scaffold: the mean patient deformed as a plan says, in the form in which the networks are told of it.

Training and drawing both come here, so that a network is told the same of the same patient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from synth import wavelet
from synth.facts import encode
from synth.given import Given
from synth.models.scaling import ct_to_network, detail_to_network
from synth.plan import CasePlan
from synth.seeding import derive, normal
from synth.shape.fitting import fit_velocity
from synth.shape.model import MEAN_SPACING_MM, ShapeModel, cut


@torch.no_grad()
def draw_scaffold(plan: CasePlan, model: ShapeModel, given: Given | None = None) -> torch.Tensor:
    """(1, MEAN_CHANNELS, X, Y, Z) at 8 mm: a deformation drawn for the plan's facts, cut to its field of view.

    Organs that are given draw it onto themselves and take the place of the mean patient's.
    """
    facts = torch.from_numpy(encode(plan.facts))[None]
    coefficients = plan.sampling.shape_temperature * normal((1, model.config.rank), plan.shape_seed)
    spine = plan.sampling.shape_temperature * normal((model.config.spine_rank,), derive(plan.shape_seed, "spine"))
    if given is None:
        patient = model.deform(model.velocity(facts, coefficients), model.places(spine))
    else:
        organs, known = given.fractions(MEAN_SPACING_MM), torch.from_numpy(given.known)
        with torch.enable_grad():
            velocity = fit_velocity(model, facts, coefficients, organs, known)
        patient = model.deform(velocity, model.places(spine))
        patient[:, 1:][:, known] = organs[known]
    return cut(patient, plan.facts["top_mm"], plan.facts["bottom_mm"])


def base_maps(patient: torch.Tensor) -> torch.Tensor:
    """(B, MEAN_CHANNELS, 2X, 2Y, 2Z) at 8 mm -> (B, SCAFFOLD_CHANNELS, X, Y, Z): CT in network units, organs."""
    coarse = F.avg_pool3d(patient, 2)
    return torch.cat([ct_to_network(coarse[:, :1] - 1.0), coarse[:, 1:]], dim=1)


def refine_maps(patient: torch.Tensor) -> torch.Tensor:
    """The same at the level from 16 to 8 mm: the eight wavelet bands of its CT in network units."""
    bands = wavelet.forward(patient[:, :1] - 1.0)
    return torch.cat([ct_to_network(bands[:, :1]), detail_to_network(bands[:, 1:])], dim=1)
