"""Where what stands in a cohort's folder. docs/cohorts.md has the table."""

from __future__ import annotations

import re
from pathlib import Path

_DIGITS = re.compile(r"([0-9]+)")
CASES, QUARANTINE, RADIOGRAPHS = "cases", "quarantine", "radiographs"
RECIPE, COHORT, TABLE, CARD, CHECKSUMS = "recipe.json", "cohort.json", "cases.parquet", "README.md", "checksums.sha256"


def case_folder(out: Path, name: str) -> Path:
    """Where a case of a name is written."""
    return out / CASES / name


def radiographs(out: Path, name: str) -> Path:
    """Where the radiographs of a case are written."""
    return out / RADIOGRAPHS / name


def quarantine_file(out: Path, name: str) -> Path:
    """Where a case of a name is kept once it is given up."""
    return out / QUARANTINE / f"{name}.json"


def names_in(folder: Path, suffix: str = "") -> list[str]:
    """Names of what is in a folder, without `suffix`; nothing half-written, and none where it is missing.

    Numbers in them are sorted as numbers: case_99999, case_99999_healthy, case_100000.
    """
    if not folder.is_dir():
        return []
    found = (path.name for path in folder.iterdir() if path.name.endswith(suffix) and not path.name.startswith("."))
    return sorted((name.removesuffix(suffix) for name in found), key=_by_number)


def _by_number(name: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in _DIGITS.split(name)]


def complete(out: Path) -> list[str]:
    """Names of the cases that are written."""
    return names_in(out / CASES)


def given_up(out: Path) -> list[str]:
    """Names of the cases that are in quarantine."""
    return names_in(out / QUARANTINE, ".json")
