"""nnU-Net and Decathlon folders: what their readers ask for, and label maps whose classes are the masks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from synth import cli, report
from synth.errors import InputError
from synth.export import Labels
from synth.export.classes import class_numbers, class_of, label_map
from synth.volumes import nifti
from synth.volumes.nifti import parse_organ_ids
from synth.volumes.types import Case, LabelMap
from tests.export.conftest import PARTS, a_case


def test_classes_are_types_of_lesions() -> None:
    assert [class_of(name) for name in ("lung_nodule_12", "planning_target_70gy")] == [
        "lung_nodule",
        "planning_target_70gy",
    ]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (Labels.lesions, ["liver_cyst", "planning_target_70gy"]),
        (Labels.organs, ["kidney_left", "liver"]),
        (Labels.all, ["kidney_left", "liver", "liver_cyst", "planning_target_70gy"]),
    ],
)
def test_numbers_are_consecutive_and_mean_the_masks(cohort: Path, labels: Labels, names: list[str]) -> None:
    numbers = class_numbers(cohort, list(PARTS), labels)
    assert list(numbers) == ["background", *names] and list(numbers.values()) == list(range(len(names) + 1))
    case, classes = a_case(), label_map(a_case(), numbers).ids
    if labels is not Labels.organs:
        np.testing.assert_array_equal(classes == numbers["liver_cyst"], np.isin(case.lesions.ids, (1, 2)))
    if labels is not Labels.lesions:
        free = case.lesions.ids == 0 if labels is Labels.all else np.ones(classes.shape, bool)
        np.testing.assert_array_equal(classes == numbers["liver"], case.organs.mask("liver") & free)


def test_a_lesion_type_that_the_host_s_labels_name_too_is_one_class(cohort: Path) -> None:
    manifest = cohort / "cases/case_00000/manifest.json"
    content = json.loads(manifest.read_text())
    content["labels"]["organs"]["200"] = "liver_cyst"
    manifest.write_text(json.dumps(content))
    numbers = class_numbers(cohort, list(PARTS), Labels.all)
    assert list(numbers.values()) == list(range(len(numbers))) and "liver_cyst" in numbers


def test_a_real_tumour_of_a_host_is_a_class_and_what_has_no_name_is_told(
    cohort: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = cohort / "cases/case_00000/manifest.json"
    content = json.loads(manifest.read_text())
    content["labels"]["organs"]["77"] = "liver_tumour"
    manifest.write_text(json.dumps(content))
    numbers = class_numbers(cohort, list(PARTS), Labels.lesions)
    assert "liver_tumour" in numbers and "liver" not in numbers
    case = a_case()
    ids = case.organs.ids.copy()
    ids[0, 0, :2], ids[0, 1, 0] = 77, 99
    host = Case(case.ct, LabelMap(ids, case.ct.affine, {**case.organs.names, 77: "liver_tumour"}), case.lesions)
    assert (label_map(host, numbers).ids[0, 0, :2] == numbers["liver_tumour"]).all()
    assert "labels 99 of a host have no name" in caplog.text
    assert parse_organ_ids("7=liver_tumour") == {7: "liver_tumour"}
    assert report.write(report.measure(host)).sentences


def test_nnunet_s_layout(cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", str(cohort), "--to", "nnunet", "--out", str(tmp_path / "raw"), "--dataset-id", "7"]
    assert cli.main(arguments) == 0
    folder = tmp_path / "raw/Dataset007_two_cysts"
    assert capsys.readouterr().out.strip() == str(folder)
    description = json.loads((folder / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "CT"} and description["file_ending"] == ".nii.gz"
    assert description["labels"] == {"background": 0, "liver_cyst": 1, "planning_target_70gy": 2}
    assert description["numTraining"] == 2 and set(description["synthetic"]) == set(PARTS)
    assert json.loads((folder / "splits_final.json").read_text()) == [{"train": ["case_00000"], "val": ["case_00001"]}]
    files = sorted(p.relative_to(folder).as_posix() for p in folder.glob("*/*"))
    assert files == [
        "imagesTr/case_00000_0000.nii.gz",
        "imagesTr/case_00001_0000.nii.gz",
        "imagesTs/case_00002_0000.nii.gz",
        "labelsTr/case_00000.nii.gz",
        "labelsTr/case_00001.nii.gz",
        "labelsTs/case_00002.nii.gz",
    ]
    ct = nifti.read_volume(folder / "imagesTr/case_00001_0000.nii.gz", plausible=False)
    np.testing.assert_array_equal(ct.hu, a_case().ct.hu)
    nifti.read_ids(folder / "labelsTr/case_00001.nii.gz", like=ct)
    assert nifti.MARK.encode() in gzip.decompress((folder / "imagesTs/case_00002_0000.nii.gz").read_bytes())[:400]
    assert cli.main(arguments) == 2
    assert "is there already; choose another --out" in capsys.readouterr().err


def test_monai_reads_the_decathlon_s_list(cohort: Path, tmp_path: Path) -> None:
    from monai.data import load_decathlon_datalist

    arguments = ["export", str(cohort), "--to", "decathlon", "--out", str(tmp_path / "msd"), "--labels", "all"]
    assert cli.main(arguments) == 0
    for key, place in (("training", "Tr"), ("validation", "Tr"), ("test", "Ts")):
        (item,) = load_decathlon_datalist(str(tmp_path / "msd/dataset.json"), data_list_key=key)
        assert Path(item["image"]).is_file() and Path(item["label"]).parent.name == f"labels{place}"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_cohort_without_such_masks(cohort: Path) -> None:
    for name in PARTS:
        file = cohort / f"cases/{name}/manifest.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"labels": {"organs": {}, "lesions": {}}}))
    with pytest.raises(InputError, match="no lesions in it; choose other --labels"):
        class_numbers(cohort, list(PARTS), Labels.lesions)
