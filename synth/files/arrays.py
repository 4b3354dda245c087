"""Arrays of a .npz file, each of the type and number of axes that is wanted. Nothing is ever unpickled."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synth.errors import InputError
from synth.files.content import bytes_of
from synth.files.whole import whole_file

MOST_BYTES = 2**31  # of all arrays of a file together


@dataclass(frozen=True)
class Wanted:
    """What an array must be: its number of axes and numpy's kinds (i, u, f, b, U); values are finite."""

    axes: int
    kinds: str = "iuf"
    low: float | None = None  # least value

    def wrong(self, array: np.ndarray) -> str | None:
        """What is wrong with it, or None."""
        if array.dtype.kind not in self.kinds:
            return f"holds {array.dtype}"
        if array.ndim != self.axes or (array.ndim and not array.size):
            return f"has the shape {array.shape}"
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return "holds NaN or infinite values"
        if self.low is not None and array.min() < self.low:
            return f"holds {array.min()}"
        return None


SPACING = Wanted(1, low=1e-3)  # of voxels, mm
TEXT = Wanted(0, "U")  # a text, as `np.savez` keeps one
NUMBER = Wanted(0)


def write_arrays(path: Path, **arrays: np.ndarray | str) -> None:
    """Write a compressed .npz whole or not at all. Raises OutputError."""
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub takes the keywords for allow_pickle


def read_arrays(
    source: Path | bytes,
    wanted: Mapping[str, Wanted],
    what: str = "",
    *,
    remedy: str = "make it again",
    most: int = MOST_BYTES,
) -> dict[str, np.ndarray]:
    """The `wanted` arrays by name, of a .npz file or its content. Raises InputError, which ends with `remedy`."""
    what = what or (str(source) if isinstance(source, Path) else "arrays")
    content = bytes_of(source, what, kind="a .npz file", most=most) if isinstance(source, Path) else source
    arrays = all_arrays(content, what, remedy=remedy, most=most, names=wanted)
    for name, one in wanted.items():
        if reason := one.wrong(arrays[name]):
            raise InputError(f"{what}: array '{name}' {reason}; {remedy}")
    return arrays


def all_arrays(
    content: bytes, what: str, *, remedy: str, most: int = MOST_BYTES, names: Mapping[str, object] | None = None
) -> dict[str, np.ndarray]:
    """Every array in the content of a .npz file, or those of the given names. Raises InputError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:  # np.load takes a .npy under any name
            size = sum(entry.file_size for entry in archive.infolist())
        if size > most:
            raise InputError(f"{what}: holds {size} bytes, more than {most}; {remedy}")
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            if missing := sorted(set(names or ()) - set(data.files)):
                raise InputError(f"{what}: no array '{missing[0]}' in it; {remedy}")
            return {name: data[name] for name in (data.files if names is None else names)}
    except Exception as error:  # whatever zipfile, zlib and numpy's parser of headers make of damage
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what}: damaged ({' '.join(str(error).split())[:200]}); {remedy}") from error
