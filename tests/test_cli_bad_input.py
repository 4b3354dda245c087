"""Bad input from the command's door to the pipeline: one line with value and remedy, exit code 2, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from synth import cli
from tests import phantoms

pytestmark = pytest.mark.skipif(find_spec("synth.pipeline") is None, reason="this checkout has no synth.pipeline")

CASE = phantoms.case((40, 36, 24))
HU, AFFINE = CASE.ct.hu, CASE.ct.affine
SHEARED = AFFINE + np.array([[0, 0.5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
PROMPT = "10 mm hypodense lesion in the liver"


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code=1)
    image.set_qform(None, code=0)
    nib.save(image, path)
    return path


def with_nan() -> np.ndarray:
    hu = HU.astype(np.float32)
    hu[0, 0, 0] = np.nan
    return hu


HOSTS: dict[str, tuple[Callable[[], np.ndarray], np.ndarray, str]] = {
    "MR": (lambda: (HU.clip(-1000, 1000) + 1000).astype(np.uint16), AFFINE, "no HU (MR"),
    "2D": (lambda: HU[:, :, 12], AFFINE, "2D image"),
    "NaN": (with_nan, AFFINE, "1 voxels are NaN"),
    "4D": (lambda: np.stack([HU, HU], axis=-1), AFFINE, "4D image"),
    "sheared": (lambda: HU, SHEARED, "sheared"),
}


def refused(arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run, and return the one line; nothing may stand in `out`."""
    assert cli.main([*arguments, "--out", str(out)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("synthct: error: ") and err.count("\n") == 1, err
    assert not out.exists() or list(out.iterdir()) == []
    return err


@pytest.mark.parametrize(("array", "affine", "said"), HOSTS.values(), ids=HOSTS.keys())
def test_a_host_that_is_no_ct(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    array: Callable[[], np.ndarray],
    affine: np.ndarray,
    said: str,
) -> None:
    host = save(tmp_path / "host.nii.gz", array(), affine)
    organs = save(tmp_path / "organs.nii.gz", CASE.organs.ids)
    line = refused(["insert", str(host), PROMPT, "--organs", str(organs)], tmp_path / "out", capsys)
    assert str(host) in line and said in line


def test_files_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host, organs = save(tmp_path / "host.nii.gz", HU), save(tmp_path / "organs.nii.gz", CASE.organs.ids)
    for a, b in ((host, tmp_path / "none.nii.gz"), (tmp_path / "none.nii.gz", organs)):
        line = refused(["insert", str(a), PROMPT, "--organs", str(b)], tmp_path / "out", capsys)
        assert "none.nii.gz: no such file" in line


def test_labels_on_another_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = save(tmp_path / "host.nii.gz", HU)
    organs = save(tmp_path / "organs.nii.gz", CASE.organs.ids[:-1])
    line = refused(["insert", str(host), PROMPT, "--organs", str(organs)], tmp_path / "out", capsys)
    assert str(organs) in line and "another grid" in line


@pytest.mark.parametrize(
    ("prompt", "said"),
    [("", "empty"), ("  ", "empty"), ("10 mm nodule in the flux", "flux"), ("-5 mm nodule in the liver", "-5")],
)
def test_prompts_that_cannot_be_met(tmp_path: Path, capsys: pytest.CaptureFixture[str], prompt: str, said: str) -> None:
    host, organs = save(tmp_path / "host.nii.gz", HU), save(tmp_path / "organs.nii.gz", CASE.organs.ids)
    assert said in refused(["insert", str(host), prompt, "--organs", str(organs)], tmp_path / "out", capsys)
    assert said in refused(["generate", prompt], tmp_path / "out", capsys)


def test_an_organ_outside_the_field_of_view(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host, organs = save(tmp_path / "host.nii.gz", HU), save(tmp_path / "organs.nii.gz", CASE.organs.ids)
    prompt = "8 mm solid nodule in the right upper lobe"
    line = refused(["insert", str(host), prompt, "--organs", str(organs)], tmp_path / "out", capsys)
    assert "liver" in line  # says what is there
