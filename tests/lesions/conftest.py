"""A small noisy phantom: two lungs of two lobes each, a liver, two kidneys, muscle, on a thick-slice grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synth.lesions import LesionPlan
from synth.volumes import labels
from synth.volumes.types import LabelMap, Volume

SHAPE = (108, 80, 44)
SPACING = (1.5, 1.5, 2.5)
NOISE_SD = 14.0
TISSUE_HU = {"lung": -850.0, "liver": 60.0, "kidney": 35.0, "autochthon": 50.0}
# centre and semi-axes in mm from the corner
ELLIPSOIDS = {
    "lung_right": ((42.0, 60.0, 72.0), (32.0, 44.0, 34.0)),
    "lung_left": ((118.0, 60.0, 72.0), (32.0, 44.0, 34.0)),
    "liver": ((45.0, 64.0, 18.0), (34.0, 40.0, 17.0)),
    "kidney_left": ((112.0, 40.0, 20.0), (17.0, 17.0, 19.0)),
    "autochthon_left": ((80.0, 60.0, 55.0), (5.5, 50.0, 50.0)),
}


def _ellipsoid(centre: tuple, semi_axes: tuple) -> np.ndarray:
    grid = np.indices(SHAPE).transpose(1, 2, 3, 0) * SPACING
    return (((grid - centre) / semi_axes) ** 2).sum(axis=-1) <= 1


def _organs() -> np.ndarray:
    ids = np.zeros(SHAPE, np.uint8)
    upper = np.arange(SHAPE[2]) * SPACING[2] > 66.0
    for name, (centre, semi_axes) in ELLIPSOIDS.items():
        inside = _ellipsoid(centre, semi_axes)
        if name.startswith("lung"):
            side = name.split("_")[1]
            ids[inside & upper] = labels.ids()[f"lung_upper_lobe_{side}"]
            ids[inside & ~upper] = labels.ids()[f"lung_lower_lobe_{side}"]
        else:
            ids[inside & (ids == 0)] = labels.ids()[name]
    return ids


def scanner_noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Correlated in the slice, not across slices, of SD NOISE_SD."""
    field = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (0.7, 0.7, 0))
    return NOISE_SD * field / field.std()


@pytest.fixture(scope="session")
def affine() -> np.ndarray:
    """x runs to the patient's left, as in many scanners' files; slices from feet to head."""
    out = np.diag([-SPACING[0], SPACING[1], SPACING[2], 1.0])
    out[:3, 3] = [80.0, -60.0, -50.0]
    return out


@pytest.fixture(scope="session")
def organs(affine: np.ndarray) -> LabelMap:
    return LabelMap(_organs(), affine, labels.names())


@pytest.fixture(scope="session")
def host(organs: LabelMap, affine: np.ndarray) -> Volume:
    hu = np.full(SHAPE, 30.0)
    for number in np.unique(organs.ids)[1:]:
        name = organs.names[int(number)]
        hu[organs.ids == number] = next(v for k, v in TISSUE_HU.items() if name.startswith(k))
    return Volume(np.rint(hu + scanner_noise(SHAPE, 0)).astype(np.int16), affine)


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., LesionPlan]:
    """A plain solid nodule in the right upper lobe, with any field changed."""

    def make(**changes: object) -> LesionPlan:
        fields = {
            "id": 1, "kind": "lung_nodule", "organ": "lung", "structures": ("lung_upper_lobe_right",),
            "invades": False, "bulges": False, "phase": "native",
            "centre": (28, 40, 34), "size_mm": 18.0, "ball_mm": 16.0,
            "axes": (0.9, 0.8), "rotation": (0.0, 0.0, 0.0, 1.0), "roughness": 0.04, "lobes": 0, "lobe_depth": 0.0,
            "spicules": 0, "spicule_mm": 0.0, "margin_mm": 1.5,
            "zones": ({"name": "tissue", "reach": 1.0, "hu": 40.0, "opacity": 1.0},),
            "grain_hu": 0.0, "grain_mm": 2.0, "seed": 7,
        }  # fmt: skip
        return LesionPlan.model_validate(fields | changes)

    return make
