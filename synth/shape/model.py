"""The shape model: a mean patient, and a linear Gaussian model of the velocities that deform it."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config

from synth.models.denoiser import region_of
from synth.models.linear import fit_linear_gaussian
from synth.regions import Frame, Region
from synth.shape import spine
from synth.shape.deformation import exponential, warp

MEAN_SPACING_MM = 8.0
MEAN_CT_SPACING_MM = 4.0  # the CT is kept finer than it is shown: resampling it at 8 mm costs a third of its bone
_LIKEST = 16  # patients and mirror images, near one of whom a shape is drawn


class ShapeModel(ModelMixin, ConfigMixin):
    """velocity = mean + slope @ facts + sum_k sd_k c_k mode_k, c ~ N(0, 1); the mean patient deformed by it.

    Its vertebrae are a pattern painted along the deformed cord, at places that are linear in Gaussians too.

    Args:
        rank: number of modes of the velocity; spine_rank: of the vertebrae's places.
        told: numbers of the encoded facts that `slope` has a row for; None: all.
        region: text of the region's YAML; None: head and neck.
        patients: how many patients' coefficients and facts are known, see `near`.
    """

    mean_ct: torch.Tensor
    mean_organs: torch.Tensor
    mean: torch.Tensor
    slope: torch.Tensor
    modes: torch.Tensor
    sd: torch.Tensor
    known: torch.Tensor
    known_facts: torch.Tensor
    pattern: torch.Tensor
    places_mean: torch.Tensor
    places_modes: torch.Tensor
    places_sd: torch.Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        rank: int = 44,
        spine_rank: int = 8,
        told: list[int] | None = None,
        patients: int = 0,
        region: str | None = None,
    ) -> None:
        super().__init__()
        of = region_of(region)
        self.told = list(range(of.facts_dim)) if told is None else told
        size = 3 * math.prod(of.frame.shape)
        self.register_buffer("mean_ct", torch.zeros(1, *of.frame.shape_at(MEAN_CT_SPACING_MM)))
        self.register_buffer("mean_organs", torch.zeros(len(of.organs), *of.frame.shape_at(MEAN_SPACING_MM)))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("slope", torch.zeros(len(self.told), size))
        self.register_buffer("modes", torch.zeros(rank, size))
        self.register_buffer("sd", torch.ones(rank))
        self.register_buffer("known", torch.zeros(patients, rank))
        self.register_buffer("known_facts", torch.zeros(patients, of.facts_dim))
        self.register_buffer("pattern", torch.zeros(spine.SHAPE))
        self.register_buffer("places_mean", torch.zeros(spine.LENGTH))
        self.register_buffer("places_modes", torch.zeros(spine_rank, spine.LENGTH))
        self.register_buffer("places_sd", torch.ones(spine_rank))

    @property
    def region(self) -> Region:
        """That it was fitted to."""
        return region_of(self.config.region)

    def velocity(self, facts: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        """(B, facts_dim) encoded facts, (B, rank) coefficients in SD -> (B, 3, X, Y, Z) mm on the base grid."""
        # in double: the order of the sums, which follows the number of threads, must not reach the volume
        flat = (self.usual(facts) + (coefficients * self.sd).double() @ self.modes.double()).float()
        return flat.view(-1, 3, *self.region.frame.shape)

    def usual(self, facts: torch.Tensor) -> torch.Tensor:
        """(B, facts_dim) encoded facts -> (B, 3 X Y Z) mm in double: the mean velocity of patients who have them."""
        return self.mean.double() + facts[:, self.told].double() @ self.slope.double()

    def lean(self) -> ShapeModel:
        """The same model without the rows of `slope` that are all zero: facts that no training patient lacks."""
        told = [fact for fact, row in zip(self.told, self.slope, strict=True) if row.any()]
        lean = ShapeModel(**{**self.config, "told": told})
        state = self.state_dict()
        lean.load_state_dict(state | {"slope": self.slope[[self.told.index(fact) for fact in told]]})
        return lean

    def near(self, normal: torch.Tensor, facts: torch.Tensor, pick: int, spread: float) -> torch.Tensor:
        """Coefficients (1, rank) of a patient near a measured one: its own at `spread` 0, near none at 1.

        The measured ones are no Gaussian: in a mode most patients are near the mean and few far from it, no patient is
        far from it in many modes at once, and what is not linear in the facts is in them too. So the measured one is
        one of those whose sizes are most like those asked for. Smoothed bootstrap with shrinkage (Silverman & Young
        1987).

        Args:
            normal: (1, rank) standard normal; facts: (1, facts_dim) encoded; pick: any number, for which of the likest.
        """
        if not len(self.known):
            return normal
        sizes = list(self.region.outline)
        flags = [len(self.region.facts) + i for i in sizes]
        both = self.known_facts[:, flags] * facts[:, flags]
        apart = (both * (self.known_facts[:, sizes] - facts[:, sizes])).double().square().sum(dim=1)
        likest = apart.sort(stable=True).indices[:_LIKEST]
        return (1 - spread**2) ** 0.5 * self.known[likest[pick % len(likest)]] + spread * normal

    def coefficients(self, velocity: torch.Tensor, facts: torch.Tensor) -> torch.Tensor:
        """Nearest coefficients of given velocities (B, 3, X, Y, Z), the facts' part taken off: (B, rank)."""
        left = velocity.flatten(1) - self.mean - facts[:, self.told] @ self.slope
        return left @ self.modes.T / torch.where(self.sd > 0, self.sd, 1.0)  # patients alike in a mode are at 0 of it

    def places(self, coefficients: torch.Tensor) -> np.ndarray:
        """(spine_rank,) coefficients in SD -> (LENGTH,) where on the cord the rows of the pattern stand, in steps."""
        apart = self.places_mean.double() + (coefficients * self.places_sd).double() @ self.places_modes.double()
        return np.arange(spine.LENGTH) + apart.numpy()

    def line(self, velocity: torch.Tensor) -> spine.Line | None:
        """The cord of the mean patient deformed by a velocity (3, X, Y, Z); None where the mean has no cord."""
        region = self.region
        if region.spine is None:
            return None
        curve = spine.cord_curve(self.mean_organs[region.organs.index(region.spine.organ)].numpy(), region)
        if curve is None:
            return None
        return spine.carried(curve, exponential(-velocity[None], region.frame)[0].numpy(), region.frame)

    def deform(self, velocity: torch.Tensor, places: np.ndarray | None = None) -> torch.Tensor:
        """The mean patient deformed: (1, 1 + organs, X, Y, Z) at 8 mm, intensity + 1 and organ fractions."""
        ct, organs = self.deform_parts(velocity, places)
        return torch.cat([F.avg_pool3d(ct, round(MEAN_SPACING_MM / MEAN_CT_SPACING_MM)), organs], dim=1)

    def deform_parts(
        self, velocity: torch.Tensor, places: np.ndarray | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same before it is shown: CT (1, 1, ..) at 4 mm and organs (1, organs, ..) at 8 mm.

        Args:
            velocity: (1, 3, X, Y, Z) mm; places: of the vertebrae, none where they are not given.
        """
        frame = self.region.frame
        displacement = exponential(velocity, frame)
        ct, organs = (warp(mean[None], displacement, frame) for mean in (self.mean_ct, self.mean_organs))
        if places is not None and (line := self.line(velocity[0])) is not None:
            row = spine.painted(self.pattern.numpy(), places, line, ct.shape[2:], frame)
            ct = (ct + torch.from_numpy(row)).clamp(min=0)
        return ct, organs

    @torch.no_grad()
    def fit(self, velocities: torch.Tensor, facts: torch.Tensor, ridge: float) -> None:
        """Ridge regression of velocities on facts, then principal modes of what is left.

        Args:
            velocities: (N, 3, X, Y, Z) on the base grid; facts: (N, facts_dim), mirror images included by the caller;
            ridge: penalty in units of N.
        """
        fitted = fit_linear_gaussian(velocities.flatten(1), facts, len(self.sd), ridge)
        found = len(fitted.variance)
        self.mean.copy_(fitted.mean)
        self.slope.copy_(fitted.slope[self.told])
        self.modes[:found] = fitted.directions
        self.sd[:found] = fitted.variance.sqrt()
        if len(self.known):
            self.known.copy_(self.coefficients(velocities, facts))
            self.known_facts.copy_(facts)

    @torch.no_grad()
    def fit_spine(self, pattern: np.ndarray, places: np.ndarray) -> None:
        """Keep the pattern of vertebrae, and the principal modes of its places.

        Args:
            pattern: spine.SHAPE; places: (N, LENGTH) of patients, in steps.
        """
        apart = torch.from_numpy(places - np.arange(spine.LENGTH))
        mean = apart.mean(dim=0)
        _, size, modes = torch.linalg.svd(apart - mean, full_matrices=False)
        found = min(len(self.places_sd), len(size))
        self.pattern.copy_(torch.from_numpy(pattern))
        self.places_mean.copy_(mean)
        self.places_modes[:found] = modes[:found].float()
        self.places_sd.zero_()
        self.places_sd[:found] = (size[:found] / len(places) ** 0.5).float()


def cut(patient: torch.Tensor, frame: Frame, ends: tuple[float, float]) -> torch.Tensor:
    """A patient (.., X, Y, Z) on any grid of a frame, zero beyond its ends, mm above the anchor and below."""
    top_mm, bottom_mm = ends
    spacing = frame.size_mm[2] / patient.shape[-1]
    lower = frame.lower_mm[2] + spacing * torch.arange(patient.shape[-1])
    # a slice that is scanned in part is drawn in part
    share = ((top_mm - lower) / spacing).clamp(0, 1) * ((lower + spacing + bottom_mm) / spacing).clamp(0, 1)
    return patient * share
