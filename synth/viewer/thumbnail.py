"""A small picture of a case for the gallery: the axial slice that shows its findings best, with these outlined."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from synth.case.folder import read_case
from synth.volumes import labels, planes

_SIDE = 192  # pixels


def thumbnail(folder: Path) -> bytes:
    """A PNG of 192 x 192 pixels. Raises InputError where the case cannot be read."""
    ras = planes.ras_case(read_case(folder)[0])
    lesions = planes.lesions_of(ras)
    at, box = planes.slices_through(ras, lesions), planes.body_box(ras)
    view = planes.cut(ras, "axial", at, box)
    shown = [lesion for lesion in lesions if (view.lesions == lesion.id).any()]
    return _png(_picture(view, planes.window_of(ras, shown[0]) if shown else planes.SOFT_TISSUE))


def _picture(view: planes.Plane, window: planes.Window) -> np.ndarray:
    """(192, 192, 3) uint8: grey values in the middle of a black square, and the edges of findings in their colours."""
    wide, high = view.size_mm
    scale = _SIDE / max(wide, high)
    rows, columns = (max(1, round(mm * scale)) for mm in (high, wide))
    index = tuple((np.arange(n) + 0.5) * size / n for n, size in zip((rows, columns), view.hu.shape, strict=True))
    near = np.ix_(*(i.astype(int) for i in index))
    grey = np.clip((view.hu[near] - window[0]) / (window[1] - window[0]), 0, 1) * 255
    small = np.repeat(grey[::-1, :, None], 3, axis=2).astype(np.uint8)  # row 0 of a plane is at the bottom
    ids = view.lesions[near][::-1]
    for number in np.unique(ids[ids > 0]):
        colour = labels.LESION_COLOURS[(int(number) - 1) % len(labels.LESION_COLOURS)]
        small[_edge(ids == number)] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    square = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    top, left = (_SIDE - rows) // 2, (_SIDE - columns) // 2
    square[top : top + rows, left : left + columns] = small
    return square


def _edge(inside: np.ndarray) -> np.ndarray:
    """Where a mask touches what it is not."""
    wide = np.pad(inside, 1)
    return inside & ~(wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:])


def _png(pixels: np.ndarray) -> bytes:
    """RGB pixels (rows, columns, 3) uint8 as a PNG (W3C, Portable Network Graphics, third edition)."""
    rows, columns = pixels.shape[:2]
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)], axis=1)  # filter 0: as it is
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(c)) + kind + c + struct.pack(">I", zlib.crc32(kind + c)) for kind, c in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
