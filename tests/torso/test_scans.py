"""Placing: a part of a torso is found where it was cut out, and registration carries it back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.errors import InputError
from synth.regions import shipped
from synth.shape.deformation import exponential, warp
from synth.shape.register import Round
from synth.torso.register import ScanGroup, register
from synth.torso.scans import (
    SCAN_SPACING_MM,
    TorsoScan,
    blood,
    cut_share,
    mean_features,
    offsets,
    put,
    scan_of,
    search,
)
from synth.volumes import labels
from synth.volumes.types import LabelMap
from tests.regions import TORSO
from tests.torso import phantom


def whole() -> TorsoScan:
    hu, ids = phantom.volume(False)
    return TorsoScan("whole", hu, np.ones(hu.shape, bool), ids, "no", True, hu, np.zeros(3))


def part(low: int, high: int) -> TorsoScan:
    hu = whole().hu[8:-8, 8:, low:high]
    return TorsoScan("part", hu, np.ones(hu.shape, bool), None, "no", True, hu, np.zeros(3))


@pytest.mark.parametrize(("low", "high"), [(16, 96), (60, 140)])
def test_a_part_is_found_where_it_was_cut_out(low: int, high: int) -> None:
    offset = search(part(low, high), *mean_features([whole()]), TORSO, lambda _: None)
    assert np.abs(offset * SCAN_SPACING_MM - np.array([8, 8, low]) * SCAN_SPACING_MM).max() <= 12


def test_a_scan_is_put_on_the_frame_and_knows_where_it_has_data() -> None:
    placed = put(part(60, 140), np.array([8, 8, 60]), TORSO)
    assert placed.hu.shape == TORSO.shape_at(SCAN_SPACING_MM)
    np.testing.assert_array_equal(placed.corner_mm, SCAN_SPACING_MM * np.array([8, 8, 60]))
    assert placed.scanned[..., 60:140].all()  # beyond its box is air, for its outline is whole
    assert not placed.scanned[..., :60].any()
    np.testing.assert_array_equal(placed.hu[..., 60:140], whole().hu[..., 60:140])


def test_a_body_that_goes_on_beyond_the_box_is_cut() -> None:
    assert cut_share(whole().hu) == 0
    assert cut_share(whole().hu[40:80]) > 0.15


def test_registration_brings_a_moved_scan_back() -> None:
    scan = whole()
    velocity = torch.zeros(1, 3, *TORSO.shape)
    velocity[:, 0] = 12.0
    moved = warp(torch.from_numpy(scan.hu + 1000)[None, None], exponential(velocity, TORSO), TORSO)[0, 0].numpy() - 1000
    other = TorsoScan("moved", moved, scan.scanned, None, "no", True, moved, np.zeros(3))
    group = ScanGroup.of([scan, other], [blood(scan, TORSO), blood(other, TORSO)], TORSO)
    said: list[str] = []
    _, found = register(group, [Round(pool=2, sigma=2.0, iterations=12)] * 2, said.append)
    before, after = (
        float(s.split("->")[k].split()[-1 if k == 0 else 0].strip(",")) for s, k in ((said[0], 0), (said[-1], 1))
    )
    assert after < 0.4 * before
    apart = (found[1] - found[0])[0, 10:20, 6:12, 10:30].mean()
    assert 6 < float(apart) < 18


def test_labels_are_kept_under_the_ids_of_their_names() -> None:
    hu, ids = phantom.volume(False)
    part = np.s_[::2, ::2, 60:76]
    mine = np.where(ids[part] == labels.ids()["liver"], 3, np.where(ids[part] == labels.ids()["heart"], 300, 0))
    organs = LabelMap(mine.astype(np.uint16), np.eye(4), {3: "liver", 300: "heart"})
    scan = scan_of("mine", hu[part], np.full(3, SCAN_SPACING_MM), organs)
    assert scan.ids is not None and scan.ids.dtype == np.uint8
    for name in ("liver", "heart"):
        np.testing.assert_array_equal(scan.ids == labels.ids()[name], (ids[part] == labels.ids()[name]))


def test_no_scan_with_the_anchor_is_one_line() -> None:
    with pytest.raises(InputError, match="region torso: no scan has liver labelled; add one that has"):
        offsets([part(16, 96)], shipped("torso"), lambda _: None)
