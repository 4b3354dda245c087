"""Locks: one run at a time on a folder, whose processes may be many. The system frees them when a process dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from synth.cohort.processes import Process
from synth.errors import InputError
from synth.files.flock import taken_or_no_locks
from synth.files.whole import explained

FOLDER = ".run"  # of a cohort: locks, nothing that belongs to the data set
_PATIENCE, _PAUSE_S = 100, 0.02


@contextmanager
def held(out: Path, process: Process) -> Iterator[None]:
    """Hold the folder for this process. Raises InputError while another run holds it."""
    folder = out / FOLDER
    with ExitStack() as stack:
        run = stack.enter_context(_opened(folder / "run.lock"))
        own = stack.enter_context(_opened(folder / f"process_{process.rank:05d}_of_{process.world:05d}.lock"))
        if not _join(run, process.run, str(out)) or not _free(own, fcntl.LOCK_EX, str(out)):
            raise InputError(f"{out}: another run is at work there; wait for it, or choose another --out")
        yield


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Wait for the other processes of this run: what is inside is done by one at a time."""
    with _opened(out / FOLDER / "finish.lock") as file:
        taken_or_no_locks(file, fcntl.LOCK_EX, str(out))
        yield


def _join(file: int, run: str, out: str) -> bool:
    """Take a share in the lock of a run: the first process writes the run's name, the others must read their own.

    Going from exclusive to shared is not atomic. Another run may come between; then the name is its own. A process
    of this run may find the lock still exclusive; it asks again.
    """
    for _ in range(_PATIENCE):
        if _free(file, fcntl.LOCK_EX, out):
            os.ftruncate(file, 0)
            os.pwrite(file, run.encode(), 0)
        if _free(file, fcntl.LOCK_SH, out):
            return os.pread(file, 4096, 0).decode() == run
        time.sleep(_PAUSE_S)
    return False


def _free(file: int, kind: int, out: str) -> bool:
    return taken_or_no_locks(file, kind | fcntl.LOCK_NB, out)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    with explained(path.parent.parent):
        path.parent.mkdir(exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield file
    finally:
        os.close(file)
