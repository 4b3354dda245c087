"""A small made-up chest as a scanner might give it: left-anterior-superior order, thick slices, no round origin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from synth.volumes import labels, nifti
from synth.volumes.types import LabelMap, Volume

SHAPE = (72, 52, 30)
AFFINE = np.array([[-2.0, 0, 0, 71.3], [0, 2.5, 0, -60.2], [0, 0, 3.0, -911.5], [0, 0, 0, 1.0]])


def chest() -> tuple[Volume, LabelMap]:
    """Soft tissue in air, two lungs of two lobes each, a liver below the right one, a spinal cord; noise of 12 HU."""
    hu, ids = np.full(SHAPE, -1000.0), np.zeros(SHAPE, np.uint8)
    hu[3:69, 4:48] = 40.0
    table = labels.ids()
    for side, x in (("right", slice(6, 32)), ("left", slice(40, 66))):  # in this order the right side comes first
        for lobe, z in (("lower", slice(8, 17)), ("upper", slice(17, 29))):
            ids[x, 8:44, z] = table[f"lung_{lobe}_lobe_{side}"]
            hu[x, 8:44, z] = -850.0
    ids[6:36, 8:44, 0:7] = table["liver"]
    hu[6:36, 8:44, 0:7] = 60.0
    ids[34:38, 6:10, :] = table["spinal_cord"]
    noise = gaussian_filter(np.random.default_rng(5).standard_normal(SHAPE), (0.7, 0.7, 0))
    hu = np.rint(hu + 12 * noise / noise.std()).clip(-1024, 3071).astype(np.int16)
    names = {int(i): labels.names()[int(i)] for i in np.unique(ids) if i}
    return Volume(hu, AFFINE), LabelMap(ids, AFFINE, names)


def write_chest(folder: Path) -> tuple[Path, Path]:
    """The chest as files: CT and organ labels."""
    folder.mkdir(parents=True, exist_ok=True)
    volume, organs = chest()
    nifti.write_volume(folder / "chest.nii.gz", volume)
    nifti.write_labels(folder / "labels.nii.gz", organs)
    return folder / "chest.nii.gz", folder / "labels.nii.gz"
