"""A whole tiny study, and every part of it against hand-worked cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from evals.result import read
from evals.utility import compare, data, scoring, segmenter, study
from evals.utility.config import Arm, UtilityConfig, load
from evals.utility.data import Labelled
from synth import cli
from synth.errors import InputError
from synth.volumes import nifti
from synth.volumes.types import LabelMap, Volume
from tests.evals.sets_on_disk import AFFINE, body, write

REPOSITORY = Path(__file__).parents[3]
ORGANS = ("liver", "kidney_right")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("study")
    sets = {"real_train": range(4), "real_test": range(10, 15), "synthetic": range(20, 24)}
    return {name: str(write(root / name, seeds)) for name, seeds in sets.items()}


def config(folders: dict[str, str], out: Path, **more: object) -> UtilityConfig:
    values = {"name": "tiny", **folders, "out": out, "organs": ORGANS, "real_cases": [2], "seeds": [0], "steps": 2,
              "patch": [16, 16, 16], "width": 4, "cpu": True, "window_hu": (-150, 250), **more}  # fmt: skip
    return UtilityConfig(**values)  # type: ignore[arg-type]


def volume(classes: np.ndarray, annotated: tuple[bool, ...] = (True, True), name: str = "v") -> Labelled:
    image = classes.astype(np.float32) / 2
    return Labelled(name, name, image, classes.astype(np.uint8), np.array(annotated), np.array([2.0, 2.0, 3.0]))


def box(low: int, high: int, number: int = 1) -> np.ndarray:
    classes = np.zeros((20, 20, 20), np.uint8)
    classes[low:high, 4:12, 4:12] = number
    return classes


@pytest.mark.slow
def test_the_command_trains_scores_and_compares_arms(folders: dict[str, str], tmp_path: Path) -> None:
    table = {"name": "tiny", **folders, "out": str(tmp_path / "runs"), "organs": list(ORGANS), "real_cases": [2],
             "seeds": [0], "steps": 2, "patch": [24, 24, 24], "width": 4, "cpu": True, "packing": 2,
             "networks": ["dynunet", "segresnet"], "arms": ["real", "synthetic", "shuffled"]}  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(table))
    assert cli.main(["evaluate", "utility", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "out"), "-q"]) == 0
    result = read(tmp_path / "out/utility.json")
    scores = result.tables[0]
    assert {(row[0], row[1], row[2]) for row in scores.rows} == {
        (net, 0 if arm is Arm.SYNTHETIC else 2, arm.value)
        for net in ("dynunet", "segresnet")
        for arm in (Arm.REAL, Arm.SYNTHETIC, Arm.SHUFFLED)
    }
    assert len(list((tmp_path / "runs").glob("*.json"))) == 6
    assert (tmp_path / "out/utility.html").read_text().count("data:image/png") == 4


@pytest.mark.slow
def test_seeds_are_tested_on_the_patients_they_did_not_choose(
    tmp_path: Path,
) -> None:
    """A whole study of lesions without a test set, organs or synthetic volumes: tumours alone are labelled."""
    folder = tmp_path / "tumours"
    for n in range(7):
        hu, ids = body(n)
        (folder / f"t{n}").mkdir(parents=True)
        nifti.write_volume(folder / f"t{n}/ct.nii.gz", Volume(np.rint(hu).astype(np.int16), AFFINE))
        nifti.write_labels(folder / f"t{n}/labels.nii.gz", LabelMap((ids == 2).astype(np.uint8), AFFINE, {}))
    table = {"name": "rest", "real_train": folder, "organ_ids": {1: "lesion"}, "organs": ["lesion"], "spacing": 5,
             "tissue": True, "findings": ["20 mm soft-tissue sarcoma"], "insertions": 1, "redraw": False,
             "out": tmp_path / "runs", "arms": ["real", "insertion", "inserted"], "real_cases": [1, 2],
             "seeds": [0, 1], "steps": 2, "patch": [16, 16, 16], "width": 4, "cpu": True}  # fmt: skip
    settings = UtilityConfig(**table)  # type: ignore[arg-type]
    result, pictures = study.evaluate(settings)
    runs = [json.loads(p.read_text()) for p in sorted((tmp_path / "runs").glob("*.json"))]
    assert len(runs) == 12 and len(pictures) > 4
    for run in runs:
        assert len(run["scores"]) == 5 and not set(run["real"]) & set(run["scores"])
    assert len({tuple(run["scores"]) for run in runs}) == 2, "the same for every arm and N of a seed"
    assert len(list((tmp_path / "runs/insertions").iterdir())) >= 2
    assert result.settings["test_patients"] == len({name for run in runs for name in run["scores"]})


@pytest.mark.slow
def test_a_segmenter_learns(folders: dict[str, str], tmp_path: Path) -> None:
    settings = config(folders, tmp_path, steps=60, patch=[24, 24, 24], width=8, learning_rate=1e-2, packing=2)
    sets = study._load(settings)
    model, losses = segmenter.train("dynunet", Arm.SYNTHETIC, [], sets.synthetic, 0, settings)
    scores = [scoring.score(segmenter.predict(model, v, settings), v, settings) for v in sets.test]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    assert np.mean([organ["dsc"] for s in scores for organ in s.values()]) > 0.4


def test_finished_runs_are_not_trained_again_unless_they_would_differ(
    folders: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def fake(run: study.Run, sets: study.StudySets, config: UtilityConfig) -> dict:
        trained.append(run.name)
        return {"scores": {v.name: {o: {"dsc": 0.5, "hd95": 3.0} for o in ORGANS} for v in sets.test}, "lesions": {}}

    monkeypatch.setattr(study, "_train_and_score", fake)
    monkeypatch.setattr(study.budget, "seconds_a_run", lambda _: 1.0)
    arms = {"arms": ["real", "mixed"]}
    first, _ = study.evaluate(config(folders, tmp_path, **arms))
    again, _ = study.evaluate(config(folders, tmp_path, **arms))
    assert trained == ["dynunet_real_n002_seed0", "dynunet_mixed_n002_seed0"] and first == again
    study.evaluate(config(folders, tmp_path, steps=3, **arms))  # other settings
    assert len(trained) == 4
    study.evaluate(config(folders, tmp_path, steps=3, synthetic_cases=2, **arms))  # other data, for one of the two
    assert trained[4:] == ["dynunet_mixed_n002_seed0"]
    (tmp_path / "dynunet_real_n002_seed0.json").write_text("{ cut off")
    study.evaluate(config(folders, tmp_path, steps=3, synthetic_cases=2, **arms))
    assert trained[5:] == ["dynunet_real_n002_seed0"]


def test_more_patients_of_a_seed_contain_its_fewer() -> None:
    train = [volume(box(2, 4), name=str(i)) for i in range(9)]
    few, many = ({v.name for v in study.chosen(train, n, seed=3)} for n in (3, 6))
    assert few < many and few != {v.name for v in study.chosen(train, 3, seed=4)}


def test_arms_draw_from_what_they_say() -> None:
    settings = UtilityConfig(name="a", real_train="r", real_test="t", synthetic="s", organs=("liver",), steps=10)  # type: ignore[arg-type]
    real, fake = [volume(box(1, 3))], [volume(box(2, 5))]
    pools = {arm: [segmenter.pools_at(arm, step, real, fake, settings) for step in (0, 9)] for arm in Arm}
    assert (
        pools[Arm.REAL] == pools[Arm.INSERTION] == pools[Arm.INSERTED] == [[real]] * 2
        and pools[Arm.SYNTHETIC] == [[fake]] * 2
    )
    assert pools[Arm.MIXED] == pools[Arm.SHUFFLED] == pools[Arm.NOISE] == [[real, fake]] * 2
    assert pools[Arm.PRETRAIN] == [[fake], [real]]


def test_controls_keep_ct_or_masks_and_break_the_other() -> None:
    fakes = [volume(box(1, 3 + i), name=str(i)) for i in range(5)]
    shuffled, noise = (data.controlled(fakes, arm, 0) for arm in (Arm.SHUFFLED, Arm.NOISE))
    for before, after in zip(fakes, shuffled, strict=True):
        assert (before.image == after.image).all() and (before.classes != after.classes).any()
    assert sorted(v.classes.sum() for v in fakes) == sorted(v.classes.sum() for v in shuffled)
    for before, after in zip(fakes, noise, strict=True):
        assert (before.classes == after.classes).all() and abs(
            np.corrcoef(before.image.ravel(), after.image.ravel())[0, 1]
        ) < 0.1
    with pytest.raises(InputError, match="at least two"):
        data.controlled(fakes[:1], Arm.SHUFFLED, 0)


def test_patches_have_their_shape_whatever_the_volume_and_classes_stay_on_their_voxels() -> None:
    settings = UtilityConfig(name="a", real_train="r", real_test="t", synthetic="s", organs=ORGANS, patch=(24, 16, 8))  # type: ignore[arg-type]
    batch = data.draw([[volume(box(3, 9, 2), annotated=(False, True))]], settings, np.random.default_rng(0))
    assert batch.image.shape == (2, 1, 24, 16, 8) and batch.onehot.shape == (2, 3, 24, 16, 8)
    assert (batch.onehot.sum(axis=1) == 1).all() and batch.annotated.tolist() == [[0, 1]] * 2
    inside, outside = (batch.image[:, 0][batch.onehot[:, 2] == value] for value in (1, 0))
    assert len(inside) > 100 and np.median(inside) > 0.8 and np.quantile(inside, 0.05) > 0.3  # edges are interpolated
    assert abs(np.median(outside)) < 0.2 and np.quantile(outside, 0.99) < 0.7


@pytest.mark.parametrize("name", ["dynunet", "segresnet"])
@pytest.mark.parametrize("packing", [1, 2])
def test_networks_give_logits_of_each_voxel_and_background_first(name: str, packing: int) -> None:
    settings = UtilityConfig(
        name="a", real_train="r", real_test="t", synthetic="s", organs=ORGANS, packing=packing, width=4  # type: ignore[arg-type]
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.no_grad():
        logits = segmenter.build(name, 3, settings)(torch.rand(1, 1, 16, 24, 8))
    assert logits.shape == (1, 3, 16, 24, 8) and (logits.argmax(dim=1) == 0).float().mean() > 0.9


def test_packing_keeps_voxels_where_they_are() -> None:
    """An untrained network that passes its channels on gives each voxel its own value back."""
    image = torch.arange(4 * 6 * 2.0).reshape(1, 1, 4, 6, 2)
    passed = segmenter.Segmenter(torch.nn.Identity(), 2)(image)
    assert torch.equal(passed, image + segmenter._BACKGROUND_LOGIT)


def test_mirror_images_change_the_sides_of_paired_organs() -> None:
    assert data._other_side(("brainstem", "kidney_left", "kidney_right"))[[0, 1, 2, 3, 255]].tolist() == [
        0,
        1,
        3,
        2,
        255,
    ]  # type: ignore[union-attr]
    assert data._other_side(ORGANS) is None  # kidney_left is no class here, so nothing may be mirrored
    left = np.zeros((24, 24, 24), np.uint8)
    left[:6] = 1  # all of kidney_left at low x
    folders = {"real_train": "r", "real_test": "t", "synthetic": "s"}
    settings = UtilityConfig(name="a", organs=("kidney_left", "kidney_right"), patch=(16, 16, 16), **folders)  # type: ignore[arg-type]
    seen = set()
    for seed in range(12):
        _, classes = data.augmented(left.astype(np.float32), left, settings, np.random.default_rng(seed))
        assert not (classes[:4] == 2).any() and not (classes[-4:] == 1).any()
        seen |= set(np.unique(classes)) - {0}
    assert seen == {1, 2}


def test_an_organ_not_annotated_is_left_out_of_the_loss() -> None:
    """Whatever is predicted for it in place of background costs nothing; predicted over another organ it does."""
    onehot = torch.zeros(1, 3, 4, 4, 4)
    onehot[:, 1, :2], onehot[:, 0, 2:] = 1, 1
    annotated = torch.tensor([[1.0, 0.0]])
    right = 20 * onehot
    elsewhere = right.clone()
    elsewhere[:, 2, 2:] += 25
    over = right.clone()
    over[:, 2, :2] += 25
    losses = [float(segmenter.loss_of(x, onehot, annotated)) for x in (right, elsewhere, over)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3) and losses[0] < 0.05 < 1 < losses[2]
    assert float(segmenter.loss_of(elsewhere, onehot, torch.ones(1, 2))) > 1


def settings_for_scores(tolerance: float = 2.0) -> UtilityConfig:
    return UtilityConfig(name="a", real_train="r", real_test="t", synthetic="s", organs=ORGANS, tolerance_mm=tolerance)  # type: ignore[arg-type]


def test_scores_by_hand() -> None:
    """A box shifted by 2 of its 8 voxels (4 mm) along x: DSC 6/8, HD95 4 mm, equal volumes."""
    found = scoring.score(box(6, 14), volume(box(4, 12)), settings_for_scores())["liver"]
    assert found["dsc"] == pytest.approx(0.75) and found["hd95"] == pytest.approx(4.0)
    assert found["volume_error"] == 0 and 0.5 < found["surface_dice"] < 1
    assert scoring.score(box(6, 14), volume(box(4, 12)), settings_for_scores(4.0))["liver"]["surface_dice"] == 1
    same = scoring.score(box(4, 12), volume(box(4, 12)), settings_for_scores())["liver"]
    assert same == {"dsc": 1, "surface_dice": 1, "hd95": 0, "volume_error": 0}


def test_nothing_predicted_is_the_worst_score_and_what_is_not_annotated_has_none() -> None:
    found = scoring.score(np.zeros((20, 20, 20), np.uint8), volume(box(4, 12)), settings_for_scores())
    assert set(found) == {"liver"} and found["liver"]["dsc"] == 0
    assert found["liver"]["hd95"] == pytest.approx(np.linalg.norm([40, 40, 60]))
    both = box(4, 12)
    both[15:18] = 2
    assert set(scoring.score(both, volume(both, annotated=(True, False)), settings_for_scores())) == {"liver"}


def rows(values: dict[Arm, list[float]], real: int = 5) -> list[compare.Row]:
    return [
        compare.Row("dynunet", arm, real, seed, f"p{i}", "liver", "dsc", value + 0.01 * seed)
        for arm, patients in values.items()
        for i, value in enumerate(patients)
        for seed in (0, 2)
    ]


def test_paired_test_sees_a_small_steady_gain_that_the_means_hide() -> None:
    base = list(np.linspace(0.1, 0.9, 12))
    gain = [v + 0.03 + 0.004 * (-1) ** i for i, v in enumerate(base)]
    means = compare.by_patient(rows({Arm.REAL: base, Arm.MIXED: gain}), "dsc")
    test = compare.paired(means["dynunet", Arm.MIXED, 5], means["dynunet", Arm.REAL, 5])
    assert test is not None and test.difference.mean == pytest.approx(0.03) and test.better == 12
    assert test.difference.low is not None and test.difference.low > 0.02 and test.p == pytest.approx(2 / 2**12)
    none = compare.paired(means["dynunet", Arm.REAL, 5], means["dynunet", Arm.REAL, 5])
    assert none is not None and none.difference.mean == 0 and none.p is None


def test_each_seed_has_its_own_mean(folders: dict[str, str], tmp_path: Path) -> None:
    table = compare._by_seed(
        rows({Arm.REAL: [0.2, 0.4], Arm.MIXED: [0.5, 0.7]}), config(folders, tmp_path, seeds=[0, 2])
    )
    assert table.columns[3:] == ["seed 0", "seed 2"]
    assert [row[3:] for row in table.rows] == [pytest.approx([0.3, 0.32]), pytest.approx([0.6, 0.62])]


def test_the_verdict_says_helps_harms_or_neither(folders: dict[str, str], tmp_path: Path) -> None:
    base = list(np.linspace(0.3, 0.8, 10))
    noisy = [v + 0.2 * (-1) ** i for i, v in enumerate(base)]
    found = rows(
        {Arm.REAL: base, Arm.MIXED: [v + 0.1 for v in base], Arm.SHUFFLED: [v - 0.1 for v in base], Arm.NOISE: noisy}
    )
    settings = config(folders, tmp_path, real_cases=[5], arms=["real", "mixed", "shuffled", "noise"])
    notes = compare._verdict(found, settings)
    assert [
        word in note
        for word, note in zip(("helps (+0.100", "harms (-0.100", "no clear difference"), notes, strict=True)
    ] == [True] * 3


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"stpes": 5}, "stpes: unknown key"),
        ({"patch": [60, 64, 64]}, "multiples of 8"),
        ({"organs": ["lever"]}, "'lever' is not in the label table"),
        ({"arms": ["mixed"]}, "every other arm is compared with real"),
        ({"real_cases": [9]}, "4 patients, and real_cases asks for 9"),
        ({"synthetic_cases": 99}, "4 volumes, and synthetic_cases asks for 99"),
        ({"real_test": "real_train"}, "is p000 of the test set too|3 volumes are too few|4 volumes are too few"),
        ({"organs": ["mandible"]}, "none of mandible is labelled in it"),
        ({"synthetic": None}, "arms: synthetic needs synthetic volumes"),
        ({"real_test": None}, "real_train, test: 2 volumes are too few"),
        ({"headneck": "h", "real_test": None}, "prepared into real_train and real_test"),
    ],
)
def test_bad_studies_are_one_line(
    change: dict, named: str, folders: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    if change.get("real_test"):
        change = {"real_test": folders[change["real_test"]]}
    table = {"name": "x", **folders, "out": str(tmp_path / "runs"), "organs": list(ORGANS), "real_cases": [2],
             "cpu": True, "steps": 1, **change}  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(table))
    assert cli.main(["evaluate", "utility", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "out"), "-q"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(named, error), error
    assert not (tmp_path / "runs").exists() and not (tmp_path / "out").exists()


def test_every_configuration_of_the_repository_loads() -> None:
    found = sorted((REPOSITORY / "configs/evals").glob("utility_*.yaml"))
    assert found
    for path in found:
        assert json.loads(load(path).model_dump_json())["name"]
