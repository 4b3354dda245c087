"""What `synthct scan` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synth.case.pair import write_pair
from synth.case.subject import read_subject, require_subjects
from synth.errors import InputError
from synth.progress import Progress
from synth.provenance import command_line
from synth.scanner.settings import ScannerSettings
from synth.volumes import nifti

_OPTIONS = {"angle_deg": "angle", "sirt_steps": "sirt"}  # setting -> option, where it is another word


def asked(options: Mapping[str, Any]) -> ScannerSettings:
    """The settings that the options of the command ask for. Raises InputError naming the option."""
    given = _said(options)
    if not given:
        raise InputError("scan: no setting given, so nothing would change; say one, such as --dose 0.25")
    if "sirt_steps" in given:
        given["reconstruction"] = "sirt"
    try:
        return ScannerSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][0]) if first["loc"] else ""
        message = first["msg"].removeprefix("Value error, ").replace("_deg", "").replace("_", "-")
        option = f"--{_OPTIONS.get(where, where).replace('_', '-')} {first['input']}: " if where else "scan: "
        raise InputError(f"{option}{message[0].lower()}{message[1:]}; see `synthct scan --help`") from error


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given; 0 is one of them."""
    return {
        name: value for name, value in options.items() if value is not None and value is not False and value != "none"
    }


def scan(
    paths: Sequence[Path],
    options: Mapping[str, Any],
    *,
    organs: Path | None,
    organ_ids: str | None,
    seed: int,
    out: Path,
    progress: Progress,
) -> list[Path]:
    """A pair for each case or CT; their folders. Raises InputError before anything is written for bad settings."""
    settings = asked(options)
    if organs is not None and len(paths) > 1:
        raise InputError(f"--organs {organs}: belongs to one CT, and {len(paths)} are given; scan them one by one")
    require_subjects(paths)
    table = None if organ_ids is None else nifti.parse_organ_ids(organ_ids)
    folders = []
    with progress.step("scan", len(paths)) as step:
        for path in paths:
            subject = read_subject(path, organs, table)
            spelled = {_OPTIONS.get(name, name): value for name, value in _said(options).items()}
            line = command_line("scan", path, organs=organs, organ_ids=organ_ids, **spelled, seed=seed)
            folders.append(write_pair(subject, settings, seed, out, line))
            step.advance()
    return folders
