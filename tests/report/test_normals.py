"""What is ruled out by measurement: told where it is so, and not told once it is there, or cut, or not labelled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from synth.report import Report, check, measure, pockets, write
from synth.report.extent_figures import aortic_widths, head_foot_mm
from synth.report.normals import LUNGS
from synth.volumes.types import Case, LabelMap, Volume

SHAPE, MM = (96, 72, 96), 4.0
AFFINE = np.diag([-MM, -MM, MM, 1.0])  # y of the arrays grows to the back
NAMES = {1: "spleen", 2: "kidney_right", 3: "kidney_left", 5: "liver", 51: "heart", 52: "aorta", 16: "trachea"}
NAMES |= {138: "lung_right", 139: "lung_left"}
HU = {0: 45, 1: 48, 2: 32, 3: 32, 5: 58, 51: 42, 52: 44, 16: -1000, 138: -850, 139: -850}
X, Y, Z = np.indices(SHAPE) * MM


def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    return sum(((a - c) / r) ** 2 for a, c, r in zip((X, Y, Z), centre, radii, strict=True)) <= 1


def patient() -> Case:
    """A chest and upper abdomen without contrast and without a finding."""
    body = ball((192, 144, 192), (170, 130, 900))
    ids = np.zeros(SHAPE, np.uint8)
    for number, centre, radii in (
        (138, (110, 140, 260), (60, 90, 100)), (139, (270, 140, 260), (60, 90, 100)),
        (51, (200, 110, 230), (55, 40, 45)), (5, (120, 140, 110), (70, 80, 45)), (1, (290, 180, 120), (30, 40, 45)),
        (2, (130, 210, 80), (25, 25, 52)), (3, (250, 210, 80), (25, 25, 52)),
    ):  # fmt: skip
        ids[ball(centre, radii)] = number
    ids[(np.hypot(X - 195, Y - 185) <= 14) & (ids == 0)] = 52
    ids[(np.hypot(X - 192, Y - 130) <= 8) & (Z > 280)] = 16
    hu = np.where(body, 0, -1000)
    for number, value in HU.items():
        hu[(ids == number) & body] = value
    hu = hu + np.where(body, np.random.default_rng(0).normal(0, 8, SHAPE), 0)
    ct = Volume(np.rint(hu).astype(np.int16), AFFINE)
    return Case(ct, LabelMap(ids, AFFINE, NAMES), LabelMap(np.zeros(SHAPE, np.uint8), AFFINE, {}))


@pytest.fixture(scope="module")
def healthy() -> Case:
    return patient()


def told(case: Case) -> dict[str, dict[str, float]]:
    return {one.kind: one.figures for one in measure(case).ruled_out}


def with_hu(case: Case, where: np.ndarray, value: float, organ: int | None = 0) -> Case:
    """The case with other HU somewhere, and there with another label."""
    hu, ids = case.ct.hu.copy(), case.organs.ids.copy()
    hu[where] = value
    if organ is not None:
        ids[where] = organ
    return replace(case, ct=Volume(hu, AFFINE), organs=LabelMap(ids, AFFINE, NAMES))


ALL = {
    *("emphysema", "consolidation", "effusion", "pneumothorax", "cardiomegaly", "pericardial effusion", "aneurysm"),
    *("steatosis", "splenomegaly", "kidney length", "ascites"),
}


def test_everything_is_ruled_out_of_a_healthy_patient_with_its_figures(healthy: Case) -> None:
    found = told(healthy)
    assert set(found) == ALL  # calcium needs smaller voxels
    assert found["cardiomegaly"]["cardiothoracic_ratio"] == pytest.approx(110 / 280, abs=0.03)
    assert found["aneurysm"]["width_mm"] == pytest.approx(28, abs=2)
    assert found["splenomegaly"]["length_mm"] == pytest.approx(90, abs=MM)
    assert found["kidney length"]["right_mm"] == pytest.approx(104, abs=MM)
    assert found["steatosis"] == {"liver_hu": pytest.approx(58, abs=1), "spleen_hu": pytest.approx(48, abs=1)}


LUNG = ball((110, 140, 260), (60, 90, 100))
LAYER = LUNG & (Y > 200)
RIM = ball((200, 110, 230), (67, 52, 57)) & ~ball((200, 110, 230), (55, 40, 45))
PLANTED: dict[str, Callable[[Case], Case]] = {
    "effusion": lambda case: with_hu(case, LAYER, 8),
    "pneumothorax": lambda case: with_hu(case, LUNG & (Y < 75), -1000),
    "emphysema": lambda case: with_hu(case, LUNG & (Z > 300), -980, None),
    "consolidation": lambda case: with_hu(case, ball((110, 140, 300), (20, 20, 20)), 40, None),
    "pericardial effusion": lambda case: with_hu(case, RIM & (case.organs.ids == 0), 8),
    "steatosis": lambda case: with_hu(case, case.organs.ids == 5, 20, None),
    "ascites": lambda case: with_hu(case, ball((120, 140, 110), (84, 80, 45)) & (case.organs.ids == 0), 8),
    "cardiomegaly": lambda case: with_hu(case, ball((200, 110, 230), (80, 40, 45)), 42, 51),
    "splenomegaly": lambda case: with_hu(case, ball((290, 180, 120), (30, 40, 80)), 48, 1),
    "aneurysm": lambda case: with_hu(case, (np.hypot(X - 195, Y - 185) <= 24) & (np.abs(Z - 230) < 20), 44, 52),
    "kidney length": lambda case: with_hu(case, ball((250, 210, 80), (20, 20, 30)) ^ (case.organs.ids == 3), 45, 0),
}


@pytest.mark.parametrize("kind", sorted(PLANTED))
def test_what_is_there_without_a_mask_is_not_ruled_out(healthy: Case, kind: str) -> None:
    assert kind not in told(PLANTED[kind](healthy)), "it is told although it is there"


def test_what_is_found_is_not_ruled_out(healthy: Case) -> None:
    layer = ball((270, 220, 260), (20, 8, 20))
    lesions = LabelMap(layer.astype(np.uint8), AFFINE, {1: "pleural_effusion_1"})
    assert "effusion" not in told(replace(healthy, lesions=lesions))


def test_organs_that_are_cut_or_not_labelled_are_not_judged(healthy: Case) -> None:
    low = slice(30, None)  # cuts liver, spleen and kidneys from below
    cut = Case(
        Volume(healthy.ct.hu[:, :, low], AFFINE),
        LabelMap(healthy.organs.ids[:, :, low], AFFINE, NAMES),
        LabelMap(healthy.lesions.ids[:, :, low], AFFINE, {}),
    )
    assert not {"splenomegaly", "kidney length"} & set(told(cut))
    assert {"cardiomegaly", "effusion"} <= set(told(cut))
    bare = replace(healthy, organs=LabelMap(healthy.organs.ids, AFFINE, {5: "liver"}))
    assert set(told(bare)) <= {"steatosis", "ascites"}


def test_of_lung_bases_only_fluid_is_ruled_out(healthy: Case) -> None:
    top = slice(0, 60)
    bases = Case(
        Volume(healthy.ct.hu[:, :, top], AFFINE),
        LabelMap(healthy.organs.ids[:, :, top], AFFINE, NAMES),
        LabelMap(healthy.lesions.ids[:, :, top], AFFINE, {}),
    )
    found = set(told(bases))
    assert "effusion" in found and not {"emphysema", "consolidation", "pneumothorax", "cardiomegaly"} & found


def test_a_liver_with_contrast_says_nothing_of_fat(healthy: Case) -> None:
    assert "steatosis" not in told(with_hu(healthy, healthy.organs.ids == 52, 180, None))


def test_coarse_voxels_rule_out_no_thin_layer(healthy: Case) -> None:
    thick = Case(
        Volume(healthy.ct.hu[::2, ::2, ::2], AFFINE @ np.diag([2, 2, 2, 1])),
        LabelMap(healthy.organs.ids[::2, ::2, ::2], AFFINE @ np.diag([2, 2, 2, 1]), NAMES),
        LabelMap(healthy.lesions.ids[::2, ::2, ::2], AFFINE @ np.diag([2, 2, 2, 1]), {}),
    )
    assert not {"effusion", "pneumothorax", "emphysema", "ascites"} & set(told(thick))


def test_every_negative_is_checked_again_and_an_edited_number_is_named(healthy: Case) -> None:
    report = write(measure(healthy))
    assert check(healthy, report) == []
    for name, key in (("no_cardiomegaly", "cardiothoracic_ratio"), ("no_effusion", "fluid_ml")):
        forged = tuple(
            s.model_copy(update={"facts": s.facts | {key: 0.31}}) if s.id == name else s for s in report.sentences
        )
        (line,) = check(healthy, Report(sentences=forged))
        assert line.startswith(name) and f"{key} is stated 0.31" in line
    lines = check(PLANTED["effusion"](healthy), report)
    assert any(line.startswith("no_effusion") for line in lines)


def test_the_masks_of_a_negative_are_those_it_was_measured_on(healthy: Case) -> None:
    (heart,) = (s for s in write(measure(healthy)).sentences if s.id == "no_cardiomegaly")
    assert set(heart.masks) == {"heart", "lung_right", "lung_left"} and heart.system == "Heart and vessels"


@pytest.mark.parametrize("flip", [1, -1])
def test_lengths_and_widths_follow_the_slices(healthy: Case, flip: int) -> None:
    affine = AFFINE @ np.diag([1, 1, flip, 1])
    organs = LabelMap(healthy.organs.ids[:, :, ::flip], affine, NAMES)
    assert head_foot_mm(organs, "spleen") == pytest.approx(90, abs=MM)
    wide = PLANTED["aneurysm"](healthy).organs.ids[:, :, ::flip]
    above, below = aortic_widths(LabelMap(wide, affine, NAMES), LUNGS)
    assert above == pytest.approx(48, abs=3) and below == pytest.approx(28, abs=2)


STATION = {300: "station 4R", 230: "station 9R"}


@pytest.mark.parametrize(("height", "organ"), [(300, "mediastinum"), (230, "mediastinum"), (90, "retroperitoneum")])
def test_a_lymph_node_is_in_the_space_about_it_whatever_it_touches(healthy: Case, height: float, organ: str) -> None:
    node = ball((155, 140, height), (10, 10, 10))
    lesions = LabelMap(node.astype(np.uint8), AFFINE, {1: "lymph_node_1"})
    (found,) = measure(replace(healthy, lesions=lesions)).lesions
    assert (found.kind, found.organ, found.side, found.segment, found.pleura_mm) == (
        "lymph node", organ, None, STATION.get(height), None,
    )  # fmt: skip


def test_a_kidney_of_one_voxel_is_as_long_as_its_voxel(healthy: Case) -> None:
    ids = np.where(healthy.organs.ids == 2, 0, healthy.organs.ids)
    ids[32, 52, 20] = 2
    cut = replace(healthy, organs=LabelMap(ids, AFFINE, NAMES))
    box = (slice(32, 33), slice(52, 53), slice(20, 21))
    assert pockets.length_mm(cut, 2, box) == pytest.approx(MM)
    assert "kidney length" not in told(cut)
