"""Sizes that MAISI's mask model is told: five organs of the abdomen, and no tumour, for findings are put in later.

A size is 0 to 1 of what was usual in its training patients, -1 is an organ that the field does not show. Its release
has a table of these patients, `all_anatomy_size_conditions.json`: one of them is drawn. Without it each organ is drawn
between the 10th and the 90th percentile of 97 patients of the table of MONAI's bundle that have all five, up to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synth.errors import InputError
from synth.files.documents import read_json

SIZED = ("gallbladder", "liver", "stomach", "pancreas", "colon")
TUMOURS = ("lung_tumour", "pancreas_tumour", "liver_tumour", "colorectum_tumour", "bone_lesion")
ABSENT = -1.0
TABLES = (
    "all_anatomy_size_conditions.json",
    *(
        f"{place}/all_anatomy_size_con{word}.json"
        for place in ("datasets", "configs")
        for word in ("ditions", "dtions")
    ),
)  # as NV-Generate-CT and the bundle (which leaves two letters out) have it, and an imported folder
_USUAL = ((0.05, 0.7), (0.3, 0.9), (0.1, 0.95), (0.4, 0.9), (0.15, 1.0))
_KEY = "organ_size"
_LARGEST = 100.0  # of what a table may say
_REMEDY = "copy it again, or leave it out"


@dataclass(frozen=True)
class Sizes:
    """Whence sizes are drawn. table: (patients, 5), of those that have all five organs; file: that it is of."""

    table: np.ndarray | None = None
    file: Path | None = None

    @staticmethod
    def of(folder: Path) -> Sizes:
        """Those of a folder of weights. Raises InputError where it has a table that is none."""
        file = next((folder / name for name in TABLES if (folder / name).is_file()), None)
        return Sizes() if file is None else Sizes(_read(file), file)

    def draw(self, rng: np.random.Generator) -> tuple[float, ...]:
        """Ten numbers: of `SIZED`, then of `TUMOURS`, which are absent."""
        known = self.table
        organs = rng.uniform(*np.transpose(_USUAL)) if known is None else known[rng.integers(len(known))]
        return (*(round(float(size), 6) for size in organs), *(ABSENT,) * len(TUMOURS))


def told(sizes: Sequence[float]) -> dict[str, float]:
    """Name -> size, of what is not absent, for a manifest."""
    return {name: size for name, size in zip((*SIZED, *TUMOURS), sizes, strict=True) if size != ABSENT}


def _read(file: Path) -> np.ndarray:
    rows = read_json(file, remedy=_REMEDY)
    if not isinstance(rows, list):
        raise InputError(f"{file}: is no list of patients; {_REMEDY}")
    patients = np.array([_sizes(row, number, file) for number, row in enumerate(rows, 1)]).reshape(-1, 10)
    organs = patients[:, : len(SIZED)]
    whole = organs[((organs >= 0) & (organs <= 1)).all(axis=1)]
    if not len(whole):
        raise InputError(f"{file}: no patient in it has all of {', '.join(SIZED)} between 0 and 1; {_REMEDY}")
    return whole


def _sizes(row: Any, number: int, file: Path) -> list[float]:
    sizes = row.get(_KEY) if isinstance(row, dict) else None
    if not isinstance(sizes, list) or len(sizes) != len(SIZED) + len(TUMOURS) or not all(map(_is_size, sizes)):
        raise InputError(f"{file}: patient {number} has no {_KEY} of ten numbers, each 0 or more or -1; {_REMEDY}")
    return [float(size) for size in sizes]


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and (value == ABSENT or 0 <= value < _LARGEST)
