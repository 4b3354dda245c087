"""The real patients of a study, prepared from the folder they come in; and a data set of some of them alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evals.utility.claims import share
from synth.data.dataset import region_at
from synth.data.prepare import prepare, write_priors
from synth.errors import InputError
from synth.progress import Progress
from synth.regions import shipped
from synth.regions.prior import FILE as PRIORS
from synth.regions.region import FILE as REGION

TRAIN, VAL = "train", "val"
_CHECKED = 4  # patients whose losses a training prints


def ensure_prepared(root: Path | None, train: Path, test: Path, progress: Progress) -> None:
    """Prepare patients in OpenKBP's layout into the folders `train` and `test`; nothing to do where both are there.

    Raises InputError where the two are not the halves of one prepared folder.
    """
    if root is None or (train.is_dir() and test.is_dir()):
        return
    whole = train.parent
    if (train, test) != (whole / TRAIN, whole / VAL) or whole.name != "headneck":
        raise InputError(
            f"real_train {train}, real_test {test}: `headneck` is prepared into "
            f"DIR/headneck/{TRAIN} and DIR/headneck/{VAL}; name these"
        )
    if whole.exists():
        raise InputError(f"{whole}: holds no {TRAIN} and {VAL}; remove it, or prepare it anew with `synthct prepare`")
    aside = whole.parent / ".preparing"

    def do(_: str) -> None:
        shutil.rmtree(aside, ignore_errors=True)
        prepare(root, [], aside, progress=progress)
        (aside / "headneck").rename(whole)
        shutil.rmtree(aside)

    share(lambda: [] if whole.is_dir() else ["prepare"], do, whole.parent / ".locks")


def restrict(files: Sequence[Path], out: Path) -> Path:
    """A training set of these prepared patients alone, and the priors measured on them; returns `out`.

    Training reads a validation split too, for the losses that it prints: it gets some of the same patients, so that
    a generator of N patients has seen N and no others.
    """
    aside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    for split in (TRAIN, VAL):
        (aside / "headneck" / split).mkdir(parents=True)
    for file in files:
        shutil.copyfile(file, aside / "headneck" / TRAIN / file.name)
    for file in files[:_CHECKED]:
        _renamed(file, aside / "headneck" / VAL / f"check_{file.name}")
    region = region_at(files[0].parents[2])
    if region != shipped():
        (aside / REGION).write_text(region.text, encoding="utf-8")
    write_priors(aside / "headneck" / TRAIN, aside / PRIORS, region)
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)
    return out


def _renamed(file: Path, target: Path) -> None:
    """The same patient under the name of its new file: the shape model places each name once."""
    with np.load(file) as data:
        arrays = dict(data)
    about = json.loads(str(arrays["about"])) | {"name": target.stem}
    np.savez_compressed(target, **(arrays | {"about": json.dumps(about)}))
