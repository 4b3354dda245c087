"""Free fluid in a pleural space: where it lies, how it ends, how large it is."""

import numpy as np
import pytest
from scipy import ndimage

from prompts import parse
from prompts.request import FindingRequest
from synth.errors import InputError
from synth.lesions import insert, keep_painted, plan_lesions
from synth.lesions.planning import one_by_one
from synth.lesions.wall import BASE
from synth.report.diameters import longest_in_slice
from synth.report.measure import measure
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume


def effusion(long_mm: float) -> FindingRequest:
    """Of a longest axis; "a 60 mm effusion" would be as deep."""
    (finding,) = parse("right pleural effusion").findings
    return finding.model_copy(update={"size_mm": long_mm})


@pytest.mark.parametrize("size", [50, 60])
def test_fluid_fills_the_chest_from_its_lowest_point(host: Volume, organs: LabelMap, size: int) -> None:
    (plan,) = plan_lesions([effusion(float(size))], host, organs, np.random.default_rng(1))
    assert plan.pools and set(plan.structures) == {"lung_upper_lobe_right", "lung_lower_lobe_right"}
    fluid = insert(host, organs, [plan], keep_painted).lesions.ids > 0
    assert longest_in_slice(fluid, host.spacing, 2)[1] == pytest.approx(size, abs=max(host.spacing[0], 0.05 * size))
    lung = organs.mask("lung_upper_lobe_right") | organs.mask("lung_lower_lobe_right")
    assert not (fluid & ~lung).any()
    heights = _heights(fluid, host)
    assert heights.min() == pytest.approx(_heights(lung, host).min(), abs=2.0)
    # Lung that is lower than the fluid's middle is fluid, but for what lies deep within.
    lower = np.zeros(lung.shape, bool)
    lower[tuple(np.argwhere(lung)[_heights(lung, host) < np.median(heights)].T)] = True
    assert fluid[lower].mean() > 0.8


@pytest.mark.parametrize("ml", [20, 60])
def test_fluid_has_the_volume_that_was_asked_for_and_the_lung_loses_it(host: Volume, organs: LabelMap, ml: int) -> None:
    (finding,) = parse("right pleural effusion").findings
    asked = finding.model_copy(update={"volume_ml": float(ml)})
    (plan,) = plan_lesions([asked], host, organs, np.random.default_rng(1))
    case = insert(host, organs, [plan], keep_painted)
    fluid = case.lesions.ids > 0
    assert fluid.sum() * host.voxel_ml == pytest.approx(ml, rel=0.1)
    names = ("lung_upper_lobe_right", "lung_lower_lobe_right")
    lost = (organs.mask(*names).sum() - case.organs.mask(*names).sum()) * host.voxel_ml
    assert lost == pytest.approx(ml, rel=0.1)
    (found,) = measure(case).lesions
    assert found.kind == "pleural effusion" and found.side == "right"


def test_no_line_of_air_parts_fluid_from_the_chest_wall(host: Volume, organs: LabelMap) -> None:
    """Outlines of lungs end a voxel short of the wall, and what lies between is half filled."""
    lung = organs.mask("lung_upper_lobe_right", "lung_lower_lobe_right")
    short = LabelMap(np.where(lung & ~ndimage.binary_erosion(lung), 0, organs.ids), organs.affine, organs.names)
    (finding,) = parse("right pleural effusion").findings
    (plan,) = plan_lesions([finding.model_copy(update={"volume_ml": 60.0})], host, short, np.random.default_rng(1))
    case = insert(host, short, [plan], keep_painted)
    fluid = case.lesions.ids > 0
    left = short.mask("lung_upper_lobe_right", "lung_lower_lobe_right") & ~fluid
    beside = ndimage.binary_dilation(fluid) & ~fluid & lung & ~ndimage.binary_dilation(left, iterations=3)
    assert beside.sum() < 0.01 * fluid.sum()
    assert fluid.sum() * host.voxel_ml == pytest.approx(60, rel=0.1)


def test_more_fluid_climbs_the_chest_wall(host: Volume, organs: LabelMap) -> None:
    (plan,) = plan_lesions([effusion(60.0)], host, organs, np.random.default_rng(1))
    thin = plan.model_copy(update={"wall_mm": 12.0})
    for lesion in (plan, thin):
        fluid = insert(host, organs, [lesion], keep_painted).lesions.ids > 0
        columns = fluid[:, :, int(fluid.sum(axis=(0, 1)).argmax())]
        tops = np.array([np.flatnonzero(c).max() for c in columns if c.any()])  # the y axis runs to the front
        middle = tops[len(tops) // 3 : -len(tops) // 3]
        assert tops[:2].mean() > middle.mean() and tops[-2:].mean() > middle.mean()  # a meniscus, not a bulge


def test_the_same_fluid_with_another_seed_lies_at_the_same_place(host: Volume, organs: LabelMap) -> None:
    findings = parse("40 mm left pleural effusion").findings
    one, other = (plan_lesions(findings, host, organs, np.random.default_rng(seed))[0] for seed in (1, 2))
    assert one.centre == other.centre and one.seed != other.seed


def _heights(mask: np.ndarray, host: Volume) -> np.ndarray:
    """mm by which voxels lie higher in a patient on the back, the base counted as lower, (N,)."""
    points = world_of(np.argwhere(mask), host.affine)
    return np.asarray(points[:, 1] + BASE * points[:, 2])


@pytest.mark.parametrize(
    ("prompt", "sides"),
    [
        ("small bilateral pleural effusions", ["right", "left"]),
        ("CT with small bilateral pleural effusion", ["right", "left"]),
        ("pleural effusions", ["right", "left"]),
        ("right pleural effusions", ["right"]),
        ("two pleural effusions", ["right", "left"]),
        ("large left pleural effusion and a 90 mL right pleural effusion", ["left", "right"]),
    ],
)
def test_fluid_is_one_layer_on_a_side(prompt: str, sides: list[str], host: Volume, organs: LabelMap) -> None:
    for seed in range(4):
        singles = one_by_one(parse(prompt).findings, np.random.default_rng(seed))
        assert [str(finding.side) for finding in singles] == sides


def test_fluid_without_a_side_lies_on_the_one_that_has_none() -> None:
    (left,), (some,) = (parse(p).findings for p in ("left pleural effusion", "pleural effusion"))
    singles = one_by_one([some, left], np.random.default_rng(0))
    assert [finding.side for finding in singles] == ["right", "left"]


@pytest.mark.parametrize(
    "prompt", ["three pleural effusions", "two right pleural effusions", "three bilateral pleural effusions"]
)
def test_two_layers_on_a_side_are_refused_before_anything_is_drawn(prompt: str) -> None:
    with pytest.raises(InputError, match="free fluid is one layer on each side"):
        one_by_one(parse(prompt).findings, np.random.default_rng(0))


def test_fluid_on_both_sides_has_the_volumes_that_were_asked_for(host: Volume, organs: LabelMap) -> None:
    (finding,) = parse("bilateral pleural effusions").findings
    asked = finding.model_copy(update={"volume_ml": 30.0})
    plans = plan_lesions([asked], host, organs, np.random.default_rng(1))
    found = measure(insert(host, organs, plans, keep_painted)).lesions
    assert [lesion.side for lesion in found] == ["right", "left"]
    assert [lesion.volume_ml for lesion in found] == [pytest.approx(30, rel=0.1)] * 2
