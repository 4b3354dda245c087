"""The tone curve: drawn grey values end where the patients' are, in the same order, and nothing else moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from synth.case.weights_folder import Weights
from synth.errors import InputError
from synth.models import intensity
from synth.models.tone import KNOTS_HU, Tone, fit
from synth.training.tone import fit_tone


def body(faint: float, seed: int) -> np.ndarray:
    """A cube of fat, muscle and bone in air; bone `faint` times as bright."""
    rng = np.random.default_rng(seed)
    hu = np.full((24, 24, 24), -1000.0)
    hu[4:20, 4:20, 4:20] = rng.choice([-100.0, 50.0, 600.0 * faint], (16, 16, 16), p=[0.3, 0.5, 0.2])
    return np.where(hu > -900, hu + rng.normal(0, 15, hu.shape), hu)


def test_faint_bone_is_brought_back_and_air_stays() -> None:
    drawn, real = [body(0.5, s) for s in range(4)], [body(1.0, s) for s in range(10, 14)]
    tone = Tone({4.0: fit(drawn, real)})
    unseen = body(0.5, 99)
    toned = intensity.to_hu(tone(torch.from_numpy(intensity.to_unit(unseen)), 4.0).numpy())
    inside = (slice(4, 20),) * 3
    before, after = (wasserstein_distance(v[inside].ravel(), body(1.0, 98)[inside].ravel()) for v in (unseen, toned))
    assert after < 0.2 * before
    assert toned[0, 0, 0] == pytest.approx(-1000, abs=0.5)


def test_grey_values_keep_their_order_and_other_spacings_their_values() -> None:
    curve = fit([body(0.5, 0)], [body(1.0, 1)])
    assert (np.diff(curve) >= 0).all()
    ct = torch.linspace(-1, 1.5, 500)
    tone = Tone({4.0: curve})
    assert (tone(ct, 4.0).diff() >= 0).all()
    assert torch.equal(tone(ct, 2.0), ct)
    bright = torch.from_numpy(intensity.to_unit(np.array([2000.0, 2500.0])))
    apart = intensity.to_hu(tone(bright, 4.0).numpy())
    assert apart[1] - apart[0] == pytest.approx(500, abs=1)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    tone = Tone({4.0: KNOTS_HU + 0.5, 8.0: KNOTS_HU})
    (tmp_path / "tone.json").write_text(tone.to_json())
    again = Tone.read(tmp_path / "tone.json")
    assert {s: c.tolist() for s, c in again.curves.items()} == {s: c.tolist() for s, c in tone.curves.items()}
    assert Tone.read(tmp_path / "none.json").curves == {}


def test_a_fit_needs_cases(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 cases; draw some first"):
        fit_tone(tmp_path, tmp_path, tmp_path)


def test_the_weights_that_ship_have_curves_that_brighten_bone() -> None:
    """From 16 to 4 mm a grey value goes through the curve of 8 mm and that of 4 mm."""
    curves = Weights.shipped().tone.curves
    bone, soft = (np.interp(np.interp(hu, KNOTS_HU, curves[8.0]), KNOTS_HU, curves[4.0]) for hu in (300, 40))
    assert bone > 305 and abs(soft - 40) < 10
    assert "tone" in Weights.shipped().files()
