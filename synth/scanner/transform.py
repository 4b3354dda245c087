"""Scand: a sample as a worse scanner would have given it, drawn anew each time it is loaded. A MONAI transform."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable

from synth.errors import InputError
from synth.scanner.scan import scan_in_place
from synth.scanner.settings import ScannerSettings, settings_of
from synth.volumes import labels
from synth.volumes.types import HU_MAX, HU_MIN, LabelMap, Volume


class Scand(Randomizable, MapTransform):
    """Scan a CT again with one of several settings, drawn for each sample; the grid stays, and so do masks.

    Reads `data[keys]`, (1, X, Y, Z) in HU; writes the scanned CT to `data[scan_key]`, as the same type. With metal,
    `data[organs_key]` says where it goes. Chance comes from `self.R` alone (`set_random_state`).

    Args:
        keys: the key of the CT.
        settings: ScannerSettings or tables of their fields: `[{"dose": 0.25}, {"views": 90}]`.
        scan_key: where the scanned CT goes; over the CT itself when left out.
        organs_key: key of organ labels (1, X, Y, Z), for metal.
        names: label id -> TotalSegmentator name; the project's own table when left out.
        prob: probability that a sample is scanned; otherwise the CT is handed on as it is.
        allow_missing_keys: see MapTransform.
    """

    def __init__(
        self,
        keys: KeysCollection,
        settings: Sequence[ScannerSettings | Mapping[str, Any]],
        scan_key: Hashable | None = None,
        organs_key: Hashable = "organs",
        names: Mapping[int, str] | None = None,
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if len(self.keys) != 1:
            raise InputError(f"Scand: keys {self.keys}: give one, the CT's")
        if not settings or not 0 <= prob <= 1:
            raise InputError("Scand: give settings, and a prob from 0 to 1")
        self.settings = tuple(_checked(one) for one in settings)
        self.scan_key, self.organs_key = scan_key, organs_key
        self.names = dict(names or labels.names())
        self.prob = prob
        self._chosen: tuple[ScannerSettings, int] | None = None

    def randomize(self, data: Any = None) -> None:
        """Draw whether a sample is scanned, with which settings, and the seed of its noise."""
        happens = self.R.random_sample() < self.prob
        index, seed = int(self.R.randint(len(self.settings))), int(self.R.randint(2**31 - 1))
        self._chosen = (self.settings[index], seed) if happens else None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample with its scan."""
        out = dict(data)
        self.randomize()
        key = next(iter(self.key_iterator(out)), None)
        if key is None:
            return out
        out[key if self.scan_key is None else self.scan_key] = self._scanned(out[key], out)
        return out

    def _scanned(self, image: Any, data: Mapping[Hashable, Any]) -> Any:
        if self._chosen is None:
            return image
        settings, seed = self._chosen
        affine = image.affine.numpy().astype(float) if isinstance(image, MetaTensor) else np.eye(4)
        ct = Volume(np.rint(np.asarray(image)[0]).clip(HU_MIN, HU_MAX).astype(np.int16), affine)
        organs = None
        if settings.metal:
            if self.organs_key not in data:
                raise InputError(f"Scand: metal '{settings.metal}' needs organ labels under '{self.organs_key}'")
            organs = LabelMap(np.asarray(data[self.organs_key])[0].astype(np.uint16), affine, self.names)
        hu = scan_in_place(ct, settings, seed, organs).ct.hu[None]
        if not isinstance(image, torch.Tensor):
            return hu.astype(np.asarray(image).dtype)
        tensor = torch.from_numpy(hu).to(image.dtype)
        return MetaTensor(tensor, affine=image.affine) if isinstance(image, MetaTensor) else tensor


def _checked(one: ScannerSettings | Mapping[str, Any]) -> ScannerSettings:
    return one if isinstance(one, ScannerSettings) else settings_of(one, "Scand: settings")
