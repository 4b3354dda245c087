"""The real patients of a study, prepared from the folder they come in; and a data set of some of them alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evals.utility.claims import share
from evals.volumes import VolumeFiles, prepared
from synth.data.dataset import region_at
from synth.data.prepare import describe, list_scans, prepare
from synth.data.store import PATIENTS, write_entries
from synth.errors import InputError
from synth.files.whole import whole_folder
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
    if (train, test) != (whole / TRAIN, whole / VAL) or whole.name != PATIENTS:
        raise InputError(
            f"real_train {train}, real_test {test}: `headneck` is prepared into "
            f"DIR/{PATIENTS}/{TRAIN} and DIR/{PATIENTS}/{VAL}; name these"
        )
    if whole.exists():
        raise InputError(f"{whole}: holds no {TRAIN} and {VAL}; remove it, or prepare it anew with `synthct prepare`")
    aside = whole.parent / ".preparing"

    def do(_: str) -> None:
        shutil.rmtree(aside, ignore_errors=True)
        prepare(list_scans("openkbp", root), "openkbp", shipped(), aside, progress=progress)
        for file in (REGION, PRIORS):
            (aside / file).replace(whole.parent / file)
        (aside / PATIENTS).rename(whole)
        shutil.rmtree(aside)

    share(lambda: [] if whole.is_dir() else ["prepare"], do, whole.parent / ".locks")


def restrict(patients: Sequence[VolumeFiles], out: Path) -> Path:
    """A training set of these prepared patients alone, and the priors measured on them; returns `out`.

    Training reads a validation split too, for the losses that it prints: it gets some of the same patients, so that
    a generator of N patients has seen N and no others.
    """
    entries = [prepared(source.ct)[source.row] for source in patients]
    with whole_folder(out, lambda: False) as partial:
        write_entries(partial / PATIENTS / TRAIN, entries)
        # under names of their own: the shape model places each name once
        write_entries(partial / PATIENTS / VAL, [replace(e, name=f"check_{e.name}") for e in entries[:_CHECKED]])
        describe(region_at(patients[0].ct.parents[2]), partial)
    return out
