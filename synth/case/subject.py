"""A CT as a user hands it over, with what is known of it: a case folder, a NIfTI file or a DICOM series."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synth.case import folder as case_folder
from synth.case.plan import host_name
from synth.errors import InputError
from synth.provenance import sha256_of_input
from synth.volumes.host import read_ct, read_host
from synth.volumes.types import Case, LabelMap, Volume

_SHOWN = 200  # letters of a path


@dataclass(frozen=True)
class Subject:
    """A case, of which organs and lesions may be empty.

    folder: its case folder, or None. report: its report.json, or None. inputs: role -> file, for a manifest.
    """

    name: str
    case: Case
    folder: Path | None
    report: Mapping[str, Any] | None
    inputs: Mapping[str, Path]

    def hashes(self) -> dict[str, str]:
        """sha256 of what was handed over, by role."""
        return {role: sha256_of_input(file) for role, file in self.inputs.items()}


def require_subjects(paths: Sequence[Path]) -> None:
    """Raise InputError, before the first is worked on, where one is not there or two would be called the same."""
    names: dict[str, Path] = {}
    for path in paths:
        if not os.path.exists(path):
            raise InputError(f"{ascii(str(path)[:_SHOWN])[1:-1]}: no such file or folder; check the path")
        name = path.resolve().name if _is_case(path) else host_name(path)
        if name in names:
            raise InputError(f"{path}: would be called '{name}', as {names[name]} is; take them one by one")
        names[name] = path


def _is_case(path: Path) -> bool:
    return path.is_dir() and (path / case_folder.MANIFEST).is_file()


def read_subject(path: Path, organs: Path | None = None, organ_ids: Mapping[int, str] | None = None) -> Subject:
    """A case folder, or a CT with or without labels. Raises InputError where it cannot be used."""
    if _is_case(path):
        if organs is not None:
            raise InputError(f"--organs {organs}: {path} is a case folder and has its own; leave --organs out")
        case, _, report, _ = case_folder.read_case(path)
        inputs = {what: path / file for what, file in _VOLUMES.items()}
        return Subject(path.resolve().name, case, path, report, inputs)
    if organs is None and organ_ids is not None:
        raise InputError("--organ-ids: names the ids of a label map; give the map too, with --organs")
    if organs is None:
        ct = read_ct(path)
        return Subject(host_name(path), Case(ct, _none(ct), _none(ct)), None, None, {"ct": path})
    ct, labels = read_host(path, organs, organ_ids)
    return Subject(host_name(path), Case(ct, labels, _none(ct)), None, None, {"ct": path, "organs": organs})


_VOLUMES = {"ct": case_folder.CT, "organs": case_folder.ORGANS, "lesions": case_folder.LESIONS}


def _none(ct: Volume) -> LabelMap:
    return LabelMap(np.zeros(ct.hu.shape, np.uint8), ct.affine, {})
