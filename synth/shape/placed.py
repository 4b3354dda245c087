"""Training patients placed in the shape model: the scaffold that each is drawn on while the networks learn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from synth.data.dataset import Jitter, Subject, jittered
from synth.facts import encode
from synth.shape.fit import load_placed
from synth.shape.model import ShapeModel, cut

_LOOSE = 0.35  # SD of each coefficient about the patient's own: a drawn scaffold fits no patient exactly either


class Placed:
    """A shape model and the velocities (3, X, Y, Z) in mm of the patients, by name."""

    def __init__(self, model: ShapeModel, velocities: Mapping[str, torch.Tensor]) -> None:
        self.model, self.velocities = model, velocities

    @staticmethod
    def load(folder: Path) -> Placed:
        """What `synthct train shape` wrote; InputError if it did not."""
        velocities = load_placed(folder)
        return Placed(ShapeModel.from_pretrained(folder / "weights"), velocities)

    @torch.no_grad()
    def scaffold(self, subject: Subject, jitter: Jitter, rng: np.random.Generator) -> torch.Tensor:
        """(MEAN_CHANNELS, X, Y, Z) at 8 mm: the mean patient deformed to about this one, jittered like it."""
        facts = torch.from_numpy(encode(subject.facts))[None]
        own = self.model.coefficients(self.velocities[subject.name][None], facts)
        loose = torch.from_numpy(rng.standard_normal(own.shape, dtype=np.float32))
        patient = self.model.deform(self.model.velocity(facts, own + _LOOSE * loose))[0]
        patient = cut(patient, subject.facts["top_mm"], subject.facts["bottom_mm"])
        no_dose = torch.zeros_like(patient[:1])
        moved = jittered(torch.cat([patient[:1], no_dose, patient[1:]]), jitter)
        return torch.cat([moved[:1], moved[2:]])
