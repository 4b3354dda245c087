"""Plans: what was asked is in the facts, what was not is like a real patient, and what cannot be drawn is refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from prompts import CaseRequest, TargetRequest, parse
from prompts.vocabulary import Extent, Habitus, Phase, Region, Side
from synth.case.plan import CasePlan, Sampling, case_name, draw_generate, draw_insert, host_name, read_plan
from synth.case.weights_folder import Weights
from synth.errors import InputError
from synth.regions.prior import Prior
from synth.regions.words import request_of, side_of, word_of
from synth.seeding import numpy_rng
from tests.regions import FACTS, NAMES, ORGANS, REGION, encode, mirrored, prior

SEEDS = range(60)


def draws(request: CaseRequest) -> Sequence[dict[str, float]]:
    return [prior().draw(request, numpy_rng(seed)) for seed in SEEDS]


def a_plan(request: CaseRequest | None = None, **changes: object) -> CasePlan:
    options = {"seed": 0, "index": 0, "attempt": 0, "spacing": 4.0, "sampling": Sampling()} | changes
    request = request or CaseRequest(region=Region.HEAD_NECK)
    return draw_generate(request, weights=Weights.covering(request.region), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("dose", "side"), itertools.product((56, 63, 70), (Side.LEFT, Side.RIGHT, Side.BILATERAL)))
def test_a_target_is_there_on_the_side_that_was_asked_for(dose: int, side: Side) -> None:
    for facts in draws(CaseRequest(targets=(TargetRequest(dose_gy=dose, side=side),))):
        assert side_of(facts[f"target_{dose}_side"]) is side and facts[f"target_{dose}_ml"] > 0


def test_a_volume_in_numbers_is_taken_as_it_is() -> None:
    request = CaseRequest(targets=(TargetRequest(dose_gy=70, volume_ml=123.0),))
    assert {facts["target_70_ml"] for facts in draws(request)} == {123.0}


@pytest.mark.parametrize("extent", [None, *Extent])
def test_the_extent_is_as_asked_and_complete_where_nothing_is_said(extent: Extent | None) -> None:
    assert {REGION.field_of(facts) for facts in draws(CaseRequest(extent=extent))} == {extent or Extent.COMPLETE}


@pytest.mark.parametrize(
    ("prompt", "guided"),
    [("contrast-enhanced", True), ("portal venous", True), ("non-contrast", False), ("slim habitus", False)],
)
def test_contrast_is_steered_with_guidance(prompt: str, guided: bool) -> None:
    request = parse(f"CT of the head and neck, {prompt}")
    plan = draw_generate(
        request, weights=Weights.shipped(), seed=0, index=0, attempt=0, spacing=4.0, sampling=Sampling()
    )
    assert (plan.sampling.contrast_guidance > 0) is guided
    assert plan.sampling.model_copy(update={"contrast_guidance": 0.0}) == Sampling()


@pytest.mark.parametrize("phase", list(Phase))
def test_the_words_for_contrast_agree_with_the_facts(phase: Phase) -> None:
    expected = Phase.NON_CONTRAST if phase is Phase.NON_CONTRAST else Phase.ENHANCED
    assert {word_of(REGION, "phase", facts) for facts in draws(CaseRequest(phase=phase))} == {expected}


@pytest.mark.parametrize("habitus", list(Habitus))
def test_the_habitus_agrees_with_the_neck(habitus: Habitus) -> None:
    found = {word_of(REGION, "habitus", facts) for facts in draws(CaseRequest(habitus=habitus))}
    assert found == {habitus}


def test_everything_that_was_asked_holds_together() -> None:
    """Two training patients are like this, too few to choose from."""
    request = parse("non-contrast CT of the head and neck of a slim man with a 70 Gy target on the left side")
    for facts in draws(request):
        again = request_of(REGION, facts)
        assert (again.extent, again.phase, again.habitus) == (Extent.COMPLETE, Phase.NON_CONTRAST, Habitus.SLIM)
        assert again.targets[0].dose_gy == 70 and again.targets[0].side is Side.LEFT


def test_facts_stay_near_a_real_patient_and_in_their_range() -> None:
    """Jitter is an eighth of a fact's scale: every draw has a training patient within a few of those in every fact."""
    pool = [*prior().patients, *map(mirrored, prior().patients)]
    known = {f: np.array([f.encode(p.get(f.name, np.nan)) for p in pool]) for f in FACTS}
    for facts in draws(CaseRequest()):
        away = np.zeros(len(pool))
        for fact in FACTS:
            difference = np.abs(known[fact] - fact.encode(facts.get(fact.name, np.nan)))
            absent = np.isnan(known[fact]) & (fact.name not in facts)
            away = np.maximum(away, np.where(absent, 0.0, np.where(np.isnan(difference), np.inf, difference)))
        assert 0 < away.min() < 0.6
        assert all(-1 <= facts[name] <= 1 for name in facts if name.endswith("_side"))
        assert all(facts[name] >= 0 for name in facts if name.endswith(("_ml", "_permille", "_cm2")))


def test_facts_encode_with_a_flag_for_each_that_is_known() -> None:
    for facts in draws(CaseRequest())[:10]:
        vector = encode(facts)
        assert vector.shape == (2 * len(FACTS),) and np.isfinite(vector).all()
        assert vector[len(FACTS) :].tolist() == [float(name in facts) for name in NAMES]
        assert set(facts) <= set(NAMES)


def test_new_patients_differ() -> None:
    bodies = {facts["body_ml"] for facts in draws(CaseRequest())}
    assert len(bodies) == len(SEEDS)


@pytest.mark.parametrize("organ", ORGANS)
def test_the_range_of_an_organ_holds_98_of_100_real_patients(organ: str) -> None:
    volumes = [p[f"{organ}_ml"] for p in prior().patients if f"{organ}_ml" in p]
    low, high = prior().organ_range(organ)
    assert min(volumes) <= low < np.median(volumes) < high <= max(volumes)
    assert 0.96 <= np.mean([low <= v <= high for v in volumes]) < 1
    assert prior().organ_range(organ, 0, 100) == (min(volumes), max(volumes))


def test_a_plan_follows_from_seed_case_and_attempt() -> None:
    assert a_plan() == a_plan()
    others = [a_plan(seed=1), a_plan(index=1), a_plan(attempt=1)]
    for plan in others:
        assert plan.facts != a_plan().facts
        seeds = {plan.base_seed, plan.refine_seed, plan.lesion_seed}
        assert len(seeds | {a_plan().base_seed, a_plan().refine_seed, a_plan().lesion_seed}) == 6
    assert read_plan(a_plan().to_json()) == a_plan()
    assert a_plan(index=12).case == case_name(12) == "case_00012"


@pytest.mark.parametrize(("spacing", "levels"), [(8, 1), (4, 2), (2, 3), (1, 4)])
def test_progress_knows_the_levels(spacing: float, levels: int) -> None:
    sampling = Sampling(refine_steps=5)
    assert a_plan(spacing=spacing, sampling=sampling).refine_evaluations() == 5 * levels


@pytest.mark.parametrize("spacing", [16, 3, 0.5, 8.5])
def test_a_spacing_off_the_pyramid_names_the_choices(spacing: float) -> None:
    with pytest.raises(InputError, match=rf"--spacing {spacing:g}: choose one of 8, 4, 2, 1 mm"):
        a_plan(spacing=spacing)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("pelvis CT", "region 'pelvis': the shipped weights draw head_neck"),
        (
            "CT of the head and neck with a 70 Gy target of 145 mL and a 63 Gy target of 100 mL",
            "63 Gy target of 100 mL: targets are nested, and it holds the 70 Gy target of 145 mL",
        ),
        ("CT of the head and neck with a 9 mm nodule in the left lung", "'lung nodule' in a generated head_neck CT"),
    ],
)
def test_what_the_weights_cannot_draw_is_refused(prompt: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        a_plan(parse(prompt))


def test_a_host_is_named_by_its_file_or_folder(tmp_path: Path) -> None:
    assert host_name(Path("data/chest.nii.gz")) == host_name(Path("chest.nii")) == "chest"
    assert host_name(tmp_path / "LIDC-IDRI-0001" / "ct.nii.gz") == "LIDC-IDRI-0001"


def test_an_insert_plan_holds_the_content_of_its_host(tmp_path: Path) -> None:
    ct, organs = tmp_path / "chest.nii.gz", tmp_path / "organs.nii.gz"
    ct.write_bytes(b"ct")
    organs.write_bytes(b"organs")
    request = parse("9 mm nodule in the left lung")
    plan = draw_insert(request, seed=3, ct=ct, organs=organs)
    assert plan.case == "chest_00003" and plan.host is not None
    ct.write_bytes(b"another")
    other = draw_insert(request, seed=3, ct=ct, organs=organs)
    assert other.host is not None and other.host.ct_sha256 != plan.host.ct_sha256
    with pytest.raises(InputError, match="no lesion to insert"):
        draw_insert(parse("CT of the chest"), seed=3, ct=ct, organs=organs)


@pytest.mark.parametrize("volume", [40, 150, 900])
def test_volumes_that_are_not_said_fit_the_one_that_is(volume: int) -> None:
    request = parse(
        f"CT of the head and neck with a 70 Gy target, a 63 Gy target of {volume} mL and a 56 Gy target on both sides"
    )
    for seed in range(20):
        facts = prior().draw(request, np.random.default_rng(seed))
        inner, said, outer = (facts[f"target_{dose}_ml"] for dose in (70, 63, 56))
        assert said == volume
        assert 0 < inner <= said / 1.24
        assert outer >= said * 1.24


def test_an_organ_that_no_patient_has_may_have_any_volume_that_json_can_hold() -> None:
    low, high = Prior(prior().region, ({"larynx_ml": 20.0},)).organ_range("parotid_gland_left")
    assert low == 0.0 and json.loads(json.dumps(high, allow_nan=False)) == high > 1e6
