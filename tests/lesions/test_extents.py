"""Findings that are told by their extent: as much as asked, where asked, nothing else touched, measured back."""

import numpy as np
import pytest

from prompts import parse
from prompts.request import FindingRequest
from prompts.vocabulary import EXTENT_KINDS, FindingKind, Organ, Side
from synth.errors import InputError
from synth.lesions import extents, insert, keep_painted, plan_lesions
from synth.lesions.extent_acceptance import extent_checks
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.extent_types import extent_types, read_extents
from synth.lesions.variation import later
from synth.report import write
from synth.report.measure import measure
from synth.volumes.types import Case, LabelMap, Volume

IN_LUNG = [t.name for t in extent_types().values() if t.organ is Organ.LUNG and t.unit == "share"]


def drawn(prompt: str, host: Volume, organs: LabelMap, seed: int = 1) -> tuple[ExtentPlan, Case]:
    (plan,) = plan_lesions(parse(prompt).findings, host, organs, np.random.default_rng(seed))
    assert isinstance(plan, ExtentPlan)
    return plan, insert(host, organs, [plan], keep_painted)


def words(name: str) -> str:
    return str(extent_types()[name].kinds[0])


@pytest.mark.parametrize("name", IN_LUNG)
def test_share_and_side_are_as_asked_and_the_rest_is_the_host_s(name: str, host: Volume, organs: LabelMap) -> None:
    plan, case = drawn(f"{words(name)} in 20% of the left lung", host, organs)
    mask = case.lesions.ids > 0
    lung = organs.mask("lung_upper_lobe_left", "lung_lower_lobe_left")
    assert mask[lung].mean() == pytest.approx(0.2, abs=0.01)
    assert not mask[~lung].any()
    changed = case.ct.hu != host.hu
    assert not changed[organs.mask("lung_upper_lobe_right", "lung_lower_lobe_right", "liver")].any()
    assert changed[mask].mean() > 0.5
    assert (case.organs.ids == organs.ids).all()
    (found,) = measure(case).lesions
    held = {c.name: c.ok for c in extent_checks(plan, found)}
    assert held["share"] and held["is_left"]


@pytest.mark.parametrize("name", ["ground_glass_opacity", "emphysema"])
def test_the_same_plan_is_the_same_finding_and_another_seed_another(name: str, host: Volume, organs: LabelMap) -> None:
    plan, case = drawn(words(name), host, organs)
    again = insert(host, organs, [plan], keep_painted)
    other = insert(host, organs, [plan.model_copy(update={"seed": plan.seed + 1})], keep_painted)
    assert (again.ct.hu == case.ct.hu).all() and (again.lesions.ids == case.lesions.ids).all()
    assert (other.lesions.ids != case.lesions.ids).any()


@pytest.mark.parametrize(
    ("prompt", "denser"),
    [
        ("diffuse ground-glass opacity in 30% of the lung", True),
        ("peripheral consolidation in 10% of the lung", True),
        ("centrilobular emphysema in 20% of the lung", False),
    ],
)
def test_hu_go_the_way_of_the_kind(prompt: str, denser: bool, host: Volume, organs: LabelMap) -> None:
    _, case = drawn(prompt, host, organs)
    mask = case.lesions.ids > 0
    assert (np.median(case.ct.hu[mask]) > np.median(host.hu[mask])) is np.bool_(denser)


def test_peripheral_lies_beneath_the_pleura_and_emphysema_in_the_upper_lobes(host: Volume, organs: LabelMap) -> None:
    from scipy.ndimage import distance_transform_edt

    lungs = organs.mask(*(n for n in organs.names.values() if n.startswith("lung_")))
    depth = distance_transform_edt(lungs, sampling=host.spacing)
    _, rim = drawn("peripheral ground-glass opacity in 15% of the lung", host, organs)
    assert depth[rim.lesions.ids > 0].mean() < 0.6 * depth[lungs].mean()
    _, upper = drawn("centrilobular emphysema in 10% of the lung", host, organs)
    height = np.arange(lungs.shape[2])[None, None] * np.ones(lungs.shape)
    assert height[upper.lesions.ids > 0].mean() > height[lungs].mean()


def test_a_nodule_lies_upon_ground_glass_and_both_are_measured(host: Volume, organs: LabelMap) -> None:
    findings = parse(
        "14 mm nodule in the right lung and diffuse ground-glass opacity in 60% of the right lung"
    ).findings
    plans = plan_lesions(findings, host, organs, np.random.default_rng(3))
    case = insert(host, organs, plans, keep_painted)
    nodule, glass = measure(case).lesions
    assert nodule.long_axis_mm == pytest.approx(14, abs=1.6) and nodule.extent is None
    assert glass.extent is not None and glass.side == "right"
    (line,) = (s.text for s in write(measure(case)).section("findings") if s.id == glass.name)
    assert line.startswith("Ground-glass opacity in 6") and line.endswith("of the right lung.")


def test_a_lung_that_is_labelled_whole_is_enough(host: Volume, organs: LabelMap) -> None:
    ids = organs.ids.copy()
    ids[organs.mask(*(n for n in organs.names.values() if n.startswith("lung_")))] = 138
    whole = LabelMap(ids, organs.affine, {138: "lung", 5: "liver"})
    plan, case = drawn("consolidation in 50% of the right lower lobe", host, whole)
    right = organs.mask("lung_upper_lobe_right", "lung_lower_lobe_right")
    assert not (case.lesions.ids > 0)[~right].any()
    (found,) = measure(case).lesions
    assert all(c.ok for c in extent_checks(plan, found) if c.name != "median_hu")
    assert "lobes are approximate" in write(measure(case)).text()
    assert "approximate" not in write(measure(Case(host, organs, case.lesions))).text()


def test_an_amount_of_another_unit_is_refused_in_one_line(host: Volume, organs: LabelMap) -> None:
    finding = FindingRequest(kind=FindingKind.EMPHYSEMA, organ=Organ.LUNG, size_mm=20)
    with pytest.raises(InputError, match="measured in share"):
        plan_lesions([finding], host, organs, np.random.default_rng(0))


def test_the_table_names_ways_and_kinds_that_exist() -> None:
    for entry in extent_types().values():
        assert entry.draw in {*extents.WAYS, *extents.IN_LUNG} and set(entry.kinds) <= EXTENT_KINDS
    kinds = [k for t in extent_types().values() for k in t.kinds]
    assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize("old,new,named", [("severe:", "worst:", "severe"), ("edge:", "colour: 3\n    edge:", "range")])
def test_a_wrong_entry_names_its_field(old: str, new: str, named: str) -> None:
    entry = """
glassy:
  source: "An example of a page."
  sees: "hazy lung, for example"
  organ: lung
  kinds: [fibrosis]
  draw: glass
  unit: share
  amount: {mild: [0.1, 0.2], moderate: [0.2, 0.3], severe: [0.3, 0.4]}
  numbers:
    edge: [0.1, 0.2]
  hu: [-700, -300]
"""
    assert read_extents(entry)
    with pytest.raises(ValueError):
        read_extents(entry.replace(old, new))


def test_exchanged_sides_are_seen(host: Volume, organs: LabelMap) -> None:
    plan, case = drawn("consolidation in 20% of the left lung", host, organs)
    (found,) = measure(case).lesions
    assert plan.asked is not None
    other = plan.model_copy(update={"asked": plan.asked.model_copy(update={"side": Side.RIGHT})})
    assert {c.name for c in extent_checks(other, found) if not c.ok} >= {"is_right"}


def test_later_there_is_more_of_it_up_to_all(host: Volume, organs: LabelMap) -> None:
    (plan,) = plan_lesions(parse("emphysema in 60% of the lung").findings, host, organs, np.random.default_rng(1))
    assert isinstance(plan, ExtentPlan)
    more, most = (later(plan, growth, host.spacing) for growth in (1.2, 3.0))
    assert isinstance(more, ExtentPlan) and more.amount == pytest.approx(0.72) and more.seed == plan.seed
    assert isinstance(most, ExtentPlan) and most.amount == 0.99
    assert more.asked is not None and more.asked.share is None
