"""Materialize: a cohort that keeps deltas, written out with whole cases; the same files as if it had kept them."""

from __future__ import annotations

import shutil
from pathlib import Path

from synth.cohort import layout, locks
from synth.cohort.delta import Hosts, is_delta, restore
from synth.cohort.finalise import checksums
from synth.cohort.verify import read_checksums
from synth.files.whole import new_folder
from synth.progress import Progress


def materialize(cohort: Path, hosts: Path, out: Path, progress: Progress) -> Path:
    """The finished cohort in `cohort` with every case whole, in `out`, from the hosts below `hosts`; returns `out`.

    Raises InputError where a host is missing or a file does not come out bit-equal, OutputError.
    """
    read_checksums(cohort)
    found = Hosts(hosts)
    return new_folder(out, lambda partial: _write(cohort, found, partial, progress))


def _write(cohort: Path, hosts: Hosts, out: Path, progress: Progress) -> None:
    left_out = shutil.ignore_patterns(locks.FOLDER, layout.CASES, layout.CHECKSUMS)
    shutil.copytree(cohort, out, ignore=left_out, dirs_exist_ok=True)
    names = layout.complete(cohort)
    with progress.step("materialize", len(names)) as step:
        for name in names:
            folder, place = layout.case_folder(cohort, name), layout.case_folder(out, name)
            if is_delta(folder):
                restore(folder, place, hosts)
            else:
                shutil.copytree(folder, place)
            step.advance()
    (out / layout.CHECKSUMS).write_text(checksums(out), encoding="utf-8")
