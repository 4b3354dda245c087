"""The one map between HU and the numbers that the networks see.

Monotone, piecewise linear and invertible: soft tissue (-250 to 150 HU) gets half of the working
range, air and dense bone are compressed. A wide air-body step would otherwise drown the contrasts
inside the body, which are a fifth of it in HU.
"""

from __future__ import annotations

import numpy as np

_HU = np.array([-1024.0, -250.0, 150.0, 1000.0, 3071.0])
_UNIT = np.array([-1.0, -0.5, 0.5, 1.0, 1.5])


def to_unit(hu: np.ndarray) -> np.ndarray:
    """HU -> network units, float32 in [-1, 1.5]; HU beyond [-1024, 3071] end at the range's ends."""
    return np.interp(hu, _HU, _UNIT).astype(np.float32)


def to_hu(unit: np.ndarray) -> np.ndarray:
    """Network units -> HU, float32; the inverse of `to_unit` on its range."""
    return np.interp(unit, _UNIT, _HU).astype(np.float32)
