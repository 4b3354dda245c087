"""Slabs show the patient's right on the left and what is brightest within them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from studies.slabs import sheet, slabs


def test_right_is_left_and_up_is_up(tmp_path: Path) -> None:
    x, y, z = np.indices((60, 50, 50))
    body = ((x - 30) / 28) ** 2 + ((y - 25) / 23) ** 2 < 1
    lung = ((np.abs(x - 30) - 12) / 9) ** 2 + ((y - 25) / 14) ** 2 < 1
    hu = np.where(body, 40.0, -1000.0)
    hu[lung] = -870
    hu[(x > 31) & lung & (z > 30)] = -600  # the upper right
    axial, coronal, _ = slabs(hu, np.array([4.0, 4.0, 4.0]))
    half = coronal.shape[1] // 2
    top = coronal[: coronal.shape[0] // 4]
    assert top[:, :half].min() > top[:, half:].min()
    assert coronal[-coronal.shape[0] // 4 :].min() == coronal.min()
    sheet([("made up", [axial, coronal, axial])], tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000
