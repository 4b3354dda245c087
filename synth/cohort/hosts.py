"""Hosts: the CT of a folder that lesions are inserted into, with what an index says of their patients."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from prompts.vocabulary import Phase, Sex
from synth.cohort.recipe import HostFolder
from synth.errors import InputError
from synth.files.content import require_text
from synth.files.tables import read_csv
from synth.volumes import nifti
from synth.volumes.label_check import require_match
from synth.volumes.types import LabelMap, Volume

COLUMNS = ("host", "patient", "phase", "sex", "age")
_KEPT = 2  # hosts in memory: the one in work, and the one before

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HostFiles:
    """One host: its files, and its patient as far as the index knows."""

    name: str
    ct: Path
    organs: Path
    patient: str
    phase: str | None = None
    sex: str | None = None
    age: int | None = None


def find_hosts(folder: HostFolder) -> dict[str, HostFiles]:
    """Name -> host, in order of name. Those without labels are left aside with a note.

    Raises InputError where there is none, or the index cannot be read.
    """
    if not folder.folder.is_dir():
        raise InputError(f"hosts.folder: {folder.folder}: no such folder; check the path")
    pattern = re.compile(re.escape(folder.ct).replace(r"\*", "([^/]+)"))
    found: dict[str, HostFiles] = {}
    bare: list[str] = []
    for ct in sorted(folder.folder.glob(folder.ct)):
        match = pattern.fullmatch(ct.relative_to(folder.folder).as_posix())
        name = require_text(match[1] if match else ct.name, f"{folder.folder}: host")
        organs = folder.folder / folder.organs.replace("*", name)
        if organs.exists():
            found[name] = HostFiles(name, ct, organs, patient=name)
        else:
            bare.append(name)
    if not found:
        remedy = f"{len(bare)} CT are there without '{folder.organs}'" if bare else "set hosts.ct and hosts.organs"
        raise InputError(f"hosts.folder: {folder.folder}: no host matches '{folder.ct}'; {remedy}")
    if bare:
        logger.warning("%s: %d CT without '%s' are left aside", folder.folder, len(bare), folder.organs)
    return found if folder.index is None else _with_index(found, folder.index)


def _with_index(hosts: Mapping[str, HostFiles], path: Path) -> dict[str, HostFiles]:
    """The hosts with patient, phase, sex and age from a CSV; a host that is not in it keeps them unknown."""
    what = f"hosts.index: {path}"
    index = read_csv(path, what, needs=["host"])
    _require_known_columns(index.columns, what)
    rows = [row["host"] for row in index.rows]
    if twice := [name for name in rows if rows.count(name) > 1]:
        raise InputError(f"{what}: host '{twice[0]}' has {rows.count(twice[0])} rows; keep one")
    _require_same_names(hosts, rows, what)
    table = {row["host"]: row for row in index.rows}
    return {name: _described(host, table.get(name, {}), path) for name, host in hosts.items()}


def _require_known_columns(columns: Sequence[str], what: str) -> None:
    """InputError for a column that is nearly one of ours; others are told in a note."""
    others = [name for name in columns if name not in COLUMNS]
    for name in others:
        if near := difflib.get_close_matches(name.lower(), COLUMNS, n=1, cutoff=0.75):
            raise InputError(f"{what}: column '{name}'; call it '{near[0]}', or something else if it is not that")
    if others:
        logger.warning("%s: columns %s are not read; those that are: %s", what, ", ".join(others), ", ".join(COLUMNS))


def _require_same_names(hosts: Mapping[str, HostFiles], rows: Sequence[str], what: str) -> None:
    """InputError where a row means a host but is not called so: each such host would count as its own patient."""
    unlisted = [name for name in hosts if name not in rows]
    meant = {_bare(name): name for name in unlisted}
    for row in rows:
        if row not in hosts and (host := meant.get(_bare(row))) is not None:
            raise InputError(f"{what}: host '{row}' is '{host}' on disk (did a spreadsheet change it?); write '{host}'")
    if len(unlisted) == len(hosts):
        raise InputError(f"{what}: none of its {len(rows)} hosts is in the folder, which has {', '.join(unlisted[:3])}")
    if unlisted:
        note = "%s: %d hosts are not in it (%s, ..); each counts as a patient of its own"
        logger.warning(note, what, len(unlisted), unlisted[0])


def _bare(name: str) -> str:
    """A name without what spreadsheets change: zeros in front, `.0` behind, case and spaces."""
    return name.strip().casefold().removesuffix(".0").lstrip("0")


def _described(host: HostFiles, row: Mapping[str, str], path: Path) -> HostFiles:
    phase, sex, age = (row.get(column) or None for column in ("phase", "sex", "age"))
    if phase is not None and phase not in set(Phase):
        raise InputError(f"hosts.index: {path}: {host.name}: phase '{phase}'; write one of {', '.join(Phase)}")
    if sex is not None and sex not in set(Sex):
        raise InputError(f"hosts.index: {path}: {host.name}: sex '{sex}'; write one of {', '.join(Sex)}")
    if age is not None and not age.isdecimal():
        raise InputError(f"hosts.index: {path}: {host.name}: age '{age}'; write whole years")
    years = None if age is None else int(age)
    return HostFiles(host.name, host.ct, host.organs, row.get("patient") or host.name, phase, sex, years)


def read_host(
    host: HostFiles, organ_ids: Mapping[int, str] | None, *, trust_labels: bool = False
) -> tuple[Volume, LabelMap]:
    """CT and organs of a host; the last few are kept. Raises InputError as `synth.volumes.host.read_host` does."""
    return _read(host.ct, host.organs, None if organ_ids is None else tuple(sorted(organ_ids.items())), trust_labels)


@lru_cache(maxsize=_KEPT)
def _read(
    ct: Path, organs: Path, organ_ids: tuple[tuple[int, str], ...] | None, trust_labels: bool
) -> tuple[Volume, LabelMap]:
    volume = nifti.read_volume(ct)
    labels = nifti.read_labels(organs, like=volume, organ_ids=None if organ_ids is None else dict(organ_ids))
    require_match(volume, labels, str(organs), trust=trust_labels, remedy="hosts.trust_labels: true")
    for array in (volume.hu, labels.ids):
        array.setflags(write=False)  # shared by every case of the host
    return volume, labels
