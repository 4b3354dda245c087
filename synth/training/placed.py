"""Training patients placed in the shape model: the scaffold that each is drawn on while the networks learn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch

from synth.case.weights_folder import LOOKS
from synth.data.dataset import Parts, PreparedPatient
from synth.models.weights import load_model
from synth.shape.model import ShapeModel, cut
from synth.training.shape import load_placed


class PlacedScaffolds:
    """The mean patient deformed to each patient, by name, as closely as registration came.

    A scaffold that fits its patient teaches the networks to put bone where the scaffold has it. Drawn scaffolds are
    as sharp, being the same mean patient; one that fits loosely in training comes out as blur.

    Args:
        model: for its mean patient; velocities: (3, X, Y, Z) in mm on any grid of the frame, by patient; places: of the
            vertebrae, where they were found.
    """

    def __init__(
        self,
        model: ShapeModel,
        velocities: Mapping[str, torch.Tensor],
        places: Mapping[str, torch.Tensor] = MappingProxyType({}),
    ) -> None:
        self.patients = {name: _deformed(model, v, places.get(name)) for name, v in velocities.items()}

    @staticmethod
    def of(folder: Path | None) -> PlacedScaffolds | None:
        """Those of a folder, as draws have them: none without one, and none where scans are put together, for what
        they make is what is drawn on, and no network is told it besides."""
        if folder is None or (folder / "weights" / LOOKS).is_file():
            return None
        return PlacedScaffolds.load(folder)

    @staticmethod
    def load(folder: Path) -> PlacedScaffolds:
        """What `synthct train shape` wrote; InputError if it did not."""
        return PlacedScaffolds(load_model(ShapeModel, folder / "weights"), *load_placed(folder))

    def parts(self, subject: PreparedPatient) -> Parts:
        """The scaffold's CT, and its organs as the rest, cut to the patient's field of view."""
        patient, frame, ends = self.patients[subject.name], subject.region.frame, subject.region.ends(subject.facts)
        return Parts(subject.region, cut(patient.ct, frame, ends).half(), cut(patient.rest, frame, ends).half())


@torch.no_grad()
def _deformed(model: ShapeModel, velocity: torch.Tensor, places: torch.Tensor | None) -> Parts:
    """CT and organs in half precision: all patients stay in memory."""
    ct, organs = model.deform_parts(velocity[None], None if places is None else places.numpy())
    return Parts(model.region, ct[0].half(), organs[0].half())
