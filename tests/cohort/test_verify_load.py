"""A finished cohort is proved whole, each damage is named, and training code can read it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import synth
from synth import cli, provenance
from synth.case import folder as case_folder
from synth.cohort import finalise, layout
from synth.cohort.split import families, missed, split
from synth.cohort.verify import verify
from synth.errors import InputError
from synth.volumes import nifti
from synth.volumes.types import LabelMap

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_a_finished_cohort_holds(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(verify(finished)) == list(verify(finished, quick=True)) == []
    assert cli.main(["verify", str(finished)]) == 0
    assert capsys.readouterr().out == f"{finished}: holds ({6 * len(case_folder.FILES) + 4} files)\n"


def test_the_checksums_are_sha256sum_s(finished: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "--quiet", "checksums.sha256"], cwd=finished, check=False)
    assert done.returncode == 0


def seal(out: Path) -> None:
    """Make the hashes right again, so that what is deeper must be found."""
    for folder in (out / "cases").iterdir():
        manifest = json.loads((folder / "manifest.json").read_text())
        for name in manifest["files"]:
            content = (folder / name).read_bytes()
            manifest["files"][name] = {"bytes": len(content), "sha256": provenance.sha256(content)}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    (out / layout.CHECKSUMS).write_text(finalise.checksums(out))


def lesion_voxel(out: Path) -> None:
    folder = next(f for f in sorted((out / "cases").iterdir()) if case_folder.read_case(f)[0].lesions.present())
    lesions = case_folder.read_case(folder)[0].lesions
    ids = lesions.ids.copy()
    ids[tuple(np.argwhere(ids)[0])] = 0
    nifti.write_labels(folder / "lesions.nii.gz", LabelMap(ids, lesions.affine, lesions.names))


def moved_grid(out: Path) -> None:
    file = out / "cases/case_00001/organs.nii.gz"
    ids, affine = nifti.read_ids(file)
    nifti.write_labels(file, LabelMap(ids, affine + np.diag([0, 0, 1.0, 0]), {}))


def straddling(out: Path) -> None:
    table = pq.read_table(out / layout.TABLE)
    parts = ["train" if part == "test" else "test" for part in table["split"].to_pylist()[:1]]
    column = pa.array(parts + table["split"].to_pylist()[1:])
    pq.write_table(table.set_column(table.schema.get_field_index("split"), "split", column), out / layout.TABLE)


def other_plan(out: Path) -> None:
    file = out / "cases/case_00002/plan.json"
    file.write_text(file.read_text().replace('"door"', '"gate"'))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lesion_voxel, "voxels is stated"),
        (moved_grid, "labels on another grid"),
        (straddling, "stands in test and train"),
        (other_plan, "door: field required"),
    ],
)
def test_damage_under_right_hashes_is_found(copy: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(copy)
    assert any("changed since the set was finished" in line for line in verify(copy, quick=True))
    seal(copy)
    found = list(verify(copy))
    assert any(said in line for line in found) and not any("changed since" in line for line in found)


def test_files_and_cases_that_are_missing_or_too_many(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "cases/case_00001/report.txt").unlink()
    (copy / "cases/stray.txt").write_text("x")
    assert cli.main(["verify", str(copy), "--quick"]) == 1
    out = capsys.readouterr().out
    assert "cases/case_00001/report.txt: missing" in out and "cases/stray.txt: is not in checksums.sha256" in out
    shutil.rmtree(copy / "cases/case_00002")
    assert any("its 6 cases are not those in cases/" in line for line in verify(copy, quick=True))


def test_what_is_no_finished_cohort(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / layout.CHECKSUMS).unlink()
    for folder, said in ((copy, "a cohort that is not finished"), (tmp_path, "no cohort; hand over")):
        assert cli.main(["verify", str(folder)]) == 2
        assert said in capsys.readouterr().err
        with pytest.raises(InputError, match=said):
            synth.load_cohort(folder)


def test_patients_that_share_a_ct_are_one_family() -> None:
    assert families([("a", "x"), ("b", "x"), ("c", "y"), ("b", "z"), ("d", "z"), ("e", None), ("f", None)]) == {
        **dict.fromkeys("abd", "a"),
        **{name: name for name in "cef"},
    }


def test_a_split_meets_its_shares_with_whole_families() -> None:
    numbers = {f"p{i}": 5 for i in range(20)}
    parts = split(numbers, {"train": 0.8, "val": 0.1, "test": 0.1}, seed=1)
    assert {part: list(parts.values()).count(part) for part in set(parts.values())} == {
        "train": 16,
        "val": 2,
        "test": 2,
    }
    assert parts == split(dict(reversed(numbers.items())), {"train": 0.8, "val": 0.1, "test": 0.1}, seed=1)
    assert parts != split(numbers, {"train": 0.8, "val": 0.1, "test": 0.1}, seed=2)


def test_large_families_are_placed_first_and_a_split_that_misses_its_shares_is_told() -> None:
    shares = {"train": 0.5, "val": 0.25, "test": 0.25}
    for seed in range(5):
        parts = split({"small": 2, "large": 6}, shares, seed)
        assert parts == {"large": "train", "small": "val"}
    note = missed({"small": 2, "large": 6}, parts, shares)
    assert note is not None and "train 6 of 4, val 2 of 2, test 0 of 2 cases asked for: 2 patients" in note
    even = {f"p{i}": 5 for i in range(20)}
    assert missed(even, split(even, shares, seed=1), shares) is None
    few, small = {str(i): 1 for i in range(20)}, {"train": 0.96, "val": 0.04, "unused": 0.0}
    assert missed(few, split(few, small, seed=1), small) is None
    lone = dict.fromkeys("abcdefghij", 1)  # of ten cases a part of 4 of 100 gets none: near, and yet empty
    note = missed(lone, dict.fromkeys(lone, "train"), small)
    assert note is not None and "train 10 of 9.6, val 0 of 0.4" in note


def test_dictionaries_are_monai_s(finished: Path) -> None:
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

    cases = synth.load_cohort(finished)
    load = Compose([LoadImaged(["image", "label", "organs"]), EnsureChannelFirstd(["image", "label", "organs"])])
    read = load(cases[0])
    stored = case_folder.read_case(finished / "cases/case_00000")[0]
    np.testing.assert_array_equal(read["image"][0].numpy(), stored.ct.hu)
    np.testing.assert_allclose(read["image"].affine.numpy(), stored.ct.affine)
    np.testing.assert_array_equal(read["label"][0].numpy(), stored.lesions.ids)
    assert Path(cases[0]["report"]).is_file() and cases[0]["prompt"].startswith("CT")


def test_a_part_of_the_split_and_a_part_that_is_not_there(finished: Path) -> None:
    train, test = (synth.load_cohort(finished, part) for part in ("train", "test"))
    assert len(train) + len(test) == 6 and not {c["host"] for c in train} & {c["host"] for c in test}
    with pytest.raises(InputError, match="no part 'val'; its split has test, train"):
        synth.load_cohort(finished, "val")


def test_a_data_set_gives_tensors_or_what_its_transform_makes(finished: Path) -> None:
    data = synth.CohortDataset(finished)
    stored = case_folder.read_case(finished / "cases/case_00002")[0]
    assert len(data) == 6 and data[2]["image"].dtype == torch.float32 and data[2]["label"].dtype == torch.int32
    np.testing.assert_array_equal(data[2]["image"][0].numpy(), stored.ct.hu)
    np.testing.assert_array_equal(data[2]["organs"][0].numpy(), stored.organs.ids)
    assert synth.CohortDataset(finished, transform=lambda item: item["case"])[3] == "case_00003"


def test_a_stream_draws_the_cases_of_the_set(finished: Path, place: Path) -> None:
    for drawn, stored in zip(synth.CohortStream(place / "recipe.yaml"), synth.CohortDataset(finished), strict=True):
        assert drawn["case"] == stored["case"] and drawn["prompt"] == stored["prompt"]
        for name in ("image", "label", "organs", "affine"):
            assert torch.equal(drawn[name], stored[name])


def test_importing_the_package_imports_no_torch() -> None:
    code = "import synth, sys; sys.exit('torch' in sys.modules or hasattr(synth, 'load_nothing'))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
