"""Laws of insertion: outside the lesion the host is bit-equal, a plan replays, the noise inside is the host's."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from prompts.request import FindingRequest
from synth.errors import InputError
from synth.lesions import LesionPlan, insert, keep_painted, plan_lesions
from synth.lesions.mass_effect import displace
from synth.lesions.shape import grow
from synth.volumes.types import HU_MAX, HU_MIN, LabelMap, Volume

SD = 14.0  # of the phantom's noise
FINDINGS = (
    FindingRequest(kind="nodule", organ="lung", side="right", segment="upper", size_mm=16, spiculated=True),
    FindingRequest(kind="nodule", organ="lung", side="left", size_mm=10, texture="ground-glass"),
    FindingRequest(kind="tumour", organ="liver", size_mm=18),
    FindingRequest(kind="cyst", organ="kidney", size_mm=14),
)


class HaarStandIn:
    """Replaces the 2 x 2 x 2 detail where asked by white noise, keeps block means, and notes what it was given."""

    def __init__(self, sd: float) -> None:
        self.sd, self.calls = sd, []

    def __call__(self, hu: np.ndarray, where: np.ndarray, spacing: np.ndarray, seed: int) -> np.ndarray:
        self.calls.append((hu, where, spacing, seed))
        blocks = [n // 2 for n in hu.shape]
        split = (blocks[0], 2, blocks[1], 2, blocks[2], 2)
        noise = np.random.default_rng(seed).standard_normal(hu.shape).reshape(split)
        detail = self.sd * (noise - noise.mean(axis=(1, 3, 5), keepdims=True))
        mean = hu.reshape(split).mean(axis=(1, 3, 5), keepdims=True)
        return np.where(where, (mean + detail).reshape(hu.shape), -5000.0)  # what lies outside `where` must not matter


def put(*arguments: object) -> tuple[Volume, LabelMap]:
    """CT and lesions of an insertion."""
    case = insert(*arguments)
    return case.ct, case.lesions


@pytest.fixture(scope="module")
def plans(host: Volume, organs: LabelMap) -> tuple[LesionPlan, ...]:
    return plan_lesions(FINDINGS, host, organs, np.random.default_rng(3))


@pytest.mark.parametrize("redraw", [keep_painted, HaarStandIn(SD)], ids=["painted", "redrawn"])
def test_only_what_the_lesion_reaches_changes(
    host: Volume, organs: LabelMap, plans: tuple[LesionPlan, ...], redraw: Callable
) -> None:
    before = host.hu.copy()
    ct, lesions = put(host, organs, plans, redraw)
    np.testing.assert_array_equal(host.hu, before)  # the host itself is left alone
    reached = np.zeros(host.hu.shape, bool)
    for plan in plans:
        grown = grow(plan, host, organs)
        reached[grown.box] |= grown.share > 0
        if (displacement := displace(plan, grown, host, organs)) is not None:
            reached[grown.box] |= displacement.moved
        distance = np.linalg.norm((np.indices(host.hu.shape).T - plan.centre) * host.spacing, axis=-1).T
        assert (distance[lesions.ids == plan.id] <= plan.ball_mm).all()
    np.testing.assert_array_equal(ct.hu[~reached], host.hu[~reached])
    assert (ct.hu != host.hu)[
        reached
    ].mean() > 0.6  # far out, where little is pushed, some voxels round to what they were
    assert ct.hu.dtype == np.int16
    assert ct.hu.min() >= HU_MIN
    assert ct.hu.max() <= HU_MAX


def test_a_plan_replays_and_lesions_do_not_depend_on_each_other(
    host: Volume, organs: LabelMap, plans: tuple[LesionPlan, ...]
) -> None:
    together, ids = put(host, organs, plans, HaarStandIn(SD))
    again, _ = put(host, organs, plans, HaarStandIn(SD))
    np.testing.assert_array_equal(together.hu, again.hu)
    alone, _ = put(host, organs, plans[2:3], HaarStandIn(SD))
    where = ids.ids == plans[2].id
    np.testing.assert_array_equal(alone.hu[where], together.hu[where])


def test_masks_have_the_plans_ids_and_names(host: Volume, organs: LabelMap, plans: tuple[LesionPlan, ...]) -> None:
    _, lesions = put(host, organs, plans, keep_painted)
    assert lesions.ids.dtype == np.uint8
    assert lesions.names == {1: "lung_nodule_1", 2: "lung_nodule_2", 3: "liver_tumour_3", 4: "kidney_cyst_4"}
    assert lesions.present() == list(lesions.names.values())


def test_the_redraw_sees_an_even_crop_round_the_painted_lesion(
    host: Volume, organs: LabelMap, plans: tuple[LesionPlan, ...]
) -> None:
    redraw = HaarStandIn(SD)
    put(host, organs, plans, redraw)
    assert len(redraw.calls) == len(plans)
    for hu, where, spacing, _ in redraw.calls:
        assert hu.dtype == np.float32
        assert all(n % 2 == 0 for n in hu.shape)
        assert where.shape == hu.shape
        np.testing.assert_array_equal(spacing, host.spacing)
    assert len({seed for *_, seed in redraw.calls}) == len(plans)


def corner_of(hu: np.ndarray, host: Volume) -> np.ndarray:
    """Where the first row of a crop lies in the host."""
    windows = np.lib.stride_tricks.sliding_window_view(host.hu, (1, 6, 1))[:, :, :, 0, :, 0]
    (corner,) = np.argwhere((windows == hu[0, :6, 0]).all(axis=-1))
    return corner


def test_the_crop_starts_at_even_offsets(host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan]) -> None:
    for centre in ((28, 40, 34), (29, 41, 33)):
        redraw = HaarStandIn(SD)
        put(host, organs, [make_plan(centre=centre, size_mm=8.0, ball_mm=7.0)], redraw)
        assert (corner_of(redraw.calls[0][0], host) % 2 == 0).all()


@pytest.mark.parametrize("sizes", [(41, 40, 21), (40, 41, 20)])
def test_lesions_at_the_border_of_odd_volumes(make_plan: Callable[..., LesionPlan], sizes: tuple[int, ...]) -> None:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    organs = LabelMap(np.full(sizes, 5, np.uint8), affine, {5: "liver"})
    hu = np.random.default_rng(0).normal(60, 10, sizes)
    host = Volume(np.rint(hu).astype(np.int16), affine)
    for corner in ((0, 0, 0), tuple(n - 1 for n in sizes)):
        plan = make_plan(structures=("liver",), centre=corner, size_mm=8.0, ball_mm=12.0)
        ct, lesions = put(host, organs, [plan], HaarStandIn(10.0))
        assert lesions.ids[corner] == 1
        assert ct.hu.shape == sizes
        assert ct.hu.min() > -100  # nothing of what lies outside `where` came through


@pytest.mark.parametrize("redrawn", [False, True])
def test_a_solid_nodule_is_soft_tissue_with_the_hosts_noise(
    host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan], redrawn: bool
) -> None:
    even = host.hu[30:40, 30:50, 4:10].astype(float)  # liver, whose detail the stand-in is to have
    means = even.reshape(5, 2, 10, 2, 3, 2).mean(axis=(1, 3, 5)).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    redraw = HaarStandIn(float((even - means).std() / np.sqrt(7 / 8))) if redrawn else keep_painted
    ct, lesions = put(host, organs, [make_plan(size_mm=34.0, ball_mm=27.0)], redraw)
    core = ndimage.binary_erosion(lesions.ids == 1, iterations=4)  # the stand-in wipes out the edge beside it
    assert core.sum() > 100
    assert ct.hu[core].mean() == pytest.approx(40, abs=4)
    soft_tissue = host.hu[ndimage.binary_erosion(organs.mask("liver"))].std()
    assert ct.hu[core].std() == pytest.approx(soft_tissue, rel=0.25)


def test_no_plans_no_change(host: Volume, organs: LabelMap) -> None:
    ct, lesions = put(host, organs, (), keep_painted)
    np.testing.assert_array_equal(ct.hu, host.hu)
    assert not lesions.ids.any()


def test_labels_on_another_grid_are_an_error(host: Volume, organs: LabelMap, plans: tuple[LesionPlan, ...]) -> None:
    with pytest.raises(InputError, match="resample the labels"):
        put(host, LabelMap(organs.ids[:-1], organs.affine, organs.names), plans, keep_painted)


def test_a_redraw_that_breaks_is_not_saved(host: Volume, organs: LabelMap, plans: tuple[LesionPlan, ...]) -> None:
    with pytest.raises(ValueError, match="not finite"):
        put(host, organs, plans, lambda hu, where, spacing, seed: hu * np.nan)
