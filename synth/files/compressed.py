"""Gzip and xz, unpacked as far as is wanted and no further: a small file may hold more than memory does."""

from __future__ import annotations

import gzip
import lzma
from typing import Any, BinaryIO

from isal import igzip, igzip_lib

from synth.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"
_DAMAGED_GZIP: tuple[Any, ...] = (EOFError, igzip_lib.IsalError, gzip.BadGzipFile, OSError, ValueError)
_XZ_MEMORY = 2**28  # of the dictionary; preset 9 needs 2**26
_TRAILER = 2**20  # bytes after what was wanted that are put up with


class Unpacked:
    """The bytes of a file that may be gzipped, told by its magic number, read front to back."""

    def __init__(self, file: BinaryIO, what: str) -> None:
        packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        self._file: Any = igzip.IGzipFile(fileobj=file) if packed else file
        self._what = what

    def read(self, most: int) -> bytes:
        """The next `most` bytes, or what is left. Raises InputError for a damaged file."""
        try:
            return bytes(self._file.read(most))
        except _DAMAGED_GZIP as error:
            raise InputError(f"{self._what}: damaged gzip file ({error}); copy or download it again") from error

    def require_end(self) -> None:
        """Raise InputError where much more follows, or the checksum at the end is wrong."""
        if len(self.read(_TRAILER + 1)) > _TRAILER:
            raise InputError(f"{self._what}: holds more than its header says; save it again")


def unxz(content: bytes, most: int, what: str) -> bytes:
    """What an xz file holds, at most `most` bytes. Raises InputError for a damaged one, or one that holds more."""
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    try:
        unpacked = unpacker.decompress(content, max_length=most + 1)
    except (lzma.LZMAError, EOFError, MemoryError) as error:
        raise InputError(f"{what}: damaged ({error}); copy it again") from error
    if len(unpacked) > most:
        raise InputError(f"{what}: holds more than {most} bytes, which is all that is wanted; copy it again")
    if not unpacker.eof or unpacker.unused_data:
        raise InputError(f"{what}: damaged (cut, or more follows); copy it again")
    return unpacked
