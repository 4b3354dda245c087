"""Facts: the numbers that are measured on a training patient and asked of a generated one.

They are the structured half of the condition (the text is the other): a sentence encoder alone cannot tell
left from right. Each has a unit and a transform to roughly unit scale; unknown is NaN. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

ORGANS = (
    "brainstem",
    "spinal_cord",
    "parotid_gland_right",
    "parotid_gland_left",
    "esophagus",
    "larynx",
    "mandible",
)
DOSES_GY = (56, 63, 70)


@dataclass(frozen=True)
class Fact:
    """`value -> (f(value) - centre) / scale`, f being log(1 + value) where `log`."""

    name: str
    unit: str
    centre: float
    scale: float
    log: bool = False

    def encode(self, value: float) -> float:
        """To unit scale; NaN stays NaN."""
        return ((math.log1p(value) if self.log else value) - self.centre) / self.scale


FACTS: tuple[Fact, ...] = (
    Fact("top_mm", "mm above the anchor", 85.0, 35.0),
    Fact("bottom_mm", "mm below the anchor", 190.0, 32.0),
    Fact("face_top_mm", "mm above the anchor, in front of it", 60.0, 40.0),
    Fact("shoulder_width_mm", "mm", 300.0, 210.0),
    Fact("front_mm", "mm in front of the anchor", 110.0, 10.0),
    Fact("back_mm", "mm behind the anchor", 138.0, 20.0),
    Fact("neck_area_cm2", "cm2", 5.2, 0.35, log=True),
    Fact("body_ml", "mL", 8.9, 0.6, log=True),
    Fact("neck_vessels_hu", "HU, 95th percentile of the deep neck", 75.0, 25.0),
    *(Fact(f"target_{dose}_ml", "mL", 4.5, 1.8, log=True) for dose in DOSES_GY),
    *(Fact(f"target_{dose}_side", "-1 right to 1 left", 0.0, 0.5) for dose in DOSES_GY),
    Fact("brainstem_ml", "mL", 3.3, 0.25, log=True),
    Fact("spinal_cord_ml", "mL", 3.1, 0.4, log=True),
    Fact("parotid_gland_right_ml", "mL", 3.35, 0.35, log=True),
    Fact("parotid_gland_left_ml", "mL", 3.35, 0.35, log=True),
    Fact("esophagus_ml", "mL", 2.2, 0.6, log=True),
    Fact("larynx_ml", "mL", 3.4, 0.5, log=True),
    Fact("mandible_ml", "mL", 4.2, 0.35, log=True),
)
NAMES = tuple(fact.name for fact in FACTS)


def encode(values: Mapping[str, float]) -> np.ndarray:
    """Facts by name -> (2 * len(FACTS),) float32: encoded values (0 where unknown), then known flags."""
    unknown = set(values) - set(NAMES)
    if unknown:
        raise KeyError(f"unknown facts {sorted(unknown)}")
    encoded = np.array([f.encode(float(values.get(f.name, math.nan))) for f in FACTS], np.float32)
    known = np.isfinite(encoded)
    return np.concatenate([np.where(known, encoded.clip(-4, 4), 0.0), known]).astype(np.float32)


_SWAPPED = {"parotid_gland_right_ml": "parotid_gland_left_ml", "parotid_gland_left_ml": "parotid_gland_right_ml"}


def mirrored(values: Mapping[str, float]) -> dict[str, float]:
    """The facts of the patient's mirror image."""
    return {_SWAPPED.get(k, k): -v if k.endswith("_side") else v for k, v in values.items()}
