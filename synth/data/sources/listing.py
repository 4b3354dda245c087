"""What a source lists: scans that can be read one by one, and what is left out of it, by name, with the reason."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from synth.errors import InputError
from synth.files.content import opened
from synth.volumes.types import LabelMap

_HELD_OUT = 0.15  # share of the patients, by the hash of the name: a patient stays where it is as others come
_FIELD_CHARACTERS = 1_000_000  # of a cell: a report is long, but no book
_REMEDY = "save it again as CSV (UTF-8)"


@dataclass(frozen=True)
class SourceScan:
    """A CT in RAS order.

    hu: (X, Y, Z) int16 HU; spacing: (3,) mm; organs: on the same grid, or None; dose: (X, Y, Z) Gy, or None; report: as
    said; columns: what a table says of the patient.
    """

    hu: np.ndarray
    spacing: np.ndarray
    organs: LabelMap | None = None
    dose: np.ndarray | None = None
    report: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """A scan that has not been read yet.

    name: unique; split: `train` or `val`, one for all scans of a patient; read: raises InputError for a bad file. It
    goes to other processes, so it is a function of a module with its arguments (functools.partial).
    """

    name: str
    split: str
    read: Callable[[], SourceScan]


@dataclass
class Listing:
    """`left_out`: name -> reason, of what was bad in a table already; `counts`: of what else a user should know."""

    scans: list[Listed] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, scans: Set[str], rows: Set[str], scan: str, row: str) -> None:
        """Count the scans that a table does not speak of, and its rows whose scan is not there."""
        counts = {f"{scan}s without {row}": len(scans - rows), f"{row} without {scan}": len(rows - scans)}
        self.counts |= {what: number for what, number in counts.items() if number}


def split_of(patient: str) -> str:
    """`train`, or `val` for about one in seven patients."""
    number = int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big")
    return "val" if number / 2**64 < _HELD_OUT else "train"


@contextmanager
def _long_fields() -> Iterator[None]:
    """The limit of the csv module is one for all readers of the process: it is put back."""
    before = csv.field_size_limit(_FIELD_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def table_rows(path: Path) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Line number and cells by column of each row of a CSV; None for a row that has other cells than the header.

    Read row by row: the reports of 25,000 scans are long. Raises InputError for a file that is no CSV.
    """
    with opened(path, kind="a CSV file") as binary, _long_fields():
        text = (line.decode("utf-8", errors="replace").replace("\0", "") for line in binary)
        reader = csv.reader(text)
        try:
            header = [cell.strip().lstrip("\ufeff") for cell in next(reader, [])]
            if not any(header) or len(set(header)) != len(header):
                raise InputError(f"{path}: its first line names no columns, or one twice; {_REMEDY}")
            for cells in reader:
                if cells:
                    fits = len(cells) == len(header)
                    yield reader.line_num, dict(zip(header, map(str.strip, cells), strict=True)) if fits else None
        except csv.Error as error:
            raise InputError(f"{path}: line {reader.line_num}: not CSV ({error}); {_REMEDY}") from error


def columns_of(path: Path) -> tuple[str, ...]:
    """The columns of a CSV. Raises InputError."""
    with opened(path, kind="a CSV file") as binary:
        first = binary.readline(_FIELD_CHARACTERS).decode("utf-8", errors="replace")
    try:
        return tuple(cell.strip().lstrip("\ufeff") for cell in next(csv.reader([first]), []))
    except csv.Error as error:
        raise InputError(f"{path}: line 1: not CSV ({error}); {_REMEDY}") from error


def years(age: str) -> str:
    """`063Y` (DICOM) or `63` -> `63`; months and days as parts of a year; empty where it says nothing."""
    number, unit = (age[:-1], age[-1:].upper()) if age[-1:].isalpha() else (age, "Y")
    part = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}.get(unit)
    try:
        value = float(number) / part if part else float("nan")
    except ValueError:
        return ""
    return f"{value:.3g}" if 0 <= value < 130 else ""


def sex(word: str) -> str:
    """`F` or `M`, empty for anything else."""
    first = word.strip()[:1].upper()
    return first if first in ("F", "M") else ""
