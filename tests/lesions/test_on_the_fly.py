"""The example of docs/on_the_fly.md, as it stands there, on made-up lungs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from synth.volumes import nifti
from synth.volumes.types import LabelMap, Volume

ROOT = Path(__file__).parents[2]


def write_crops(folder: Path, number: int) -> None:
    """Lung with a bright ball, labelled 1."""
    away = np.linalg.norm(np.indices((52, 52, 52)) - np.array([20, 30, 26])[:, None, None, None], axis=0)
    for seed in range(number):
        hu = np.where(away < 4, 40, -860) + 20 * np.random.default_rng(seed).standard_normal(away.shape)
        case = folder / f"crop_{seed}"
        case.mkdir(parents=True)
        nifti.write_volume(case / "ct.nii.gz", Volume(np.rint(hu).astype(np.int16), np.eye(4)))
        nifti.write_labels(case / "labels.nii.gz", LabelMap((away < 4).astype(np.uint8), np.eye(4), {1: "lung_nodule"}))


@pytest.mark.slow
def test_the_example_trains_on_real_and_drawn_nodules(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", (ROOT / "docs/on_the_fly.md").read_text(), re.S)
    assert found is not None
    (tmp_path / "nodules.py").write_text(found[1])
    write_crops(tmp_path / "data", 3)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "nodules.py", "data", "4"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 4
    drawn = [int(line.split()[-3]) for line in said]
    assert 0 < sum(drawn) < 8
