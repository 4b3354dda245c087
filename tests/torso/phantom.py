"""A made-up torso model: two scans of ellipsoids, one of them with contrast, and two smooth modes."""

from __future__ import annotations

import numpy as np
import torch

from synth.regions.frame import FINE_MM, LOOK_MM
from synth.torso.atlas import chest_inside
from synth.torso.looks import Look
from synth.torso.model import ATLAS_MM, VELOCITY_MM, Donor, TorsoModel
from synth.volumes import labels
from tests.regions import TORSO

# name: middle and radii in mm from the anchor, HU without and with contrast; later ones lie over earlier ones
ELLIPSOIDS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], int, int]] = {
    "lung_upper_lobe_right": ((80, 45, 90), (60, 75, 115), -850, -850),
    "lung_upper_lobe_left": ((-80, 45, 90), (60, 75, 115), -850, -850),
    "heart": ((-10, 75, 50), (50, 45, 50), 40, 250),
    "liver": ((75, 60, -80), (70, 70, 70), 60, 110),
    "spleen": ((-100, 10, -80), (25, 35, 45), 50, 120),
    "kidney_right": ((65, 0, -150), (25, 25, 50), 30, 180),
    "kidney_left": ((-65, 0, -150), (25, 25, 50), 30, 180),
}
SPINE_MM, FAT_HU, MUSCLE_HU, BONE_HU = 20, -100, 50, 300


def coordinates(spacing: float) -> tuple[np.ndarray, ...]:
    """RAS mm of every voxel of the frame."""
    affine = TORSO.affine_at(spacing)
    axes = [affine[i, 3] + spacing * np.arange(n) for i, n in enumerate(TORSO.shape_at(spacing))]
    return tuple(np.meshgrid(*axes, indexing="ij"))


def volume(enhanced: bool, spacing: float = ATLAS_MM) -> tuple[np.ndarray, np.ndarray]:
    """HU and ids on the frame."""
    x, y, z = coordinates(spacing)
    body = (x / 170) ** 2 + ((y - 50) / 110) ** 2
    hu = np.where(body < 0.75, MUSCLE_HU, np.where(body < 1, FAT_HU, -1000)).astype(np.float32)
    ids = np.zeros(hu.shape, np.uint8)
    for name, (middle, radii, native, contrast) in ELLIPSOIDS.items():
        inside = sum(((a - m) / r) ** 2 for a, m, r in zip((x, y, z), middle, radii, strict=True)) < 1
        hu[inside], ids[inside] = contrast if enhanced else native, labels.ids()[name]
    spine = x**2 + y**2 < SPINE_MM**2
    hu[spine], ids[spine] = BONE_HU, labels.ids()["vertebrae_T8"]
    ids[spine & (z < 0)] = labels.ids()["vertebrae_L1"]
    return hu, ids


def model() -> TorsoModel:
    """Scans 0 (native) and 1 (with contrast), both of the whole frame."""
    _, ids = volume(False)
    shape = TORSO.shape_at(VELOCITY_MM)
    rng = np.random.default_rng(0)
    modes = (40 * rng.standard_normal((2, 3, 1, 1, 1)) * np.ones((1, 1, *shape))).round().astype(np.int8)
    chest = _coarse(chest_inside(ids))
    abdomen = _coarse(np.isin(ids, [labels.ids()[n] for n in ("liver", "spleen", "kidney_right", "kidney_left")]))
    return TorsoModel(
        (Donor("native", False, True, True, -1.0), Donor("contrast", True, True, True, 1.0)),
        tuple(_look(enhanced) for enhanced in (False, True)),
        np.ones((2, *TORSO.shape_at(LOOK_MM)), bool),
        chest,
        abdomen,
        ids,
        np.zeros((3, *shape), np.float16),
        modes,
        np.full(2, 0.05, np.float32),
        np.array([1.0, 0.0], np.float32),
        TORSO,
    )


def _look(enhanced: bool) -> Look:
    """Of a scan that lies on the mean torso as it is."""
    still = np.zeros((3, *TORSO.shape), np.float32)
    return Look.of(volume(enhanced, FINE_MM)[0], np.zeros(3), True, still)


def _coarse(mask: np.ndarray) -> np.ndarray:
    fine = torch.from_numpy(255 * mask.astype(np.float32))[None, None]
    return torch.nn.functional.avg_pool3d(fine, 2)[0, 0].numpy().astype(np.uint8)
