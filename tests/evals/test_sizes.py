"""Networks of several widths: what is asked of training, and the curve that it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals import sizes
from synth.training.config import load_config


def test_the_slope_of_a_power_law_is_found_before_the_cooldown() -> None:
    volumes = np.arange(400, 4001, 400)
    losses = 2.0 * volumes**-0.25
    losses[-2:] *= 0.8  # the learning rate falls
    found = sizes.slope(list(zip(volumes.tolist(), losses.tolist(), strict=True)))
    assert found == pytest.approx((2.0, 0.25))


def test_a_log_gives_the_validations_by_volumes(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"step": 50, "train": {"flow": 0.9}, "seconds": 1.0},
        {"step": 100, "validation": {"flow": 0.5}},
        {"step": 200, "validation": {"flow": 0.4}},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert sizes.curve_of(tmp_path, batch=4) == [(400, 0.5), (800, 0.4)]


def test_widths_learn_with_equal_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr(sizes, "train", lambda network, path, overrides: asked.append((network, path, overrides)))
    folders = [sizes.trained(w, 100, 4, 10, tmp_path, data=tmp_path / "data", seed=3) for w in sizes.WIDTHS]
    assert len(set(folders)) == len(sizes.WIDTHS)
    configs = [load_config(path, {**overrides, "network": network}) for network, path, overrides in asked]
    assert [c.model.widths for c in configs] == list(sizes.WIDTHS)
    assert {(c.steps, c.batch, c.cooldown, c.seed, c.whole_share) for c in configs} == {(100, 4, 20, 3, 0.85)}
    assert load_config(asked[0][1], {"network": "refine"}).model.widths == sizes.WIDTHS[1]


def test_the_picture_is_a_png() -> None:
    curves: dict[str, sizes.Curve] = {"a": [(400, 0.5), (800, 0.4)], "b": [(400, 0.4), (800, 0.3)]}
    assert sizes.picture(curves).startswith(b"\x89PNG")
