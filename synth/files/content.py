"""Content of a regular file, bounded in size, and its text."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from synth.errors import InputError

MOST_BYTES = 2**24  # of a text or table that is read whole: 16 MiB
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@contextmanager
def opened(path: Path, what: str = "", kind: str = "a file") -> Iterator[BinaryIO]:
    """An open regular file. A pipe or a device, which may never end, is refused.

    Args:
        what: how messages name it, its path unless said. kind: what is wanted instead of a folder.

    Raises InputError for one that is missing, a folder, no regular file or not readable.
    """
    what = what or str(path)
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer must not block
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{what}: no such file; check the path") from error
    except PermissionError as error:
        raise InputError(f"{what}: no permission to read it; change its mode or copy it") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL, or half a character, in the path
        raise InputError(f"{what}: cannot be read ({_reason(error)}); check the path") from error
    try:
        mode = os.fstat(file).st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{what}: is a folder; hand over {kind}")
        if not stat.S_ISREG(mode):
            raise InputError(f"{what}: is a pipe or device; save it as {kind} first")
        with os.fdopen(file, "rb", closefd=False) as regular:
            yield regular
    finally:
        os.close(file)


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder in order, through links to folders as well (a collection is often links), each once."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()  # a link that leads back up
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


def bytes_of(path: Path, what: str = "", *, kind: str = "a file", most: int = MOST_BYTES) -> bytes:
    """All bytes of a file of at most `most`. Raises InputError as `opened` does, and for a larger one."""
    what = what or str(path)
    with opened(path, what, kind) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise InputError(f"{what}: cannot be read ({_reason(error)}); copy it again") from error
    if len(content) > most:
        raise InputError(f"{what}: is larger than {most / 2**20:.4g} MB; hand over {kind} of that size at most")
    return content


def text_of(path: Path, what: str = "", *, kind: str = "a text file", most: int = MOST_BYTES) -> str:
    """The text of a file: UTF-8, with or without a byte order mark, or UTF-16 with one. Raises InputError."""
    what = what or str(path)
    return decoded(bytes_of(path, what, kind=kind, most=most), what)


def decoded(content: bytes, what: str) -> str:
    """The text of bytes, as in `text_of`."""
    mark = next((mark for mark in _BOMS if content.startswith(mark)), b"")
    try:
        return content[len(mark) :].decode(_BOMS.get(mark, "utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{what}: is not UTF-8 (byte {error.start}); save it as UTF-8") from error


def require_text(text: str, what: str) -> str:
    """The text. Raises InputError where no file can hold it: half a surrogate pair, as of bytes that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        shown = ascii(text)[1:-1]
        raise InputError(f"{what} '{shown[:80]}': holds bytes that are no UTF-8; write it in UTF-8") from error
    return text


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
