"""Checks of what a peer drew, before findings are put into it: its organs look like those of a patient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synth.draw.limits import attenuation_checks
from synth.provenance import Check
from synth.volumes import anatomy
from synth.volumes.types import Case

_EVEN = ("heart", "aorta", "liver", "spleen", "kidney_right", "kidney_left", "autochthon_right", "autochthon_left")
_LEAST_ML = 1.0
_FEWEST = 30  # voxels: of fewer no median is taken
_BODY_HU = -300
_AT_SIDES = 0.35  # share of the left, right, front and back faces that may be body
_CUT_OFF = 0.02  # share of the voxels that may read the highest HU that it can say
_BODY = (0.05, 0.98)  # share of the volume that is no air


def check_peer(case: Case, highest: float) -> list[Check]:
    """HU of every organ that there is more than a rim of, mL of each, and what a CT of a body must have.

    Attenuation is that which is believable of an organ (synth/volumes/anatomy.csv), so the lungs must hold air.
    highest: HU that its decoder can say at most.
    """
    checks = [*_body(case), Check("share_at_highest_hu", float((case.ct.hu >= highest).mean()), 0.0, _CUT_OFF)]
    checks += _organs(case)
    checks += attenuation_checks(case, _EVEN)
    return [Check(c.name, round(c.value, 4), c.low, c.high) for c in checks]


def _body(case: Case) -> Iterator[Check]:
    dense = case.ct.hu > _BODY_HU
    yield Check("body_share", float(dense.mean()), *_BODY)
    sides = [np.take(dense, end, axis=axis).mean() for axis in (0, 1) for end in (0, -1)]
    yield Check("body_at_sides", float(max(sides)), 0.0, _AT_SIDES)


def _organs(case: Case) -> Iterator[Check]:
    for number, name in sorted(case.organs.names.items()):
        values = case.ct.hu[(case.organs.ids == number) & (case.lesions.ids == 0)]
        if len(values) < _FEWEST or name not in anatomy.table():
            continue
        yield Check(f"{name}_ml", float(len(values)) * case.ct.voxel_ml, _LEAST_ML, 1e5)
        yield Check(f"{name}_median_hu", float(np.median(values)), *anatomy.table()[name].hu)
