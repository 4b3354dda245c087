"""The report is the measurement, and the check names what does not hold."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from synth.report import Report, check, measure, write
from synth.report.check import check_text
from synth.volumes.types import Case, LabelMap, Volume

SHAPE, SPACING = (80, 60, 30), (1.0, 1.0, 2.0)


@pytest.fixture(scope="module")
def case(ellipsoid: Callable) -> Case:
    """A nodule in the right upper lobe, a cyst in the left kidney, a liver, a target of two doses."""
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    organs = np.zeros(SHAPE, np.uint8)
    organs[2:38, 4:56, 12:28] = 12
    organs[44:76, 10:50, 14:28] = 3
    organs[2:40, 4:56, 1:11] = 5
    lesions = np.zeros(SHAPE, np.uint8)
    lesions[ellipsoid(SHAPE, SPACING, (8.6, 6.6, 6.6), (20, 30, 40))] = 1
    lesions[ellipsoid(SHAPE, SPACING, (5.6, 5.6, 5.6), (60, 30, 42))] = 2
    lesions[50:60, 20:30, 2:8] = 3
    lesions[52:56, 22:26, 3:6] = 4
    noise = np.random.default_rng(0).normal(0, 8, SHAPE)
    hu = np.select([lesions == 1, lesions == 2, organs == 12, organs == 3], [35, 8, -850, 150], 50) + noise
    return Case(
        Volume(np.rint(hu).astype(np.int16), affine),
        LabelMap(organs, affine, {12: "lung_upper_lobe_right", 3: "kidney_left", 5: "liver"}),
        LabelMap(
            lesions,
            affine,
            {1: "lung_nodule_1", 2: "kidney_cyst_2", 3: "planning_target_56gy", 4: "planning_target_70gy"},
        ),
    )


@pytest.fixture(scope="module")
def report(case: Case) -> Report:
    return write(measure(case))


def changed(case: Case, **arrays: np.ndarray) -> Case:
    """The case with other voxels."""
    return Case(
        Volume(arrays.get("hu", case.ct.hu), case.ct.affine),
        LabelMap(arrays.get("organs", case.organs.ids), case.organs.affine, case.organs.names),
        LabelMap(arrays.get("lesions", case.lesions.ids), case.lesions.affine, case.lesions.names),
    )


def named(lines: list[str]) -> list[str]:
    return [line.split(":")[0] for line in lines]


def test_a_report_holds_on_its_own_case(case: Case, report: Report) -> None:
    assert check(case, report) == []


def test_a_report_is_json(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_the_facts_are_the_measurements(case: Case, report: Report) -> None:
    (nodule, _) = measure(case).lesions
    sentence = next(s for s in report.sentences if s.id == "lung_nodule_1")
    assert sentence.masks == ("lung_nodule_1",)
    assert {"name": nodule.name, **sentence.facts} == nodule.model_dump(mode="json")


def test_the_text_says_size_side_lobe_and_attenuation_by_organ(report: Report) -> None:
    text = report.text()
    assert re.search(r"Lungs: .*nodule of 17 x 1[34] mm in the right upper lobe", text)
    assert re.search(r"Kidneys: .*cyst of 1[12] x 1[12] mm in the interpolar region of the left kidney", text)
    assert "HU" in text
    assert "The pleura is" in text
    assert "Planning target volume of 70 Gy" in text
    assert [line for line in text.splitlines() if line.isupper()] == ["TECHNIQUE", "FINDINGS", "IMPRESSION"]


def test_every_mask_has_a_sentence_that_names_it(case: Case, report: Report) -> None:
    names = {name for s in report.sentences for name in s.masks}
    assert names == set(case.lesions.present()) | set(case.organs.present())


@pytest.mark.parametrize(("number", "sentence"), [(1, "lung_nodule_1"), (2, "kidney_cyst_2")])
def test_one_voxel_less_is_named(case: Case, report: Report, number: int, sentence: str) -> None:
    lesions = case.lesions.ids.copy()
    where = np.argwhere(lesions == number)
    lesions[tuple(where[len(where) // 2])] = 0
    lines = check(changed(case, lesions=lesions), report)
    line = next(line for line in lines if line.startswith(sentence))
    count = len(where)
    assert f"voxels is stated {count}, measured {count - 1}" in line
    assert "\n" not in line
    assert ("kidney_cyst_2" in named(lines)) is (number == 2)  # the other lesion's sentence holds


def test_one_voxel_moved_is_named(case: Case, report: Report) -> None:
    """The count is the same; centre and shape are not."""
    lesions = case.lesions.ids.copy()
    inside = np.argwhere(lesions == 1)
    lesions[tuple(inside[0])] = 0
    lesions[tuple(inside[-1] + [1, 0, 0])] = 1
    line = next(line for line in check(changed(case, lesions=lesions), report) if line.startswith("lung_nodule_1"))
    assert "voxels" not in line
    assert "centre_mm" in line


def test_a_changed_target_names_every_dose_that_holds_it(case: Case, report: Report) -> None:
    lesions = case.lesions.ids.copy()
    lesions[50, 20, 2] = 0  # of the 56 Gy volume alone
    assert named(check(changed(case, lesions=lesions), report))[:1] == ["planning_target_56gy"]
    lesions[50, 20, 2] = 3
    lesions[53, 23, 4] = 0  # inside both
    assert set(named(check(changed(case, lesions=lesions), report))) >= {"planning_target_56gy", "planning_target_70gy"}


def test_a_changed_organ_is_named(case: Case, report: Report) -> None:
    organs = case.organs.ids.copy()
    organs[2, 4, 1] = 0
    assert "liver" in named(check(changed(case, organs=organs), report))


def test_changed_hu_are_named(case: Case, report: Report) -> None:
    hu = case.ct.hu.copy()
    hu[20, 30, 20] += 200
    line = next(line for line in check(changed(case, hu=hu), report) if line.startswith("lung_nodule_1"))
    assert "mean_hu is stated" in line


def test_a_lesion_that_is_gone_leaves_its_sentence_without_ground(case: Case, report: Report) -> None:
    lesions = np.where(case.lesions.ids == 2, 0, case.lesions.ids).astype(np.uint8)
    lines = check(changed(case, lesions=lesions), report)
    assert any(line.startswith("kidney_cyst_2") and "no voxel" in line for line in lines)


def test_a_sentence_that_is_missing_is_named(case: Case, report: Report) -> None:
    short = Report(sentences=tuple(s for s in report.sentences if s.id != "kidney_cyst_2"))
    assert named(check(case, short)) == ["kidney_cyst_2"]


def test_words_that_the_facts_do_not_say_are_named(case: Case, report: Report) -> None:
    forged = tuple(
        s.model_copy(update={"text": s.text.replace("17 x", "11 x")}) if s.id == "lung_nodule_1" else s
        for s in report.sentences
    )
    (line,) = check(case, Report(sentences=forged))
    assert "11 x" in line
    assert "17 x" in line


def test_a_forged_fact_is_named_with_both_values(case: Case, report: Report) -> None:
    forged = tuple(
        s.model_copy(update={"facts": s.facts | {"side": "left"}}) if s.id == "lung_nodule_1" else s
        for s in report.sentences
    )
    (line,) = check(case, Report(sentences=forged))
    assert "side is stated left, measured right" in line


def test_nothing_found_is_said(case: Case) -> None:
    none = changed(case, lesions=np.zeros(SHAPE, np.uint8))
    assert "No lesion" in write(measure(none)).text()
    assert check(none, write(measure(none))) == []


def test_a_narrative_says_the_same_in_paragraphs(case: Case, report: Report) -> None:
    told = write(measure(case), style="narrative")
    assert [s.text for s in told.sentences] == [s.text for s in report.sentences]
    assert "Lungs:" not in told.text() and "Kidneys:" not in told.text()
    assert check(case, told) == []
    assert check_text(told, told.text(), "narrative") == []


def test_a_text_of_another_style_or_with_another_number_is_named(report: Report) -> None:
    assert "the plan asks for a report that is narrative" in check_text(report, report.text(), "narrative")[0]
    (line,) = check_text(report, report.text().replace("17 x", "11 x"), "structured")
    assert line.startswith("report.txt, line ") and "11 x" in line and "17 x" in line
    assert check_text(report, report.text() + "No emphysema.\n", "structured")
