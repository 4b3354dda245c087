"""A small made-up chest as labels for MAISI, 64^3 voxels of 4 mm, and a decoder that draws what the labels say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from synth.peers import sampling
from synth.peers.conditions import to_maisi
from synth.volumes import anatomy, labels, nifti
from synth.volumes.labels import MAISI_BODY, maisi_names
from synth.volumes.types import Case, LabelMap, Volume

SIDE, MM = 64, 4.0
AFFINE = np.diag([MM, MM, MM, 1.0])
AFFINE[:3, 3] = -MM * (SIDE - 1) / 2
_BODY_HU = 40.0
_NOISE_HU = 12.0


def organs() -> np.ndarray:
    """Ids of labels.csv (X, Y, Z), and `MAISI_BODY` for the rest of a body that reaches the ends of the field alone."""
    table = labels.ids()
    x, y, z = np.meshgrid(*(np.arange(SIDE) - 31.5,) * 3, indexing="ij")
    ids = np.zeros((SIDE,) * 3, np.uint8)
    ids[(x / 28) ** 2 + (y / 20) ** 2 < 1] = MAISI_BODY
    for side, sign in (("right", 1), ("left", -1)):
        lung = ((x - sign * 13) / 10) ** 2 + (y / 15) ** 2 < 1
        for lobe, part in (("lower", (z > -20) & (z < 2)), ("upper", (z >= 2) & (z < 28))):
            ids[lung & part] = table[f"lung_{lobe}_lobe_{side}"]
    ids[((x - 10) / 12) ** 2 + (y / 14) ** 2 + ((z + 29) / 8) ** 2 < 1] = table["liver"]
    ids[(x**2 + (y + 14) ** 2) < 5] = table["spinal_cord"]
    return ids


def trunk() -> np.ndarray:
    """Ids of MAISI (X, Y, Z) of the same body with all five lobes and a heart."""
    ids, table = organs(), labels.ids()
    x, y, z = np.meshgrid(*(np.arange(SIDE) - 31.5,) * 3, indexing="ij")
    ids[(ids == table["lung_upper_lobe_right"]) & (z < 8)] = table["lung_middle_lobe_right"]
    ids[(x / 3) ** 2 + ((y - 6) / 6) ** 2 + ((z - 2) / 8) ** 2 < 1] = table["heart"]
    names = {n: name for n, name in labels.names().items() if (ids == n).any() and n != MAISI_BODY}
    return to_maisi(LabelMap(np.where(ids == MAISI_BODY, 0, ids), AFFINE, names), ids > 0)[0]


def write(folder: Path) -> Path:
    """The labels as a file."""
    nifti.write_labels(folder / "organs.nii.gz", LabelMap(organs(), AFFINE, {}))
    return folder / "organs.nii.gz"


def case_of(hu: np.ndarray) -> Case:
    """A CT (X, Y, Z) with these organs."""
    ids = np.where(organs() == MAISI_BODY, 0, organs()).astype(np.uint8)
    names = {n: name for n, name in labels.names().items() if (ids == n).any()}
    nothing = LabelMap(np.zeros_like(ids), AFFINE, {})
    return Case(Volume(hu, AFFINE), LabelMap(ids, AFFINE, names), nothing)


def like_the_labels(told: sampling.Conditioning) -> np.ndarray:
    """HU that follow the ids of MAISI that were told, with a scanner's noise, within what its decoder can say."""
    assert told.ids is not None
    hu = np.where(told.ids > 0, _BODY_HU, -1000.0)
    for number, name in maisi_names().items():
        if name in anatomy.table():
            hu[told.ids == number] = np.mean(np.clip(anatomy.table()[name].hu, -950, 400))
    noise = gaussian_filter(np.random.default_rng(told.seed % 2**32).standard_normal(hu.shape), 0.6)
    hu = np.where(told.ids > 0, hu + _NOISE_HU * noise / noise.std(), hu)
    return np.rint(hu.clip(*sampling.HU)).astype(np.int16)
