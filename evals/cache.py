"""Arrays kept by what they were made from, so that an evaluation goes on where it stopped."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from synth.errors import InputError, OutputError
from synth.files.arrays import MOST_BYTES, all_arrays
from synth.files.content import bytes_of
from synth.files.whole import whole_file
from synth.provenance import sha256

CACHE_ENV = "SYNTHCT_CACHE"
Arrays = Mapping[str, np.ndarray]

logger = logging.getLogger(__name__)


def default_folder() -> Path:
    """`$SYNTHCT_CACHE`, else ~/.cache/synthct. Raises InputError where this user has no home."""
    if folder := os.environ.get(CACHE_ENV):
        return Path(folder)
    try:
        return Path.home() / ".cache" / "synthct"
    except RuntimeError as error:
        raise InputError(f"no home folder to keep features in; set ${CACHE_ENV} or give --cache") from error


class Cache:
    """Named arrays under a key of contents (file hash) and method (everything else that they depend on)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hits = self.misses = 0
        self._counting = threading.Lock()
        self._cannot_keep = False

    def get(self, content: str, method: str, make: Callable[[], Arrays]) -> dict[str, np.ndarray]:
        """What was kept, or what `make` gives now. A damaged file is made again."""
        key = sha256(f"{content}\n{method}".encode())
        path = self.folder / key[:2] / f"{key}.npz"
        if (kept := _load(path)) is not None:
            self._count(hits=1)
            return kept
        self._count(misses=1)
        arrays = dict(make())
        self._keep(path, arrays)
        return arrays

    def _count(self, hits: int = 0, misses: int = 0) -> None:
        with self._counting:  # several threads ask
            self.hits, self.misses = self.hits + hits, self.misses + misses

    def _keep(self, path: Path, arrays: Arrays) -> None:
        """Whole or not there, whoever else writes the same; where it cannot be kept it is made anew each time."""
        if self._cannot_keep:
            return
        try:
            with whole_file(path) as partial, partial.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes the keywords for allow_pickle
        except OutputError as error:
            self._cannot_keep = True
            reason = str(error).removeprefix(f"{path}: ").split(";")[0]
            logger.warning("%s: features are not kept (%s); set $%s or give --cache", self.folder, reason, CACHE_ENV)


def _load(path: Path) -> dict[str, np.ndarray] | None:
    if not path.is_file():
        return None
    try:
        return all_arrays(bytes_of(path, most=MOST_BYTES), str(path), remedy="remove it")
    except InputError:
        return None
