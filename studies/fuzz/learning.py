"""Doors of what is learned from and of what was learned: patients, prepared data, checkpoints, weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from studies.fuzz.hostile import break_one


def detail(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """CT with tumours, or CT alone, of which a file is damaged, to be prepared."""
    shutil.copytree(sound / "made_up/few", here / "few")
    break_one(rng, sorted((here / "few").rglob("*.nii.gz")))
    kind = (
        ["--lesions", str(here / "few"), "--lesion-id", "5"] if rng.random() < 0.6 else ["--native", str(here / "few")]
    )
    return ["prepare", *kind, "--out", str(here / "out"), "-q"]


def prepared(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """What training reads, with a file damaged: patients, region, their places in the shape model."""
    for name in ("data", "shape"):
        shutil.copytree(sound / "made_up" / name, here / name)
    break_one(rng, sorted(path for name in ("data", "shape") for path in (here / name).rglob("*") if path.is_file()))
    where = [f"data={here / 'data'}", f"shape={here / 'shape'}", f"out={here / 'run'}", "steps=1"]
    return ["train", "base", "--config", str(sound / "made_up/base.yaml"), *where]


def checkpoints(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A run of training with a file damaged, to go on with."""
    shutil.copytree(sound / "made_up/base", here / "run")
    break_one(rng, sorted(path for path in (here / "run").rglob("*") if path.is_file()))
    if rng.random() < 0.3:
        shutil.copytree(sound / "made_up/base/checkpoint", here / "run/checkpoint.old")
    where = [f"{name}={sound / 'made_up' / name}" for name in ("data", "shape")]
    return ["train", "base", "--config", str(sound / "made_up/base.yaml"), *where, f"out={here / 'run'}", "steps=2"]


def weights(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A folder of weights with a file damaged, planned or drawn with."""
    shutil.copytree(sound / "weights", here / "weights")
    break_one(rng, sorted(path for path in (here / "weights").rglob("*") if path.is_file()))
    given = ["CT", "--weights", str(here / "weights"), "--spacing", "8"]
    return ["plan", *given] if rng.random() < 0.3 else ["generate", *given, "--out", str(here / "out"), "-q"]
