"""Where what stands in a cohort's folder, and how a single file gets there whole. docs/cohorts.md has the table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from synth.case_folder import explained

_DIGITS = re.compile(r"([0-9]+)")
CASES, QUARANTINE = "cases", "quarantine"
RECIPE, COHORT, TABLE, CARD, CHECKSUMS = "recipe.json", "cohort.json", "cases.parquet", "README.md", "checksums.sha256"


def case_folder(out: Path, name: str) -> Path:
    """Where a case of a name is written."""
    return out / CASES / name


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


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all. Raises OutputError where the disk is full or read-only."""
    with whole(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Another name to write a file under, which is renamed at the end. Raises OutputError as `write_whole` does."""
    partial = path.with_name(f".{path.name}.partial")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.rename(path)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
