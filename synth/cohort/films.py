"""Radiographs of a cohort's cases, each in a folder of its own beside the cases."""

from __future__ import annotations

import shutil
from pathlib import Path

from synth.cohort import layout
from synth.files.documents import read_table
from synth.provenance import sha256_of_file
from synth.volumes.types import Case
from synth.xray.folder import XRAYS, write_folder
from synth.xray.radiograph import identity_of_folder, take
from synth.xray.settings import Radiographs


def are_taken(out: Path, name: str, asked: Radiographs | None) -> bool:
    """Whether a case has the radiographs that the recipe asks for."""
    return asked is None or (layout.radiographs(out, name) / XRAYS).is_file()


def take_films(out: Path, name: str, case: Case, asked: Radiographs, seed: int) -> Path:
    """Take and write the radiographs of a case whose folder is there; theirs. Raises InputError, OutputError."""
    from synth.case.folder import MANIFEST, REPORT

    folder, of_case = layout.radiographs(out, name), layout.case_folder(out, name)
    if folder.exists():
        shutil.rmtree(folder)  # of a case that was drawn again
    report = read_table(of_case / REPORT)
    options = asked.model_dump(mode="json")
    films = [
        take(case, view, seed, detector=asked.detector, field_mm=asked.field_mm, report=report) for view in asked.views
    ]
    told = {**options, "seed": seed, "manifest": sha256_of_file(of_case / MANIFEST)}
    write_folder(folder, name, films, told, identity_of_folder(of_case))
    return folder


def checksums(out: Path) -> dict[str, str]:
    """Path -> sha256 of every file of the radiographs; xrays.json has those of the others."""
    lines: dict[str, str] = {}
    for name in layout.names_in(out / layout.RADIOGRAPHS):
        folder = layout.radiographs(out, name)
        files = read_table(folder / XRAYS)["files"] | {XRAYS: sha256_of_file(folder / XRAYS)}
        lines |= {f"{layout.RADIOGRAPHS}/{name}/{file}": digest for file, digest in files.items()}
    return lines
