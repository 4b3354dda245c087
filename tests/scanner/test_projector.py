"""The projector against what is known: ellipses, its own adjoint, a uniform cylinder, and the MTF of each kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.errors import InputError
from synth.scanner.kernels import mtf
from synth.scanner.projector import Geometry, Projector, projector
from synth.scanner.scan import scan_in_place
from synth.scanner.settings import Kernel, ScannerSettings
from synth.scanner.windows import window
from synth.volumes.types import Volume
from tests.scanner.discs import Ellipse, radius
from tests.scanner.edges import edge_mtf

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


FINE = Geometry((192, 192), (0.25, 0.25), views=240, pitch_mm=0.15)
DISC = Ellipse(0.13, -0.07, 18.0, 18.0)


def disc_by(kernel: Kernel) -> np.ndarray:
    """The disc as filtered back-projection of its true sinogram shows it, (X, Y)."""
    sinogram = torch.from_numpy(DISC.sinogram(FINE))[None]
    return projector(FINE).fbp(sinogram, window(kernel))[0].numpy()


def require_mtf(image: np.ndarray, kernel: Kernel) -> None:
    """The edge's MTF is the stated one to 5%, down to a twentieth, and not that of another kernel."""
    frequency, found = edge_mtf(image, FINE, DISC)
    shown = (frequency > 0.05) & (mtf(kernel, frequency) > 0.05)
    np.testing.assert_allclose(found[shown], mtf(kernel, frequency[shown]), rtol=0.05)
    others = [k for k in Kernel if k is not kernel]
    assert all(np.abs(found[shown] / mtf(k, frequency[shown]) - 1).max() > 0.2 for k in others)


@pytest.mark.parametrize("kernel", list(Kernel))
def test_an_edge_is_as_blurred_as_the_kernel_states(kernel: Kernel) -> None:
    require_mtf(disc_by(kernel), kernel)


@pytest.mark.parametrize("kernel", list(Kernel))
def test_a_standard_image_gets_the_edge_of_the_kernel(kernel: Kernel) -> None:
    """Once: a volume of the standard kernel, through the whole scan."""
    hu = np.rint(2000 * disc_by(Kernel.standard) - 500).astype(np.int16)
    ct = Volume(hu[..., None], np.diag([0.25, 0.25, 1.0, 1.0]))
    scanned = scan_in_place(ct, ScannerSettings(kernel=kernel), 0).ct.hu[..., 0]
    require_mtf((scanned + 500.0) / 2000, kernel)


@pytest.mark.parametrize(("kernel", "half"), [("smooth", 0.3), ("standard", 0.4), ("sharp", 0.6)])
def test_kernels_pass_half_where_they_say(kernel: str, half: float) -> None:
    assert float(mtf(Kernel(kernel), np.array(half))) == pytest.approx(0.5, abs=1e-6)
    falling = mtf(Kernel(kernel), np.linspace(0.2, 1.5, 200))
    assert (np.diff(falling) < 0).all() and mtf(Kernel(kernel), np.linspace(0, 1.5, 200)).max() < 1.05


def test_a_window_that_is_none_is_a_line() -> None:
    with pytest.raises(InputError, match="window 'B30f': choose one of ramp, shepp-logan, cosine, hann, smooth"):
        window("B30f")
