"""Arrays kept by what they were made from, so that an evaluation goes on where it stopped."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from synth.provenance import sha256

CACHE_ENV = "SYNTHCT_CACHE"
Arrays = Mapping[str, np.ndarray]


def default_folder() -> Path:
    """`$SYNTHCT_CACHE`, else ~/.cache/synthct."""
    return Path(os.environ.get(CACHE_ENV) or Path.home() / ".cache" / "synthct")


class Cache:
    """Named arrays under a key of contents (file hash) and method (everything else that they depend on)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hits = self.misses = 0

    def get(self, content: str, method: str, make: Callable[[], Arrays]) -> dict[str, np.ndarray]:
        """What was kept, or what `make` gives now. A damaged file is made again. Raises OSError."""
        key = sha256(f"{content}\n{method}".encode())
        path = self.folder / key[:2] / f"{key}.npz"
        if (kept := _load(path)) is not None:
            self.hits += 1
            return kept
        self.misses += 1
        arrays = dict(make())
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{key}.{os.getpid()}.npz")
        try:
            np.savez(partial, **arrays)  # type: ignore[arg-type]  # its stub takes the keywords for allow_pickle
            partial.replace(path)  # whole or not there, whoever else writes the same
        finally:
            partial.unlink(missing_ok=True)
        return arrays


def _load(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path) as data:
            return dict(data)
    except (FileNotFoundError, ValueError, EOFError, zipfile.BadZipFile, KeyError):
        return None
