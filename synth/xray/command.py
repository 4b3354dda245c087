"""What `synthct xray` does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synth import provenance
from synth.case.subject import Subject, read_subject, require_subjects
from synth.errors import InputError
from synth.progress import Progress
from synth.volumes import nifti
from synth.xray.folder import holds, write_folder
from synth.xray.radiograph import identity_of_folder, take
from synth.xray.settings import require_nanodrr
from synth.xray.views import directions, require_detector

if TYPE_CHECKING:
    from synth.dicom.identity import Identity


def xray(
    paths: Sequence[Path],
    views: Sequence[str],
    *,
    detector: int,
    field_mm: float | None,
    centre: str | None,
    organs: Path | None,
    organ_ids: str | None,
    seed: int,
    out: Path,
    progress: Progress,
) -> list[Path]:
    """A folder of radiographs for each case or CT. Raises InputError before anything is written for bad options."""
    require_nanodrr()
    require_detector(detector, field_mm)
    for view in views:
        directions(view)
    if organs is not None and len(paths) > 1:
        raise InputError(f"--organs {organs}: belongs to one CT, and {len(paths)} are given; take them one by one")
    require_subjects(paths)
    table = None if organ_ids is None else nifti.parse_organ_ids(organ_ids)
    aim = None if centre is None else _point(centre)
    folders = []
    with progress.step("xray", len(paths) * len(views)) as step:
        for path in paths:
            subject = read_subject(path, organs, table)
            told = {"views": list(views), "detector": detector, "field_mm": field_mm, "centre": centre, "seed": seed}
            told |= {"inputs": subject.hashes()}
            folder = out / subject.name
            if not (folder.exists() and holds(folder, told)):
                films = []
                for view in views:
                    film = take(
                        subject.case,
                        view,
                        seed,
                        detector=detector,
                        field_mm=field_mm,
                        centre=aim,
                        report=subject.report,
                    )
                    films.append(film)
                    step.advance()
                own = None if subject.folder is None else identity_of_folder(subject.folder)
                write_folder(folder, subject.name, films, told, own or _identity(subject))
            folders.append(folder)
    return folders


def _point(text: str) -> np.ndarray:
    with suppress(ValueError):
        numbers = np.array([float(part) for part in text.split(",")])
        if numbers.shape == (3,) and np.isfinite(numbers).all():
            return numbers
    raise InputError(f"--centre '{text}': give x,y,z in mm (RAS), such as 0,-20,150")


def _identity(subject: Subject) -> Identity | None:
    """Of radiographs of a user's own CT; None where the extra `dicom` is not installed."""
    if find_spec("highdicom") is None:
        return None
    from synth.dicom.identity import Identity

    content = provenance.sha256(repr(sorted(subject.hashes().items())).encode())
    return Identity(content, subject.name[:64], subject.name, "xray", "none", "none")
