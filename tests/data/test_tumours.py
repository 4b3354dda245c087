"""Tumours to learn from: outlines are read with their CT, some cases are held out, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from synth import cli
from synth.data.tumours import load_tumours, prepare_tumours
from synth.errors import InputError
from synth.models import intensity

SHAPE, SPACING = (20, 24, 16), (2.0, 2.0, 3.0)


def write(folder: Path, label: int | None = 1, number: int = 0) -> None:
    """A case in LPS order: 40 HU, and 20 HU in a tumour towards the patient's left."""
    folder.mkdir(parents=True)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    ids = np.zeros(SHAPE, np.uint8)
    ids[2:8, 10:16, 4:9] = label or 1
    hu = np.where(ids > 0, 20, 40).astype(np.int16) + number
    nib.save(nib.Nifti1Image(hu, affine), folder / "ct.nii.gz")
    if label:
        nib.save(nib.Nifti1Image(ids, affine), folder / "labels.nii.gz")


def test_tumours_are_kept_with_their_ct_and_every_fourth_is_held_out(tmp_path: Path) -> None:
    for number in range(9):
        write(tmp_path / "raw" / f"p{number}", number=number)
    assert prepare_tumours(tmp_path / "raw", tmp_path / "out", 1) == {"train": 7, "val": 2}
    held_out = load_tumours(tmp_path / "out" / "val")
    assert [t.name for t in held_out] == ["p3", "p7"]
    one = held_out[0]
    hu = intensity.to_hu(one.ct.float().numpy())[0]
    np.testing.assert_allclose(hu[one.mask[0].numpy()], 23, atol=0.5)
    np.testing.assert_allclose(hu[~one.mask[0].numpy()], 43, atol=0.5)
    assert one.mask[0, :8].sum() == 0 and one.mask[0, 12:18].sum() == 6 * 6 * 5  # RAS: x falls from the left
    np.testing.assert_allclose(one.spacing, SPACING)


def test_of_few_cases_the_last_is_held_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        write(tmp_path / "raw" / name, label=7)
    arguments = ["prepare", "--lesions", str(tmp_path / "raw"), "--out", str(tmp_path / "out")]
    assert cli.main([*arguments, "--lesion-id", "7"]) == 0
    assert capsys.readouterr().out.splitlines() == ["lesion/train: 1", "lesion/val: 1"]
    assert (tmp_path / "out/lesion/val/b.npz").is_file()


@pytest.mark.parametrize(
    ("labels", "said"),
    [((1,), "training holds one out"), ((1, None), "no such file"), ((1, 2), "no voxel of label 1")],
)
def test_what_cannot_be_learned_from_is_named_and_nothing_is_written(
    tmp_path: Path, labels: tuple[int | None, ...], said: str
) -> None:
    for number, label in enumerate(labels):
        write(tmp_path / "raw" / f"p{number}", label)
    with pytest.raises(InputError, match=said):
        prepare_tumours(tmp_path / "raw", tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="synthct prepare --lesions"):
        load_tumours(tmp_path / "out")


def test_labels_may_be_called_organs_and_damaged_ones_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write(tmp_path / "raw" / name)
        (tmp_path / "raw" / name / "labels.nii.gz").rename(tmp_path / "raw" / name / "organs.nii.gz")
    arguments = ["prepare", "--lesions", str(tmp_path / "raw"), "--out", str(tmp_path / "out"), "-q"]
    assert cli.main(arguments) == 0
    (tmp_path / "raw/b/organs.nii.gz").write_bytes((tmp_path / "raw/b/organs.nii.gz").read_bytes()[:50])
    capsys.readouterr()
    assert cli.main([*arguments[:-2], str(tmp_path / "none"), "-q"]) == 2
    line = capsys.readouterr().err
    assert "b/organs.nii.gz: damaged gzip file" in line and line.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "raw"]


def test_an_outline_on_another_grid_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / "raw" / name)
    nib.save(nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4)), tmp_path / "raw/b/labels.nii.gz")
    with pytest.raises(InputError, match="labels on another grid"):
        prepare_tumours(tmp_path / "raw", tmp_path / "out", 1)
