"""The tone curve: drawn grey values, carried to where those of the training patients are.

Networks that learned from few patients draw bone too faint and too much between fat and muscle: what they are unsure of
comes out as a mean. A monotone curve of HU, fitted by matching the cumulative histograms of drawn cases and training
patients (Nyul & Udupa 1999), gives the contrast back and moves no border: masks stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from synth.errors import InputError
from synth.files.documents import read_table
from synth.models import intensity

KNOTS_HU = np.array([*range(-1000, -200, 50), *range(-200, 300, 10), *range(300, 2001, 50)], float)
_EDGES = np.arange(-1024.5, 2050.0)
_BODY_HU, _MARGIN = -300, 2  # voxels round the body count too: the skin's edge has a tone of its own


class Tone:
    """Curves by spacing in mm; where there is none, grey values stay."""

    def __init__(self, curves: Mapping[float, np.ndarray]) -> None:
        self.curves = dict(curves)

    @staticmethod
    def read(path: Path) -> Tone:
        """Of a JSON of spacing -> HU at `KNOTS_HU`; no curves where there is no file."""
        if not path.is_file():
            return Tone({})
        try:
            curves = {float(s): np.array(curve, float) for s, curve in read_table(path).items()}
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: no tone curves ({error}); copy the weights again") from error
        if not all(c.shape == KNOTS_HU.shape and (np.diff(c) >= 0).all() for c in curves.values()):
            raise InputError(f"{path}: a curve is not {len(KNOTS_HU)} rising values; copy the weights again")
        return Tone(curves)

    def to_json(self) -> str:
        """The text that `read` reads."""
        return json.dumps({f"{s:g}": [round(float(v), 1) for v in c] for s, c in sorted(self.curves.items())}) + "\n"

    def __call__(self, ct: torch.Tensor, spacing: float) -> torch.Tensor:
        """Intensity units of any shape at `spacing` -> the same on the curve; beyond the knots shifted as the last."""
        curve = self.curves.get(round(spacing, 3))
        if curve is None:
            return ct
        hu = intensity.to_hu(ct.numpy())
        out = np.interp(hu, KNOTS_HU, curve) + (hu - hu.clip(KNOTS_HU[0], KNOTS_HU[-1]))
        return torch.from_numpy(intensity.to_unit(out))


def fit(drawn: Iterable[np.ndarray], real: Iterable[np.ndarray]) -> np.ndarray:
    """HU at `KNOTS_HU`, rising, from volumes of HU; every volume counts alike, air far from the body not at all."""
    middles = (_EDGES[:-1] + _EDGES[1:]) / 2
    below_drawn, below_real = (np.cumsum(_shares(side)) for side in (drawn, real))
    at = np.interp(np.interp(KNOTS_HU, middles, below_drawn), below_real, middles)
    at[0] = KNOTS_HU[0]  # air stays air
    return np.maximum.accumulate(at)


def _shares(volumes: Iterable[np.ndarray]) -> np.ndarray:
    total = np.zeros(len(_EDGES) - 1)
    for hu in volumes:
        near = ndimage.binary_dilation(hu > _BODY_HU, iterations=_MARGIN)
        counts = np.histogram(hu[near].clip(_EDGES[0] + 1, _EDGES[-1] - 1), _EDGES)[0]
        total += counts / counts.sum()
    return total / total.sum()
