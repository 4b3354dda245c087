"""Do these labels belong to this CT? Attenuation, volume, place and outline of every named structure, against anatomy.

A wrong label map (shifted, flipped, another table's ids, left for right) would give reports that measure a spleen of
11 litres and lesions in the wrong organ. What is found is refused with its figures; `trust` turns that into a note.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from synth.errors import InputError
from synth.volumes import anatomy
from synth.volumes.anatomy import Believable
from synth.volumes.geometry import world_of
from synth.volumes.label_fit import misfit
from synth.volumes.labels import mirror
from synth.volumes.types import LabelMap, Volume

_LOOKED_AT = 3_000_000  # voxels: a larger volume is thinned
_FEWEST = 30  # voxels, and
_LEAST_ML = 0.3  # mL: a smaller piece is the rim of a structure
_SHOWN = 3  # findings in one line
_BODY_HU = -300
_AIR_HU = -500
_MOST_AIR = 0.15  # share of a solid organ that may be air: breath blurs lung into the dome of a liver, and no more
_SOLID = (
    *("liver", "spleen", "pancreas", "kidney_left", "kidney_right", "heart", "aorta", "brain"),
    *("autochthon_left", "autochthon_right", "iliopsoas_left", "iliopsoas_right"),
    *("gluteus_maximus_left", "gluteus_maximus_right"),
)
_OPEN_SIDE = 0.3  # share of body in a face of the volume, beside its share of all, with which it goes on beyond it
_BODY_MM = 300.0  # a volume with an open side shows the middle of the body where it is so wide
_FAR_OUT = 80.0  # mm from the midline: a structure that lies there never reaches across it
_BODY = Believable("the body's midline", (0, 0), (0, anatomy.INF), (0.0, None, None), 0)

# Two structures are compared along an axis where anatomy sets them at least so far apart, and are in the wrong order
# where they lie at least so far the other way, in mm: left-right, back-front, feet-head.
_APART = (40.0, 70.0, 100.0)
_INVERTED = (10.0, 15.0, 25.0)
_SIDES = (("left of", "right of"), ("behind", "in front of"), ("below", "above"))

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Seen:
    """One structure as labelled: median HU, share of air, mL, centre in RAS mm, whether the field of view cuts it."""

    expected: Believable
    median: float
    ml: float
    centre: np.ndarray
    cut: bool
    air: float = 0.0


def require_match(
    ct: Volume,
    labels: LabelMap,
    what: str,
    *,
    trust: bool = False,
    remedy: str = "--trust-labels",
    placed: bool = True,
) -> None:
    """Raise InputError, naming `what`, where labels do not belong to the CT; with `trust` that is a note.

    `remedy`: how a caller says that they are trusted. `placed`: whether the affine is known; without it, neither size
    nor side is judged.
    """
    found = contradictions(ct, labels, placed=placed)
    if not found:
        return
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    line = f"{what}: labels do not belong to this CT: {'; '.join(found[:_SHOWN])}{more}"
    if not trust:
        raise InputError(f"{line}; mend the files, name the ids rightly, or go on with {remedy}")
    logger.warning("%s; they are trusted all the same", line)


def contradictions(ct: Volume, labels: LabelMap, *, placed: bool = True) -> list[str]:
    """What labels (X, Y, Z) on the grid of a CT say that no patient shows, the plainest first."""
    seen = _seen(ct, labels)
    found = [line for one in seen for line in _attenuation(one)]
    if placed:
        found += [line for one in seen for line in _volume(one)]
        found += _misplaced(seen, _midline(ct, seen))
    if (line := misfit(ct, labels)) is not None:
        found.insert(min(len(found), _SHOWN - 1), line)
    return found


def out_of_place(labels: LabelMap) -> list[str]:
    """Structures that lie on the wrong side of others, as their names say; of labels (X, Y, Z) without a CT."""
    return _misplaced(_seen(Volume(np.zeros(labels.ids.shape, np.int16), labels.affine), labels), None)


def _seen(ct: Volume, labels: LabelMap) -> list[_Seen]:
    """Every named structure that has more than a rim, the largest first."""
    thin = max(1, int(np.ceil((ct.hu.size / _LOOKED_AT) ** 0.5)))
    order = np.argsort(ct.spacing)[:2]  # the two axes of finest spacing are thinned
    steps = tuple(thin if axis in order else 1 for axis in range(3))
    every = tuple(slice(None, None, step) for step in steps)
    ids, hu = labels.ids[every], ct.hu[every]
    known = np.array([i for i, name in labels.names.items() if name in anatomy.table()], dtype=np.int64)
    where = np.argwhere(np.isin(ids, known))
    numbers = ids[tuple(where.T)]
    order = np.argsort(numbers, kind="stable")
    where, numbers, values = where[order], numbers[order], hu[tuple(where[order].T)]
    edges = _on_border(labels.ids)
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    found = []
    stops = [*starts[1:], len(numbers)][: len(starts)]  # none where no label has a name
    for start, stop in zip(starts, stops, strict=True):
        number, ml = int(numbers[start]), (stop - start) * ct.voxel_ml * thin**2
        if stop - start >= _FEWEST and ml >= _LEAST_ML:
            centre = world_of(where[start:stop].mean(axis=0) * steps, ct.affine)
            expected = anatomy.table()[labels.names[number]]
            median, air = float(np.median(values[start:stop])), float((values[start:stop] < _AIR_HU).mean())
            found.append(_Seen(expected, median, ml, centre, number in edges, air))
    return sorted(found, key=lambda one: -one.ml)


def _on_border(ids: np.ndarray) -> set[int]:
    """Ids that touch a face of the volume."""
    faces = (np.moveaxis(ids, axis, 0)[end] for axis in range(3) for end in (0, -1))
    return {int(i) for face in faces for i in np.unique(face)}


def _attenuation(one: _Seen) -> Iterator[str]:
    low, high = one.expected.hu
    if not low <= one.median <= high:
        yield f"{one.expected.name} has a median of {one.median:.0f} HU (believable: {low:.0f} to {high:.0f})"
    elif one.expected.name in _SOLID and one.air > _MOST_AIR:
        yield f"{one.expected.name} is air in {100 * one.air:.0f}% of its voxels (below {_AIR_HU} HU)"


def _volume(one: _Seen) -> Iterator[str]:
    low, high = one.expected.ml
    if one.ml > high:
        yield f"{one.expected.name} holds {one.ml:.0f} mL (believable: up to {high:.0f})"
    if one.ml < low and not one.cut:
        yield f"{one.expected.name} holds {one.ml:.0f} mL (believable: from {low:.0f})"


def _midline(ct: Volume, seen: Sequence[_Seen]) -> _Seen | None:
    """The middle of the body from right to left, as a structure; None where the volume does not hold its width."""
    if not seen:
        return None
    thin = max(1, int((ct.hu.size / 1e6) ** (1 / 3)))
    body = ct.hu[::thin, ::thin, ::thin] > _BODY_HU
    axis = int(np.argmax(np.abs(ct.affine[0, :3])))
    sides = (float(np.moveaxis(body, axis, 0)[end].mean()) for end in (0, -1))
    if max(sides) > _OPEN_SIDE * float(body.mean()) and ct.hu.shape[axis] * ct.spacing[axis] < _BODY_MM:
        return None
    where = np.argwhere(body)
    if not len(where):
        return None
    middle = world_of(np.median(where, axis=0) * thin, ct.affine)
    return _Seen(_BODY, 0.0, 0.0, middle, cut=False)


def _misplaced(seen: Sequence[_Seen], midline: _Seen | None) -> list[str]:
    """Structures that lie on the wrong side of most of those that they can be compared with, or of their mirror."""
    found: list[str] = []
    for axis in range(3):
        wrong: dict[str, list[tuple[_Seen, _Seen]]] = {}
        compared: dict[str, int] = {}
        for a, b in combinations([*seen, *([midline] if midline else [])], 2):
            if (inverted := _inverted(a, b, axis)) is None:
                continue
            for one, other in ((a, b), (b, a)):
                compared[one.expected.name] = compared.get(one.expected.name, 0) + 1
                if inverted:
                    wrong.setdefault(one.expected.name, []).append((one, other))
        found += _most_wrong(wrong, compared, axis)
    return found


def _inverted(a: _Seen, b: _Seen, axis: int) -> bool | None:
    """Whether two structures are in the wrong order along an axis; None where anatomy does not say."""
    place_a, place_b = a.expected.place[axis], b.expected.place[axis]
    if place_a is None or place_b is None or abs(place_a - place_b) < _APART[axis]:
        return None
    least = -_INVERTED[axis]
    if _BODY in (a.expected, b.expected) and abs(place_a - place_b) >= _FAR_OUT:
        least = _INVERTED[axis]
    return bool((a.centre[axis] - b.centre[axis]) * np.sign(place_a - place_b) < least)


def _most_wrong(wrong: dict[str, list[tuple[_Seen, _Seen]]], compared: dict[str, int], axis: int) -> Iterator[str]:
    told: set[str] = set()
    for name, pairs in wrong.items():
        against = [other for _, other in pairs]
        twin = next((other for other in against if other.expected.name == mirror(name) != name), None)
        if name in told or (twin is None and 2 * len(pairs) <= compared[name]):
            continue
        one, other = pairs[0][0], twin or against[0]
        told |= {name, other.expected.name}
        apart = one.centre[axis] - other.centre[axis]
        yield f"{name} lies {abs(apart):.0f} mm {_SIDES[axis][int(apart > 0)]} {other.expected.name}"
