"""Small cohorts: lesions into made-up chests with tiny random networks, previews left undrawn for speed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from synth.case.weights_folder import WEIGHTS_ENV
from synth.cohort import engine
from synth.volumes import nifti
from synth.volumes.types import Volume
from tests import hosts

RECIPE: dict[str, Any] = {
    "name": "small",
    "number": 6,
    "seed": 3,
    "hosts": {"folder": "hosts"},
    "healthy": 0.34,
    "findings": [
        {"organ": "lung", "kind": "nodule", "size_mm": {"9-12": 1, "12-16": 1}, "side": ["left", "right"]},
    ],
    "split": {"train": 0.7, "test": 0.3},
    "attempts": 2,
    "previews": True,
}


def write_recipe(folder: Path, **changes: Any) -> Path:
    """A recipe file: RECIPE with changes; None takes a key out."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump({k: v for k, v in (RECIPE | changes).items() if v is not None}))
    return file


def write_hosts(folder: Path, number: int = 3) -> Path:
    """`number` chests that differ by their noise, as folder/NAME/ct.nii.gz and organs.nii.gz."""
    volume, organs = hosts.chest()
    for i in range(number):
        (folder / f"host{i}").mkdir(parents=True)
        noise = np.random.default_rng(i).integers(-2, 3, volume.hu.shape)
        hu = np.clip(volume.hu + noise, -1024, 3071).astype(np.int16)
        nifti.write_volume(folder / f"host{i}" / "ct.nii.gz", Volume(hu, volume.affine))
        nifti.write_labels(folder / f"host{i}" / "organs.nii.gz", organs)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a cohort but its locks."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".run" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def quick(tiny_weights: Path) -> Iterator[None]:
    """Tiny networks and no previews, in this process and those forked from it."""
    from synth.case import library

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a fork of a process whose OpenMP has run on several threads would wait for them forever
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_ENV, str(tiny_weights))
        patch.setattr("synth.case.finish.render", lambda *_: b"\x89PNG")
        library.forget()
        yield
    torch.set_num_threads(threads)
    library.forget()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three hosts and a recipe."""
    folder = tmp_path_factory.mktemp("cohort")
    write_hosts(folder / "hosts")
    write_recipe(folder)
    return folder


@pytest.fixture(scope="module")
def finished(quick: None, place: Path) -> Path:
    """The cohort of RECIPE, made in one go by one process. Not to be changed."""
    outcome = engine.run(place / "recipe.yaml", place / "finished", quiet=True)
    assert outcome.finished and not outcome.given_up
    return place / "finished"
