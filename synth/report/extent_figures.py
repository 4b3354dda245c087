"""Figures of a kind's own, measured on CT, labels and mask: ratios, thicknesses, scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from synth.report.location import Box

if TYPE_CHECKING:
    from synth.report.lesions import Scene

Figure = Callable[["Scene", int, Box, np.ndarray], dict[str, float]]
FIGURES: dict[str, Figure] = {}


def figures_of(kind: str, scene: Scene, number: int, box: Box, mask: np.ndarray) -> dict[str, float]:
    """The figures of one finding, name -> value; none for kinds that have none."""
    return FIGURES[kind](scene, number, box, mask) if kind in FIGURES else {}
