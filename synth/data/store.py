"""Prepared patients on disk: shards of memory-mapped arrays and one table, so that a run reads what a batch needs.

FOLDER/shard_00000/   hu.npy (N, X, Y, Z) int16   organs.npy, dose.npy uint8 (left out where all are 0)   rows.parquet
FOLDER/index.parquet  the rows of all shards: name, shard, row, annotated, facts, report, columns, sha256

A shard appears whole or not at all, and a patient is in one: so preparing goes on, by name, where it was killed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap

from synth.errors import InputError
from synth.files.documents import parse_json
from synth.files.whole import sweep, whole_file, whole_folder

INDEX = "index.parquet"
PATIENTS = "patients"  # of a training set: PATIENTS/train and PATIENTS/val are such folders
_ROWS = "rows.parquet"
_SHARD = re.compile(r"shard_(\d+)")
_PATIENTS = 16  # of a shard: a kill loses no more of a worker's work
_ARRAYS = {"hu": np.int16, "organs": np.uint8, "dose": np.uint8}
_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("shard", pa.int32()),
        ("row", pa.int32()),  # -1: left out
        ("left_out", pa.string()),  # why, empty otherwise
        ("source", pa.string()),
        ("region", pa.string()),
        ("annotated", pa.list_(pa.string())),
        ("facts", pa.string()),  # JSON, as the columns: a region has facts of its own
        ("report", pa.string()),
        ("columns", pa.string()),
        ("sha256", pa.string()),  # of the HU as they are kept
    ]
)
_AGAIN = "run `synthct prepare` again"


@dataclass(frozen=True)
class PatientEntry:
    """A patient on the frame of a region, (X, Y, Z) each; `organs` are numbers, `dose` Gy."""

    name: str
    region: str
    hu: np.ndarray
    organs: np.ndarray
    dose: np.ndarray
    annotated: Sequence[str] = ()
    facts: Mapping[str, float] = field(default_factory=dict)
    report: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


Prepare = Callable[[Any], PatientEntry]


def names_in(folder: Path) -> set[str]:
    """The patients that are done, or left out, in the whole shards of a folder."""
    return {name for shard in _shards(folder) for name in _rows(shard).column("name").to_pylist()}


def write(
    folder: Path,
    jobs: Sequence[tuple[str, Any]],
    prepare: Prepare,
    workers: int = 1,
    on_patient: Callable[[int], None] = lambda count: None,
) -> None:
    """Prepare what is not there yet and keep it, then write the index.

    Args:
        jobs: (name, what `prepare` takes): with several workers both go to other processes.
        prepare: raises InputError for a patient that is to be left out, with the reason. No other error of one patient
            ends the work either.
        on_patient: told how many patients came to their end.

    Raises InputError where a worker was killed, OutputError where the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    done = names_in(folder)
    on_patient(sum(name in done for name, _ in jobs))
    todo = [job for job in jobs if job[0] not in done]
    first = 1 + max((int(_SHARD.fullmatch(shard.name)[1]) for shard in _shards(folder)), default=-1)  # type: ignore[index]
    parts = [todo[i : i + _PATIENTS] for i in range(0, len(todo), _PATIENTS)]
    works = [(folder, first + i, part, prepare) for i, part in enumerate(parts)]
    for count in map(_write_shard, works) if workers == 1 else _in_processes(works, workers):
        on_patient(count)
    write_index(folder)


def _in_processes(works: Sequence[Any], workers: int) -> Iterator[int]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            for future in as_completed([pool.submit(_write_shard, work) for work in works]):
                yield future.result()
        except BrokenProcessPool as error:
            raise InputError(
                f"--workers {workers}: one was killed (out of memory?); run it again with fewer"
            ) from error


def _write_shard(work: tuple[Path, int, Sequence[tuple[str, Any]], Prepare]) -> int:
    folder, number, jobs, prepare = work
    entries: list[PatientEntry] = []
    rows: list[dict[str, Any]] = []
    for name, job in jobs:
        try:
            entry = prepare(job)
        except Exception as error:  # one bad patient of 25,000 is told and left out, whatever is wrong with it
            why = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            rows.append(_row(name, number, -1, left_out=" ".join(why.split()) or "no reason given"))
            continue
        rows.append(_row(name, number, len(entries), entry))
        entries.append(entry)
    write_shard(folder, number, entries, rows)
    return len(jobs)


def write_entries(folder: Path, entries: Sequence[PatientEntry]) -> None:
    """Keep patients that are prepared already, and write the index."""
    for number, first in enumerate(range(0, len(entries), _PATIENTS)):
        write_shard(folder, number, entries[first : first + _PATIENTS])
    write_index(folder)


def write_shard(
    folder: Path, number: int, entries: Sequence[PatientEntry], rows: list[dict[str, Any]] | None = None
) -> None:
    """Write one shard, whole or not at all."""
    rows = rows if rows is not None else [_row(e.name, number, i, e) for i, e in enumerate(entries)]
    with whole_folder(folder / f"shard_{number:05d}", stays=lambda: True) as aside:
        for key, dtype in _ARRAYS.items():
            arrays = [np.asarray(getattr(entry, key), dtype) for entry in entries]
            if arrays and (key == "hu" or any(array.any() for array in arrays)):
                np.save(aside / f"{key}.npy", np.stack(arrays))
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), aside / _ROWS)


def _row(name: str, shard: int, row: int, entry: PatientEntry | None = None, left_out: str = "") -> dict[str, Any]:
    about: dict[str, Any] = {"name": name, "shard": shard, "row": row, "left_out": left_out}
    if entry is None:
        return about
    return about | {
        "source": entry.source,
        "region": entry.region,
        "annotated": list(entry.annotated),
        "facts": json.dumps(dict(entry.facts)),
        "report": entry.report,
        "columns": json.dumps(dict(entry.columns)),
        "sha256": hashlib.sha256(entry.hu.tobytes()).hexdigest(),
    }


def write_index(folder: Path) -> None:
    """Put the rows of all shards into one table, by name. Raises InputError where a patient is in two."""
    tables = [_rows(shard) for shard in _shards(folder)]
    table = pa.concat_tables(tables or [_SCHEMA.empty_table()]).sort_by("name")
    names = table.column("name").to_pylist()
    if twice := [a for a, b in zip(names, names[1:], strict=False) if a == b]:
        raise InputError(f"{folder}: '{twice[0]}' is in two shards; remove one of them")
    with whole_file(folder / INDEX) as aside:
        pq.write_table(table, aside)


def _shards(folder: Path) -> list[Path]:
    found = sorted(folder.glob("shard_*")) if folder.is_dir() else []
    return [shard for shard in found if _SHARD.fullmatch(shard.name)]


def _rows(shard: Path) -> pa.Table:
    return _table(shard / _ROWS)


def _table(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path, schema=_SCHEMA)
        table.validate(full=True)  # that text is UTF-8, too
        kept = table.filter(pa.array(np.asarray(table.column("row").fill_null(0)) >= 0))
        if empty := [name for name in ("row", *kept.column_names) if kept.column(name).null_count]:
            raise pa.ArrowInvalid(f"a row without {empty[0]}")
        return table
    except (OSError, pa.ArrowException) as error:
        said = "no such file" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())[:120]
        raise InputError(f"{path}: {said}; remove its folder, and {_AGAIN}") from error


class Store(Sequence[PatientEntry]):
    """The patients of a folder, by name, each read when it is asked for: in memory is the table alone."""

    def __init__(self, folder: Path) -> None:
        if not (folder / INDEX).is_file():
            state = "is half prepared" if _shards(folder) else "has no prepared patients"
            raise InputError(f"{folder}: {state} (no {INDEX}); {_AGAIN}")
        table = _table(folder / INDEX)
        rows = np.asarray(table.column("row"))
        self.folder = folder
        self._table = table.filter(pa.array(rows >= 0)).combine_chunks()
        self.left_out = dict(
            zip(*(table.filter(pa.array(rows < 0)).column(c).to_pylist() for c in ("name", "left_out")), strict=True)
        )

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        about = self._table.slice(index % len(self), 1).to_pylist()[0]
        hu, organs, dose = self._arrays(about)
        facts, columns = self._described(about["facts"], Real), self._described(about["columns"], str)
        said = about["annotated"], facts, about["report"], columns, about["source"]
        return PatientEntry(about["name"], about["region"], hu, organs, dose, *said)

    def names(self) -> list[str]:
        """Of the patients, in order."""
        return list(self._table.column("name").to_pylist())

    def facts(self) -> Iterable[dict[str, float]]:
        """Of each patient, in order, without reading any."""
        return (self._described(text, Real) for text in self._table.column("facts").to_pylist())

    def _described(self, text: str, of: type) -> dict[str, Any]:
        """A table of numbers (`Real`) or of text (`str`)."""
        what, remedy = f"{self.folder / INDEX}: facts or columns", f"remove it, and {_AGAIN}"
        table = parse_json(text, what, remedy=remedy)
        if not isinstance(table, dict) or not all(isinstance(value, of) for value in table.values()):
            raise InputError(f"{what}: {text[:80]!r} is no table of {of.__name__.lower()}s; {remedy}")
        return table

    def _arrays(self, about: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copies: a map that stayed open would count as memory of the process."""
        shard = self.folder / f"shard_{about['shard']:05d}"
        try:
            hu = np.array(open_memmap(shard / "hu.npy", mode="r")[about["row"]])
            others = [
                np.array(open_memmap(shard / f"{key}.npy", mode="r")[about["row"]])
                if (shard / f"{key}.npy").is_file()
                else np.zeros(hu.shape, np.uint8)
                for key in ("organs", "dose")
            ]
            for (key, dtype), array in zip(_ARRAYS.items(), (hu, *others), strict=True):
                if array.dtype != dtype or array.ndim != 3 or array.shape != hu.shape:
                    raise ValueError(f"{key}.npy holds {array.dtype} {array.shape}")
        except Exception as error:  # numpy's reader of headers fails in many ways, a tokenizer's among them
            raise InputError(
                f"{shard}: cannot be read ({' '.join(str(error).split())}); remove it, and {_AGAIN}"
            ) from error
        return hu, others[0], others[1]
