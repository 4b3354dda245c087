"""WebDataset, Hugging Face and DICOM exports of a cohort, read again by the readers that they are for."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from synth import cli
from synth.case import folder as case_folder
from synth.cohort import finalise, layout
from synth.export import shards
from synth.volumes import nifti
from tests.export.conftest import PARTS, a_case


def export(cohort: Path, to: str, out: Path) -> Path:
    assert cli.main(["export", str(cohort), "--to", to, "--out", str(out), "--quiet"]) == 0
    return out


def seal(cohort: Path) -> None:
    """Checksums of the files that are there now."""
    lines = [line for line in finalise.checksums(cohort).splitlines() if (cohort / line[66:]).is_file()]
    (cohort / layout.CHECKSUMS).write_text("".join(f"{line}\n" for line in lines))


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def read_shards(folder: Path, part: str) -> list[dict[str, Any]]:
    webdataset = pytest.importorskip("webdataset", reason="needs the extra [webdataset]")
    urls = [str(file) for file in sorted(folder.glob(f"{part}-*.tar"))]
    return list(webdataset.WebDataset(urls, shardshuffle=False))


def test_webdataset_reads_each_part_of_the_split(cohort: Path, tmp_path: Path) -> None:
    out = export(cohort, "webdataset", tmp_path / "shards")
    for name, part in PARTS.items():
        (sample,) = read_shards(out, part)
        assert sample["__key__"] == name
        for file in (case_folder.CT, case_folder.ORGANS, case_folder.LESIONS, case_folder.REPORT):
            assert sample[file] == (layout.case_folder(cohort, name) / file).read_bytes()
        image = nib.Nifti1Image.from_bytes(gzip.decompress(sample["ct.nii.gz"]))
        np.testing.assert_array_equal(np.asarray(image.dataobj), a_case().ct.hu)
        said = json.loads(sample["json"])
        assert said["synthetic"] and said["prompt"] == "two cysts" and said["split"] == part
        assert {"id": 3, "name": "planning_target_70gy"} in said["lesion_ids"]
        assert [lesion["kind"] for lesion in said["lesions_measured"]] == ["cyst", "cyst"]


def test_shards_are_closed_when_they_are_full_and_repeat_to_the_byte(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pq.read_table(cohort / layout.TABLE)
    everything = table.set_column(table.schema.get_field_index("split"), "split", [["train"] * 3])
    pq.write_table(everything, cohort / layout.TABLE)
    seal(cohort)
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)
    first, second = (export(cohort, "webdataset", tmp_path / name) for name in ("one", "two"))
    listed = json.loads((first / shards.INDEX).read_text())["shards"]["train"]
    assert listed == [{"url": f"train-{i:06d}.tar", "cases": 1} for i in range(3)]
    assert {s["__key__"] for s in read_shards(first, "train")} == set(PARTS)
    assert files_of(first) == files_of(second)


def test_hugging_face_s_folder(cohort: Path, tmp_path: Path) -> None:
    (cohort / "cases/case_00002/preview.png").unlink()  # as a cohort with `previews` below 1 leaves it
    seal(cohort)
    out = export(cohort, "huggingface", tmp_path / "hf")
    for name, part in zip(PARTS, ("train", "validation", "test"), strict=True):
        (row,) = pq.read_table(out / part / "metadata.parquet").to_pylist()
        preview = (out / part / row["file_name"]).read_bytes()
        stored = cohort / f"cases/{name}/preview.png"
        assert preview == stored.read_bytes() if stored.is_file() else preview.startswith(b"\x89PNG")
        ct = nifti.read_volume(out / row["ct"], plausible=False)
        np.testing.assert_array_equal(ct.hu, a_case().ct.hu)
        nifti.read_ids(out / row["lesions"], like=ct)
        assert row["synthetic"] and row["report"].startswith("TECHNIQUE")
    _, header, card = (out / "README.md").read_text().split("---\n", maxsplit=2)
    (config,) = yaml.safe_load(header)["configs"]
    assert {entry["split"] for entry in config["data_files"]} == {"train", "validation", "test"}
    assert "A card." in card and "## Examples" not in card and "synthetic" in card


def test_datasets_loads_hugging_face_s_folder(cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs Hugging Face's datasets")
    out = export(cohort, "huggingface", tmp_path / "hf")
    read = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {part: rows.num_rows for part, rows in read.items()} == {"train": 1, "validation": 1, "test": 1}
    row = read["validation"][0]
    assert row["case"] == "case_00001" and row["image"].size == (4, 4) and (out / row["ct"]).is_file()


def test_nnunet_s_own_check_passes(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / "raw"))
    check = pytest.importorskip("nnunetv2.experiment_planning.verify_dataset_integrity", reason="needs nnunetv2")
    export(cohort, "nnunet", tmp_path / "raw")
    check.verify_dataset_integrity(str(tmp_path / "raw/Dataset001_two_cysts"), 1)
    assert "verify_dataset_integrity Done" in capsys.readouterr().out


def test_dicom_studies_and_their_index(cohort: Path, tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom", reason="needs the extra [dicom]")
    import pydicom

    out = export(cohort, "dicom", tmp_path / "dicom")
    rows = list(csv.DictReader((out / "index.csv").open()))
    assert {row["case"]: row["split"] for row in rows} == PARTS
    assert len({row["StudyInstanceUID"] for row in rows}) == len({row["PatientID"] for row in rows}) == len(PARTS)
    for row in rows:
        read = [pydicom.dcmread(file) for file in sorted((out / row["case"] / "ct").iterdir())]
        assert {s.SeriesInstanceUID for s in read} == {row["SeriesInstanceUID"]}
        assert "patient of" not in str(read[0].PatientID)  # the name in the hosts' index stays there
        volume = highdicom.get_volume_from_series(read)
        assert sorted(np.asarray(volume.array).ravel()) == sorted(a_case().ct.hu.ravel())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "dicom", "--labels", "all"], "--labels: dicom holds organs and lesions as they are"),
        (["--to", "decathlon", "--dataset-id", "3"], "--dataset-id: decathlon has no numbers"),
    ],
)
def test_an_option_that_a_layout_has_no_use_for(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert cli.main(["export", str(cohort), "--out", str(tmp_path / "x"), *options]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_a_package_that_is_missing_is_named_with_its_extra(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth.export.write.find_spec", lambda name: None)
    assert cli.main(["export", str(cohort), "--to", "dicom", "--out", str(tmp_path / "x")]) == 2
    assert "needs the package highdicom; pip install 'synthct[dicom]'" in capsys.readouterr().err
