"""The fan beam against what is known: rays from a point, its adjoint, cylinder, MTF, the parallel beam's noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.errors import InputError
from synth.scanner.acquisition import Acquisition
from synth.scanner.dose import through
from synth.scanner.fan import FanGeometry, FanProjector, fan_projector
from synth.scanner.kernels import mtf
from synth.scanner.scan import scan_in_place
from synth.scanner.settings import Bowtie, Kernel, ScannerSettings
from synth.scanner.views import few
from synth.scanner.windows import window
from synth.volumes.types import Volume
from tests.scanner.discs import Ellipse, radius
from tests.scanner.edges import edge_mtf

ELLIPSE = Ellipse(22.0, -14.0, 31.0, 17.0, 35.0)
GEOMETRIES = [
    FanGeometry((160, 160), (0.8, 0.8), views=60),
    FanGeometry((160, 150), (0.8, 0.9), views=47, source_mm=400.0, flat=True),
    FanGeometry((161, 128), (0.7, 1.0), views=40, arc_deg=200.0, first_deg=-20.0, source_mm=541.0),
]
BODY = Ellipse(0.0, 0.0, 100.0, 100.0)


def chords(geometry: FanGeometry, disc: Ellipse) -> np.ndarray:
    """Length of each ray in a disc, (views, cells), from where source and cell stand; not by any parallel ray."""
    found = []
    for angle in geometry.angles():
        along, across = np.array([-np.sin(angle), np.cos(angle)]), np.array([np.cos(angle), np.sin(angle)])
        source = -geometry.source_mm * along
        place = (np.arange(geometry.cells) - (geometry.cells - 1) / 2 + 0.25) * geometry.pitch_mm
        slope = place / geometry.source_mm if geometry.flat else np.tan(place / geometry.source_mm)
        ray = along + slope[:, None] * across
        ray /= np.linalg.norm(ray, axis=1, keepdims=True)
        to_disc = np.array([disc.x, disc.y]) - source
        apart = ray[:, 0] * to_disc[1] - ray[:, 1] * to_disc[0]
        found.append(2 * np.sqrt(np.clip(disc.a**2 - apart**2, 0, None)))
    return np.array(found)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_rays_run_from_the_source_to_the_cells(geometry: FanGeometry) -> None:
    disc = Ellipse(25.0, -16.0, 20.0, 20.0)
    found = FanProjector(geometry).project(torch.from_numpy(disc.slice(geometry))[None])[0].numpy()
    true = chords(geometry, disc)
    assert np.linalg.norm(found - true) <= 0.01 * np.linalg.norm(true)
    for wrong in (found[:, ::-1], np.roll(found, 1, axis=1), np.roll(found, 1, axis=0)):
        assert np.linalg.norm(wrong - true) > 0.02 * np.linalg.norm(true)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_an_ellipse_is_projected_as_geometry_says(geometry: FanGeometry) -> None:
    found = FanProjector(geometry).project(torch.from_numpy(ELLIPSE.slice(geometry))[None])[0].numpy()
    true = ELLIPSE.sinogram(geometry)
    assert np.linalg.norm(found - true) <= 0.01 * np.linalg.norm(true)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_adjoint_is_the_transpose(geometry: FanGeometry) -> None:
    generator = torch.Generator().manual_seed(1)
    rays = FanProjector(geometry)
    x = torch.rand(2, *geometry.shape, generator=generator)
    y = torch.rand(2, geometry.views, geometry.cells, generator=generator)
    y *= torch.linspace(0, 1, geometry.cells) * torch.linspace(1, 3, geometry.views)[:, None]  # no symmetry helps
    forward, backward = (rays.project(x).double() * y).sum(), (x.double() * rays.adjoint(y)).sum()
    assert abs(forward / backward - 1) < 1e-5


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("name", ["hann", *Kernel])
def test_a_water_cylinder_is_flat(name: str, flat: bool) -> None:
    geometry = FanGeometry((192, 192), (0.9, 0.9), flat=flat)
    require_flat(geometry, name)


@pytest.mark.parametrize("arc", [200.0, 240.0])
def test_an_arc_of_more_than_half_a_turn_shows_all(arc: float) -> None:
    """Rays that it has twice count half each, those it has once in full."""
    require_flat(FanGeometry((192, 192), (0.9, 0.9), views=round(984 * arc / 360), arc_deg=arc), "hann")


def require_flat(geometry: FanGeometry, name: str) -> None:
    """A cylinder off the centre, to 5 HU in each pixel of it and the air about it in the mean."""
    cylinder = Ellipse(5.0, -8.0, 60.0, 60.0)
    sinogram = torch.from_numpy(cylinder.sinogram(geometry))[None]
    found = fan_projector(geometry).fbp(sinogram, window(name))[0].numpy()
    r = radius(geometry, 5.0, -8.0)
    assert np.abs(1000 * (found[r < 54] - 1)).max() < 5
    assert abs(1000 * found[(r > 66) & (r < 78)].mean()) < 0.5


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("kernel", list(Kernel))
def test_an_edge_about_the_isocentre_is_as_blurred_as_the_kernel_states(kernel: Kernel, flat: bool) -> None:
    geometry = FanGeometry((192, 192), (0.25, 0.25), pitch_mm=0.15, flat=flat)
    disc = Ellipse(0.13, -0.07, 18.0, 18.0)
    image = fan_projector(geometry).fbp(torch.from_numpy(disc.sinogram(geometry))[None], window(kernel))[0].numpy()
    frequency, found = edge_mtf(image, geometry, disc)
    shown = (frequency > 0.05) & (mtf(kernel, frequency) > 0.05)
    np.testing.assert_allclose(found[shown], mtf(kernel, frequency[shown]), rtol=0.05)


def change(disc: Ellipse, seed: int = 0, **settings: object) -> np.ndarray:
    grid = few(FanGeometry((160, 160), (1.5, 1.5)), None, None)
    hu = torch.from_numpy(1000 * disc.slice(grid) - 1000)
    rays = Acquisition(ScannerSettings.model_validate(settings), grid.shape, grid.spacing, 2.0)
    return rays.change(hu, {}, seed).numpy()


R = radius(FanGeometry((160, 160), (1.5, 1.5)))
CENTRE, RIM = R < 30, (R > 80) & (R < 95)


def test_a_turn_of_a_fan_has_the_noise_of_half_a_turn_of_parallel_rays() -> None:
    """The dose is the same: so many photons go the same ways."""
    sd = {beam: [change(BODY, seed, dose=0.25, beam=beam)[CENTRE].std() for seed in range(3)] for beam in (None, "fan")}
    assert np.mean(sd["fan"]) == pytest.approx(np.mean(sd[None]), rel=0.05)
    eighth = np.mean([change(BODY, seed, dose=1 / 8, beam="fan")[CENTRE].std() for seed in range(3)])
    assert eighth**2 / np.mean(sd["fan"]) ** 2 == pytest.approx(7 / 3, rel=0.1)  # of squares: 5% of the SD


@pytest.mark.parametrize("beam", [None, "fan"])
def test_a_bowtie_spares_photons_at_the_rim_and_its_noise_is_higher(beam: str | None) -> None:
    sd = {
        bowtie: [change(BODY, 3, dose=0.25, beam=beam, bowtie=bowtie)[where].std() for where in (CENTRE, RIM)]
        for bowtie in (None, "body", "head")
    }
    assert sd["head"][1] > 1.1 * sd[None][1] and sd["head"][1] > sd["body"][1] > 1.03 * sd[None][1]
    assert sd["body"][0] == pytest.approx(sd[None][0], rel=0.05)
    let = through(Bowtie.body, np.array([-150.0, -60.0, 0.0, 60.0, 500.0]))
    assert float(let[2]) == 1 and float(let[1]) == float(let[3]) < 1 and float(let[4]) == pytest.approx(np.exp(-2.0))


def test_missing_views_and_arcs_of_a_fan_show() -> None:
    for nothing in ({"views": 984}, {"angle_deg": 360}):
        np.testing.assert_array_equal(change(BODY, beam="fan", **nothing), 0)
    off = Ellipse(10.0, 0.0, 60.0, 60.0)
    sparse, dense = change(off, beam="fan", views=60), change(off, beam="fan", views=492)
    assert sparse[RIM].std() > 20 > 8 * dense[RIM].std()
    assert np.abs(change(off, beam="fan", angle_deg=250.0)[CENTRE]).max() < 3
    limited = change(off, beam="fan", angle_deg=120.0)
    assert limited[CENTRE].std() > 30
    iterative = change(off, beam="fan", views=60, reconstruction="sirt", sirt_steps=10)
    assert 5 < iterative[RIM].std() < sparse[RIM].std()


def test_an_arc_s_source_is_in_front_of_the_patient_however_the_volume_runs() -> None:
    arc = few(FanGeometry((160, 160), (1.5, 1.5)), None, 120.0)
    assert (np.cos(arc.angles()) < -0.49).all()  # where -cos is the source's way to the front
    hu = np.full((80, 70, 2), -1000, np.int16)
    hu[10:70, 15:60] = 0
    hu[30:36, 40:44] = 700  # in front, to the left
    ras = np.diag([2.0, 2.0, 3.0, 1.0])
    turned = np.diag([-2.0, -2.0, 3.0, 1.0])
    settings = ScannerSettings.model_validate({"beam": "fan", "angle_deg": 150, "views": 60})
    upright = scan_in_place(Volume(hu, ras), settings, 1).ct.hu
    mirrored = scan_in_place(Volume(np.ascontiguousarray(hu[::-1, ::-1]), turned), settings, 1).ct.hu
    np.testing.assert_allclose(mirrored[::-1, ::-1], upright, atol=1)
    wrong = scan_in_place(Volume(np.ascontiguousarray(hu[::-1, ::-1]), ras), settings, 1).ct.hu
    assert np.abs(wrong[::-1, ::-1].astype(int) - upright).max() > 20  # another place of the source shows
    swapped = scan_in_place(Volume(np.ascontiguousarray(hu.transpose(1, 0, 2)), ras[:, [1, 0, 2, 3]]), settings, 1)
    np.testing.assert_allclose(swapped.ct.hu.transpose(1, 0, 2), upright, atol=1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beam": "cone", "dose": 0.5}, "'parallel' or 'fan'"),
        ({"beam": "fan"}, "beam needs dose, views"),
        ({"detector": "flat", "dose": 0.5}, "detector needs beam fan"),
        ({"source_mm": 600, "dose": 0.5}, "source_mm needs beam fan"),
        ({"source_mm": 100, "dose": 0.5, "beam": "fan"}, "greater than or equal to 200"),
        ({"angle_deg": 361, "beam": "fan"}, "less than or equal to 360"),
        ({"angle_deg": 181, "beam": "parallel"}, "less than or equal to 180, of a fan 360"),
        ({"bowtie": "body"}, "bowtie needs dose or metal"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ScannerSettings.model_validate(settings)


def test_a_slice_that_reaches_the_source_is_a_line() -> None:
    with pytest.raises(InputError, match="source_mm 250: the slice reaches 272 mm from its middle; ask for 286 mm or"):
        Acquisition(
            ScannerSettings.model_validate({"dose": 0.5, "beam": "fan", "source_mm": 250}), (512, 512), (0.75, 0.75), 2
        )
