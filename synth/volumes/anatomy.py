"""What can be believed of a labelled structure (anatomy.csv): attenuation, volume, place, and how its outline looks.

The limits are wide on purpose: the fattest liver, the arterial aorta and the largest spleen that radiology describes
lie within them. Volumes and places are of adults. Places were measured on LIDC-IDRI-0001 where its field of view holds
the structure whole, and are those of an average adult elsewhere; only their order is ever used. No torch here.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

INF = float("inf")


@dataclass(frozen=True)
class Believable:
    """One row of anatomy.csv.

    hu: median attenuation, HU; ml: volume in mL, the lower end for a structure that the field of view holds whole;
    place: mm to the right of the midline, in front of the spinal canal and above the 12th thoracic vertebra, None
    where a structure is too long or too mobile to have one; edge: 1 where the structure is brighter than what
    surrounds it, -1 where it is darker, 0 where that differs.
    """

    name: str
    hu: tuple[float, float]
    ml: tuple[float, float]
    place: tuple[float | None, float | None, float | None]
    edge: int


@cache
def table() -> dict[str, Believable]:
    """Name of a structure of labels.csv -> what can be believed of it."""
    text = resources.files("synth.volumes").joinpath("anatomy.csv").read_text(encoding="utf-8")
    return {row["name"]: _of(row) for row in csv.DictReader(text.splitlines())}


def _of(row: dict[str, str]) -> Believable:
    return Believable(
        row["name"],
        (float(row["hu_low"]), float(row["hu_high"])),
        (float(row["ml_low"] or 0), float(row["ml_high"] or INF)),
        (_number(row["x_mm"]), _number(row["y_mm"]), _number(row["z_mm"])),
        int(row["edge"] or 0),
    )


def _number(cell: str) -> float | None:
    return float(cell) if cell else None
