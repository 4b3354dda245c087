"""The arms `insertion` and `inserted`: lesions put into real samples, anew each time one is drawn or from a bank."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor

from evals.utility.config import Arm, UtilityConfig
from evals.utility.data import Labelled, classes_of, unlearned, windowed
from evals.volumes import LESION
from synth.files.arrays import Wanted, read_arrays, write_arrays
from synth.lesions.insertion import Redraw
from synth.lesions.transform import InsertLesiond
from synth.provenance import sha256
from synth.seeding import derive

_KEPT = {"hu": Wanted(3, "i"), "ids": Wanted(3, "u"), "lesion": Wanted(3, "b")}
_SHARE = {Arm.INSERTION: 0.5, Arm.INSERTED: 1.0}  # of the samples


@dataclass(frozen=True)
class WithLesion:
    """A host with a new lesion: CT in HU, organ ids, where the lesion lies; all (X, Y, Z)."""

    hu: np.ndarray
    ids: np.ndarray
    lesion: np.ndarray


class Inserter:
    """Puts one of the study's findings into a volume; where it has no place, the volume stays as it is.

    Args:
        redraw: redraws the detail in the lesion (`synth.draw.redraw.RefineRedraw`), as `synthct insert` does.
        arm: insertion, or inserted, where the volume's own lesions are of no class (`data.IGNORED`).
    """

    def __init__(self, config: UtilityConfig, redraw: Redraw, arm: Arm = Arm.INSERTION) -> None:
        self.config, self.redraw, self.arm = config, redraw, arm

    def __call__(self, volume: Labelled, rng: np.random.Generator) -> Labelled:
        """The volume, or the same with a lesion; chance comes from `rng` alone."""
        happens, seed = rng.random() < _SHARE[self.arm], int(rng.integers(2**31))
        return self._with(self._draw(volume, seed), volume) if happens else volume

    def _draw(self, volume: Labelled, seed: int) -> WithLesion:
        host = volume.host
        assert host is not None
        insert = InsertLesiond(
            "ct",
            self.config.findings,
            names=host.organs.names,
            redraw=self.redraw,
            trust_labels=self.config.trust_labels
            or bool(self.config.tissue),  # muscle and bone told by HU have no sides
        )
        insert.set_random_state(seed=seed)
        affine = torch.from_numpy(host.organs.affine)
        sample: dict[Hashable, Any] = {
            "ct": MetaTensor(torch.from_numpy(host.hu.astype(np.float32))[None], affine=affine),
            "organs": MetaTensor(torch.from_numpy(host.organs.ids.astype(np.int16))[None], affine=affine),
        }
        found = insert(sample)
        ids = found["organs"][0].numpy().astype(host.organs.ids.dtype)
        return WithLesion(found["ct"][0].numpy().astype(np.int16), ids, found["lesion"][0].numpy() > 0)

    def _with(self, drawn: WithLesion, volume: Labelled) -> Labelled:
        """The volume with what was drawn into it; its own lesions lie where they were pushed."""
        if not drawn.lesion.any():
            return volume
        assert volume.host is not None
        organs = replace(volume.host.organs, ids=drawn.ids)
        classes = classes_of(organs, organs.mask(LESION), self.config)
        out = replace(volume, image=windowed(drawn.hu, self.config), classes=classes)
        classes = unlearned(out, self.config).classes if self.arm is Arm.INSERTED else classes
        classes[drawn.lesion] = 1 + self.config.organs.index(LESION)
        return replace(out, classes=classes)


class Bank(Inserter):
    """An `Inserter` with `config.insertions` lesions of each volume, kept in a folder for all arms and seeds."""

    def __init__(self, config: UtilityConfig, redraw: Redraw, arm: Arm = Arm.INSERTION) -> None:
        super().__init__(config, redraw, arm)
        self.folder = config.out / "insertions"

    def _draw(self, volume: Labelled, seed: int) -> WithLesion:
        number = seed % (self.config.insertions or 1)
        path = self.folder / f"{sha256(f'{volume.sha256} {number} {self.config.insertion_hash()}'.encode())}.npz"
        if path.is_file():
            kept = read_arrays(path, _KEPT, remedy="remove it, and run the same command again")
            return WithLesion(kept["hu"], kept["ids"], kept["lesion"])
        drawn = super()._draw(volume, derive(number, volume.sha256) % 2**31)
        write_arrays(path, hu=drawn.hu, ids=drawn.ids, lesion=drawn.lesion)
        return drawn
