"""Views: where source and detector stand. World coordinates are RAS mm; a film's rows run down, its columns right."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from synth.errors import InputError
from synth.volumes.geometry import world_of
from synth.volumes.types import Volume

SOURCE_DETECTOR_MM = 1800.0  # of a chest stand
MIN_DETECTOR, MAX_DETECTOR = 32, 4096
_GAP_MM = 40.0  # between body and detector
_MARGIN = 1.04  # of the body's outline, where the field is not given
_BODY_HU = -300
_STRAY = 0.005  # of the fullest plane: less is a table's edge or a tube
_ANGLES = re.compile(r"([-+]?\d+(?:\.\d+)?)(?:,([-+]?\d+(?:\.\d+)?))?")

# Direction of the beam, of the columns and of the rows. Films hang as radiologists hang them: the patient's right on
# the left of the film, the front of a lateral on its left.
_NAMED = {
    "ap": ((0, -1, 0), (-1, 0, 0), (0, 0, -1)),
    "pa": ((0, 1, 0), (-1, 0, 0), (0, 0, -1)),
    "lateral": ((-1, 0, 0), (0, -1, 0), (0, 0, -1)),  # from the right, with the heart near the detector
}


@dataclass(frozen=True)
class Camera:
    """A pinhole: `source` (3,) mm; directions (3,) of the beam's middle, the columns and the rows; square pixels.

    detector: pixels along either side. pixel_mm: on the detector, `distance_mm` from the source.
    """

    name: str
    source: np.ndarray
    beam: np.ndarray
    columns: np.ndarray
    rows: np.ndarray
    detector: int
    pixel_mm: float
    distance_mm: float = SOURCE_DETECTOR_MM

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Where points (..., 3) in RAS mm fall, (..., 2) as column and row; pixel 0 reaches from 0 to 1."""
        ray = points - self.source
        scale = self.distance_mm / (ray @ self.beam) / self.pixel_mm
        across = np.stack([ray @ self.columns, ray @ self.rows], axis=-1)
        return across * scale[..., None] + self.detector / 2

    def magnification(self, point: np.ndarray) -> float:
        """How much larger a thing at a point (3,) is on the detector."""
        return self.distance_mm / float((point - self.source) @ self.beam)

    def pose(self) -> np.ndarray:
        """Camera to world, (4, 4): x along the columns, y along the rows, z along the beam, from the source."""
        matrix = np.eye(4)
        matrix[:3] = np.stack([self.columns, self.rows, self.beam, self.source], axis=1)
        return matrix

    def told(self) -> dict[str, object]:
        """As JSON values."""
        vectors = {name: getattr(self, name).round(4).tolist() for name in ("source", "beam", "columns", "rows")}
        numbers = {"detector": self.detector, "pixel_mm": round(self.pixel_mm, 5), "distance_mm": self.distance_mm}
        return {**vectors, **numbers}


def camera(
    ct: Volume, view: str, detector: int, field_mm: float | None = None, centre: np.ndarray | None = None
) -> Camera:
    """The camera of a view; it looks at the middle of the body and shows all of it unless told otherwise.

    view: ap, pa, lateral, or ANGLES: degrees of the source towards the patient's left and, after a comma, the head.
    field_mm: side of the detector. centre: a point in RAS mm. Raises InputError.
    """
    require_detector(detector, field_mm)
    beam, columns, rows = directions(view)
    body = _body(ct)
    aim = (body.min(axis=0) + body.max(axis=0)) / 2 if centre is None else np.asarray(centre, float)
    behind = float(((body - aim) @ beam).max()) + _GAP_MM
    source = aim - beam * (SOURCE_DETECTOR_MM - behind)
    if float(((body - source) @ beam).min()) <= 0:
        raise InputError(f"--view {view}: the body reaches behind the source; choose a --centre inside it")
    unit = Camera(view, source, beam, columns, rows, 1, 1.0)
    on_detector = unit.pixels(body) - 0.5  # mm from the detector's middle
    field = field_mm or 2 * _MARGIN * float(np.abs(on_detector).max())
    if (on_detector.min(axis=0) > field / 2).any() or (on_detector.max(axis=0) < -field / 2).any():
        raise InputError(f"--view {view}: the detector misses the body; choose another --centre or a larger --field-mm")
    return Camera(view, source, beam, columns, rows, detector, field / detector)


def require_detector(detector: int, field_mm: float | None) -> None:
    """Raise InputError for pixels or a side that no detector has."""
    if not MIN_DETECTOR <= detector <= MAX_DETECTOR:
        raise InputError(f"--detector {detector}: ask for {MIN_DETECTOR} to {MAX_DETECTOR} pixels")
    if field_mm is not None and not (field_mm > 0 and math.isfinite(field_mm)):
        raise InputError(f"--field-mm {field_mm:g}: ask for the side of the detector in mm, such as 430")


def directions(view: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the beam, the columns and the rows. Raises InputError."""
    if view in _NAMED:
        beam, columns, rows = (np.array(v, float) for v in _NAMED[view])
        return beam, columns, rows
    found = _ANGLES.fullmatch(view)
    if not found or abs(float(found[1])) > 180 or abs(float(found[2] or 0)) > 60:
        raise InputError(
            f"--view '{view}': say ap, pa, lateral, or degrees to the left and to the head, such as 30,-10 "
            "(180 and 60 at most)"
        )
    left, head = (math.radians(float(text or 0)) for text in found.groups())
    source = np.array([-math.sin(left) * math.cos(head), math.cos(left) * math.cos(head), math.sin(head)])
    columns = np.array([-math.cos(left), -math.sin(left), 0.0])
    rows = -np.array([math.sin(left) * math.sin(head), -math.cos(left) * math.sin(head), math.cos(head)])
    return -source, columns, rows


def _body(ct: Volume) -> np.ndarray:
    """Corners of the box about the body along the volume's axes, RAS mm, (8, 3)."""
    inside = ct.hu > _BODY_HU
    if not inside.any():
        raise InputError("xray: nothing in the CT is above -300 HU; hand over a CT of a body")
    ends = []
    for axis in range(3):
        number = inside.sum(axis=tuple(other for other in range(3) if other != axis))
        index = np.flatnonzero(number > _STRAY * number.max())
        ends.append((index[0] - 0.5, index[-1] + 0.5))
    return world_of(np.array(np.meshgrid(*ends)).reshape(3, -1).T, ct.affine)
