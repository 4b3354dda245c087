"""Bad input that gets past the door: one line with the value and the remedy, exit code 2, nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from synth import cli
from synth.case import library
from synth.case.weights_folder import WEIGHTS_ENV
from synth.draw import findings as inserting
from synth.draw import generated as drawing
from tests import hosts

GENERATE = "CT of the head and neck"
NODULE = "14 mm solid nodule in the right upper lobe"


def refused(arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run, and return the one line; what stood in `out` before is all that stands there after."""
    before = sorted(out.rglob("*")) if out.exists() else None
    assert cli.main([*arguments, "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("synthct: error: ") and captured.err.count("\n") == 1
    assert (sorted(out.rglob("*")) if out.exists() else None) == before
    return captured.err


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return hosts.write_chest(tmp_path_factory.mktemp("host"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([GENERATE, "--spacing", "3"], "--spacing 3: choose one of 8, 4, 2, 1 mm"),
        ([GENERATE, "--spacing", "16"], "--spacing 16: choose one of 8, 4, 2, 1 mm"),
        (["CT of the pelvis"], "region 'pelvis': the shipped weights draw head_neck"),
        (
            ["CT of the head and neck with a 9 mm lung nodule", "--strict"],
            "a generated CT has no mask to put it in, or too rough a one; use synthct insert (--strict)",
        ),
        (["CT with a shiny head"], "a CT of what? say one of head neck, chest"),
        (["CT of the head and neck with a 0 mm lung nodule"], "0 mm"),
        (["CT of the head and neck with a 12 mm liver cyst"], "'liver' is not in a CT of region 'head_neck'"),
        (["CT of the head and neck with a 45 Gy target"], "45"),
    ],
)
def test_what_cannot_be_generated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert said in refused(["generate", *arguments], tmp_path / "out", capsys)


@pytest.mark.parametrize(
    ("prompt", "options", "said"),
    [
        ("CT of the chest", [], "'CT of the chest': no lesion to insert; say one"),
        ("14 mm cyst in the left kidney", [], "the label map has no kidney_left; it has: "),
        ("150 mm mass in the right upper lobe", [], "the largest that fits is about"),
        ("14 mm nodule in the left middle lobe", [], "only the right lung has a middle lobe"),
        ("400 mm nodule in the right lung", [], "400"),
        (NODULE, ["--organ-ids", "28=lungs"], "unknown organ 'lungs'"),
        (NODULE, ["--organ-ids", "table.json"], "table.json: no such file"),
        (NODULE, ["--organ-ids", "28:lung"], "'28:lung' is not ID=NAME"),
    ],
)
def test_what_cannot_be_inserted(
    chest: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    prompt: str,
    options: list[str],
    said: str,
) -> None:
    arguments = ["insert", str(chest[0]), prompt, "--organs", str(chest[1]), *options]
    assert said in refused(arguments, tmp_path / "out", capsys)


def a_folder(host: Path) -> None:
    host.unlink()
    host.mkdir()


def cut_short(host: Path) -> None:
    host.write_bytes(host.read_bytes()[:5000])


def no_nifti(host: Path) -> None:
    host.write_bytes(b"\x00" * 4000)


def without_orientation(host: Path) -> None:
    image = nib.load(host)
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(image, host)


def one_slice(host: Path) -> None:
    nib.save(nib.Nifti1Image(hosts.chest()[0].hu[:, :, 10:11], hosts.AFFINE), host)


def fewer_voxels(host: Path) -> None:
    raw = nib.Nifti1Image(hosts.chest()[0].hu, hosts.AFFINE).to_bytes()
    host.write_bytes(raw[: len(raw) // 2])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (a_folder, "no CT images in it (no files); hand over a DICOM series"),
        (cut_short, "damaged gzip file"),
        (no_nifti, "not a NIfTI file"),
        (without_orientation, "left and right are unknown"),
        (one_slice, "single slice"),
        (fewer_voxels, "truncated file?"),
    ],
)
def test_a_host_file_that_is_spoilt(
    chest: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None],
    said: str,
) -> None:
    host = Path(shutil.copy(chest[0], tmp_path / "spoilt.nii.gz"))
    spoil(host)
    line = refused(["insert", str(host), NODULE, "--organs", str(chest[1])], tmp_path / "out", capsys)
    assert said in line and "spoilt.nii.gz" in line


@pytest.mark.parametrize(("value", "said"), [(3.5, "label value 3.5 is not an integer"), (-2.0, "-2 is negative")])
def test_labels_that_are_no_labels(
    chest: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float, said: str
) -> None:
    ids = hosts.chest()[1].ids.astype(np.float32)
    ids[0, 0, 0] = value
    nib.save(nib.Nifti1Image(ids, hosts.AFFINE), tmp_path / "labels.nii.gz")
    arguments = ["insert", str(chest[0]), NODULE, "--organs", str(tmp_path / "labels.nii.gz")]
    assert said in refused(arguments, tmp_path / "out", capsys)


def test_a_place_that_is_taken(chest: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("case_00000", "chest_00000"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("mine")
    insert = ["insert", str(chest[0]), NODULE, "--organs", str(chest[1])]
    for arguments in (["generate", GENERATE], insert):
        assert "is not empty and no case folder; choose another --out" in refused(arguments, tmp_path, capsys)
    for name in ("case_00000", "chest_00000"):
        (tmp_path / name / "plan.json").write_text("{}")
    for arguments in (["generate", GENERATE], insert):
        assert "holds another case (its plan differs)" in refused(arguments, tmp_path, capsys)


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_an_out_that_is_a_file_is_refused_before_anything_is_drawn(
    chest: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    below: str,
) -> None:
    monkeypatch.setattr(drawing, "draw_case", None)
    monkeypatch.setattr(inserting, "inserted", None)
    taken = tmp_path / "taken"
    taken.write_text("mine")
    insert = ["insert", str(chest[0]), NODULE, "--organs", str(chest[1])]
    for arguments in (["generate", GENERATE], insert):
        assert f"{taken}: is a file; choose another --out" in refused(arguments, taken / below, capsys)
    assert taken.read_text() == "mine"


def test_weights_that_are_not_there(
    chest: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEIGHTS_ENV, str(tmp_path / "nowhere"))
    library.forget()
    insert = ["insert", str(chest[0]), NODULE, "--organs", str(chest[1])]
    for arguments in (["generate", GENERATE], insert):
        line = refused(arguments, tmp_path / "out", capsys)
        assert f"{WEIGHTS_ENV} {tmp_path / 'nowhere'}: no such folder" in line


def test_a_host_without_air(chest: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hu = np.maximum(hosts.chest()[0].hu, -160)
    nib.save(nib.Nifti1Image(hu, hosts.AFFINE), tmp_path / "windowed.nii.gz")
    arguments = ["insert", str(tmp_path / "windowed.nii.gz"), NODULE, "--organs", str(chest[1])]
    assert "air is cut off at -160" in refused(arguments, tmp_path / "out", capsys)


@pytest.mark.parametrize("part", ["plan.json", "lesions.nii.gz", "manifest.json"])
def test_check_of_a_folder_that_is_no_case(tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str) -> None:
    (tmp_path / part).write_text("{}")
    assert cli.main(["check", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "no case folder" in err and part not in err.split("no case folder")[1] and err.count("\n") == 1
