"""Masks of a torso: an atlas that is off by a few millimetres, put right by attenuation; and what checks say of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from prompts import CaseRequest
from synth.case.plan import GeneratePlan
from synth.draw.checks import check_generated
from synth.draw.limits import check_limits
from synth.regions import shipped
from synth.torso.fitting import fit
from synth.torso.organs import read_masks
from synth.volumes import labels
from synth.volumes.types import Case, LabelMap, Volume
from tests.regions import TORSO
from tests.torso import phantom

SPACING = 4.0


@pytest.fixture(scope="module")
def read() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids of the phantom, an atlas 8 mm beside them, and what is read."""
    hu, ids = phantom.volume(True)
    beside = np.roll(ids, 2, axis=1)
    noisy = hu + np.random.default_rng(0).normal(0, 10, hu.shape).astype(np.float32)
    return ids, beside, read_masks(noisy, beside, SPACING)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


@pytest.mark.parametrize("name", ["lung_upper_lobe_right", "heart", "kidney_left", "spleen", "vertebrae_T8"])
def test_attenuation_brings_masks_nearer_to_the_organs(
    read: tuple[np.ndarray, np.ndarray, np.ndarray], name: str
) -> None:
    ids, beside, found = (array == labels.ids()[name] for array in read)
    assert dice(found, ids) > max(0.85, dice(beside, ids))


def failed(ids: np.ndarray) -> set[str]:
    """Names of the checks that a case with these organs fails."""
    return {c.name for c in check_limits(case(ids), shipped("torso"), "chest_abdomen") if not c.ok}


def case(ids: np.ndarray) -> Case:
    affine = TORSO.affine_at(SPACING)
    hu = phantom.volume(True)[0].astype(np.int16)
    names = {i: n for i, n in labels.names().items() if (ids == i).any()}
    return Case(Volume(hu, affine), LabelMap(ids, affine, names), LabelMap(np.zeros_like(ids), affine, {}))


def test_a_torso_with_everything_in_place_passes() -> None:
    checks = check_limits(case(phantom.volume(True)[1]), shipped("torso"), "chest_abdomen")
    assert {"liver_ml", "heart_between_mm", "spleen_beside_midline_mm", "midline_x_mm"} <= {c.name for c in checks}
    assert [c for c in checks if not c.ok] == []


def test_a_field_of_view_that_the_region_knows_nothing_of_has_no_limits() -> None:
    assert check_limits(case(phantom.volume(True)[1]), shipped("torso"), "thigh") == []


@pytest.mark.parametrize("change", ["mirrored", "without a kidney", "small liver"])
def test_a_torso_with_something_wrong_fails(change: str) -> None:
    ids = phantom.volume(True)[1]
    if change == "mirrored":
        ids = np.ascontiguousarray(ids[::-1])
    elif change == "without a kidney":
        ids[ids == labels.ids()["kidney_left"]] = 0
    else:
        ids[..., :70][ids[..., :70] == labels.ids()["liver"]] = 0
    assert failed(ids)


def test_a_mask_that_lies_beside_its_organ_is_refused() -> None:
    """Moved until a tenth of the spleen's mask is the fat that lies round the body."""
    ids = phantom.volume(True)[1]
    spleen = labels.ids()["spleen"]
    x = np.roll(ids == spleen, -6, axis=0)
    ids[ids == spleen] = 0
    ids[x] = spleen
    assert failed(ids) == {"spleen_hu_5th_percentile"}


def test_what_is_masked_has_the_attenuation_of_its_organ() -> None:
    """A spleen in fat and a kidney beside bowel full of contrast, both 12 mm off in the atlas."""
    hu, ids = phantom.volume(True)
    spleen, kidney = (ids == labels.ids()[name] for name in ("spleen", "kidney_left"))
    hu[(hu == phantom.MUSCLE_HU)] = phantom.FAT_HU
    bowel = np.roll(kidney, 13, axis=1) & ~kidney & (ids == 0)
    hu[bowel] = 700
    hu += np.random.default_rng(0).normal(0, 10, hu.shape).astype(np.float32)
    found = read_masks(hu, np.roll(ids, 3, axis=1), SPACING)
    for name, mask in (("spleen", spleen), ("kidney_left", kidney)):
        here = found == labels.ids()[name]
        assert dice(here, mask) > 0.9, name
        assert np.percentile(hu[here], 5) > 50, name
        assert hu[here].max() < 600, name


def test_masks_of_a_finer_grid_are_those_of_the_coarser() -> None:
    """Organs are moved on the grid of 4 mm whatever the spacing."""
    hu, ids = phantom.volume(True, 2.0)
    beside = np.roll(ids, 6, axis=1)
    fine = read_masks(hu, beside, 2.0)
    for name in ("spleen", "kidney_left", "heart"):
        number = labels.ids()[name]
        assert dice(fine == number, ids == number) > 0.9, name


def test_a_rim_of_an_organ_is_not_fitted() -> None:
    hu, ids = phantom.volume(True)
    liver = ids == labels.ids()["liver"]
    assert fit(hu, liver & (np.cumsum(liver).reshape(ids.shape) <= 4), "liver", SPACING) is None
    assert fit(hu, liver, "liver", SPACING) is not None
    assert fit(hu, liver & False, "liver", SPACING) is None


def test_lungs_reach_the_end_of_the_field_and_hold_their_vessels() -> None:
    hu, ids = phantom.volume(False)
    lung = ids == labels.ids()["lung_upper_lobe_right"]
    hu[np.roll(lung, 3, axis=0) & lung & (np.indices(hu.shape).sum(axis=0) % 7 == 0)] = 40  # vessels of a voxel
    z = int(np.argwhere(lung)[:, 2].mean())
    found = read_masks(hu[..., :z], ids[..., :z], SPACING) == labels.ids()["lung_upper_lobe_right"]
    assert dice(found[..., -1], lung[..., z - 1]) > 0.95
    assert dice(found, lung[..., :z]) > 0.95
    where = np.argwhere(lung)[:, 0]
    assert found[where.min() : where.min() + 2].any()


def test_a_fissure_is_no_stairs() -> None:
    """A slanting plane between two lobes, of which the atlas knows steps of 8 mm alone."""
    upper, lower = (labels.ids()[name] for name in ("lung_upper_lobe_left", "lung_lower_lobe_left"))
    x, _, z = np.indices((80, 60, 80))
    lungs = ndimage.binary_erosion(np.ones(x.shape, bool), iterations=10)
    hu = np.where(lungs, -850.0, 40.0).astype(np.float32)
    above = z > 20 + x / 2
    steps = np.where(z // 4 * 4 + 2 > 20 + (x // 4 * 4 + 2) / 2, upper, lower) * lungs
    found = read_masks(hu, steps.astype(np.uint8), 2.0)
    wrong = [float(((ids == upper) != above)[lungs].mean()) for ids in (steps, found)]
    assert wrong[1] < 0.5 * wrong[0], wrong
    assert dice(found > 0, lungs) > 0.97


def test_a_drawn_case_is_held_to_the_limits_of_what_its_field_shows() -> None:
    plan = GeneratePlan(case="c", seed=0, request=CaseRequest(), region="abdomen", spacing_mm=SPACING)
    names = {c.name for c in check_generated(case(phantom.volume(True)[1]), plan, shipped("torso"), None)}
    assert "liver_ml" in names and "heart_ml" not in names
