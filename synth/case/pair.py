"""A pair: a CT and the same as another scanner would have given it, on one grid, in one folder, whole or not there.

The clean CT, its masks and its report are copied bit by bit; docs/scanner.md describes the folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from synth import provenance
from synth.case import folder as case_folder
from synth.case.subject import Subject
from synth.errors import InputError
from synth.files.documents import read_table
from synth.files.whole import whole_folder
from synth.scanner.scan import Scanned, scan_in_place
from synth.scanner.settings import ScannerSettings
from synth.seeding import derive
from synth.volumes import nifti
from synth.volumes.types import LabelMap

SCAN, CLEAN, METAL = "scan.nii.gz", "clean.nii.gz", "metal.nii.gz"
_KEY = "scan"  # of the manifest


def write_pair(subject: Subject, settings: ScannerSettings, seed: int, out: Path, command: str) -> Path:
    """Scan a subject and write `out`/NAME; the folder. One that holds this very pair already is left alone.

    Raises InputError for settings that the CT has no room for, OutputError where the place cannot be written.
    """
    folder = out / subject.name
    told = {"settings": settings.settings(), "seed": seed, "inputs": subject.hashes()}
    if folder.exists() and _holds(folder, told):
        return folder
    case = subject.case
    scanned = scan_in_place(case.ct, settings, derive(seed, subject.name, "scan"), case.organs, case.lesions)
    with whole_folder(folder, lambda: _holds(folder, told)) as partial:
        _write(partial, subject, scanned, told, command)
    return folder


def _holds(folder: Path, told: Mapping[str, Any]) -> bool:
    """True where the folder holds this pair; InputError where it is anything else."""
    with suppress(InputError):
        held = read_table(folder / case_folder.MANIFEST).get(_KEY)
        if isinstance(held, dict) and all(held.get(name) == told[name] for name in told):
            return True
    raise InputError(f"{folder}: is there already and is another scan; choose another --out or remove it")


def _write(partial: Path, subject: Subject, scanned: Scanned, told: Mapping[str, Any], command: str) -> None:
    if subject.folder is None:
        nifti.write_volume(partial / case_folder.CT, subject.case.ct)
        if "organs" in subject.inputs:
            nifti.write_labels(partial / case_folder.ORGANS, subject.case.organs)
    else:
        for name in case_folder.FILES:
            if (subject.folder / name).is_file():
                shutil.copyfile(subject.folder / name, partial / name)
    nifti.write_volume(partial / SCAN, scanned.ct)
    if scanned.metal is not None:
        nifti.write_volume(partial / CLEAN, scanned.clean)
        mask = (scanned.metal >= 0.5).astype(np.uint8)
        nifti.write_labels(partial / METAL, LabelMap(mask, scanned.ct.affine, {1: "metal"}))
    manifest = _manifest(partial, subject, told, command)
    (partial / case_folder.MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _manifest(partial: Path, subject: Subject, told: Mapping[str, Any], command: str) -> dict[str, Any]:
    """That of the case, or a new one, with `scan`: settings, seed, inputs, command and the files of the pair."""
    if (partial / case_folder.MANIFEST).is_file():
        manifest = read_table(partial / case_folder.MANIFEST)
    else:
        manifest = provenance.manifest(
            command=command, seeds={"seed": told["seed"]}, weights={}, device="cpu", inputs=subject.inputs
        )
        manifest["labels"] = {"organs": {str(i): name for i, name in subject.case.organs.names.items()}}
    written = [name for name in (SCAN, CLEAN, METAL) if (partial / name).is_file()]
    files = {name: provenance.sha256((partial / name).read_bytes()) for name in written}
    return manifest | {_KEY: {"command": command, **told, "files": files}}
