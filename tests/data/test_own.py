"""Patients of your own: their labels, doses and reports, what is left out, and what is said of a bad file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest

from evals.benchmarks.made_up import REGION_YAML
from prompts import writer
from synth import cli
from synth.data.dataset import PreparedPatient, load_subjects
from synth.data.prepare import prepare_scan
from synth.data.sources import cases
from synth.data.sources.listing import Listed, split_of
from synth.errors import InputError
from synth.models.text import MAX_TOKENS, TextEncoder
from synth.regions.region import parse
from synth.regions.words import request_of
from synth.training.requests import WORDINGS, TextBank, mirrored_text
from synth.volumes import labels, nifti
from synth.volumes.types import LabelMap, Volume
from tests.data.test_prepare import SPACING, arrays
from tests.regions import DOSES_GY, HEAD_NECK, ORGANS, REGION

AFFINE = np.diag([-SPACING[0], SPACING[1], SPACING[2], 1.0])
REPORT = "Enhanced CT of the neck.\nA mass on the Left side. The right parotid gland is spared."


def patient(root: Path, case: str, ids: tuple[int, int], report: str = "", dicom: bool = False) -> Path:
    """A body with a right and a left parotid of these ids and a target, in LAS order."""
    hu, organs, targets = (array[::-1] for array in arrays())
    folder = root / case
    folder.mkdir(parents=True)
    ct = Volume(np.ascontiguousarray(hu), AFFINE)
    if dicom:
        from tests.dicom.test_series import write

        write(ct, folder / "ct")
    else:
        nifti.write_volume(folder / "ct.nii.gz", ct)
    for name, array in (
        ("organs", np.select([organs == 3, organs == 4], ids)),
        ("targets", np.array([0, *DOSES_GY])[targets]),
    ):
        nifti.write_labels(folder / f"{name}.nii.gz", LabelMap(array.astype(np.uint8), AFFINE, {}))
    if report:
        (folder / "report.txt").write_text(report)
    return folder


@pytest.fixture
def ids() -> tuple[int, int]:
    table = labels.ids()
    return table["parotid_gland_right"], table["parotid_gland_left"]


def test_a_patient_is_read_as_one_of_the_public_layout(tmp_path: Path, ids: tuple[int, int]) -> None:
    found = cases.read_scan(patient(tmp_path, "ours", ids, REPORT), None, {})
    hu, organs, targets = arrays()
    assert np.array_equal(found.hu, hu)
    numbers = 1 + ORGANS.index("parotid_gland_right"), 1 + ORGANS.index("parotid_gland_left")
    assert np.array_equal(REGION.numbers(found.organs), np.select([organs == 3, organs == 4], numbers))
    assert np.array_equal(found.dose, np.array([0, *DOSES_GY])[targets])
    assert set(found.organs.present()) == {"parotid_gland_right", "parotid_gland_left"}
    assert found.spacing == pytest.approx(SPACING) and found.report == REPORT.replace("\n", " ")


def test_a_series_and_ids_of_ones_own(tmp_path: Path, ids: tuple[int, int]) -> None:
    pytest.importorskip("highdicom")
    plain = cases.read_scan(patient(tmp_path, "plain", ids), None, {})
    names = {1: "parotid_gland_right", 2: "parotid_gland_left"}
    series = cases.read_scan(patient(tmp_path, "series", (1, 2), dicom=True), names, {})
    assert np.array_equal(series.hu, plain.hu) and np.array_equal(series.dose, plain.dose)
    assert np.array_equal(REGION.numbers(series.organs), REGION.numbers(plain.organs))


def test_the_command_prepares_them_for_both_networks(
    tmp_path: Path, ids: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "ours", tmp_path / "out"
    names = [f"p{number}" for number in range(12)]
    held_out = [name for name in names if split_of(name) == "val"]
    assert 1 <= len(held_out) <= 4
    for name in names:
        patient(root, name, ids, REPORT)
    patient(root, "one_sided", (ids[0], 0))
    assert (
        cli.main(["prepare", "--layout", "cases", "--from", str(root), "--native", str(root), "--out", str(out), "-q"])
        == 0
    )
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [f"cases/train: {12 - len(held_out)}", f"cases/val: {len(held_out)}"]
    assert said[2:] == [f"left out, see {out / 'left_out.csv'}: 1", "native/ours: 13"]
    assert (
        "one_sided,no parotid gland right and parotid gland left to place it by" in (out / "left_out.csv").read_text()
    )
    subjects = load_subjects(out / "patients" / "val")
    assert [s.name for s in subjects] == sorted(held_out)
    assert subjects[0].hu.shape == HEAD_NECK.shape_at(4.0) and subjects[0].report.startswith("Enhanced CT")
    assert subjects[0].annotated.tolist() == [float("parotid" in name) for name in ORGANS]


def test_a_bad_dose_is_one_line(tmp_path: Path, ids: tuple[int, int]) -> None:
    folder = patient(tmp_path / "ours", "hn_001", ids)
    nifti.write_labels(folder / "targets.nii.gz", LabelMap(np.full(arrays()[0].shape, 3, np.uint8), AFFINE, {}))
    listed = Listed("hn_001", "train", partial(cases.read_scan, folder, None, {}))
    with pytest.raises(InputError, match="targets: value 3; give the prescribed dose in Gy, one of 0, 56"):
        prepare_scan(REGION.text, "cases", listed)


def test_a_report_is_mirrored_with_the_patient() -> None:
    assert (
        mirrored_text("A mass on the Left side. LEFT-sided, right.") == "A mass on the Right side. RIGHT-sided, left."
    )
    assert mirrored_text("Lefty brightness") == "Lefty brightness"


def test_training_reads_the_report_whole_and_in_parts_beside_the_wordings() -> None:
    shape = HEAD_NECK.shape_at(4.0)
    empty = np.zeros(shape, np.uint8)
    facts = {"top_mm": 60.0, "shoulder_width_mm": 400.0, "neck_area_cm2": 150.0, "neck_vessels_hu": 120.0}
    import torch

    subject = PreparedPatient(REGION, "p", np.zeros(shape, np.int16), empty, empty, torch.ones(7), facts, REPORT)
    bank, rng = TextBank(seed=0), np.random.default_rng(0)
    drawn = [bank.draw(subject, True, rng) for _ in range(300)]
    wordings = writer.wordings(request_of(REGION, facts), Random("0 p True"), WORDINGS)
    whole = mirrored_text(REPORT)
    assert whole in drawn and set(wordings) <= set(drawn)
    said = " ".join(whole.split())  # sentences of two lines are drawn as one
    of_report = [" ".join(text.split()) in said for text in drawn]
    assert all(text in wordings or of for text, of in zip(drawn, of_report, strict=True))
    assert 0.6 < sum(of_report) / 300 < 0.9


def test_a_patient_of_whom_no_word_is_measured_is_told_by_the_report_alone() -> None:
    import torch

    region, empty = parse(REGION_YAML), np.zeros((32, 32, 32), np.uint8)
    silent = PreparedPatient(
        region, "p", empty.astype(np.int16), empty, empty, torch.ones(2), {"liver_ml": 60.0}, REPORT
    )
    bank, rng = TextBank(seed=0), np.random.default_rng(0)
    said = " ".join(REPORT.split())
    assert all(" ".join(str(bank.draw(silent, False, rng)).split()) in said for _ in range(50))
    assert bank.draw(replace(silent, report=""), False, rng) is None


def test_a_text_has_the_same_features_whatever_it_is_encoded_beside() -> None:
    long = " ".join(f"Sentence {number} has six words here." for number in range(30))
    one, other = TextEncoder(), TextEncoder()
    features, mask = one.padded([None, "CT of the neck.", long])
    alone, _ = other.padded([long])
    import torch

    assert torch.equal(features[2, : int(mask[2].sum())], alone[0]) and 200 < int(mask[2].sum()) <= MAX_TOKENS
    assert not mask[0].any() and torch.equal(one.padded(["CT of the neck."])[0][0], features[1, : int(mask[1].sum())])
    expected, _ = one(["CT of the neck."])
    torch.testing.assert_close(features[1, : int(mask[1].sum())], expected[0], atol=2e-3, rtol=2e-3)


def test_a_text_encoder_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="text_encoder .*: cannot be loaded"):
        TextEncoder(str(tmp_path))


def test_a_patient_s_labels_may_be_called_either(tmp_path: Path, ids: tuple[int, int]) -> None:
    folder = patient(tmp_path / "ours", "p0", ids)
    first = cases.read_scan(folder, None, {}, trust_labels=True)
    (folder / "organs.nii.gz").rename(folder / "labels.nii.gz")
    second = cases.read_scan(folder, None, {}, trust_labels=True)
    assert first.organs is not None and second.organs is not None
    assert first.organs.ids.any() and np.array_equal(first.organs.ids, second.organs.ids)
