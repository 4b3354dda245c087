"""Quality gates: known contrast, known copies, known pieces; and a gate that fails rejects the case with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synth.cohort import engine, layout, novelty
from synth.cohort.gates import _organ_checks, elsewhere, largest_piece
from synth.cohort.recipe import Gates, read_recipe
from synth.cohort.visibility import contrast_to_noise
from synth.data.store import PatientEntry, write_entries
from synth.errors import InputError
from synth.report import location, measure
from synth.volumes.types import Case, LabelMap, Volume
from tests.cohort.conftest import write_hosts, write_recipe
from tests.regions import HEAD_NECK, ORGANS

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def liver_with(contrast: float, sd: float) -> Case:
    """A box of liver of 60 HU with Gaussian noise, and a ball in it that differs by `contrast`."""
    hu = np.random.default_rng(0).normal(60, sd, (40, 40, 40))
    ball = ((np.indices(hu.shape) - 20) ** 2).sum(axis=0) <= 6**2
    hu[ball] += contrast
    liver = LabelMap(np.full(hu.shape, 5, np.uint8), AFFINE, {5: "liver"})
    lesions = LabelMap(ball.astype(np.uint8), AFFINE, {1: "liver_tumour_1"})
    return Case(Volume(np.rint(hu).astype(np.int16), AFFINE), liver, lesions)


@pytest.mark.parametrize(("contrast", "sd"), [(30, 10), (-30, 10), (60, 20), (0, 10), (5, 10)])
def test_contrast_to_noise_of_a_known_lesion(contrast: float, sd: float) -> None:
    case = liver_with(contrast, sd)
    (lesion,) = measure(case).lesions
    found = contrast_to_noise(case, lesion, location.boxes(case.lesions.ids)[1])
    assert found == pytest.approx(abs(contrast) / sd, rel=0.1, abs=0.12)


def test_largest_piece_counts_voxels_that_touch_at_a_corner() -> None:
    mask = np.zeros((9, 9, 9), bool)
    assert largest_piece(mask) == 0
    mask[:2, :2, :2] = True
    mask[2, 2, 2] = True
    assert largest_piece(mask) == 1
    mask[6, 6, 6] = True
    assert largest_piece(mask) == pytest.approx(0.9)


def test_elsewhere_is_the_share_in_other_organs() -> None:
    ids = np.zeros((10, 4, 4), np.uint8)
    ids[:4], ids[4:6] = 5, 6
    organs = LabelMap(ids, AFFINE, {5: "liver", 6: "stomach"})
    mask = np.zeros(ids.shape, bool)
    mask[2:7] = True  # two of five parts in the liver, two in the stomach, one in no label
    box = (slice(0, 10), slice(0, 4), slice(0, 4))
    assert elsewhere(organs, mask, box, ["liver"]) == pytest.approx(0.4)
    assert elsewhere(organs, mask, box, ["mediastinal_fat"]) == pytest.approx(0.8)
    assert elsewhere(organs, mask, box, ["liver", "stomach"]) == 0


def write_patients(folder: Path, number: int) -> list[Volume]:
    """Smooth random patients of the head-and-neck frame at 4 mm; eight are kept as `synthct prepare` does."""
    rng = np.random.default_rng(1)
    volumes, entries = [], []
    for i in range(number):
        blocks = rng.normal(0, 200, HEAD_NECK.shape)
        hu = np.kron(blocks, np.ones((4, 4, 4))).astype(np.int16)
        empty = np.zeros(hu.shape, np.uint8)
        entries.append(PatientEntry(f"p{i}", "head_neck", hu, empty, empty, ORGANS, source="made up"))
        volumes.append(Volume(hu, HEAD_NECK.affine_at(4)))
    write_entries(folder, entries[:8])
    return volumes


def test_a_copy_stands_out_and_a_new_patient_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    *patients, new = write_patients(tmp_path / "patients", 9)
    file = tmp_path / "reference.npz"
    assert novelty.main([str(tmp_path / "patients"), "--out", str(file)]) == 0
    assert "8 patients" in capsys.readouterr().out
    reference = novelty.load(file)
    copy, mirrored = patients[3], Volume(np.ascontiguousarray(patients[3].hu[::-1]), patients[3].affine)
    noisy = Volume(copy.hu + np.random.default_rng(2).integers(-40, 41, copy.hu.shape).astype(np.int16), copy.affine)
    fine = Volume(np.kron(copy.hu, np.ones((2, 2, 2), np.int16)), HEAD_NECK.affine_at(2))
    for same in (copy, mirrored, noisy, fine):
        assert reference.ratio(same) < 0.1 < reference.limit
    assert reference.ratio(new) > reference.limit > 0.9  # random patients are all equally far from each other


def test_what_is_no_reference_is_refused(tmp_path: Path) -> None:
    write_patients(tmp_path / "few", 5)
    assert novelty.main([str(tmp_path / "few"), "--out", str(tmp_path / "r.npz")]) == 2
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    for name, reason in (("bad.npz", "build it again"), ("none.npz", "no such file")):
        recipe = write_recipe(tmp_path, hosts=None, findings=None, prompts="CT of the head and neck",
                              gates={"reference": name})  # fmt: skip
        with pytest.raises(InputError, match=reason):
            engine.plan_of(recipe)
    with pytest.raises(InputError, match="gates.reference is for generated cases"):
        read_recipe(write_recipe(tmp_path, gates={"reference": "r.npz"}))


def test_gates_are_numbers_in_the_manifest(finished: Path) -> None:
    for name in layout.complete(finished):
        manifest = json.loads((layout.case_folder(finished, name) / "manifest.json").read_text())
        checks = {check["name"]: check for check in manifest["checks"]}
        if not checks:
            continue  # healthy
        assert checks["lung_nodule_1_contrast_to_noise"]["value"] >= 0.5
        assert checks["lung_nodule_1_contrast_to_noise"]["low"] == 0.5
        assert checks["lung_nodule_1_largest_piece"]["value"] == 1.0
        assert checks["lung_nodule_1_elsewhere"]["value"] == 0


def test_a_gate_that_fails_rejects_with_the_reason(quick: None, tmp_path: Path) -> None:
    write_hosts(tmp_path / "hosts", 1)
    recipe = write_recipe(tmp_path, number=1, healthy=0, attempts=1, max_failures=1, gates={"visibility": 1e6})
    assert engine.run(recipe, tmp_path / "out", quiet=True).given_up == 1
    (record,) = (json.loads(file.read_text()) for file in (tmp_path / "out/quarantine").iterdir())
    assert record["attempts"][0]["reason"].startswith("lung_nodule_1_contrast_to_noise = ")
    assert record["attempts"][0]["plan"]["lesions"]


def test_arterial_vessels_and_structures_that_are_cut_or_coarse_pass() -> None:
    ids = np.zeros((30, 30, 30), np.uint8)
    ids[10:16, 10:16, :] = 52  # an aorta from end to end
    ids[20:24, 20:22, 4:6] = ids[20:24, 20:22, 20:22] = 30  # a vertebra of 32 voxels in two pieces
    ids[2:9, 2:9, 2:9] = ids[2:9, 20:27, 2:9] = 5  # a liver in two pieces
    ids[2:9, 2:9, 20:27] = ids[2:9, 20:27, 20:27] = 95  # and a rib, as ribs of torsos are drawn
    hu = np.select([ids == 52, (ids == 30) | (ids == 95), ids == 5], [386, 200, 60], -100)
    organs = LabelMap(ids, AFFINE, {52: "aorta", 30: "vertebrae_L2", 5: "liver", 95: "rib_left_4"})
    lesions = LabelMap(np.zeros_like(ids), AFFINE, {})
    case = Case(Volume(hu.astype(np.int16), AFFINE), organs, lesions)
    failed = [check.name for check in _organ_checks(Gates(), case, measure(case)) if not check.ok]
    assert failed == ["liver_largest_piece"]
