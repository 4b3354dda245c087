"""What `synthct xray` does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from synth import __version__, nifti, provenance
from synth.errors import InputError
from synth.files.documents import read_table
from synth.files.whole import whole_folder
from synth.progress import Progress
from synth.subject import Subject, read_subject
from synth.xray.project import require_nanodrr
from synth.xray.radiograph import Radiograph, identity_of_folder, take, write
from synth.xray.views import directions

XRAYS = "xrays.json"


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
    for view in views:
        directions(view)
    if organs is not None and len(paths) > 1:
        raise InputError(f"--organs {organs}: belongs to one CT, and {len(paths)} are given; take them one by one")
    table = None if organ_ids is None else nifti.parse_organ_ids(organ_ids)
    aim = None if centre is None else _point(centre)
    folders = []
    with progress.step("xray", len(paths) * len(views)) as step:
        for path in paths:
            subject = read_subject(path, organs, table)
            told = {"views": list(views), "detector": detector, "field_mm": field_mm, "centre": centre, "seed": seed}
            told |= {"inputs": subject.hashes()}
            folder = out / subject.name
            if not (folder.exists() and _holds(folder, told)):
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
                _write(folder, subject, films, told)
            folders.append(folder)
    return folders


def _point(text: str) -> np.ndarray:
    with suppress(ValueError):
        numbers = np.array([float(part) for part in text.split(",")])
        if numbers.shape == (3,) and np.isfinite(numbers).all():
            return numbers
    raise InputError(f"--centre '{text}': give x,y,z in mm (RAS), such as 0,-20,150")


def _holds(folder: Path, told: Mapping[str, Any]) -> bool:
    """True where the folder holds these radiographs; InputError where it is anything else."""
    with suppress(InputError):
        held = read_table(folder / XRAYS)
        if held.get("asked") == told:
            return True
    raise InputError(f"{folder}: is there already and holds something else; choose another --out or remove it")


def _write(folder: Path, subject: Subject, films: Sequence[Radiograph], told: Mapping[str, Any]) -> None:
    with whole_folder(folder, lambda: _holds(folder, told)) as partial:
        identity = None if subject.folder is None else identity_of_folder(subject.folder)
        views = write(partial, films, identity or _identity(subject))
        files = {
            file.relative_to(partial).as_posix(): provenance.sha256_of_file(file)
            for file in sorted(partial.rglob("*")) if file.is_file()
        }  # fmt: skip
        content = {
            **{"format": 1, "synthetic": True, "synthct": __version__, "case": subject.name},
            **{"asked": told, "views": views, "files": files},
        }
        (partial / XRAYS).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _identity(subject: Subject) -> Any:
    """Of radiographs of a user's own CT; None where the extra `dicom` is not installed."""
    try:
        from synth.dicom.identity import Identity
    except ImportError:
        return None
    content = provenance.sha256(repr(sorted(subject.hashes().items())).encode())
    return Identity(content, subject.name[:64], subject.name, "xray", "none", "none")
