"""Work that any number of equal commands share: a piece is claimed while it is done; a dead process claims nothing."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from synth.files.flock import taken_or_no_locks

_PAUSE_S = 1.0


@contextmanager
def claimed(folder: Path, name: str) -> Iterator[bool]:
    """Whether this process has the piece `name` for itself; the system takes the claim back when the process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield taken_or_no_locks(file, fcntl.LOCK_EX | fcntl.LOCK_NB, str(folder))
    finally:
        os.close(file)


def share(left: Callable[[], Sequence[str]], do: Callable[[str], None], folder: Path) -> None:
    """Do pieces until none is left, whoever does them; `left` names those that are not done, in order.

    Where all that are left are claimed by others, wait for them: one of them may die, and its piece is left again.
    """
    while names := left():
        idle = True
        for name in names:
            with claimed(folder, name) as mine:
                if mine and name in left():
                    do(name)
                    idle = False
        if idle:
            time.sleep(_PAUSE_S)
