"""What differs between two arrays of one grid, as few bytes, and the way back: exact for integers of any kind."""

from __future__ import annotations

import io
import lzma
from collections.abc import Mapping
from typing import Any

import numpy as np

from synth.files.arrays import all_arrays
from synth.files.compressed import unxz

_GAPS, _PLANES = "gaps", "planes"
_ARRAYS, _VOXEL_BYTES, _HEADS = 3, 4 + 2, 4096  # of a case: CT, organs, lesions; where and by how much; zip and npy


def difference(before: np.ndarray, after: np.ndarray) -> dict[str, np.ndarray]:
    """Where and by how much `after` differs, both (X, Y, Z) of one integer type.

    gaps: distances between changed voxels in Fortran order, uint32. planes: the differences modulo their range, one
    row a byte, since the high bytes of small differences are alike and pack to nothing.
    """
    if before.shape != after.shape or before.dtype != after.dtype:
        raise ValueError(
            f"{before.dtype} {before.shape} and {after.dtype} {after.shape} are no two states of one array"
        )
    at = np.flatnonzero((before != after).ravel(order="F"))
    where = np.unravel_index(at, before.shape, order="F")
    unsigned = np.dtype(f"<u{after.dtype.itemsize}")
    changes = after[where].astype(unsigned) - before[where].astype(unsigned)
    planes = changes.view(np.uint8).reshape(-1, unsigned.itemsize).T
    return {_GAPS: np.diff(at, prepend=0).astype("<u4"), _PLANES: np.ascontiguousarray(planes)}


def applied(before: np.ndarray, patch: Mapping[str, np.ndarray]) -> np.ndarray:
    """A copy of `before` with a difference added to it. Raises ValueError where the two do not belong together."""
    unsigned = np.dtype(f"<u{before.dtype.itemsize}")
    gaps, planes = patch[_GAPS], patch[_PLANES]
    if gaps.dtype.kind != "u" or gaps.ndim != 1 or planes.dtype != np.uint8 or len(gaps) > before.size:
        raise ValueError("the patch is of another array")
    at = np.cumsum(gaps, dtype=np.int64)
    if planes.shape != (unsigned.itemsize, len(at)) or (len(at) and (at.min() < 0 or at.max() >= before.size)):
        raise ValueError("the patch is of another array")
    after = np.array(before)
    where = np.unravel_index(at, before.shape, order="F")
    changes = np.ascontiguousarray(planes.T).view(unsigned).reshape(-1)
    after[where] = (before[where].astype(unsigned) + changes).astype(before.dtype)
    return after


def packed(patches: Mapping[str, Mapping[str, np.ndarray]]) -> bytes:
    """Named patches as the content of one file; the same patches give the same bytes."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f"{name}.{part}": a for name, patch in patches.items() for part, a in patch.items()}
    np.savez(buffer, **arrays)
    return lzma.compress(buffer.getvalue(), preset=6)


def unpacked(content: bytes, voxels: int, what: str) -> dict[str, dict[str, np.ndarray]]:
    """The patches in the content of a file, of arrays of so many voxels. Raises InputError where it is damaged."""
    most = _ARRAYS * (_VOXEL_BYTES * voxels + _HEADS)
    patches: dict[str, dict[str, np.ndarray]] = {}
    arrays = all_arrays(unxz(content, most, what), what, remedy="copy the case again", most=most)
    for key, array in arrays.items():
        name, _, part = key.rpartition(".")
        patches.setdefault(name, {})[part] = array
    return patches
