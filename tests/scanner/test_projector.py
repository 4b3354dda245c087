"""The projector against what is known: ellipses, its own adjoint, a uniform cylinder, and the MTF of each kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.errors import InputError
from synth.scanner.kernels import mtf
from synth.scanner.projector import Geometry, Projector, projector
from synth.scanner.settings import Kernel
from synth.scanner.windows import window
from tests.scanner.discs import Ellipse, radius

ELLIPSE = Ellipse(22.0, -14.0, 31.0, 17.0, 35.0)
GEOMETRIES = [
    Geometry((160, 160), (0.8, 0.8), views=60),
    Geometry((161, 128), (0.7, 1.1), views=47, first_deg=-20.0),
    Geometry((128, 130), (1.0, 1.0), views=40, arc_deg=120.0, pitch_mm=1.02),
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_an_ellipse_is_projected_as_geometry_says(geometry: Geometry) -> None:
    found = Projector(geometry).project(torch.from_numpy(ELLIPSE.slice(geometry))[None])[0].numpy()
    true = ELLIPSE.sinogram(geometry)
    assert np.linalg.norm(found - true) <= 0.01 * np.linalg.norm(true)
    mirrored = Ellipse(-22.0, -14.0, 31.0, 17.0, -35.0).sinogram(geometry)
    assert np.linalg.norm(found - mirrored) > 0.2 * np.linalg.norm(true)  # left and right are told apart


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_adjoint_is_the_transpose(geometry: Geometry) -> None:
    generator = torch.Generator().manual_seed(1)
    rays = Projector(geometry)
    x = torch.rand(2, *geometry.shape, generator=generator)
    y = torch.rand(2, geometry.views, geometry.cells, generator=generator)
    forward, backward = (rays.project(x).double() * y).sum(), (x.double() * rays.adjoint(y)).sum()
    assert abs(forward / backward - 1) < 1e-5
    finer = geometry.pitch_mm < max(geometry.spacing)  # back-projection has what pixels cannot hold
    assert not finer or not torch.allclose(rays.back_project(y), rays.adjoint(y), rtol=1e-3)


def test_a_batch_is_its_slices_on_any_number_of_threads() -> None:
    rays, before = projector(GEOMETRIES[0]), torch.get_num_threads()
    x = torch.rand(3, 160, 160, generator=torch.Generator().manual_seed(2))
    whole = rays.project(x)
    assert torch.allclose(whole, torch.cat([rays.project(one[None]) for one in x]), rtol=0, atol=1e-3)
    try:
        torch.set_num_threads(3)
        assert torch.equal(rays.project(x), whole) and torch.equal(
            rays.back_project(whole), projector(GEOMETRIES[0]).back_project(whole)
        )
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["hann", "cosine", *Kernel])
def test_a_water_cylinder_is_flat(name: str) -> None:
    """To 5 HU, each pixel of it, and the air about it in the mean; off the centre."""
    geometry = Geometry((192, 192), (0.9, 0.9))
    cylinder = Ellipse(5.0, -8.0, 60.0, 60.0)
    found = projector(geometry).fbp(torch.from_numpy(cylinder.sinogram(geometry))[None], window(name))[0].numpy()
    r = radius(geometry, 5.0, -8.0)
    assert np.abs(1000 * (found[r < 54] - 1)).max() < 5
    assert abs(1000 * found[(r > 66) & (r < 78)].mean()) < 0.5


@pytest.mark.parametrize("kernel", list(Kernel))
def test_an_edge_is_as_blurred_as_the_kernel_states(kernel: Kernel) -> None:
    """MTF measured on the edge of a disc, against the stated one."""
    geometry = Geometry((192, 192), (0.25, 0.25), views=240, pitch_mm=0.3)
    disc = Ellipse(0.13, -0.07, 18.0, 18.0)
    image = projector(geometry).fbp(torch.from_numpy(disc.sinogram(geometry))[None], window(kernel))[0].numpy()
    r = radius(geometry, disc.x, disc.y)
    step, half = 0.05, 6.0
    bins = np.arange(18.0 - half, 18.0 + half, step)
    inside = np.abs(r - 18.0) < half
    number, _ = np.histogram(r[inside], bins)
    total, _ = np.histogram(r[inside], bins, weights=image[inside])
    spread = -np.gradient(total / number) * np.hanning(len(bins) - 1)
    found = np.abs(np.fft.rfft(spread, 4096))
    frequency = np.fft.rfftfreq(4096, step)
    stated = mtf(kernel, frequency)
    shown = (frequency > 0.05) & (frequency < 1.2) & (stated > 0.1)
    np.testing.assert_allclose(found[shown] / found[0], stated[shown], atol=0.05)
    others = [k for k in Kernel if k is not kernel]
    assert all(np.abs(found[shown] / found[0] - mtf(k, frequency[shown])).max() > 0.1 for k in others)


def test_a_window_that_is_none_is_a_line() -> None:
    with pytest.raises(InputError, match="window 'B30f': choose one of ramp, shepp-logan, cosine, hann, smooth"):
        window("B30f")
