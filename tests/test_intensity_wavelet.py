"""Round trips HU -> network -> HU, and the laws of the Haar transform."""

import numpy as np
import pytest
import torch

from synth.models import intensity, wavelet


def test_every_hu_survives_the_round_trip():
    hu = np.arange(-1024, 3072)
    unit = intensity.to_unit(hu)
    assert (np.diff(unit) > 0).all()
    assert np.abs(intensity.to_hu(unit) - hu).max() < 0.01


def test_soft_tissue_gets_half_of_the_range():
    low, high, top = intensity.to_unit(np.array([-250, 150, 1000]))
    assert high - low == pytest.approx(0.5 * (top - -1.0))


def test_haar_is_exact_and_keeps_mean_and_energy():
    x = torch.randn(2, 1, 8, 6, 4, dtype=torch.float64)
    bands = wavelet.forward(x)
    assert bands.shape == (2, 8, 4, 3, 2)
    torch.testing.assert_close(wavelet.inverse(bands), x)
    torch.testing.assert_close(bands[:, :1], torch.nn.functional.avg_pool3d(x, 2))
    torch.testing.assert_close(8 * bands.square().sum(), x.square().sum())


@pytest.mark.parametrize(("axis", "band"), [(2, 4), (3, 2), (4, 1)])
def test_a_step_along_one_axis_lands_in_its_band(axis, band):
    x = torch.zeros(1, 1, 2, 2, 2)
    x.index_fill_(axis, torch.tensor([0]), 1.0)
    assert wavelet.forward(x).flatten().nonzero().flatten().tolist() == [0, band]


def test_odd_sizes_are_refused():
    with pytest.raises(ValueError, match="must be even"):
        wavelet.forward(torch.zeros(1, 1, 3, 4, 4))
