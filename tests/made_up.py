"""A made-up region of 8^3 base voxels, two organs and three facts, and its patients: the whole path runs in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synth.volumes import labels, nifti
from synth.volumes.types import LabelMap, Volume

REGION_YAML = """\
name: made_up
frame: {shape: [8, 8, 8], lower_mm: [-64, -64, -64]}
anchor: {midpoint: [heart]}
organs: [heart, liver]
facts:
  top_mm: {reach: {towards: up}, unit: mm above the anchor}
  area_cm2: {area: {between_mm: [-40, 40]}, log: true, size: 1}
  liver_ml: {organ_volume: {organ: liver}, unit: mL, log: true}
"""
SPACING, SHAPE = 4.0, (36, 36, 36)


def patient(number: int) -> tuple[Volume, LabelMap]:
    """An ellipsoid of soft tissue with a bright heart in its middle and a liver on the right, of random sizes."""
    rng = np.random.default_rng(number)
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    x, y, z = (SPACING * (np.indices(SHAPE)[i] - 17.5) for i in range(3))
    size = 1 + 0.15 * rng.uniform(-1, 1)
    body = (x / 50) ** 2 + (y / 42) ** 2 + (z / (46 * size)) ** 2 < size**2
    heart = x**2 + y**2 + z**2 < (14 * size) ** 2
    liver = (x - 26) ** 2 + y**2 + (z + 8) ** 2 < (13 * size * rng.uniform(0.9, 1.1)) ** 2
    hu = np.where(body, 30.0, -1000.0)
    hu[heart], hu[liver] = 180.0, 90.0
    hu += 8 * rng.standard_normal(SHAPE)
    ids = np.zeros(SHAPE, np.uint8)
    ids[liver], ids[heart] = labels.ids()["liver"], labels.ids()["heart"]
    names = {int(i): labels.names()[int(i)] for i in np.unique(ids) if i}
    return Volume(np.rint(hu).clip(-1024, 3000).astype(np.int16), affine), LabelMap(ids, affine, names)


def write_patients(folder: Path, count: int) -> Path:
    """Patients as `synthct prepare --layout cases` reads them."""
    for number in range(count):
        volume, organs = patient(number)
        case = folder / f"p{number:02d}"
        case.mkdir(parents=True)
        nifti.write_volume(case / "ct.nii.gz", volume)
        nifti.write_labels(case / "organs.nii.gz", organs)
    return folder
