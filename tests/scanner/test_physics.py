"""Laws of noise, missing views, hardening and metal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nibabel.affines import apply_affine

from synth.errors import InputError
from synth.scanner.acquisition import Acquisition
from synth.scanner.dose import ELECTRONIC, missing_noise, modulated, poisson
from synth.scanner.implants import place
from synth.scanner.kernels import mtf
from synth.scanner.metal import spectrum, to_mu
from synth.scanner.projector import Geometry, projector
from synth.scanner.scan import scan, scan_in_place
from synth.scanner.settings import Kernel, Metal, Scanner, ScannerSettings
from synth.scanner.slices import Slicing
from synth.scanner.views import few, sirt
from synth.scanner.windows import window
from synth.volumes.types import Case, LabelMap, Volume
from tests.scanner.discs import Ellipse, radius

GRID = Geometry((160, 160), (1.5, 1.5))
BODY = Ellipse(0.0, 0.0, 100.0, 100.0)


def hu_of(*ellipses: tuple[Ellipse, float], grid: Geometry = GRID) -> torch.Tensor:
    """HU (X, Y): air, and each ellipse's HU in place of what was there."""
    hu = np.full(grid.shape, -1000.0, np.float32)
    for ellipse, value in ellipses:
        share = ellipse.slice(grid)
        hu += share * (value - hu)
    return torch.from_numpy(hu)


def change(hu: torch.Tensor, seed: int = 0, **settings: object) -> np.ndarray:
    rays = Acquisition(ScannerSettings.model_validate(settings), GRID.shape, GRID.spacing, 2.0)
    return rays.change(hu, {}, seed).numpy()


WATER = hu_of((BODY, 0.0))
CENTRE, RIM = radius(GRID) < 30, (radius(GRID) > 80) & (radius(GRID) < 95)


def test_noise_goes_with_the_root_of_the_dose() -> None:
    """With that of the full dose, which is there already, the SD is that of 1 / sqrt(dose) over 1 to 1/8, to 5%."""
    sd = {dose: np.mean([change(WATER, seed, dose=dose)[CENTRE].std() for seed in range(3)]) for dose in (1 / 2, 1 / 8)}
    full = sd[1 / 2]  # what is missing of half the dose is as much as there was
    assert sd[1 / 8] ** 2 + full**2 == pytest.approx(full**2 * 8, rel=0.1)  # of squares: 5% of the SD


def test_noise_that_is_added_makes_up_that_of_the_lower_dose() -> None:
    """Counts of the full dose with what is missing, against counts of a quarter; electronic noise counts there."""
    line = torch.full((400, 500), 6.0)
    had = missing_noise(line, 0.999999, 2e5, 1, had=torch.full_like(line, -20.0))  # as if there had been none
    low = missing_noise(line, 0.25, 2e5, 2, had=torch.full_like(line, -20.0))
    added = missing_noise(line, 0.25, 2e5, 3)
    assert float((had + added).std()) == pytest.approx(float(low.std()), rel=0.03)
    assert float(had.std()) < 0.6 * float(low.std())
    expected = (1 / (0.25 * 2e5 * np.exp(-2.0)) + (ELECTRONIC / (0.25 * 2e5 * np.exp(-2.0))) ** 2) ** 0.5
    bright = missing_noise(torch.full_like(line, 2.0), 0.25, 2e5, 4, had=torch.full_like(line, -20.0))
    assert float(bright.std()) == pytest.approx(expected, rel=0.03)


def test_counts_are_poisson_and_go_together_where_expectations_do() -> None:
    normal = torch.randn(400_000, generator=torch.Generator().manual_seed(5))
    for mean in (0.3, 4.0, 19.0, 21.0, 200.0):
        counts = poisson(torch.full_like(normal, mean), normal)
        assert float(counts.mean()) == pytest.approx(mean, rel=0.01)
        assert float(counts.var()) == pytest.approx(mean, rel=0.02)
        assert float(counts.min()) >= 0 and torch.equal(counts, counts.round())
        skew = float((((counts - mean) / mean**0.5) ** 3).mean())
        assert skew == pytest.approx(mean**-0.5, rel=0.1, abs=0.02)
    with_lesion = WATER.clone()
    with_lesion[100:104, 60:64] = 60
    one, other = (change(hu, 1, dose=0.25) for hu in (WATER, with_lesion))
    assert (one - other).std() < 0.1 * one.std()  # a twin has the noise of its case


def test_few_photons_have_the_noise_of_the_electronics_too() -> None:
    line, rng = torch.full((300, 400), 7.5), np.random.default_rng(2)
    expected = 0.25 * 2e5 * np.exp(-7.5)  # 28 photons
    counts = rng.poisson(expected, line.shape) + ELECTRONIC * rng.standard_normal(line.shape)
    found = missing_noise(line, 0.25, 2e5, 2, had=torch.full_like(line, -20.0))
    assert float(found.std()) == pytest.approx(np.log(expected / counts.clip(1)).std(), rel=0.02)


@pytest.mark.parametrize("beam", ["parallel", "fan"])
@pytest.mark.parametrize("kernel", ["smooth", "standard"])
def test_noise_of_a_dose_has_the_grain_of_the_kernel(kernel: str, beam: str) -> None:
    """Power as frequency times the MTF squared, as filtered back-projection has it."""
    fine = Geometry((128, 128), (0.6, 0.6))
    hu = hu_of((Ellipse(0, 0, 35.0, 35.0), 0.0), grid=fine)
    settings = ScannerSettings.model_validate({"dose": 0.25, "kernel": kernel, "beam": beam})
    rays = Acquisition(settings, fine.shape, fine.spacing, 2.0)
    taper = np.hanning(64)[:, None] * np.hanning(64)
    images = [rays.change(hu, {}, seed).numpy()[32:96, 32:96] * taper for seed in range(6)]
    power = np.mean([np.abs(np.fft.fft2(image)) ** 2 for image in images], axis=0)
    f = np.hypot(np.fft.fftfreq(64, 0.6)[:, None], np.fft.fftfreq(64, 0.6))
    bands = [(low, low + 0.1) for low in (0.1, 0.2, 0.3, 0.4, 0.5)]
    expected = f * mtf(Kernel(kernel), f) ** 2
    ratio = np.array([power[(f >= a) & (f < b)].mean() / expected[(f >= a) & (f < b)].mean() for a, b in bands])
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.2)


def test_noise_rises_to_the_centre_and_streaks_through_the_long_axis() -> None:
    noise = change(WATER, dose=0.25)
    assert noise[CENTRE].std() > 1.2 * noise[RIM].std() and abs(noise[CENTRE].mean()) < 1
    shoulders = change(hu_of((Ellipse(0, 0, 110.0, 45.0), 0.0)), dose=0.1)[60:100, 70:90]
    along, across = (np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in (
        (shoulders[:-3], shoulders[3:]), (shoulders[:, :-3], shoulders[:, 3:])))  # fmt: skip
    assert along > across + 0.05


def test_a_modulated_tube_gives_the_same_dose_with_less_noise() -> None:
    flat = hu_of((Ellipse(0, 0, 110.0, 55.0), 0.0))
    line = projector(few(GRID, None, None)).project(to_mu(flat)[None])[0]
    current = modulated(line)
    assert float(current.mean()) == pytest.approx(1) and float(current.max()) > 1.3
    assert int(current.argmax()) == int(line.amax(dim=-1).argmax())
    inside = radius(GRID) < 30
    plain, steered = (
        np.mean([change(flat, seed, dose=0.2, modulation=on)[inside].std() for seed in range(3)]) for on in (0, 1)
    )
    assert steered < 0.97 * plain


def test_with_nothing_missing_nothing_changes() -> None:
    for settings in ({"views": 720}, {"angle_deg": 180}, {"dose": 1}):
        np.testing.assert_array_equal(change(WATER, **settings), 0)


def test_missing_rays_lose_the_edges_that_lie_along_them() -> None:
    """Of 120 degrees about the front-to-back rays, those from side to side are missing: walls across them stay."""
    square = np.full(GRID.shape, -1000.0, np.float32)
    square[50:110, 50:110] = 0
    changed = square + change(torch.from_numpy(square), angle_deg=120.0)
    side = changed[49:53, 70:90].mean(axis=1)  # an edge along Y, which rays along Y see
    front = changed[70:90, 49:53].mean(axis=0)
    assert np.ptp(side) > 700 > 2 * np.ptp(front) > 100


def test_few_views_streak_and_iterations_streak_less() -> None:
    hu = hu_of((BODY, 0.0), (Ellipse(30, 10, 8, 8), 800.0))
    fbp, iterative = change(hu, views=40), change(hu, views=40, reconstruction="sirt", sirt_steps=15)
    high = [part[1:, 1:] - part[:-1, 1:] for part in (fbp, iterative)]
    assert fbp[RIM].std() > 20 and high[0][RIM[1:, 1:]].std() > 3 * high[1][RIM[1:, 1:]].std()


def test_iterations_come_nearer_to_the_slice() -> None:
    rays = projector(few(GRID, 60, None))
    mu = to_mu(WATER)[None]
    seen = rays.project(mu)
    errors = [float((sirt(rays, seen, steps) - mu).norm() / mu.norm()) for steps in (2, 10, 40)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.1


def test_water_alone_does_not_harden_and_bone_does() -> None:
    assert np.abs(change(hu_of((BODY, 0.0)), beam_hardening=True)).max() < 1
    bones = hu_of((BODY, 0.0), (Ellipse(-40, 0, 15, 15), 1000.0), (Ellipse(40, 0, 15, 15), 1000.0))
    hardened = change(bones, beam_hardening=True)
    between, beside = hardened[76:84, 78:82].mean(), hardened[76:84, 110:114].mean()
    assert between < -5 and between < beside - 5  # a dark band from bone to bone


def test_the_spectrum_is_physical() -> None:
    one = spectrum()
    assert one.share.sum() == pytest.approx(1, abs=1e-3) and one.at_reference("water") == pytest.approx(
        0.0192, abs=5e-4
    )
    for name in ("water", "bone", "titanium", "cobalt_chrome"):
        assert (np.diff(one.per_mm[name]) < 0).all()
    thin = one.as_water(one.attenuation({"titanium": torch.tensor([0.0, 1.0, 2.0, 4.0])}))
    assert float(thin[0]) == pytest.approx(0, abs=1e-3) and (np.diff(np.diff(thin.numpy()[[1, 2, 3]])) < 1).all()
    assert float(thin[3]) < 2 * float(thin[2])  # hardened: twice the metal is less than twice the signal


def spine() -> tuple[Volume, LabelMap]:
    """A body with two square vertebrae; 2 x 2 x 3 mm, from left to right."""
    affine = np.array([[-2.0, 0, 0, 100.0], [0, 2.0, 0, -70.0], [0, 0, 3.0, 40.0], [0, 0, 0, 1.0]])
    hu = np.full((100, 70, 24), -1000, np.int16)
    hu[15:85, 8:62] = 0
    ids = np.zeros(hu.shape, np.uint8)
    for number, low in ((27, 1), (28, 12)):
        ids[38:62, 14:44, low : low + 10] = number
    hu[ids > 0] = 250
    return Volume(hu, affine), LabelMap(ids, affine, {27: "vertebrae_L5", 28: "vertebrae_L4"})


def _case(ct: Volume, organs: LabelMap, ids: np.ndarray | None = None) -> Case:
    ids = np.zeros_like(organs.ids) if ids is None else ids
    return Case(ct, organs, LabelMap(ids, ct.affine, {1: "pacemaker_1"}))


def test_a_device_of_the_case_is_metal_where_it_is_as_dense() -> None:
    ct, organs = spine()
    ids, hu = np.zeros_like(organs.ids), ct.hu.copy()
    ids[20:30, 50:56, 5:9], hu[20:30, 50:56, 5:8] = 1, 3071  # its upper part is a lead's cover
    (implant,) = place(Metal.devices, _case(Volume(hu, ct.affine), organs, ids))
    np.testing.assert_array_equal(implant.within(hu.shape) > 0, (ids > 0) & (hu == 3071))
    with pytest.raises(InputError, match="no lesion of the case is metal; insert a pacemaker"):
        place(Metal.devices, _case(ct, organs, ids))


def test_screws_lie_in_their_vertebrae_and_streak_along_themselves() -> None:
    ct, organs = spine()
    (implant,) = place(Metal.spine, _case(ct, organs))
    metal = implant.within(ct.hu.shape) > 0.5
    at = apply_affine(ct.affine, np.argwhere(metal))
    assert at[:, 0].min() < -5 and at[:, 0].max() > 5  # on both sides
    assert (metal & (organs.ids > 0)).sum() > 0.5 * metal.sum()
    scanned = scan_in_place(ct, ScannerSettings(metal=Metal.spine), 3, organs)
    level = int(metal.sum(axis=(0, 1)).argmax())
    assert scanned.metal is not None and scanned.clean.hu[metal].min() > 1500
    artefact = scanned.ct.hu[..., level].astype(float) - scanned.clean.hu[..., level]
    artefact[scanned.metal[..., level] > 0] = 0
    in_front, beside = artefact[48:52, 46:56].mean(), artefact[25:30, 25:35].mean()  # screws point to the middle
    assert in_front < beside - 20
    untouched = ~metal.any(axis=(0, 1))
    np.testing.assert_array_equal(scanned.ct.hu[..., untouched], ct.hu[..., untouched])


def test_metal_without_its_bone_is_a_line() -> None:
    ct, organs = spine()
    with pytest.raises(InputError, match="metal 'hip': the labels have no femur_left or femur_right; choose"):
        place(Metal.hip, _case(ct, organs))


def test_a_scan_in_place_keeps_the_grid_and_a_case_its_masks() -> None:
    ct, organs = spine()
    ct, organs = Volume(ct.hu[..., :5], ct.affine), LabelMap(organs.ids[..., :5], ct.affine, organs.names)
    settings = {"dose": 0.25, "views": 90, "slice_mm": 6.0, "profile": "triangle"}
    scanned = scan_in_place(ct, ScannerSettings.model_validate(settings), 1)
    assert scanned.ct.hu.shape == ct.hu.shape and scanned.clean is ct and scanned.metal is None
    np.testing.assert_array_equal(scanned.ct.affine, ct.affine)
    again, other = (scan_in_place(ct, ScannerSettings.model_validate(settings), seed).ct.hu for seed in (1, 2))
    np.testing.assert_array_equal(again, scanned.ct.hu)
    assert (other != again).mean() > 0.3
    case = Case(ct, organs, LabelMap(np.zeros_like(organs.ids), ct.affine, {}))
    masks = scan(case, Scanner(name="low", dose=0.25, views=90), 1)
    np.testing.assert_array_equal(masks.organs.ids, organs.ids)


@pytest.mark.parametrize(("profile", "thick"), [("box", 6.0), ("triangle", 6.0), ("bell", 9.0)])
def test_a_slice_is_as_wide_as_its_profile_says(profile: str, thick: float) -> None:
    """Response to one bright thin slice, at overlapping places: width at half height, and the sum kept."""
    settings = ScannerSettings.model_validate({"slice_mm": thick, "increment_mm": 1.0, "profile": profile})
    slices = Slicing.of((1, 1, 61), np.eye(4), 2, settings.slice_mm, settings.increment_mm, settings.profile)
    hu = np.zeros((1, 1, 61))
    hu[..., 30] = 1
    response = np.array([float(slab.mean(slab.thin(hu))[0, 0]) for slab in slices.slabs])
    fine = np.interp(np.linspace(0, 60, 6001), np.arange(61), response)
    assert (fine >= fine.max() / 2).sum() / 100 == pytest.approx(thick, rel=0.05)
    assert response.sum() == pytest.approx(1, abs=0.01) and int(np.median(np.flatnonzero(response > 1e-6))) == 30


def test_overlapping_slices_lie_where_they_did() -> None:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[2, 3] = -7.0
    slices = Slicing.of((4, 4, 40), affine, 2, 8.0, 3.0)
    heights = np.broadcast_to(affine[2, 3] + 2.0 * np.arange(40), (4, 4, 40))
    for number in range(3, len(slices.slabs) - 3):
        told = slices.affine[2, 3] + slices.affine[2, 2] * number
        assert float(slices.slabs[number].mean(slices.slabs[number].thin(heights))[0, 0]) == pytest.approx(told)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dose": 0}, "greater than 0"),
        ({"dose": 1.5}, "less than or equal to 1"),
        ({"views": 0}, "greater than or equal to 1"),
        ({"angle_deg": 270}, "less than or equal to 180"),
        ({"increment_mm": 2}, "increment_mm needs slice_mm"),
        ({"modulation": True}, "modulation needs dose"),
        ({"sirt_steps": 5, "views": 9}, "sirt_steps needs reconstruction sirt"),
        ({"metal": "knee"}, "'hip', 'dental', 'spine' or 'devices'"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ScannerSettings.model_validate(settings)


def test_plans_of_old_speak_of_nothing_new() -> None:
    old = {"slice_mm": 8.0, "kernel": "smooth", "noise_hu": 6.0, "name": "thick"}
    assert Scanner.model_validate(old).model_dump(mode="json") == old
    assert Scanner.model_validate({**old, "kernel": "soft"}).model_dump(mode="json") == old
    assert window("smooth")(np.array([0.3]))[0] == pytest.approx(0.5)
