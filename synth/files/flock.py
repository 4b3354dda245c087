"""File locks, and what to do on a file system that keeps none (some network and container file systems)."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from synth.errors import InputError

_NONE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)  # EBADF: NFS, of folders

logger = logging.getLogger(__name__)


def taken(file: int, kind: int) -> bool | None:
    """Take a lock (`fcntl.LOCK_EX`, ..) on an open file: whether it was free; None where there are no locks."""
    try:
        fcntl.flock(file, kind)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NONE:
            raise
        return None
    return True


def taken_or_no_locks(file: int, kind: int, folder: str) -> bool:
    """As `taken`, and true where there are no locks, with a note: nothing keeps two runs on a folder apart then."""
    if (found := taken(file, kind)) is None:
        _note(folder)
    return found is not False


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder that is there, and leave nothing in it. Raises InputError while another process holds it."""
    file = os.open(folder, os.O_RDONLY)
    _HELD.add(file)
    try:
        if not taken_or_no_locks(file, fcntl.LOCK_EX | fcntl.LOCK_NB, str(folder)):
            raise InputError(f"{folder}: another run is at work there; wait for it, or choose another `out`")
        yield
    finally:
        if file in _HELD:
            _HELD.remove(file)
            os.close(file)


def _let_go() -> None:
    """A process that was forked holds none of them: it may outlive the one that does, if that is killed."""
    while _HELD:
        os.close(_HELD.pop())


_HELD: set[int] = set()
os.register_at_fork(after_in_child=_let_go)


@cache
def _note(folder: str) -> None:
    logger.warning("%s: its file system keeps no locks; see to it that one run at a time works there", folder)
