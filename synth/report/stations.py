"""Lymph node stations of the mediastinum by planes, after the IASLC map (Rusch 2009, J Thorac Oncol 4:568).

The map's borders are vessels that few label maps hold, so they are told from trachea, aorta and lungs: upper from lower
paratracheal stations by the top of the aortic arch, those by the carina, left from right by the left border of the
trachea, as the map has it; what lies far in front of the trachea, behind it, beside the arch or at the hila by
distances that are assumed. Stations of single patients may be off by a centimetre: reports call them approximate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synth.report.location import Box, points_of
from synth.volumes.types import LabelMap

STATIONS = ("1R", "1L", "2R", "2L", "3A", "3P", "4R", "4L", "5", "6", "7", "8", "9R", "9L", "10R", "10L")
_IN_FRONT_MM, _BEHIND_MM = 26.0, -14.0  # of the middle of the trachea: prevascular, retrotracheal
_AORTIC_MM = 22.0  # to the left of the trachea's left border: beyond the arch's inner side
_HILAR_MM = 24.0  # from the middle, below the carina
_SUBCARINAL_MM, _HILUM_MM = 38.0, 45.0  # below the carina: how far stations 7 and 10 reach
_MAX_POINTS = 20_000


@dataclass(frozen=True)
class Stations:
    """Borders in RAS mm: heights of lung tops, arch and carina; the middle of the trachea by height, (N, 3) points from
    low to high, and its radius."""

    apex: float
    arch: float
    carina: float
    trachea: np.ndarray
    radius: float

    @classmethod
    def of(cls, trachea: np.ndarray, aorta: np.ndarray, lungs: np.ndarray) -> Stations:
        """From RAS mm of the voxels of each, (N, 3)."""
        levels = np.unique(np.round(trachea[:, 2], 1))
        rows = [trachea[np.abs(trachea[:, 2] - z) < 0.06] for z in levels]
        widths = np.array([np.ptp(row[:, 0]) for row in rows])
        usual = float(np.median(widths))
        forked = widths > 1.8 * max(usual, 1.0)  # main bronchi are part of some labels
        low = int(np.flatnonzero(forked).max()) + 1 if forked.any() else 0
        line = np.array([row.mean(axis=0) for row in rows[low:]]) if low < len(rows) else trachea.mean(axis=0)[None]
        return cls(
            apex=float(lungs[:, 2].max()),
            arch=float(aorta[:, 2].max()),
            carina=float(line[0, 2]),
            trachea=line,
            radius=max(usual / 2, 5.0),
        )

    def station(self, points: np.ndarray) -> np.ndarray:
        """Index into STATIONS of RAS points, (..., 3) -> (...); -1 where there is none, as in front of the heart."""
        points = np.asarray(points, float)
        x, y, z = np.moveaxis(points, -1, 0)
        middle = [np.interp(z, self.trachea[:, 2], self.trachea[:, axis]) for axis in (0, 1)]
        aside, ahead = x - middle[0], y - middle[1]  # right is +x
        right = aside > -self.radius  # the border is the trachea's left one
        front, behind = ahead > _IN_FRONT_MM, (ahead < _BEHIND_MM) & (np.abs(aside) < 2 * self.radius)
        lateral = aside < -self.radius - _AORTIC_MM
        lower = _where(front & lateral, "6", _where(front, "3A", _where(right, "4R", _where(lateral, "5", "4L"))))
        upper = _where(front, "3A", _where(right, "2R", "2L"))
        above = _where(z > self.apex, _where(right, "1R", "1L"), _where(behind, "3P", upper))
        hilar = _where(z > self.carina - _HILUM_MM, _sided(aside, "10"), _sided(aside, "9"))
        below = _where(np.abs(aside) > _HILAR_MM, hilar, _where(z > self.carina - _SUBCARINAL_MM, "7", "8"))
        below = np.where(front, -1, below)
        return np.where(z > self.arch, above, np.where(z > self.carina, _where(behind, "3P", lower), below))


def stations(organs: LabelMap, present: Mapping[str, tuple[int, Box]]) -> Stations | None:
    """The borders in a label map; None where trachea, aorta or lungs are not labelled."""
    lungs = [name for name in present if name.startswith("lung_") and name.endswith(("_left", "_right"))]
    if "trachea" not in present or "aorta" not in present or not lungs:
        return None

    def of(name: str) -> np.ndarray:
        number, box = present[name]
        return points_of(organs.ids[box] == number, box, organs.affine, None if name == "trachea" else _MAX_POINTS)

    return Stations.of(of("trachea"), of("aorta"), np.concatenate([of(name) for name in lungs]))


def _where(condition: np.ndarray, yes: np.ndarray | str, no: np.ndarray | str) -> np.ndarray:
    first, second = (STATIONS.index(one) if isinstance(one, str) else one for one in (yes, no))
    return np.where(condition, first, second)


def _sided(aside: np.ndarray, number: str) -> np.ndarray:
    return _where(aside > 0, f"{number}R", f"{number}L")
