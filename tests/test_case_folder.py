"""The case folder: whole or not there, identical when made again, and never over something else."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth.case import folder as case_folder
from synth.errors import InputError
from synth.volumes import nifti
from synth.volumes.types import Case, LabelMap
from tests import phantoms

PLAN = '{"version": 1, "seed": 7}'


def write(folder: Path, plan_json: str = PLAN) -> Path:
    return case_folder.write_case(
        folder,
        phantoms.case(),
        plan_json=plan_json,
        report_json='{"lesions": []}',
        report_text="Findings: größer als 10 mm.\n",
        preview_png=b"\x89PNG",
        manifest={"format": 1, "seeds": {"base": 7}},
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_case_comes_back_as_it_was_written(tmp_path: Path) -> None:
    case = phantoms.case()
    back, plan, report, manifest = case_folder.read_case(write(tmp_path / "out" / "case_0000"))
    assert np.array_equal(back.ct.hu, case.ct.hu) and np.allclose(back.ct.affine, case.ct.affine)
    assert np.array_equal(back.organs.ids, case.organs.ids) and back.organs.names == case.organs.names
    assert np.array_equal(back.lesions.ids, case.lesions.ids) and back.lesions.names == {1: "lesion_1"}
    assert plan == json.loads(PLAN) and report == {"lesions": []} and manifest["seeds"] == {"base": 7}


def test_trees_come_back_where_a_case_has_some_and_are_missed_where_they_are_gone(tmp_path: Path) -> None:
    case = phantoms.case()
    ids = np.zeros(case.ct.hu.shape, np.uint8)
    ids[2:4, 1, 1] = 142
    grown = Case(case.ct, case.organs, case.lesions, LabelMap(ids, case.ct.affine, {142: "lung_arteries"}))
    for name, kept in (("with", grown), ("without", case)):
        case_folder.write_case(
            tmp_path / name,
            kept,
            plan_json=PLAN,
            report_json="{}",
            report_text="",
            preview_png=b"",
            manifest={"format": 1},
        )
    back, without = (case_folder.read_case(tmp_path / name)[0].trees for name in ("with", "without"))
    assert back is not None and back.present() == ["lung_arteries"] and np.array_equal(back.ids, ids)
    assert without is None and case_folder.is_complete(tmp_path / "with", PLAN)
    (tmp_path / "with" / case_folder.TREES).unlink()
    assert not case_folder.is_complete(tmp_path / "with", PLAN)


def test_the_same_case_gives_the_same_files(tmp_path: Path) -> None:
    first = contents(write(tmp_path / "a"))
    assert first == contents(write(tmp_path / "b"))
    assert tuple(sorted(first)) == tuple(sorted(case_folder.FILES))


def test_manifest_knows_every_other_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == set(case_folder.FILES) - {"manifest.json"}
    assert case_folder.altered_files(folder, manifest) == []
    labels = nifti.read_labels(folder / "organs.nii.gz")
    labels.ids[0, 0, 0] = 5
    nifti.write_labels(folder / "organs.nii.gz", labels)
    (folder / "preview.png").unlink()
    assert case_folder.altered_files(folder, manifest) == ["organs.nii.gz", "preview.png"]


def test_complete_means_this_plan_and_all_files_whole(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    assert not case_folder.is_complete(folder, PLAN)
    write(folder)
    assert case_folder.is_complete(folder, PLAN)
    assert not case_folder.is_complete(folder, PLAN.replace("7", "8"))
    (folder / "ct.nii.gz").write_bytes(b"cut")
    assert not case_folder.is_complete(folder, PLAN)


def test_an_incomplete_case_of_the_same_plan_is_made_again(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    whole = contents(folder)
    (folder / "report.txt").unlink()
    assert contents(write(folder)) == whole


def test_an_empty_folder_is_used_and_a_killed_run_cleared(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    killed = tmp_path / f".a.{'0' * 12}.partial"
    killed.mkdir()
    (killed / "ct.nii.gz").write_bytes(b"half")
    write(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "case")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    (tmp_path / "file").write_text("keep")
    before = contents(tmp_path / "case")
    for name, plan, said in (
        ("case", '{"seed": 8}', "holds another case"),
        ("notes", PLAN, "is not empty and no case folder"),
        ("file", PLAN, "is a file"),
    ):
        with pytest.raises(InputError, match=f"{name}: {said}.*choose another --out"):
            write(tmp_path / name, plan)
    with pytest.raises(InputError, match="/file: is a file; choose another --out"):
        write(tmp_path / "file" / "below", PLAN)
    assert contents(tmp_path / "case") == before and (tmp_path / "notes" / "mine.txt").read_text() == "keep"
    assert {path.name for path in tmp_path.iterdir()} == {"case", "notes", "file"}


@pytest.mark.parametrize("when", ["write_volume", "write_labels"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    def full(path: Path, _array: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(nifti, when, full)
    with pytest.raises(InputError, match="case: no space left on the disk; free some space or choose another --out"):
        write(tmp_path / "case")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 12 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small tmpfs needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_really_full_disk_is_one_line_and_leaves_nothing(small_disk: Path) -> None:
    with pytest.raises(InputError, match="no space left on the disk"):
        write(small_disk / "case")
    assert list(small_disk.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(nifti, "write_labels", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "case")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_case_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no case folder, plan.json, ct.nii.gz"):
        case_folder.read_case(tmp_path)
    folder = write(tmp_path / "a")
    (folder / "report.json").write_text("{")
    with pytest.raises(InputError, match="report.json: not JSON"):
        case_folder.read_case(folder)
    (folder / "report.json").write_text("{}")
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="manifest.json: labels: field required"):
        case_folder.read_case(folder)
