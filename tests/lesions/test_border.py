"""How a nodule in the lung ends: ragged, hazy, with vessels that end at it, up to the pleura; no other lesion does."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from prompts.request import FindingRequest
from synth.lesions import LesionPlan, insert, keep_painted, plan_lesions
from synth.lesions.lesion_types import lesion_types
from synth.lesions.mass_effect import displace
from synth.lesions.shape import grow
from synth.lesions.strands import near_strands, one_strand, strand_shares, strands_of
from synth.lesions.surface import surface_table, waves_at
from synth.report.half_contrast import half_contrast_body, raggedness
from synth.volumes import labels
from synth.volumes.types import LabelMap, Volume

Make = Callable[..., LesionPlan]
ONE = np.eye(4)
CENTRE = (30, 30, 30)


def lung(wall_at: int | None = None) -> tuple[Volume, LabelMap]:
    """Quiet lung of 60 mm at 1 mm, with a chest wall from an x index on and a half-filled voxel before it."""
    hu = np.full((60, 60, 60), -850.0)
    ids = np.full(hu.shape, labels.ids()["lung_upper_lobe_right"], np.uint8)
    ids[:, :, :8], hu[:, :, :8] = labels.ids()["liver"], 60.0
    if wall_at is not None:
        hu[wall_at:], hu[wall_at] = 40.0, -420.0
        ids[wall_at:] = 0
    noise = np.random.default_rng(0).normal(0, 8, hu.shape)
    return Volume(np.rint(hu + noise).astype(np.int16), ONE), LabelMap(ids, ONE, labels.names())


def drawn(plan: LesionPlan, wall_at: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """HU and mask."""
    case = insert(*lung(wall_at), [plan], keep_painted)
    return case.ct.hu.astype(float), case.lesions.ids == 1


def test_lung_types_have_a_border_and_plans_of_others_none(host: Volume, organs: LabelMap) -> None:
    assert {name for name, t in lesion_types().items() if t.border} == {"lung_nodule", "lung_tumour", "lung_metastasis"}
    tumour = FindingRequest(kind="tumour", organ="liver", size_mm=12)
    (other,) = plan_lesions([tumour], host, organs, np.random.default_rng(0))
    assert (other.ragged_mm, other.haze, other.mottle, other.attached) == (0, 0, 0, 0)
    nodule = FindingRequest(kind="nodule", organ="lung", size_mm=14)
    plans = [plan_lesions([nodule], host, organs, np.random.default_rng(seed))[0] for seed in range(6)]
    assert all(p.ragged_mm > 0 and p.haze > 0 and p.mottle > 0 for p in plans)
    assert len({p.attached for p in plans}) > 1


def test_a_nodule_without_spicules_ends_more_plainly(host: Volume, organs: LabelMap) -> None:
    def plans(spiculated: bool | None) -> list[LesionPlan]:
        asked = FindingRequest(kind="nodule", organ="lung", size_mm=14, spiculated=spiculated)
        return [plan_lesions([asked], host, organs, np.random.default_rng(seed))[0] for seed in range(8)]

    bare, usual, spiky = (np.mean([p.ragged_mm for p in plans(said)]) for said in (False, None, True))
    assert bare < 0.7 * usual < 0.7 * spiky
    assert max(p.attached for p in plans(False)) <= 1 < max(p.attached for p in plans(None))


def test_a_ragged_border_is_measured_ragged_and_its_mask_stays(make_plan: Make) -> None:
    make = {"centre": CENTRE, "ball_mm": 24.0}
    smooth, ragged = (drawn(make_plan(ragged_mm=mm, **make)) for mm in (0.0, 1.2))
    np.testing.assert_array_equal(smooth[1], ragged[1])
    bodies = [half_contrast_body(hu, mask, ~mask, np.ones(3)) for hu, mask in (smooth, ragged)]
    rough = [raggedness(body, np.ones(3)) for body in bodies if body]
    assert rough[1] > rough[0] + 0.02


def test_haze_lies_outside_the_border(make_plan: Make) -> None:
    make = {"centre": CENTRE, "ball_mm": 24.0, "margin_mm": 2.4}
    sharp, hazy = (drawn(make_plan(haze=haze, **make)) for haze in (0.0, 0.4))
    distance = ndimage.distance_transform_edt(~sharp[1])
    shell = (distance > 1.5) & (distance <= 2.5)
    assert np.median(hazy[0][shell]) > np.median(sharp[0][shell]) + 25
    inside = ndimage.distance_transform_edt(sharp[1]) > 2
    assert np.median(hazy[0][inside]) == pytest.approx(np.median(sharp[0][inside]), abs=3)


def test_ground_glass_is_mottled(make_plan: Make) -> None:
    zones = ({"name": "ground glass", "reach": 1.0, "hu": 30.0, "opacity": 0.3},)
    even, mottled = (drawn(make_plan(centre=CENTRE, ball_mm=24.0, zones=zones, mottle=m)) for m in (0.0, 0.4))
    core = ndimage.binary_erosion(even[1], iterations=3)
    assert mottled[0][core].std() > 3 * even[0][core].std()
    assert mottled[0][core].mean() == pytest.approx(even[0][core].mean(), abs=40)


def test_attached_strands_leave_the_body_and_the_mask_leaves_them_out(make_plan: Make) -> None:
    make = {"centre": CENTRE, "ball_mm": 24.0, "margin_mm": 1.5}
    bare, held = (drawn(make_plan(attached=n, attached_mm=10.0, **make)) for n in (0, 3))
    np.testing.assert_array_equal(bare[1], held[1])
    away = ndimage.distance_transform_edt(~bare[1]) > 3
    strands = (held[0] - bare[0] > 150) & away
    assert strands.sum() > 10
    assert not ((bare[0] > -600) & away)[:, :, 12:].any()


def test_no_line_of_air_parts_a_nodule_from_the_pleura(make_plan: Make) -> None:
    """The nodule would reach 3 mm into the chest wall: all between it and the wall is tissue."""
    hu, mask = drawn(make_plan(centre=CENTRE, size_mm=22.0, ball_mm=26.0, mass_effect=0.2), wall_at=36)
    line = hu[30:40, 30, 30]
    assert mask[35, 30, 30] and not mask[36:].any()
    assert line.min() > -250


def test_air_is_not_pushed_into_the_pleura(make_plan: Make) -> None:
    plan = make_plan(centre=CENTRE, size_mm=10.0, ball_mm=20.0, mass_effect=0.5)
    host, organs = lung(wall_at=40)
    moved = displace(plan, grow(plan, host, organs), host, organs)
    assert moved is not None
    source = moved.source()[0]
    box = grow(plan, host, organs).box
    wall = 40 - box[0].start
    centre = CENTRE[1] - box[1].start, CENTRE[2] - box[2].start
    assert moved.moved.any()
    assert abs(source[wall, centre[0], centre[1]] - wall) < 0.05


def test_waves_are_the_same_at_a_place_whatever_the_grid(make_plan: Make) -> None:
    points = np.random.default_rng(0).uniform(-20, 20, (3, 4000)).astype(np.float32)
    field = waves_at(make_plan(), points, "ragged")
    np.testing.assert_allclose(waves_at(make_plan(), points[:, 7:9], "ragged"), field[7:9], atol=1e-5)
    assert field.std() == pytest.approx(1.0, abs=0.25)
    assert not np.allclose(waves_at(make_plan(seed=8), points, "ragged"), field)


def test_a_small_nodule_of_a_density_shows_it(host: Volume, organs: LabelMap) -> None:
    """Its edge is narrow, so that its middle holds no air; one of no said density has a usual edge."""

    def plan(**said: str) -> LesionPlan:
        asked = FindingRequest(kind="nodule", organ="lung", size_mm=6, **said)
        return plan_lesions([asked], host, organs, np.random.default_rng(3))[0]

    usual, plain = plan(), plan(density="isodense")
    assert plain.margin_mm == pytest.approx(0.9) and usual.margin_mm > 1.8
    assert plain.haze < usual.haze and plain.ragged_mm < usual.ragged_mm
    assert plan(density="isodense", surface="ill-defined").margin_mm > 4


def test_strands_found_near_their_axes_are_all_that_there_is(make_plan: Make) -> None:
    """Looked for in a box of each strand, they are what they are when looked for everywhere."""
    plan = make_plan(centre=CENTRE, size_mm=20.0, spicules=40, spicule_mm=10.0)
    strands = strands_of(plan, surface_table(plan), 10.0)
    grid = (np.indices((61, 61, 61)) - 30).astype(np.float32) * np.float32([1, -1, 2])[:, None, None, None]
    distance = np.linalg.norm(grid, axis=0)
    near = near_strands(strands, grid, distance, 0.5, np.diag([1.0, -1.0, 2.0]))
    points, shifts = grid.reshape(3, -1), np.zeros((1, 3), np.float32)
    everywhere = np.zeros(points.shape[1])
    for spicule, root in strands:
        along = (spicule.direction @ points - root) / spicule.length
        some = (along > -0.3) & (along < 1)
        everywhere[some] = np.maximum(everywhere[some], one_strand(spicule, root, points[:, some].T, along[some]))
    np.testing.assert_allclose(strand_shares(strands, points, shifts)[0], everywhere, atol=1e-5)
    assert (near.ravel() >= (everywhere > 0.03)).all()
    assert 0.01 < near.mean() < 0.5
