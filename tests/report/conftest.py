"""Shapes of known size on any grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

Ellipsoid = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def ellipsoid() -> Ellipsoid:
    """Mask of an ellipsoid: shape, spacing, semi-axes in mm; centre in mm from voxel 0, the middle when left out."""

    def make(shape: tuple, spacing: tuple, semi_axes: tuple, centre: tuple | None = None) -> np.ndarray:
        grid = np.indices(shape).transpose(1, 2, 3, 0) * spacing
        middle = (np.array(shape) - 1) / 2 * spacing if centre is None else np.array(centre)
        return (((grid - middle) / semi_axes) ** 2).sum(axis=-1) <= 1

    return make
