"""The nodule studies: patients apart, figures and limits that are right."""

import os
from pathlib import Path

import numpy as np
import pytest

from studies.nodules.attributes import MEASURES, held_against
from studies.nodules.crops import LUNG, Nodule, lung_of, read_nodules
from studies.nodules.intervals import auc, best_limit, figure
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
