"""The measurement of vessels finds drawn tubes as long and as wide as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from studies import vessels
from synth.shape.trees.painting import share_of
from synth.shape.trees.tree import Tree, joined
from synth.volumes import nifti
from synth.volumes.types import Volume

pytest.importorskip("skimage")
PLAIN_HU, BLOOD_HU = -870.0, 40.0


def tube(start: list[float], end: list[float], diameter: float) -> Tree:
    return Tree(np.array([start, end]), np.array([-1, 0]), np.full(2, diameter / 2), np.zeros(2, int))


def drawn(trees: list[Tree], shape: tuple[int, int, int] = (60, 60, 60)) -> np.ndarray:
    share = share_of(joined(trees), shape, np.diag([vessels.MM] * 3 + [1.0]))
    noise = np.random.default_rng(0).normal(0, 15, shape)
    return np.asarray(PLAIN_HU + share * (BLOOD_HU - PLAIN_HU) + noise, np.float32)


@pytest.mark.parametrize("diameter", [1.8, 2.5, 3.6, 6.0])
def test_a_tube_is_measured_as_it_was_drawn(diameter: float) -> None:
    hu = drawn([tube([20.3, 30.2, 15.1], [90.3, 40.2, 101.1], diameter)])
    found = vessels.measure_in(hu, np.ones(hu.shape, bool), vessels.MM)
    true = float(np.linalg.norm([70, 10, 86]))
    k = int(np.searchsorted(vessels.EDGES_MM, diameter)) - 1
    assert found.length_mm[k] * found.litres == pytest.approx(true, rel=0.12)
    assert found.length_mm.sum() * found.litres == pytest.approx(true, rel=0.12)
    assert found.count[k] * found.litres == pytest.approx(1)


def test_two_tubes_are_two_and_twice_the_length() -> None:
    one = tube([20.0, 30.0, 20.0], [90.0, 30.0, 20.0], 2.5)
    two = tube([20.0, 80.0, 80.0], [90.0, 80.0, 80.0], 2.5)
    whole = [vessels.measure_in(drawn(t), np.ones((60, 60, 60), bool), vessels.MM) for t in ([one], [one, two])]
    np.testing.assert_allclose(whole[1].count, 2 * whole[0].count)
    np.testing.assert_allclose(whole[1].length_mm, 2 * whole[0].length_mm, rtol=0.05)
    wide = [vessels.measure_in(drawn([one]), np.ones((60, 60, 60), bool), mm) for mm in (vessels.MM, 2 * vessels.MM)]
    assert wide[1].count.sum() < wide[0].count.sum()  # a spacing that is wrong by two is seen


def test_lung_without_vessels_has_none() -> None:
    found = vessels.measure_in(drawn([tube([0, 0, 0], [0, 0, 1], 0.1)]), np.ones((60, 60, 60), bool), vessels.MM)
    assert found.count.sum() == 0 and found.length_mm.sum() == 0


def test_the_table_compares_means() -> None:
    sets = [
        [vessels.Vessels(np.full(5, v), np.full(5, 10 * v), 1.0) for v in values] for values in ((2.0, 4.0), (6.0,))
    ]
    row = vessels.table(*sets)[0]
    assert (row["count_real"], row["count_ratio"], row["length_mm_ratio"]) == (3.0, 2.0, 2.0)
    assert (row["count_real_low"], row["count_real_high"]) == (2.0, 4.0)


def test_the_command_writes_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y, _ = np.indices((100, 80, 60))
    body = ((x - 50) / 46) ** 2 + ((y - 40) / 36) ** 2 < 1
    lung = ((np.abs(x - 50) - 20) / 15) ** 2 + ((y - 40) / 22) ** 2 < 1
    tubes = [tube([140.0, 80.0, 10.0 + 20 * k], [148.0, 60.0, 24.0 + 20 * k], 2.5) for k in range(4)]
    hu = np.where(body, 40.0, -1000.0)
    hu[lung] = drawn(tubes, (100, 80, 60))[lung]
    path = tmp_path / "ct.nii.gz"
    nifti.write_volume(path, Volume(np.rint(hu).astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0])))
    argv = ["vessels", "--real", str(path), "--drawn", str(path), "--out", str(tmp_path / "out.json")]
    monkeypatch.setattr("sys.argv", argv)
    vessels.main()
    assert "| 2 to 3 |" in capsys.readouterr().out
    rows = json.loads((tmp_path / "out.json").read_text())["classes"]
    assert rows[2]["count_real"] > 0 and rows[2]["count_ratio"] == 1.0
