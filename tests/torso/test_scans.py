"""Placing: a part of a torso is found where it was cut out, and registration carries it back."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from synth.errors import InputError
from synth.shape.deformation import exponential, warp
from synth.shape.register import Round
from synth.torso.register import ScanGroup, register
from synth.torso.scans import SCAN_SPACING_MM, TorsoScan, blood, cut_share, mean_features, put, read_scans, search
from synth.training.torso import load_torso_config
from tests.regions import TORSO
from tests.torso import phantom


def whole() -> TorsoScan:
    hu, ids = phantom.volume(False)
    return TorsoScan("whole", hu, np.ones(hu.shape, bool), ids, "no", "", True, hu, np.zeros(3))


def part(low: int, high: int) -> TorsoScan:
    hu = whole().hu[8:-8, 8:, low:high]
    return TorsoScan("part", hu, np.ones(hu.shape, bool), None, "no", "", True, hu, np.zeros(3))


@pytest.mark.parametrize(("low", "high"), [(16, 96), (60, 140)])
def test_a_part_is_found_where_it_was_cut_out(low: int, high: int) -> None:
    offset = search(part(low, high), *mean_features([whole()]), lambda _: None)
    assert np.abs(offset * SCAN_SPACING_MM - np.array([8, 8, low]) * SCAN_SPACING_MM).max() <= 12


def test_a_scan_is_put_on_the_frame_and_knows_where_it_has_data() -> None:
    placed = put(part(60, 140), np.array([8, 8, 60]))
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
    other = TorsoScan("moved", moved, scan.scanned, None, "no", "", True, moved, np.zeros(3))
    group = ScanGroup.of([scan, other], [blood(scan), blood(other)])
    said: list[str] = []
    _, found = register(group, [Round(pool=2, sigma=2.0, iterations=12)] * 2, said.append)
    before, after = (
        float(s.split("->")[k].split()[-1 if k == 0 else 0].strip(",")) for s, k in ((said[0], 0), (said[-1], 1))
    )
    assert after < 0.4 * before
    apart = (found[1] - found[0])[0, 10:20, 6:12, 10:30].mean()
    assert 6 < float(apart) < 18


def test_scans_that_may_not_train_are_left_out(tmp_path: Path) -> None:
    for name in ("may", "may_not"):
        (tmp_path / name).mkdir()
        image = nib.Nifti1Image(np.zeros((8, 8, 8), np.int16), np.diag([4.0, 4.0, 4.0, 1.0]))
        nib.save(image, tmp_path / name / "ct.nii.gz")
    (tmp_path / "index.csv").write_text("case,may_train_released_weights\nmay,yes\nmay_not,no\n")
    assert [scan.name for scan in read_scans([tmp_path])] == ["may"]


def test_a_missing_folder_of_scans_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "torso.yaml"
    file.write_text("scans: [nowhere]\n")
    with pytest.raises(InputError, match="no such folder of scans"):
        load_torso_config(file, {})
