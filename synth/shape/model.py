"""The shape model: a mean patient, and a linear Gaussian model of the velocities that deform it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config

from synth.data.measure_facts import EXTENT
from synth.facts import FACTS, ORGANS
from synth.frames import BASE_SPACING_MM, HEAD_NECK
from synth.models.conditioning import FACTS_DIM
from synth.models.linear import fit_linear_gaussian
from synth.shape import spine
from synth.shape.deformation import exponential, warp

MEAN_SPACING_MM = 8.0
MEAN_CT_SPACING_MM = 4.0  # the CT is kept finer than it is shown: resampling it at 8 mm costs a third of its bone
_LIKEST = 16  # patients and mirror images, near one of whom a shape is drawn
_KNOWN = slice(len(FACTS), None)  # the second half of encoded facts: flags
_SIZES = [i for i, fact in enumerate(FACTS) if fact.name in EXTENT]
MEAN_CHANNELS = 1 + len(ORGANS)  # intensity + 1 (air is 0), organ fractions


class ShapeModel(ModelMixin, ConfigMixin):
    """velocity = mean + slope @ facts + sum_k sd_k c_k mode_k, c ~ N(0, 1); the mean patient deformed by it.

    Its vertebrae are a pattern painted along the deformed cord, at places that are linear in Gaussians too.

    Args:
        rank: number of modes of the velocity; spine_rank: of the vertebrae's places.
        told: numbers of the encoded facts that `slope` has a row for; None: all FACTS_DIM.
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
    def __init__(self, rank: int = 44, spine_rank: int = 8, told: list[int] | None = None, patients: int = 0) -> None:
        super().__init__()
        self.told = list(range(FACTS_DIM)) if told is None else told
        size = 3 * HEAD_NECK.shape[0] * HEAD_NECK.shape[1] * HEAD_NECK.shape[2]
        self.register_buffer("mean_ct", torch.zeros(1, *HEAD_NECK.shape_at(MEAN_CT_SPACING_MM)))
        self.register_buffer("mean_organs", torch.zeros(len(ORGANS), *HEAD_NECK.shape_at(MEAN_SPACING_MM)))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("slope", torch.zeros(len(self.told), size))
        self.register_buffer("modes", torch.zeros(rank, size))
        self.register_buffer("sd", torch.ones(rank))
        self.register_buffer("known", torch.zeros(patients, rank))
        self.register_buffer("known_facts", torch.zeros(patients, FACTS_DIM))
        self.register_buffer("pattern", torch.zeros(spine.SHAPE))
        self.register_buffer("places_mean", torch.zeros(spine.LENGTH))
        self.register_buffer("places_modes", torch.zeros(spine_rank, spine.LENGTH))
        self.register_buffer("places_sd", torch.ones(spine_rank))

    def velocity(self, facts: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        """(B, FACTS_DIM) encoded facts, (B, rank) coefficients in SD -> (B, 3, X, Y, Z) mm on the base grid."""
        # in double: the order of the sums, which follows the number of threads, must not reach the volume
        flat = (self.usual(facts) + (coefficients * self.sd).double() @ self.modes.double()).float()
        return flat.view(-1, 3, *HEAD_NECK.shape)

    def usual(self, facts: torch.Tensor) -> torch.Tensor:
        """(B, FACTS_DIM) encoded facts -> (B, 3 X Y Z) mm in double: the mean velocity of patients who have them."""
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
            normal: (1, rank) standard normal; facts: (1, FACTS_DIM) encoded; pick: any number, for which of the likest.
        """
        if not len(self.known):
            return normal
        both = self.known_facts[:, _KNOWN][:, _SIZES] * facts[:, _KNOWN][:, _SIZES]  # flags
        apart = (both * (self.known_facts[:, _SIZES] - facts[:, _SIZES])).double().square().sum(dim=1)
        likest = apart.sort(stable=True).indices[:_LIKEST]
        return (1 - spread**2) ** 0.5 * self.known[likest[pick % len(likest)]] + spread * normal

    def coefficients(self, velocity: torch.Tensor, facts: torch.Tensor) -> torch.Tensor:
        """Nearest coefficients of given velocities (B, 3, X, Y, Z), the facts' part taken off: (B, rank)."""
        left = velocity.flatten(1) - self.mean - facts[:, self.told] @ self.slope
        return left @ self.modes.T / self.sd

    def places(self, coefficients: torch.Tensor) -> np.ndarray:
        """(spine_rank,) coefficients in SD -> (LENGTH,) where on the cord the rows of the pattern stand, in steps."""
        apart = self.places_mean.double() + (coefficients * self.places_sd).double() @ self.places_modes.double()
        return np.arange(spine.LENGTH) + apart.numpy()

    def line(self, velocity: torch.Tensor) -> spine.Line | None:
        """The cord of the mean patient deformed by a velocity (3, X, Y, Z); None where the mean has no cord."""
        curve = spine.cord_curve(self.mean_organs[ORGANS.index("spinal_cord")].numpy())
        return None if curve is None else spine.carried(curve, exponential(-velocity[None])[0].numpy())

    def deform(self, velocity: torch.Tensor, places: np.ndarray | None = None) -> torch.Tensor:
        """The mean patient deformed: (1, MEAN_CHANNELS, X, Y, Z) at 8 mm."""
        ct, organs = self.deform_parts(velocity, places)
        return torch.cat([F.avg_pool3d(ct, round(MEAN_SPACING_MM / MEAN_CT_SPACING_MM)), organs], dim=1)

    def deform_parts(
        self, velocity: torch.Tensor, places: np.ndarray | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same before it is shown: CT (1, 1, ..) at 4 mm and organs (1, 7, ..) at 8 mm.

        Args:
            velocity: (1, 3, X, Y, Z) mm; places: of the vertebrae, none where they are not given.
        """
        displacement = exponential(velocity)
        ct, organs = warp(self.mean_ct[None], displacement), warp(self.mean_organs[None], displacement)
        if places is not None and (line := self.line(velocity[0])) is not None:
            row = spine.painted(self.pattern.numpy(), places, line, ct.shape[2:])
            ct = (ct + torch.from_numpy(row)).clamp(min=0)
        return ct, organs

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


def cut(patient: torch.Tensor, top_mm: float, bottom_mm: float) -> torch.Tensor:
    """A patient (C, X, Y, Z) on any grid of the frame, zero beyond `top_mm` above the anchor and `bottom_mm` below."""
    spacing = BASE_SPACING_MM * HEAD_NECK.shape[2] / patient.shape[-1]
    lower = HEAD_NECK.lower_mm[2] + spacing * torch.arange(patient.shape[-1])
    # a slice that is scanned in part is drawn in part
    share = ((top_mm - lower) / spacing).clamp(0, 1) * ((lower + spacing + bottom_mm) / spacing).clamp(0, 1)
    return patient * share
