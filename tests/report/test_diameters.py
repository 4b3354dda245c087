"""Diameters against shapes worked out by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from synth.report.diameters import (
    axial_diameters,
    longest_diameter,
    longest_in_slice,
    reaches_in_slice,
    sphericity,
    surface_points,
)

THICK = (0.7, 0.7, 2.5)


def test_one_voxel_is_as_long_as_its_longest_side() -> None:
    mask = np.ones((1, 1, 1), bool)
    assert longest_diameter(mask, np.array(THICK)) == pytest.approx(2.5)
    axial = axial_diameters(mask, np.array(THICK), 2)
    assert (axial.long_mm, axial.short_mm) == pytest.approx((0.7, 0.7))


def test_a_row_of_voxels_is_measured_from_end_to_end() -> None:
    mask = np.zeros((10, 3, 3), bool)
    mask[1:9, 1, 1] = True
    assert longest_diameter(mask, np.array((0.5, 1.0, 1.0))) == pytest.approx(4.0)


def test_a_plate_by_hand() -> None:
    """6 x 3 voxels of 1 x 2 mm: the farthest face centres are 6 apart along x and 4 along y, or 5 and 6 (7.81)."""
    mask = np.zeros((10, 10, 3), bool)
    mask[2:8, 3:6, 1] = True
    axial = axial_diameters(mask, np.array((1.0, 2.0, 4.0)), 2)
    assert axial.slice == 1
    assert axial.long_mm == pytest.approx(np.hypot(5, 6))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_longest_slice_is_found_along_any_axis(ellipsoid: Callable, axis: int) -> None:
    mask = np.moveaxis(ellipsoid((60, 60, 20), THICK, (18.0, 9.0, 15.0)), 2, axis)
    spacing = np.insert(np.array(THICK[:2]), axis, THICK[2])
    axial = axial_diameters(mask, spacing, axis)
    assert axial.long_mm == pytest.approx(36, abs=0.7)
    assert axial.short_mm == pytest.approx(18, abs=0.7)
    assert axial.slice in (9, 10)


@pytest.mark.parametrize(
    ("spacing", "semi_axes"),
    [(THICK, (9.0, 6.0, 5.0)), ((1.0, 1.0, 1.0), (12.0, 7.0, 7.0)), ((1.0, 1.0, 2.0), (5.0, 5.0, 16.0))],
)
def test_an_ellipsoid_is_as_long_as_its_long_axis(ellipsoid: Callable, spacing: tuple, semi_axes: tuple) -> None:
    mask = ellipsoid((40, 40, 24), spacing, semi_axes)
    step = spacing[int(np.argmax(semi_axes))]
    assert longest_diameter(mask, np.array(spacing)) == pytest.approx(2 * max(semi_axes), abs=step)


def test_an_empty_mask_has_no_diameter() -> None:
    empty = np.zeros((4, 4, 4), bool)
    assert longest_diameter(empty, np.ones(3)) == 0
    assert axial_diameters(empty, np.ones(3), 2).long_mm == 0
    assert sphericity(empty, np.ones(3)) == 0


def test_a_mask_at_the_border_is_as_long_as_one_inside() -> None:
    mask = np.zeros((8, 8, 4), bool)
    mask[:4, :3, :2] = True
    assert longest_diameter(mask, np.ones(3)) == longest_diameter(np.roll(mask, (2, 2, 1), (0, 1, 2)), np.ones(3))


@pytest.mark.parametrize(
    ("semi_axes", "expected"), [((14.0, 14.0, 14.0), 1.0), ((18.0, 9.0, 9.0), 0.93), ((18.0, 18.0, 6.0), 0.79)]
)
def test_sphericity_of_ellipsoids(ellipsoid: Callable, semi_axes: tuple, expected: float) -> None:
    """Expected: (abc)^(2/3) over Thomsen's mean of (ab)^p, (ac)^p, (bc)^p with p = 1.6075 (exact to 1%)."""
    a, b, c = semi_axes
    mean = np.mean([(a * b) ** 1.6075, (a * c) ** 1.6075, (b * c) ** 1.6075]) ** (1 / 1.6075)
    assert (a * b * c) ** (2 / 3) / mean == pytest.approx(expected, abs=0.01)
    assert sphericity(ellipsoid((44, 44, 44), (1, 1, 1), semi_axes), np.ones(3)) == pytest.approx(expected, abs=0.04)


def test_a_dumbbell_is_less_spherical_than_a_ball(ellipsoid: Callable) -> None:
    shape = (60, 30, 30)
    two = ellipsoid(shape, (1, 1, 1), (9, 9, 9), (18, 15, 15)) | ellipsoid(shape, (1, 1, 1), (9, 9, 9), (38, 15, 15))
    assert sphericity(two, np.ones(3)) < 0.85


@pytest.mark.parametrize("seed", range(8))
def test_the_longest_diameter_of_any_slice_is_found(seed: int) -> None:
    """Against every pair of surface points of every slice."""
    rng = np.random.default_rng(seed)
    mask = rng.random((12, 9, 5)) < (0.1, 0.5)[seed % 2]
    spacing = np.array([0.7, 1.3, 2.0])
    every = [pdist(surface_points(mask[:, :, k], spacing[:2])).max(initial=0.0) for k in range(5)]
    index, longest = longest_in_slice(mask, spacing, 2)
    assert longest == pytest.approx(max(every))
    assert every[index] == pytest.approx(max(every))
    assert reaches_in_slice(mask, spacing, 2, longest)
    assert not reaches_in_slice(mask, spacing, 2, longest + 0.001)


def test_an_empty_mask_has_no_slice() -> None:
    assert longest_in_slice(np.zeros((4, 4, 4), bool), np.ones(3), 2) == (-1, 0.0)
