"""Files and folders that appear whole or not at all, whoever else writes the same.

Each is written under a hidden name of its own beside its place and renamed at the end. Its writer holds a lock on it
meanwhile, so that what a killed process left behind can be told from what is in work, and swept away.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from synth.errors import InputError, OutputError
from synth.files.flock import taken

_OURS = re.compile(r"\..+\.[0-9a-f]{12}(\.old)?\.partial")  # names of what is half-written
_ASIDE = re.compile(r"(^|/)\.([^/]+)\.[0-9a-f]{12}(?:\.old)?\.partial")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SAID = re.compile(r"(?:os error|errno) (\d+)", re.IGNORECASE)  # as safetensors and Arrow say it
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
_TRIES = 20
_NAME_BYTES = 200  # of a hidden name, which gets a number and an ending
_ABANDONED_S = 24 * 3600  # where locks cannot tell


def refused(error: BaseException) -> int | None:
    """The number of what the operating system refused, if an error tells of that; some libraries do in words alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    told = isinstance(error, OSError) or type(error).__name__ == "SafetensorError"
    said = _SAID.search(str(error)) if told else None
    return int(said[1]) if said else None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an OutputError with the remedy."""
    try:
        yield
    except Exception as error:
        number = refused(error)
        if number is None and not isinstance(error, OSError):
            raise
        full = number in _FULL
        why = "no space left on the disk" if full else f"cannot be written ({os.strerror(number) if number else error})"
        remedy = "free some space or choose another --out" if full else "choose another --out"
        raise OutputError(f"{path}: {why}; {remedy} (nothing is left half-written)") from error


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """A folder, made with those above it; what was made goes again where an exception leaves it empty."""
    made = [f for f in (folder, *folder.parents) if not f.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for one in made:
                one.rmdir()
        raise


def known_as(path: str) -> str:
    """A path as its reader knows it: what is written aside under its place."""
    return _ASIDE.sub(r"\1\2", path)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """An empty file under another name to write to; it takes its place at the end.

    Raises OutputError, and InputError for a device or pipe: root would put a file in the place of /dev/null.
    """
    with explained(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: is a device or pipe; choose another --out, a file")
        with _inside(path.parent), aside(path, lambda partial: partial.touch(exist_ok=False)) as partial:
            yield partial
            partial.replace(path)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all. Raises OutputError where the disk is full or read-only."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def new_folder(out: Path, write: Callable[[Path], None]) -> Path:
    """Write a folder that is not there yet, whole or not at all; returns it.

    Raises InputError where something is in its place, OutputError.
    """

    def refuse() -> bool:
        raise InputError(f"{out}: is there already; choose another --out or remove it")

    if out.exists():
        refuse()
    with whole_folder(out, refuse) as partial:
        write(partial)
    return out


@contextmanager
def whole_folder(path: Path, stays: Callable[[], bool]) -> Iterator[Path]:
    """An empty folder under another name to write to; it takes its place at the end.

    `stays` is asked where something has come to stand there by then: True keeps that and drops what was written, False
    puts what was written in its place, an exception does neither. Raises OutputError.
    """
    with explained(path), _inside(path.parent), aside(path) as partial:
        yield partial
        _put(partial, path, stays)


@contextmanager
def added_to(folder: Path) -> Iterator[Path]:
    """An empty folder under another name; the files in it are moved into `folder` at the end, beside what is there.

    Nothing is moved where an exception ends it. Raises OutputError.
    """
    with explained(folder), _inside(folder.parent), aside(folder) as partial:
        yield partial
        for file in sorted(path for path in partial.rglob("*") if path.is_file()):
            target = folder / file.relative_to(partial)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder; what is in work elsewhere stays."""
    for partial in folder.glob(".*.partial") if folder.is_dir() else ():
        if _OURS.fullmatch(partial.name):
            with suppress(OSError):
                _sweep_one(partial)


@lru_cache(maxsize=1024)
def _sweep_once(folder: Path) -> None:
    """A process does it before it first writes there: a folder may hold 100,000 cases."""
    sweep(folder)


def _sweep_one(partial: Path) -> None:
    file = os.open(partial, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        free = taken(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if free is None:
            free = time.time() - os.fstat(file).st_mtime > _ABANDONED_S
        if free:
            _remove(partial)
    finally:
        os.close(file)


@contextmanager
def aside(path: Path, make: Callable[[Path], None] = Path.mkdir) -> Iterator[Path]:
    """A hidden place beside `path`, a folder unless said, that is this process's own and gone at the end. OSError."""
    _sweep_once(path.parent.absolute())
    partial, file = _claimed(path, make)
    try:
        yield partial
    finally:
        _remove(partial)
        os.close(file)


def _claimed(path: Path, make: Callable[[Path], None]) -> tuple[Path, int]:
    """Make a hidden place and lock it. One that `sweep` took before it was locked is made again."""
    name = path.name.encode()[:_NAME_BYTES].decode(errors="ignore")
    while True:
        partial = path.with_name(f".{name}.{secrets.token_hex(6)}.partial")
        try:
            make(partial)
        except FileNotFoundError:  # another writer failed, and its empty folder with it
            partial.parent.mkdir(parents=True, exist_ok=True)
            continue
        try:
            file = os.open(partial, os.O_RDONLY)
        except FileNotFoundError:
            continue
        taken(file, fcntl.LOCK_SH)
        if os.fstat(file).st_nlink and partial.exists():
            return partial, file
        os.close(file)


def _put(partial: Path, path: Path, stays: Callable[[], bool]) -> None:
    for _ in range(_TRIES):
        try:
            partial.rename(path)
            return
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        if stays():
            return
        old = partial.with_name(f"{partial.stem}.old.partial")
        with suppress(FileNotFoundError):  # another process was first to take it away
            path.rename(old)
            shutil.rmtree(old, ignore_errors=True)
    raise InputError(f"{path}: others keep writing it; wait for them, or choose another --out")


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    else:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
