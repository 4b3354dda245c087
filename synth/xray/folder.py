"""The folder of a subject's radiographs: whole or not there, and left alone where it holds what is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth import __version__, provenance
from synth.errors import InputError
from synth.files.documents import read_table
from synth.files.whole import whole_folder
from synth.xray.radiograph import Radiograph, write

if TYPE_CHECKING:
    from synth.dicom.identity import Identity

XRAYS = "xrays.json"


def holds(folder: Path, told: Mapping[str, Any]) -> bool:
    """True where the folder holds the radiographs that were asked for; InputError where it is anything else."""
    with suppress(InputError):
        if read_table(folder / XRAYS).get("asked") == told:
            return True
    raise InputError(f"{folder}: is there already and holds something else; choose another --out or remove it")


def write_folder(
    folder: Path, name: str, films: Sequence[Radiograph], told: Mapping[str, Any], identity: Identity | None
) -> None:
    """Write films, masks, paths and xrays.json; `told` is what was asked. Raises InputError, OutputError."""
    with whole_folder(folder, lambda: holds(folder, told)) as partial:
        views = write(partial, films, identity)
        written = sorted(file for file in partial.rglob("*") if file.is_file())
        content = {
            **{"format": 1, "synthetic": True, "synthct": __version__, "case": name, "asked": told, "views": views},
            "files": {f.relative_to(partial).as_posix(): provenance.sha256(f.read_bytes()) for f in written},
        }
        (partial / XRAYS).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
