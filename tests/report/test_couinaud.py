"""The eight segments of the liver by planes."""

from __future__ import annotations

import numpy as np
import pytest

from synth.report import location
from synth.report.couinaud import Couinaud, couinaud
from synth.report.location import Cantlie
from synth.volumes.types import LabelMap

CAVA, GALLBLADDER = np.array([20.0, 0.0, 0.0]), np.array([60.0, 80.0, -40.0])  # RAS: right is +x, front is +y


def liver() -> np.ndarray:
    """Voxels of a wedge: 120 mm to the right of the cava, 90 to the left, thinner and shorter on the left."""
    grid = np.stack(np.meshgrid(*[np.arange(-90, 151, 3.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    x, y, z = grid.T
    reach = np.interp(x, [-80, 20, 60, 140], [20, 50, 90, 60])
    back = np.interp(x, [-80, 20, 140], [30, 0, -50])
    low = np.interp(x, [-80, 20, 140], [-20, -40, -80])
    return grid[(x > -80) & (x < 140) & (y > back) & (y < back + reach) & (z > low) & (z < 60)]


@pytest.fixture(scope="module")
def planes() -> Couinaud:
    return Couinaud.of(liver(), Cantlie.of(GALLBLADDER[None], CAVA[None]))


@pytest.mark.parametrize(
    ("point", "number"),
    [
        ([15.0, 5.0, 40.0], 1),  # beside the cava, on its left
        ([-45.0, 45.0, 55.0], 2),
        ([-60.0, 50.0, -15.0], 3),
        ([25.0, 75.0, 0.0], 4),
        ([85.0, 60.0, -50.0], 5),
        ([120.0, -30.0, -60.0], 6),
        ([120.0, -30.0, 45.0], 7),
        ([85.0, 60.0, 45.0], 8),
    ],
)
def test_each_segment_is_where_an_atlas_has_it(planes: Couinaud, point: list[float], number: int) -> None:
    assert planes.segment(np.array(point)) == number


def test_shares_are_as_measured_in_series_of_livers(planes: Couinaud) -> None:
    found = np.bincount(planes.segment(liver()), minlength=9)[1:].astype(float)
    left, right = found[1:4].sum(), found[4:].sum()
    assert found[0] / found.sum() == pytest.approx(0.02, abs=0.005)
    assert found[3] / left == pytest.approx(17 / 33, abs=0.01)
    assert (found[5] + found[6]) / right == pytest.approx(0.42, abs=0.01)
    assert (found[4] + found[5]) / right == pytest.approx(0.33, abs=0.03)
    assert found[2] > found[1]  # segment 3 is larger than 2


def test_the_portal_fork_parts_upper_from_lower_where_it_is_labelled(planes: Couinaud) -> None:
    plane = planes.plane
    assert Couinaud.of(liver(), plane, portal_top=-20.0).fork == -20.0
    assert Couinaud.of(liver(), plane, portal_top=-200.0).fork == planes.fork  # a label that ends below the liver
    assert Couinaud.of(liver(), plane, portal_top=58.0).fork == planes.fork


def test_left_and_right_are_not_exchanged(planes: Couinaud) -> None:
    """Far from the planes on either side, and not on the other."""
    far = liver()[np.abs(liver()[:, 0] - 20) > 70]
    left = far[:, 0] < 20
    assert set(np.unique(planes.segment(far[left]))) == {2, 3}
    assert set(np.unique(planes.segment(far[~left]))) <= {5, 6, 7, 8}


def test_a_label_map_without_cava_or_cord_tells_no_segments() -> None:
    ids = np.zeros((40, 40, 20), np.uint8)
    ids[5:35, 10:30, 5:15] = 5
    affine = np.diag([4.0, 4.0, 5.0, 1.0])
    bare = LabelMap(ids, affine, {5: "liver"})
    assert couinaud(bare, location.present_boxes(bare)) is None
    ids = ids.copy()
    ids[18:20, 4:6] = 79
    cord = LabelMap(ids, affine, {5: "liver", 79: "spinal_cord"})
    assert couinaud(cord, location.present_boxes(cord)) is not None
