"""Prove a cohort whole: every file and hash, the tables, the split, and of each case geometry, plan and report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synth import provenance
from synth.case import folder as case_folder
from synth.case.plan import valid_plan
from synth.cohort import delta, layout, locks
from synth.cohort.described import Described, read_described
from synth.cohort.table import SCHEMA
from synth.errors import InputError
from synth.files.content import opened, text_of
from synth.files.documents import read_table
from synth.files.names import require_name

_MOST_BYTES = 2**31  # of the checksums: a million cases of eight files
_SHOWN = 80
_VALUES, _VALUES_A_BYTE = 1_000_000, 1000  # of a table
_DESCRIBED = (layout.RECIPE, layout.COHORT, layout.TABLE, layout.CARD)


def verify(out: Path, *, quick: bool = False, hosts: Path | None = None) -> Iterator[str]:
    """A line for everything that is wrong, none where the set is whole; `quick` does not measure volumes again.

    `hosts`: the folder of the hosts, from which cases that are kept as deltas are restored to be measured.
    Raises InputError where `out` is no finished cohort, or keeps deltas and no hosts are given.
    """
    listed = read_checksums(out)
    found = None if hosts is None else delta.Hosts(hosts)
    if found is None and not quick and delta.keeps_deltas(out):
        raise InputError(f"{out}: keeps deltas; give --hosts with the folder of their hosts, or --quick")
    yield from _files(out, listed)
    if missing := [name for name in (layout.COHORT, layout.TABLE) if not (out / name).is_file()]:
        yield f"{', '.join(missing)}: missing; the tables were not verified"
        return
    try:
        cohort, rows = read_described(out), read_rows(out)
    except InputError as error:
        yield f"tables cannot be read ({error})"
        return
    yield from _tables(out, cohort, rows, listed)
    yield from _split(rows)
    for row in rows:
        yield from (f"{row['case']}: {line}" for line in _case(layout.case_folder(out, row["case"]), row, quick, found))


def read_checksums(out: Path) -> dict[str, str]:
    """Path -> sha256 of a finished cohort. Raises InputError where it is none."""
    file = out / layout.CHECKSUMS
    if not file.is_file():
        state = "a cohort that is not finished; run `synthct cohort` again" if (out / layout.RECIPE).is_file() else ""
        raise InputError(f"{out}: {state or 'no cohort; hand over a folder that `synthct cohort` finished'}")
    listed: dict[str, str] = {}
    for line in text_of(file, most=_MOST_BYTES).splitlines():
        digest, sign, path = line.partition("  ")
        if not sign or path.startswith("/") or ".." in Path(path).parts or "\0" in path:
            raise InputError(f"{file}: '{line[:_SHOWN]}' is no hash and path of the set; copy the cohort again")
        listed[path] = digest
    return listed


def read_rows(out: Path, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """The rows of cases.parquet. Raises InputError where it is damaged, or names no case or split, or a case twice."""
    file = out / layout.TABLE
    try:
        with opened(file), pq.ParquetFile(file) as table:
            if not table.schema_arrow.equals(SCHEMA):
                raise InputError(f"{file}: columns are not those of this version; make the cohort again")
            _require_modest(table.metadata, file)
            rows: list[dict[str, Any]] = table.read(columns=columns).to_pylist()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: damaged ({' '.join(str(error).split())[:200]}); copy the cohort again") from error
    for column, what in (("case", "case"), ("split", "part of the split")):
        named = Counter(row[column] for row in rows if column in row)
        for name in named:
            require_name(name, f"{file}: {what}")
        twice = next((name for name, rows_of_it in named.items() if rows_of_it > 1), None)
        if column == "case" and twice is not None:
            raise InputError(f"{file}: has '{twice}' {named[twice]} times; copy the cohort again")
    return rows


def _require_modest(table: pq.FileMetaData, file: Path) -> None:
    """A few bytes can say one value a thousand million times: no cohort does."""
    groups = [table.row_group(number) for number in range(table.num_row_groups)]
    values = sum(group.column(number).num_values for group in groups for number in range(group.num_columns))
    if values > _VALUES + _VALUES_A_BYTE * file.stat().st_size:
        raise InputError(f"{file}: says {values} values; copy the cohort again")


def changed_files(out: Path, listed: dict[str, str]) -> Iterator[str]:
    """A line for each listed file that is missing or changed."""
    for path, digest in listed.items():
        file = out / path
        if not file.is_file():
            yield f"{path}: missing"
        elif provenance.sha256_of_file(file) != digest:
            yield f"{path}: changed since the set was finished (its sha256 differs)"


def _files(out: Path, listed: dict[str, str]) -> Iterator[str]:
    """Files that are missing, changed, or not of the set."""
    yield from changed_files(out, listed)
    known = {*listed, layout.CHECKSUMS}
    for file in sorted(out.rglob("*")):
        path = file.relative_to(out).as_posix()
        if file.is_file() and not path.startswith(f"{locks.FOLDER}/") and path not in known:
            yield f"{path}: is not in {layout.CHECKSUMS}"


def _tables(out: Path, cohort: Described, rows: list[dict[str, Any]], listed: dict[str, str]) -> Iterator[str]:
    """cohort.json, cases.parquet and the folders tell the same."""
    if absent := [name for name in _DESCRIBED if name not in listed]:
        yield f"{layout.CHECKSUMS}: lists no {', '.join(absent)}"
    counts, names = cohort.cases, [row["case"] for row in rows]
    if names != layout.complete(out):
        yield f"{layout.TABLE}: its {len(names)} cases are not those in {layout.CASES}/"
    given_up = layout.given_up(out)
    if (counts.complete + counts.twins, counts.quarantined) != (len(rows), len(given_up)):
        told = f"{counts.complete} complete, {counts.twins} twins and {counts.quarantined} in quarantine"
        yield f"{layout.COHORT}: {told} is not so"
    if counts.complete + counts.quarantined != counts.asked:
        yield f"{layout.COHORT}: {counts.asked} cases were asked for, and not all of them are there"
    in_part = Counter(row["split"] for row in rows)
    if any(in_part[part] != number for part, number in cohort.split.items()):
        yield f"{layout.COHORT}: the split is not that of {layout.TABLE}"
    for row in rows:
        if _ct_sha256(out, row["case"], listed) != row["ct_sha256"]:
            yield f"{row['case']}: {layout.TABLE} has another ct_sha256"


def _ct_sha256(out: Path, name: str, listed: dict[str, str]) -> str | None:
    """Hash of the CT of a case: of its file, or of the one that its delta stands for."""
    folder = layout.case_folder(out, name)
    if not delta.is_delta(folder):
        return listed.get(f"{layout.CASES}/{name}/{case_folder.CT}")
    try:
        return case_folder.recorded_files(case_folder.read_manifest(folder)).get(case_folder.CT)
    except InputError:
        return None  # said of the case


def _split(rows: list[dict[str, Any]]) -> Iterator[str]:
    """No patient, host or host's CT in two parts."""
    for column in ("patient", "host", "host_sha256"):
        parts: dict[str, set[str]] = {}
        for row in rows:
            if row[column] is not None:
                parts.setdefault(row[column], set()).add(row["split"])
        for value, found in parts.items():
            if len(found) > 1:
                yield f"{column} {value} stands in {' and '.join(sorted(found))}"


@contextmanager
def _whole(folder: Path, hosts: delta.Hosts | None) -> Iterator[Path]:
    """The folder of a case, of a delta a temporary one where it is restored and its hashes proved."""
    if hosts is None or not delta.is_delta(folder):
        yield folder
        return
    with TemporaryDirectory() as place:
        yield delta.restore(folder, Path(place) / folder.name, hosts)


def _case(folder: Path, row: dict[str, Any], quick: bool, hosts: delta.Hosts | None) -> Iterator[str]:
    """Plan and report are what their schemas say, the masks lie on the CT's grid, and every sentence holds."""
    from synth.report import Report
    from synth.report import check as check_report

    try:
        if quick:
            valid_plan(read_table(folder / case_folder.PLAN), folder / case_folder.PLAN)
            case_folder.valid(Report, read_table(folder / case_folder.REPORT), folder / case_folder.REPORT)
            case_folder.read_manifest(folder)
            return
        with _whole(folder, hosts) as whole:
            case, plan, report, manifest = case_folder.read_case(whole)
            altered = case_folder.altered_files(whole, manifest)
        valid_plan(plan, folder / case_folder.PLAN)
        yield from check_report(case, case_folder.valid(Report, report, folder / case_folder.REPORT))
        if altered:
            yield f"{', '.join(altered)}: not as its manifest has it (the sha256 differs)"
    except (ValueError, OSError) as error:
        yield " ".join(str(error).split())
        return
    if not all(check["ok"] for check in manifest.get("checks", ())):
        yield "a check did not pass"
    if len(row["lesions"]) != sum(name.rpartition("_")[2].isdecimal() for name in case.lesions.present()):
        yield f"{layout.TABLE} has {len(row['lesions'])} lesions, its masks show others"
