"""Run the feature network and the measurements over volumes, once for each file content."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from evals import statistics
from evals.cache import Cache
from evals.networks import FeatureNetwork
from evals.protocol import PLANES, Protocol
from evals.statistics import Measured
from evals.volumes import ReadVolume, UsableVolume, read

T = TypeVar("T")
_WORKERS = min(4, os.cpu_count() or 1)  # volumes in memory at once
_THUMB = 64  # voxels a side at most


@dataclass(frozen=True)
class Features:
    """Of one volume: `slices` plane -> (slices, d); `thumb` HU (x, y, z) float32, block means of its grid."""

    slices: Mapping[str, np.ndarray]
    thumb: np.ndarray

    @property
    def descriptor(self) -> np.ndarray:
        """One vector a volume (3 d,): the mean over the slices of each plane."""
        return np.concatenate([self.slices[plane].mean(axis=0) for plane in PLANES])


class Extractor:
    """Features and measurements of volumes through a cache."""

    def __init__(
        self,
        cache: Cache,
        protocol: Protocol,
        network: FeatureNetwork,
        organ_ids: Mapping[int, str] | None = None,
        on_volume: Callable[[], None] = lambda: None,
    ) -> None:
        self.cache, self.protocol, self.network = cache, protocol, network
        self.organ_ids, self.on_volume = organ_ids, on_volume

    def features(self, entries: Sequence[UsableVolume]) -> list[Features]:
        """Of each volume, in order."""
        method = f"features 1\n{self.protocol}\n{self.network.name}\n{self.network.weights_sha256}"
        return self._each(lambda entry: self._of(entry, method), entries)

    def _each(self, made: Callable[[UsableVolume], T], entries: Sequence[UsableVolume]) -> list[T]:
        """Of each volume, in order; the next are read while one is in work."""
        with ThreadPoolExecutor(_WORKERS) as pool:
            return list(pool.map(made, entries))

    def _of(self, entry: UsableVolume, method: str) -> Features:
        arrays = self.cache.get(entry.sha256, method, lambda: self._features(self._subject(entry)))
        self.on_volume()
        return Features({plane: arrays[plane] for plane in PLANES}, arrays["thumb"].astype(np.float32))

    def measured(self, entries: Sequence[UsableVolume]) -> list[Measured]:
        """Histograms, spectra and organs of each volume, in order."""
        return self._each(self._measured, entries)

    def _measured(self, entry: UsableVolume) -> Measured:
        arrays = self.cache.get(
            entry.sha256, statistics.VERSION, lambda: statistics.measure(self._subject(entry)).to_arrays()
        )
        return Measured.from_arrays(arrays)

    def _subject(self, entry: UsableVolume) -> ReadVolume:
        return read(entry.source, self.organ_ids)

    def _features(self, subject: ReadVolume) -> dict[str, np.ndarray]:
        arrays = {plane: self.network(stack) for plane, stack in self.protocol.stacks(subject)}
        return arrays | {"thumb": thumb(self.protocol.volume(subject)).astype(np.float16)}


def thumb(hu: np.ndarray, most: int = _THUMB) -> np.ndarray:
    """Block means (x, y, z), at most `most` voxels a side; the rest at the far ends is cut off."""
    factor = max(1, -(-max(hu.shape) // most))
    x, y, z = (max(1, n // factor) for n in hu.shape)
    part = hu[: x * factor, : y * factor, : z * factor]
    return part.reshape(x, min(factor, part.shape[0]), y, min(factor, part.shape[1]), z, -1).mean(axis=(1, 3, 5))
