"""Lesion by lesion, against cases worked out by hand; lesions put in on the fly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evals import volumes
from evals.utility import compare, data, scoring, segmenter, study
from evals.utility.compare import LesionRow
from evals.utility.config import Arm, UtilityConfig
from evals.utility.insertion import Bank, Inserter, WithLesion
from evals.utility.lesions import find
from evals.volumes import LESION, ReadVolume
from synth.errors import InputError
from synth.lesions.insertion import keep_painted
from synth.volumes import nifti
from synth.volumes.types import LabelMap
from tests.evals.sets_on_disk import AFFINE, NAMES, body, write

MM = np.array([2.0, 2.0, 2.0])


def config(**more: object) -> UtilityConfig:
    values = {"name": "l", "real_train": "r", "real_test": "t", "synthetic": "s", "organs": ("liver", LESION),
              "trust_labels": True, **more}  # fmt: skip
    return UtilityConfig(**values)  # type: ignore[arg-type]


def test_hits_misses_and_false_alarms_by_hand() -> None:
    truth, predicted = np.zeros((2, 30, 20, 20), bool)
    truth[2:6, 2:6, 2:6] = True  # 64 voxels, found by a box of 64 that shares 32
    truth[12:14, 2:4, 2:4] = True  # 8 voxels, missed
    truth[20:24, 10:14, 10:14] = True  # found in two pieces
    predicted[4:8, 2:6, 2:6] = True
    predicted[20, 10:14, 10:14] = predicted[22:24, 10:14, 10:14] = True
    predicted[28, 18, 18] = True  # nothing there
    found = find(predicted, truth, MM)
    assert [lesion.found for lesion in found.lesions] == [True, False, True]
    assert [lesion.dsc for lesion in found.lesions] == pytest.approx([0.5, 0, 2 * 48 / (64 + 48)])
    assert found.lesions[1].diameter_mm == pytest.approx((6 * 8 * 8 / np.pi) ** (1 / 3))
    assert (found.predicted, found.false_positives) == (4, 1)
    assert found.recall == pytest.approx(2 / 3) and found.precision == pytest.approx(3 / 4)


def test_pieces_that_touch_at_a_corner_are_one_and_nothing_has_no_share() -> None:
    truth = np.zeros((6, 6, 6), bool)
    truth[1, 1, 1] = truth[2, 2, 2] = True
    assert len(find(truth, truth, MM).lesions) == 1
    nothing = find(np.zeros_like(truth), np.zeros_like(truth), MM)
    assert nothing.recall is nothing.precision is None and nothing.false_positives == 0


def labelled(classes: np.ndarray, annotated: tuple[bool, bool] = (True, True)) -> data.Labelled:
    return data.Labelled("v", "v", classes / 2.0, classes.astype(np.uint8), np.array(annotated), MM)


def test_scores_of_lesions_and_of_a_patient_without_any() -> None:
    classes = np.zeros((20, 20, 20), np.uint8)
    classes[2:6, 2:6, 2:6] = 2
    predicted = classes.copy()
    predicted[15, 15, 15] = 2
    found = scoring.score(predicted, labelled(classes), config())[LESION]
    assert found["lesion_recall"] == 100 and found["lesion_precision"] == 50 and found["false_positives"] == 1
    assert found["volume_error"] == pytest.approx(100 / 64)
    healthy = scoring.score(predicted, labelled(np.zeros_like(classes)), config())
    assert healthy == {LESION: {"lesion_precision": 0.0, "false_positives": 2.0}}
    assert scoring.score(predicted, labelled(classes, (True, False)), config()) == {}
    assert study._lesions(predicted, labelled(classes), config()) == [[pytest.approx(9.925, abs=1e-3), 1.0, 1.0]]


def test_recall_by_size_counts_lesions_and_draws_patients_again() -> None:
    read = [("a", 8, False), ("a", 30, True), ("b", 9, True), ("b", 33, True), ("c", 35, False)]
    rows = [LesionRow("dynunet", Arm.REAL, 5, name, mm, found, 0.8 if found else 0.0) for name, mm, found in read]
    table = compare._by_size(rows)
    assert table.columns[3:] == ["under 10 mm", "20-40 mm"]
    small, large = table.rows[0][3:]
    assert str(small).startswith("1/2, DSC 0.4") and str(large).startswith("2/3, DSC 0.533")


def test_lesions_are_read_from_their_file_and_targets_are_none(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", range(2))
    lesions = np.zeros(body(0)[1].shape, np.uint8)
    lesions[5:8, 5:8, 5:8], lesions[20:24, 5:8, 5:8] = 1, 2
    nifti.write_labels(folder / "p000/lesions.nii.gz", LabelMap(lesions, AFFINE, {}))
    with_map, without = volumes.find(folder)
    read = volumes.read(with_map, lesions=True)
    assert read.lesions is not None and read.lesions.sum() == 27 + 36
    assert volumes.read(with_map).lesions is None and volumes.read(without, lesions=True).lesions is None
    loaded = data.load(volumes.survey(folder)[0], config())
    assert [v.annotated.tolist() for v in loaded] == [[True, True], [True, False]]
    assert (loaded[0].classes == 2).sum() == 63 and (loaded[1].classes == 2).sum() == 0
    manifest = tmp_path / "manifest.json"
    manifest.write_text('{"files": {}, "labels": {"lesions": {"1": "liver_tumour_1", "2": "planning_target_70gy"}}}')
    assert volumes._lesions(folder / "p000/lesions.nii.gz", manifest, nifti.read_volume(with_map.ct)).sum() == 27


def host(settings: UtilityConfig, own: tuple[int, int, int] | None = None) -> data.Labelled:
    """A made-up body whose liver is large enough for a lesion of 24 mm; a lesion of its `own` of 3 voxels a side."""
    hu, ids = body(3)
    x, y, z = np.indices(ids.shape)
    ids[(x - 14) ** 2 + (y - 18) ** 2 + (z - 12) ** 2 < 49] = 5
    hu[ids == 5] = 90 + np.random.default_rng(0).normal(0, 12, (ids == 5).sum())
    lesions = np.zeros(ids.shape, bool)
    if own is not None:
        lesions[tuple(slice(n, n + 3) for n in own)] = True
    organs = LabelMap(ids, AFFINE, NAMES)
    return data.labelled(ReadVolume("h", "h", hu.astype(np.int16), AFFINE, organs, lesions=lesions), settings)


def test_lesions_are_put_into_half_of_the_samples_anew_each_time() -> None:
    settings = config(arms=("real", "insertion"), findings=("24 mm hypodense liver tumour",), window_hu=(-150, 250))
    volume, insert = host(settings), Inserter(settings, keep_painted)
    changed = [insert(volume, np.random.default_rng(seed)) for seed in range(16)]
    lesions = [(v.classes == 2) for v in changed if v is not volume]
    assert 3 <= len(lesions) <= 13
    for v, mask in zip([v for v in changed if v is not volume], lesions, strict=True):
        assert mask.sum() * 64 / 1000 == pytest.approx(np.pi / 6 * 2.4**3, rel=0.5)  # mL
        assert v.image[mask].mean() < volume.image[mask].mean() - 0.05  # hypodense
        far = np.indices(mask.shape)[0] > 30
        assert (v.image[far] == volume.image[far]).all() and v.annotated.all()
    assert len({mask.tobytes() for mask in lesions}) == len(lesions)
    again = insert(volume, np.random.default_rng(int(np.argmax([v is not volume for v in changed]))))
    assert (again.classes == 2).tobytes() == lesions[0].tobytes()
    assert (volume.classes != 2).all()  # the host itself is as it was


def test_the_arm_insertion_changes_real_samples_and_no_other_arm_does(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(
        arms=("real", "insertion"), findings=("24 mm liver tumour",), steps=2, batch=3, patch=(16, 16, 16), packing=2,
        width=4, cpu=True,
    )  # fmt: skip
    volume, seen = host(settings), []
    monkeypatch.setattr(segmenter, "_inserter", lambda arm, config: lambda v, rng: seen.append(v) or v)
    segmenter.train("dynunet", Arm.INSERTION, [volume], [], 0, settings)
    assert seen == [volume] * 6
    segmenter.train("dynunet", Arm.REAL, [volume], [], 0, settings)
    assert len(seen) == 6


FOUND = {"arms": ("real", "insertion", "inserted"), "findings": ("20 mm hypodense liver tumour",), "redraw": False}


def test_the_arm_inserted_learns_new_lesions_alone() -> None:
    settings = config(**FOUND)
    volume = host(settings, own=(14, 22, 12))
    unlearned = data.unlearned(volume, settings)
    assert (unlearned.classes == data.IGNORED).sum() == (volume.classes == 2).sum() == 27
    insert = {arm: Inserter(settings, keep_painted, arm) for arm in (Arm.INSERTION, Arm.INSERTED)}
    for seed in range(6):
        new = insert[Arm.INSERTED](unlearned, np.random.default_rng(seed))
        assert new is not unlearned, "a lesion in every sample"
        own, lesion = new.classes == data.IGNORED, new.classes == 2
        assert own.sum() == pytest.approx(27, abs=12)
        assert lesion.sum() * 64 / 1000 == pytest.approx(np.pi / 6 * 2**3, rel=0.6)  # mL
        assert not (lesion & (volume.classes == 2)).any(), "nothing grows into the lesion that is there"
        both = insert[Arm.INSERTION]._with(insert[Arm.INSERTION]._draw(volume, seed), volume)
        assert not (both.classes == data.IGNORED).any() and (both.classes == 2).sum() > 27


def test_a_lesion_that_is_there_is_moved_with_its_tissue() -> None:
    settings = config(**FOUND)
    volume = host(settings, own=(14, 22, 12))
    assert volume.host is not None
    new = np.zeros(volume.classes.shape, bool)
    new[10:12, 18:20, 12:14] = True
    drawn = WithLesion(volume.host.hu, np.roll(volume.host.organs.ids, 1, axis=0), new)
    for arm, number in ((Arm.INSERTION, 2), (Arm.INSERTED, data.IGNORED)):
        classes = Inserter(settings, keep_painted, arm)._with(drawn, volume).classes
        assert ((classes == number) & ~new == np.roll(volume.classes == 2, 1, axis=0)).all() and (
            classes[new] == 2
        ).all()


def test_a_bank_is_drawn_once_and_the_same_for_all_arms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(**FOUND, insertions=3, out=tmp_path)
    volume = host(settings)
    banks = [Bank(settings, keep_painted, arm) for arm in (Arm.INSERTED, Arm.INSERTION)]
    first = [banks[0](volume, np.random.default_rng(seed)) for seed in range(12)]
    files = sorted((tmp_path / "insertions").iterdir())
    assert 2 <= len({v.image.tobytes() for v in first}) == len(files) <= 3
    monkeypatch.setattr(Inserter, "_draw", None)  # drawing again would fail
    again = [Bank(settings, keep_painted, Arm.INSERTED)(volume, np.random.default_rng(seed)) for seed in range(12)]
    assert [v.image.tobytes() for v in again] == [v.image.tobytes() for v in first]
    others = {v.image.tobytes() for v in (banks[1](volume, np.random.default_rng(s)) for s in range(12))}
    assert others <= {v.image.tobytes() for v in (*first, volume)} and sorted(files) == sorted(
        (tmp_path / "insertions").iterdir()
    )
    with pytest.raises(TypeError):  # other findings, other lesions
        Bank(config(**{**FOUND, "findings": ("15 mm liver cyst",)}, insertions=3, out=tmp_path), keep_painted)._draw(
            volume, 0
        )


def test_voxels_of_no_class_cost_nothing_and_stay_so_in_a_patch() -> None:
    classes = np.zeros((24, 24, 24), np.uint8)
    classes[4:10, 4:10, 4:10], classes[14:20, 14:20, 14:20] = 2, data.IGNORED
    settings = config(organs=("kidney_left", "kidney_right"), patch=(24, 24, 24))
    batch = data.draw([[labelled(classes)]], settings, np.random.default_rng(0))
    empty = batch.onehot.sum(axis=1) == 0
    assert 50 < empty[0].sum() < 500 and set(np.unique(batch.onehot.sum(axis=1))) == {0, 1}
    onehot, annotated = torch.from_numpy(batch.onehot), torch.from_numpy(batch.annotated)
    right, wrong = 20 * onehot, 20 * onehot
    wrong[:, 1] += 40 * torch.from_numpy(empty)
    assert float(segmenter.loss_of(wrong, onehot, annotated)) == pytest.approx(
        float(segmenter.loss_of(right, onehot, annotated)), abs=1e-5
    )
    wrong[:, 1] += 40 * torch.from_numpy(~empty)
    assert float(segmenter.loss_of(wrong, onehot, annotated)) > 1


def test_a_host_without_room_stays_as_it_is() -> None:
    settings = config(arms=("real", "insertion"), findings=("90 mm liver tumour",))
    volume = host(settings)
    assert all(Inserter(settings, keep_painted)(volume, np.random.default_rng(seed)) is volume for seed in range(3))


def test_insertion_asks_for_lesions_and_findings() -> None:
    for arm in ("insertion", "inserted"):
        with pytest.raises(ValueError, match=f"{arm} needs 'lesion' in organs and findings"):
            config(arms=("real", arm))
    with pytest.raises((InputError, ValueError), match="'lesin' is not in the label table"):
        config(organs=("lesin",))
