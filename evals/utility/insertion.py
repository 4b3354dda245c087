"""The arm `insertion`: lesions put into half of the real samples, anew each time one is drawn."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor

from evals.utility.config import UtilityConfig
from evals.utility.data import Labelled, classes_of, windowed
from synth.lesions.insertion import Redraw
from synth.lesions.transform import InsertLesiond

_SHARE = 0.5


class Inserter:
    """Puts one of the study's findings into a volume; where it has no place, the volume stays as it is.

    Args:
        redraw: redraws the detail in the lesion (`synth.redraw.RefineRedraw`), as `synthct insert` does.
    """

    def __init__(self, config: UtilityConfig, redraw: Redraw) -> None:
        self.config, self.redraw = config, redraw

    def __call__(self, volume: Labelled, rng: np.random.Generator) -> Labelled:
        """The volume, or the same with a lesion; chance comes from `rng` alone."""
        happens, seed = rng.random() < _SHARE, int(rng.integers(2**31))
        if not happens:
            return volume
        host = volume.host
        assert host is not None
        insert = InsertLesiond("ct", self.config.findings, names=host.organs.names, redraw=self.redraw)
        insert.set_random_state(seed=seed)
        affine = torch.from_numpy(host.organs.affine)
        sample: dict[Hashable, Any] = {
            "ct": MetaTensor(torch.from_numpy(host.hu.astype(np.float32))[None], affine=affine),
            "organs": MetaTensor(torch.from_numpy(host.organs.ids.astype(np.int16))[None], affine=affine),
        }
        found = insert(sample)
        new = found["lesion"][0].numpy() > 0
        if not new.any():
            return volume
        organs = replace(host.organs, ids=found["organs"][0].numpy().astype(host.organs.ids.dtype))
        return replace(
            volume,
            image=windowed(found["ct"][0].numpy(), self.config),
            classes=classes_of(organs, host.lesions | new, self.config),
        )
