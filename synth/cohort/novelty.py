"""Novelty: whether a generated volume is the copy of a patient of a reference set.

Compared are block means of HU at 16 mm over the whole frame, 15,360 numbers a volume, by RMS difference; each patient
counts by the nearer of itself and its mirror image, since training mirrors. The distance alone misleads: a smooth
volume is nearer to everyone. So it is divided by the mean distance to the next four patients, as
`synthct evaluate memorization` does: near 1 nobody stands out, 0 is a copy.

    python -m synth.cohort.novelty PREPARED --out reference.npz     # PREPARED: a split of `synthct prepare`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from synth.errors import InputError
from synth.failure import ended
from synth.files.arrays import NUMBER, Wanted, read_arrays
from synth.files.whole import whole_file
from synth.regions import shipped
from synth.regions.frame import BASE_SPACING_MM
from synth.volumes.types import Volume

NEXT = 4  # neighbours after the nearest
_QUANTILE = 0.01  # of patients among themselves: so seldom is a new patient taken for a copy
_FORMAT = 1


@dataclass(frozen=True)
class Reference:
    """Block means of patients, (P, X, Y, Z) float32 HU at 16 mm, and the least ratio that is no copy."""

    blocks: np.ndarray
    limit: float

    def ratio(self, ct: Volume) -> float:
        """Nearest patient over the mean of the next four. Raises InputError where the CT is on another frame."""
        return float(_ratios(self.distances(blocks_of(ct))[None])[0])

    def distances(self, blocks: np.ndarray) -> np.ndarray:
        """RMS difference in HU of one volume's blocks (X, Y, Z) to each patient, (P,)."""
        if blocks.shape != self.blocks.shape[1:]:
            raise InputError(
                f"gates.reference: its blocks are {self.blocks.shape[1:]}, the case's {blocks.shape}; "
                "build the reference from patients of the same frame"
            )
        plain, mirrored = (np.square(self.blocks - b).mean(axis=(1, 2, 3)) for b in (blocks, blocks[::-1]))
        return np.sqrt(np.minimum(plain, mirrored))


def blocks_of(ct: Volume) -> np.ndarray:
    """Means over blocks of 16 mm, float32 HU. Raises InputError for a spacing that does not divide them."""
    factor = round(BASE_SPACING_MM / float(ct.spacing[0]))
    if not np.allclose(ct.spacing * factor, BASE_SPACING_MM, atol=1e-3) or any(n % factor for n in ct.hu.shape):
        raise InputError(f"gates.reference: a CT of spacing {ct.spacing.round(3).tolist()} mm is on no frame of ours")
    x, y, z = (n // factor for n in ct.hu.shape)
    return ct.hu.reshape(x, factor, y, factor, z, factor).mean(axis=(1, 3, 5), dtype=np.float32)


def build(prepared: Path) -> Reference:
    """The reference of the patients of a prepared folder (`synthct prepare`). Raises InputError.

    The limit is the first percentile of the patients' own ratios, each against the others.
    """
    from synth.data.dataset import load_subjects
    from synth.data.prepare import PREPARED_SPACING_MM

    subjects = load_subjects(prepared)
    if len(subjects) < NEXT + 2:
        raise InputError(f"{prepared}: {len(subjects)} patients; a reference needs {NEXT + 2} or more")
    affine = shipped().frame.affine_at(PREPARED_SPACING_MM)
    found = Reference(np.stack([blocks_of(Volume(s.hu, affine)) for s in subjects]), 0.0)
    distances = np.stack([found.distances(blocks) for blocks in found.blocks])
    np.fill_diagonal(distances, np.inf)
    return Reference(found.blocks, float(np.quantile(_ratios(distances), _QUANTILE)))


def save(reference: Reference, path: Path) -> None:
    """Write a reference, block means in half precision. Raises OutputError."""
    with whole_file(path) as partial, partial.open("wb") as file:
        blocks = reference.blocks.astype(np.float16)
        np.savez_compressed(file, format=_FORMAT, blocks=blocks, limit=reference.limit)


@lru_cache(maxsize=2)
def load(path: Path) -> Reference:
    """The reference in a file; it is read once a process. Raises InputError."""
    if not path.is_file():
        raise InputError(f"gates.reference: {path}: no such file; python -m synth.cohort.novelty builds it")
    try:
        data = read_arrays(path, {"format": NUMBER, "blocks": Wanted(4), "limit": NUMBER}, remedy="build it again")
        if int(data["format"]) != _FORMAT:
            raise ValueError(f"format {data['format']}")
        return Reference(data["blocks"].astype(np.float32), float(data["limit"]))
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"gates.reference: {path}: no reference ({error}); build it again") from error


def _ratios(distances: np.ndarray) -> np.ndarray:
    """(N, P) distances -> (N,): nearest over the mean of the next."""
    nearest = np.sort(distances, axis=1)[:, : 1 + NEXT]
    return nearest[:, 0] / np.maximum(nearest[:, 1:].mean(axis=1), 1e-9)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a reference; the exit code."""
    return ended(_build, "synth.cohort.novelty", arguments)


def _build(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m synth.cohort.novelty", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("prepared", type=Path, help="split of patients that `synthct prepare` wrote")
    parser.add_argument("--out", type=Path, default=Path("reference.npz"))
    args = parser.parse_args(arguments)
    reference = build(args.prepared)
    save(reference, args.out)
    print(f"{args.out}: {len(reference.blocks)} patients, a ratio below {reference.limit:.3f} is a copy")


if __name__ == "__main__":
    sys.exit(main())
