"""A generator trained on a study's own few patients, and drawn with in place of the weights that ship."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from evals.utility.claims import share
from evals.utility.config import Generator
from evals.utility.preparing import restrict
from evals.volumes import VolumeFiles
from synth.case import library
from synth.case.weights_folder import WEIGHTS_ENV
from synth.errors import InputError
from synth.files.documents import read_json
from synth.files.whole import write_whole
from synth.models.parts import Part
from synth.regions.prior import FILE as PRIORS
from synth.regions.region import FILE as REGION
from synth.training.log import rows as log_rows

_PATIENTS = "patients.json"
_NETWORKS = {"base", "refine"}


def train_generator(generator: Generator, patients: Sequence[VolumeFiles]) -> Path:
    """Train shape, base and refine on these prepared patients alone; returns the folder of weights.

    Run again, it goes on: a network that is finished is left, one that was stopped goes on from its checkpoint for
    what is left of its minutes. Raises InputError where the folder belongs to other patients.
    """
    names = sorted(source.name for source in patients)
    file = generator.out / _PATIENTS
    if file.is_file() and read_json(file, remedy="remove the folder") != names:
        raise InputError(f"{generator.out}: was trained on other patients; remove it, or name another generator.out")
    steps = {"data": _data, "shape": _shape, "base": _base, "refine": _refine}

    def left() -> list[str]:
        """What can be done now: the two networks need shape and data, and not each other."""
        names = [name for name in steps if not _done(generator, name)]
        return [name for name in names if name in _NETWORKS] if set(names) <= _NETWORKS else names[:1]

    share(left, lambda name: steps[name](generator, patients), generator.out / ".locks")
    return generator.out / "weights"


def _done(generator: Generator, step: str) -> bool:
    if step == "data":
        return (generator.out / _PATIENTS).is_file()
    return (generator.out / "weights" / step).is_dir()


def _data(generator: Generator, patients: Sequence[VolumeFiles]) -> None:
    data = restrict(patients, generator.out / "data")
    (generator.out / "weights").mkdir(exist_ok=True)
    for name in (PRIORS, REGION):
        if (data / name).is_file():
            shutil.copyfile(data / name, generator.out / "weights" / name)
    write_whole(generator.out / _PATIENTS, json.dumps(sorted(source.name for source in patients)) + "\n")


def _shape(generator: Generator, _: Sequence[VolumeFiles]) -> None:
    from synth.training.shape import fit_shape
    from synth.training.shape_config import load_shape_config

    config = load_shape_config(generator.shape, {"data": generator.out / "data", "out": generator.out / "shape"})
    fit_shape(config)
    _export(generator, "shape")


def _base(generator: Generator, _: Sequence[VolumeFiles]) -> None:
    _network(generator, "base", generator.base, generator.base_minutes)


def _refine(generator: Generator, _: Sequence[VolumeFiles]) -> None:
    _network(generator, "refine", generator.refine, generator.refine_minutes)


def _network(generator: Generator, name: Literal["base", "refine"], config: Path, minutes: float) -> None:
    from synth.training.main import train

    out = generator.out / name
    left = minutes - minutes_spent(out / "log.jsonl")
    if left > 0:
        where = {"data": generator.out / "data", "shape": generator.out / "shape", "out": out}
        train(name, config, {**where, "max_minutes": left, "init": None})
    _export(generator, name)


def minutes_spent(log: Path) -> float:
    """What a training log says that its runs took, up to the last checkpoint; each run's clock starts at 0."""
    if not log.is_file():
        return 0.0
    clock = [float(row["seconds"]) for row in log_rows(log) if isinstance(row.get("seconds"), int | float)]
    ends = [now for now, after in zip(clock, [*clock[1:], 0.0], strict=False) if after < now]
    return sum(ends) / 60


def _export(generator: Generator, name: Part) -> None:
    aside = generator.out / f".exported_{name}"
    folder = library.export(generator.out / name / "weights", name, aside)
    folder.rename(generator.out / "weights" / name)


@contextmanager
def in_use(weights: Path | None) -> Iterator[None]:
    """Draw with these weights, and so with the prior beside them; None: with what ships.

    The shipped prior is measured on all training patients: a generator of a few patients must not know it.
    """
    if weights is None:
        yield
        return
    before = os.environ.get(WEIGHTS_ENV)
    os.environ[WEIGHTS_ENV] = str(weights)
    try:
        yield
    finally:
        if before is None:
            del os.environ[WEIGHTS_ENV]
        else:
            os.environ[WEIGHTS_ENV] = before
