"""Places by hand: slice axis, poles, halves of the liver, midline, phase."""

import numpy as np
import pytest

from synth.report import location
from synth.volumes.types import LabelMap


def test_the_slice_axis_follows_the_affine() -> None:
    axial = np.diag([-0.7, 0.7, 2.5, 1.0])
    assert location.slice_axis(axial) == 2
    assert location.slice_axis(axial[:, [2, 0, 1, 3]]) == 0


def test_poles_are_thirds_from_below() -> None:
    column = np.stack([np.zeros(31), np.zeros(31), np.arange(31.0)], axis=1)
    column[:, 0] = 0.2 * column[:, 2]  # a leaning kidney
    poles = location.Poles.of(column)
    parts = [location.POLES[i] for i in poles.part(column[[2, 15, 28]])]
    assert parts == ["lower", "interpolar", "upper"]


def test_cantlies_plane_runs_from_gallbladder_to_cava() -> None:
    """The gallbladder lies in front and to the right: RAS x = 60, y = 80; the cava at x = 20, y = 0."""
    plane = location.Cantlie.of(np.array([[60.0, 80.0, 0.0]]), np.array([[20.0, 0.0, 0.0]]))
    assert plane.is_left(np.array([30.0, 60.0, 5.0]))
    assert not plane.is_left(np.array([70.0, 60.0, -50.0]))
    assert not plane.is_left(np.array([30.0, 0.0, 0.0]))


def test_without_gallbladder_and_cava_the_plane_follows_the_cord() -> None:
    """A liver from x = -40 to 100 about a cord at (0, -60): right is +x."""
    ids = np.zeros((80, 80, 20), np.uint8)
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    affine[:3, 3] = [-50.0, -80.0, 0.0]
    ids[5:75, 40:70, 5:15], ids[24:27, 9:12] = 5, 79
    organs = LabelMap(ids, affine, {5: "liver", 79: "spinal_cord"})
    plane = location.cantlie_plane(organs, location.present_boxes(organs))
    assert plane is not None
    assert plane.is_left(np.array([-20.0, 40.0, 50.0]))
    assert not plane.is_left(np.array([80.0, 20.0, 50.0]))
    assert location.cantlie_plane(LabelMap(ids, affine, {5: "liver"}), {"liver": (5, (slice(0, 80),) * 3)}) is None


def test_the_midline_is_the_cords_or_else_the_bodys() -> None:
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[0, 3] = 10.0
    hu = np.full((40, 20, 10), -1000, np.int16)
    hu[4:25] = 0
    ids = np.zeros(hu.shape, np.uint8)
    organs = LabelMap(ids, affine, {79: "spinal_cord"})
    assert location.midline_x(organs, location.present_boxes(organs), hu) == pytest.approx(10 - 14)
    ids[16:19] = 79
    assert location.midline_x(organs, location.present_boxes(organs), hu) == pytest.approx(10 - 17)


@pytest.mark.parametrize(
    ("medians", "enhanced"),
    [
        ({"aorta": 40.0, "spleen": 200.0}, False),
        ({"aorta": 180.0}, True),
        ({"kidney_left": 35.0}, False),
        ({"kidney_left": 160.0}, True),
        ({"liver": 110.0}, True),
        ({"liver": 60.0}, False),
        ({"liver": 60.0, "portal_vein_and_splenic_vein": 170.0}, True),
        ({"stomach": 110.0}, None),
    ],
)
def test_contrast_is_read_off_the_most_telling_organ(medians: dict[str, float], enhanced: bool | None) -> None:
    assert location.is_enhanced(medians) is enhanced


def test_long_lists_are_cut() -> None:
    assert location.list_names(["a", "b"]) == "a, b"
    assert location.list_names(list("abcdef"), limit=2) == "a, b and 4 more"
    assert location.list_names([]) == "nothing"
