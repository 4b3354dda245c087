"""The nodule studies: patients apart, figures and limits that are right."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studies.nodules.attributes import MEASURES, held_against
from studies.nodules.crops import LUNG, Nodule, lung_of, read_nodules
from studies.nodules.drawn import fold_of, planned, real_sample, request_of, without_nodule
from studies.nodules.intervals import auc, best_limit, figure
from studies.nodules.real_or_drawn import judged, together, trained
from synth.errors import InputError
from synth.report.measure import measure

DATA = Path(os.environ.get("SYNTHCT_DATA", Path(__file__).parents[3] / "shared/data")) / "nodules"


def nodule(patient: str = "A", hu: float = 20.0) -> Nodule:
    """A ball of 6 mm radius in noisy lung beside a chest wall."""
    points = np.indices((51, 51, 51)) - 25.0
    mask = np.linalg.norm(points, axis=0) < 6
    field = np.where(mask, hu, np.where(points[0] > 18, 40.0, -850.0)) + np.random.default_rng(0).normal(
        0, 15, mask.shape
    )
    ratings = dict.fromkeys(("texture", "spiculation", "lobulation", "margin", "sphericity"), 3)
    return Nodule("case", patient, ratings, 12.0, field.astype(np.int16), mask, np.diag([1.0, 1.0, 1.0, 1.0]))


def test_halves_go_by_patient() -> None:
    halves = [nodule(f"P{i}").half for i in range(60)]
    assert 15 < sum(halves) < 45
    assert nodule("P1", hu=-300).half == nodule("P1").half


def test_the_lung_holds_the_nodule_and_not_the_chest_wall() -> None:
    one = nodule()
    assert one.lung[one.mask].all()
    assert not one.lung[46:].any()
    assert one.lung[:40].mean() > 0.98
    assert not lung_of(np.full((20, 20, 20), 40, np.int16), np.zeros((20, 20, 20), bool)).any()


def test_the_report_measures_a_crop() -> None:
    (found,) = measure(nodule().case()).lesions
    assert found.structure == LUNG
    assert found.attributes.texture == "solid"
    assert found.attributes.dense_hu is not None


def test_auc_and_its_interval() -> None:
    score, yes = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert auc(score, yes) == pytest.approx(0.875)
    assert auc(-score, yes) == pytest.approx(0.125)
    rng = np.random.default_rng(0)
    value = rng.normal(size=200)
    found = figure(lambda i: float(value[i].mean()), [str(i // 2) for i in range(200)])
    assert found.low < value.mean() < found.high
    alike = figure(lambda i: float(value[i // 2].mean()), [str(i // 2) for i in range(200)])  # two rows of each patient
    assert alike.high - alike.low > 1.2 * (found.high - found.low)


def test_the_best_limit_parts() -> None:
    assert best_limit(np.array([1.0, 2.0, 5.0, 6.0]), np.array([False, False, True, True])) == pytest.approx(3.5)


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no index\.csv"):
        read_nodules(tmp_path)


def test_a_crop_without_its_nodule_is_lung() -> None:
    one = nodule()
    hu = without_nodule(one)
    assert hu is not None
    assert hu[one.mask].mean() == pytest.approx(-850, abs=20)
    np.testing.assert_array_equal(hu[~one.lung], one.hu[~one.lung])
    assert without_nodule(replace(one, mask=one.lung)) is None  # nothing is left to take its place


def test_a_nodule_is_drawn_with_the_ratings_and_the_size_of_a_real_one() -> None:
    one = nodule()
    asked = request_of(replace(one, ratings=one.ratings | {"texture": 1}))
    assert asked.texture == "ground-glass" and asked.spiculated
    assert asked.size_mm == pytest.approx(12, abs=1.1)
    plan = planned(asked, (25, 25, 25), np.random.default_rng(0))
    assert (plan.centre, plan.size_mm) == ((25, 25, 25), asked.size_mm)
    assert real_sample(one).body.sum() == pytest.approx(one.mask.sum(), rel=0.1)


def test_folds_keep_sizes_even() -> None:
    some = [replace(nodule(f"P{i}"), diameter_mm=float(i)) for i in range(20)]
    folds = fold_of(some)
    assert sorted(folds.values()) == sorted(list(range(5)) * 4)
    assert all(len({folds[n.patient] for n in some[i : i + 5]}) == 5 for i in range(0, 20, 5))


@pytest.mark.slow
def test_the_judge_learns_what_can_be_seen_and_not_what_cannot() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(-850, 30, (32, 32, 32, 32)).astype(np.float32)
    drawn = np.arange(32) % 2 == 0
    seen = noise + 300 * drawn[:, None, None, None] * (np.linalg.norm(np.indices((32, 32, 32)) - 16, axis=0) < 6)
    assert auc(judged(trained(seen[:24], drawn[:24], 0), seen[24:]), drawn[24:]) == 1.0
    score = together(rng.normal(size=(300, 4)), rng.random(300) < 0.5, np.arange(300) % 5)
    assert abs(auc(score, np.arange(300) % 2 == 0) - 0.5) < 0.12


@pytest.mark.skipif(not DATA.is_dir(), reason="no real nodules here")
def test_real_nodules_of_either_texture_are_told_apart() -> None:
    every = read_nodules(DATA)
    assert len({n.patient for n in every}) == len(every) == 100
    some = [n for n in every if n.ratings["texture"] in (1, 5)]
    found = [measure(n.case()).lesions[0] for n in some]
    dense = np.array([m.attributes.dense_hu for m in found], float)
    assert auc(dense, np.array([n.ratings["texture"] == 5 for n in some])) > 0.8
    row = held_against(MEASURES[1], some, found)
    assert row.measured == len(some) and row.all.low <= row.all.value <= row.all.high
