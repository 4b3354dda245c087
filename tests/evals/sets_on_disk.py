"""Small made-up sets of CT on disk: an elliptic body with bone, fat, an airway and two labelled organs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from synth.volumes import nifti
from synth.volumes.types import LabelMap, Volume

SHAPE = (40, 32, 24)
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
NAMES = {2: "kidney_right", 5: "liver"}
Damage = Callable[[np.ndarray], np.ndarray]


def body(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """HU and organ ids (40, 32, 24) of patient `seed`: size, place and attenuation vary."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    a, b = rng.uniform(0.75, 0.9, 2)
    hu = np.full(SHAPE, -1000.0)
    hu[(x / a) ** 2 + (y / b) ** 2 < 1] = -90
    hu[(x / a) ** 2 + (y / b) ** 2 < 0.8] = 45 + rng.normal(0, 5)
    hu[x**2 + (y + 0.5) ** 2 < rng.uniform(0.02, 0.05)] = 600
    hu[(x - rng.normal(0, 0.05)) ** 2 + (y - 0.2) ** 2 < 0.01] = -950
    ids = np.zeros(SHAPE, np.uint8)
    for number, side in ((2, 0.45), (5, -0.45)):
        radius = rng.uniform(0.04, 0.09)
        ids[(x - side) ** 2 + y**2 + (0.7 * z) ** 2 < radius] = number
    hu[ids == 5] += 40
    hu[ids == 2] += 110
    texture = ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), 1.0)
    return hu + 15 * texture / texture.std(), ids


def write(folder: Path, seeds: range, damage: Damage | None = None, labels: bool = True) -> Path:
    """CASE/ct.nii.gz and CASE/organs.nii.gz for each seed."""
    for seed in seeds:
        hu, ids = body(seed)
        case = folder / f"p{seed:03d}"
        case.mkdir(parents=True)
        hu = damage(hu) if damage else hu
        nifti.write_volume(case / "ct.nii.gz", Volume(np.rint(hu).clip(-1024, 3071).astype(np.int16), AFFINE))
        if labels:
            nifti.write_labels(case / "organs.nii.gz", LabelMap(ids, AFFINE, NAMES))
    return folder
