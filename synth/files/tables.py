"""CSV as people's programs save it: commas, semicolons or tabs; UTF-8, with or without a mark, or Windows-1252."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.errors import InputError
from synth.files.content import bytes_of, decoded

_DELIMITERS = ",;\t"
_ANSI = "cp1252"  # what spreadsheets on Windows save

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Table:
    """Columns of a CSV, and its rows as column -> text, with the spaces round each cell taken off."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def read_csv(path: Path, what: str = "", *, needs: Sequence[str] = ()) -> Table:
    """The table in a CSV file with a header.

    Raises InputError for a file that is missing, damaged or has not the columns that it `needs`, a column twice, or a
    row with more or fewer cells than the header.
    """
    what = what or str(path)
    text = _text(bytes_of(path, what, kind="a CSV file"), what)
    lines = text.splitlines(keepends=True)
    delimiter = max(_DELIMITERS, key=lambda mark: (lines[0] if lines else "").count(mark))
    try:
        found = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(f"{what}: not CSV ({error}); save it again as CSV (UTF-8)") from error
    columns = tuple(cell.strip() for cell in found[0]) if found else ()
    if missing := [name for name in needs if name not in columns]:
        raise InputError(f"{what}: no column '{missing[0]}'; it has {', '.join(columns) or 'none'}")
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise InputError(f"{what}: column '{twice[0]}' stands there twice; keep one")
    return Table(columns, tuple(_rows(found[1:], columns, what)))


def _text(content: bytes, what: str) -> str:
    if b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{what}: holds NUL bytes; save it as CSV (UTF-8), a spreadsheet is none")
    try:
        return decoded(content, what)
    except InputError:
        logger.warning("%s: is not UTF-8; read as Windows-1252", what)
        return content.decode(_ANSI, errors="replace")


def _rows(lines: Sequence[Sequence[str]], columns: Sequence[str], what: str) -> Iterator[dict[str, str]]:
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            raise InputError(
                f"{what}: row {number} has {len(cells)} cells, the header {len(columns)}; complete it, or put text "
                "that holds the separator in quotes"
            )
        yield {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
