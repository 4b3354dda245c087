"""A made-up region of 8^3 base voxels, two organs and three facts, and its patients: the whole path runs in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import yaml

from synth import cli
from synth.models.denoiser import Denoiser
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
TINY = "{widths: [8, 8, 16], blocks: [1, 1, 1], embedding_dim: 16, data_sd: 0.5}"
_FIT = "rank: 2\nrounds: [{pool: 4, sigma: 1.3, iterations: 2}]\n"


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


def prepare(root: Path, patients: int) -> Path:
    """ROOT/data with the prepared patients of the region, made by the command; the sources beside it."""
    (root / "region.yaml").write_text(REGION_YAML)
    source = write_patients(root / "patients", patients)
    where = ["--region", str(root / "region.yaml"), "--from", str(source), "--out", str(root / "data")]
    _run("prepare", "--layout", "cases", *where, "--trust-labels", "-q")  # organs as small as these are no adult's
    return root / "data"


def fit_shape(root: Path) -> Path:
    """ROOT/shape, fitted to ROOT/data: with these two, ROOT is a folder of weights that draws the mean deformed."""
    (root / "shape.yaml").write_text(_FIT)
    _run("train", "shape", "--config", str(root / "shape.yaml"), f"data={root / 'data'}", f"out={root / 'shape'}")
    return root / "shape"


def train(root: Path, network: str, steps: int) -> Path:
    """ROOT/NETWORK, a run of a tiny network on ROOT/data."""
    config = write_config(root, network)
    where = [f"{name}={root / name}" for name in ("data", "shape")]
    _run("train", network, "--config", str(config), *where, f"out={root / network}", f"steps={steps}")
    return root / network


def write_config(root: Path, network: str) -> Path:
    """ROOT/NETWORK.yaml of a tiny network."""
    config = root / f"{network}.yaml"
    config.write_text(f"model: {TINY}\nprior_rank: 0\nbatch: 1\nvolumes_a_frame: 1\nlog_every: 1\n")
    return config


def write_set(folder: Path, numbers: Iterable[int]) -> Path:
    """CT of these patients, as FOLDER/NUMBER/ct.nii.gz."""
    for number in numbers:
        (folder / str(number)).mkdir(parents=True)
        nifti.write_volume(folder / str(number) / "ct.nii.gz", patient(number)[0])
    return folder


def untrained_refine() -> Denoiser:
    """A tiny `refine` of the region that draws nothing in particular."""
    size = yaml.safe_load(TINY)
    return Denoiser(channels=7, refine=True, heads=2, region=REGION_YAML, **size)


def _run(*arguments: str) -> None:
    if code := cli.main(list(arguments)):
        raise RuntimeError(f"synthct {' '.join(arguments)}: exit code {code}")
