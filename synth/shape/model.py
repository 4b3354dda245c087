"""The shape model: a mean patient, and a linear Gaussian model of the velocities that deform it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config

from synth.facts import ORGANS
from synth.frames import BASE_SPACING_MM, HEAD_NECK
from synth.models.conditioning import FACTS_DIM
from synth.models.linear import fit_linear_gaussian
from synth.shape.deformation import exponential, warp

MEAN_SPACING_MM = 8.0
MEAN_CT_SPACING_MM = 4.0  # the CT is kept finer than it is shown: resampling it at 8 mm costs a third of its bone
MEAN_CHANNELS = 1 + len(ORGANS)  # intensity + 1 (air is 0), organ fractions


class ShapeModel(ModelMixin, ConfigMixin):
    """velocity = mean + slope @ facts + sum_k sd_k c_k mode_k, c ~ N(0, 1); the mean patient deformed by it.

    Args:
        rank: number of modes.
    """

    mean_ct: torch.Tensor
    mean_organs: torch.Tensor
    mean: torch.Tensor
    slope: torch.Tensor
    modes: torch.Tensor
    sd: torch.Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, rank: int = 44) -> None:
        super().__init__()
        size = 3 * HEAD_NECK.shape[0] * HEAD_NECK.shape[1] * HEAD_NECK.shape[2]
        self.register_buffer("mean_ct", torch.zeros(1, *HEAD_NECK.shape_at(MEAN_CT_SPACING_MM)))
        self.register_buffer("mean_organs", torch.zeros(len(ORGANS), *HEAD_NECK.shape_at(MEAN_SPACING_MM)))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("slope", torch.zeros(FACTS_DIM, size))
        self.register_buffer("modes", torch.zeros(rank, size))
        self.register_buffer("sd", torch.ones(rank))

    def velocity(self, facts: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        """(B, FACTS_DIM) encoded facts, (B, rank) coefficients in SD -> (B, 3, X, Y, Z) mm on the base grid."""
        # in double: the order of the sums, which follows the number of threads, must not reach the volume
        known = facts.double() @ self.slope.double()
        flat = (self.mean + known + (coefficients * self.sd).double() @ self.modes.double()).float()
        return flat.view(-1, 3, *HEAD_NECK.shape)

    def coefficients(self, velocity: torch.Tensor, facts: torch.Tensor) -> torch.Tensor:
        """Nearest coefficients of given velocities (B, 3, X, Y, Z), the facts' part taken off: (B, rank)."""
        left = velocity.flatten(1) - self.mean - facts @ self.slope
        return left @ self.modes.T / self.sd

    def deform(self, velocity: torch.Tensor) -> torch.Tensor:
        """The mean patient deformed: (B, MEAN_CHANNELS, X, Y, Z) at 8 mm."""
        ct, organs = self.deform_parts(velocity)
        return torch.cat([F.avg_pool3d(ct, round(MEAN_SPACING_MM / MEAN_CT_SPACING_MM)), organs], dim=1)

    def deform_parts(self, velocity: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same before it is shown: CT (B, 1, ..) at 4 mm and organs (B, 7, ..) at 8 mm."""
        displacement = exponential(velocity)
        ct = warp(self.mean_ct.expand(len(velocity), -1, -1, -1, -1), displacement)
        return ct, warp(self.mean_organs.expand(len(velocity), -1, -1, -1, -1), displacement)

    @torch.no_grad()
    def fit(self, velocities: torch.Tensor, facts: torch.Tensor, ridge: float) -> None:
        """Ridge regression of velocities on facts, then principal modes of what is left.

        Args:
            velocities: (N, 3, X, Y, Z) on the base grid; facts: (N, FACTS_DIM), mirror images included by the caller;
            ridge: penalty in units of N.
        """
        fitted = fit_linear_gaussian(velocities.flatten(1), facts, len(self.sd), ridge)
        found = len(fitted.variance)
        self.mean.copy_(fitted.mean)
        self.slope.copy_(fitted.slope)
        self.modes[:found] = fitted.directions
        self.sd[:found] = fitted.variance.sqrt()


def cut(patient: torch.Tensor, top_mm: float, bottom_mm: float) -> torch.Tensor:
    """A patient (C, X, Y, Z) on any grid of the frame, zero beyond `top_mm` above the anchor and `bottom_mm` below."""
    spacing = BASE_SPACING_MM * HEAD_NECK.shape[2] / patient.shape[-1]
    lower = HEAD_NECK.lower_mm[2] + spacing * torch.arange(patient.shape[-1])
    # a slice that is scanned in part is drawn in part
    share = ((top_mm - lower) / spacing).clamp(0, 1) * ((lower + spacing + bottom_mm) / spacing).clamp(0, 1)
    return patient * share
