"""Attributes against lesions made up by hand: each measure sees what is there, and only that."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, zoom

from synth.report import attributes
from synth.report.attributes import density_class, heterogeneity, outline_deviation, texture_class
from synth.report.noise import measure_noise
from synth.report.strands import strands_per_slice
from synth.report.vessels import vessel_contacts
from synth.volumes.types import Case, LabelMap, Volume

SPACING = np.array([0.8, 0.8, 2.0])
SHAPE = (80, 80, 20)
AFFINE = np.diag([*SPACING, 1.0])
POINTS = (np.indices(SHAPE).T - np.array([40, 40, 10])).T * SPACING[:, None, None, None]
RADIUS = np.linalg.norm(POINTS[:2], axis=0)
ANGLE = np.arctan2(POINTS[1], POINTS[0])
FLAT = np.abs(POINTS[2]) < 9  # a rod along the slices' axis: every slice is the same


def noisy(clean: np.ndarray, sd: float = 12.0) -> np.ndarray:
    return clean + sd * np.random.default_rng(0).standard_normal(SHAPE)


def lung_nodule(strands: int, edge_mm: float = 0.6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU, mask and lung of a rod of 9 mm radius with that many thin radial strands of 6 mm."""
    body = FLAT & (RADIUS <= 9)
    clean = gaussian_filter(np.where(body, 1.0, 0.0), (edge_mm / 0.8, edge_mm / 0.8, 0))
    for k in range(strands):
        turn = np.angle(np.exp(1j * (ANGLE - 2 * np.pi * k / max(strands, 1))))
        clean = np.maximum(clean, 0.6 * (FLAT & (np.abs(turn) * RADIUS < 0.9) & (RADIUS < 15)))
    return noisy(-850 + 890 * clean, 20.0), body, ~body


@pytest.mark.parametrize("strands", [0, 2, 6, 9])
def test_strands_are_counted(strands: int) -> None:
    hu, mask, lung = lung_nodule(strands)
    assert strands_per_slice(hu, mask, lung, SPACING, 2, 20.0) == pytest.approx(strands, abs=0.6)


@pytest.mark.parametrize(("strands", "least", "most"), [(0, 0.0, 2.0), (9, 4.5, 11.0)])
def test_strands_are_counted_on_pixels_of_2_mm(strands: int, least: float, most: float) -> None:
    """The mean of pixels, as a coarser grid has it: neighbours run together, which the count makes up for."""
    hu, mask, lung = lung_nodule(strands)
    times = (80 // 5 * 2, 80 // 5 * 2, 20)  # 0.8 to 2 mm
    fine = [
        zoom(a.astype(np.float32), (0.4, 0.4, 1), order=1, grid_mode=True, mode="nearest") for a in (hu, mask, lung)
    ]
    assert fine[0].shape == times
    found = strands_per_slice(fine[0], fine[1] > 0.5, fine[1] <= 0.5, np.array([2.0, 2.0, 2.0]), 2, 20.0)
    assert found is not None
    assert least <= found <= most


def test_a_wide_edge_has_no_strands() -> None:
    hu, mask, lung = lung_nodule(0, edge_mm=2.5)
    assert strands_per_slice(hu, mask, lung, SPACING, 2, 20.0) < 1


def test_without_contrast_strands_cannot_be_seen() -> None:
    hu, mask, lung = lung_nodule(6)
    assert strands_per_slice(0.1 * hu, mask, lung, SPACING, 2, 20.0) is None


def test_lobes_raise_the_deviation_of_the_outline_and_stretching_does_not() -> None:
    def outline(radius: np.ndarray, stretch: float = 1.0) -> float:
        return outline_deviation(FLAT & (np.hypot(POINTS[0] / stretch, POINTS[1]) <= radius), SPACING, 2)

    assert outline(np.full(SHAPE, 12.0)) < 0.03
    assert outline(np.full(SHAPE, 11.0), stretch=1.3) < attributes.IRREGULAR
    assert outline(12 * (1 + 0.12 * np.cos(6 * ANGLE))) > attributes.IRREGULAR
    assert outline_deviation(FLAT & (RADIUS < 2), SPACING, 2) is None


@pytest.mark.parametrize(("sd", "seen"), [(0.0, False), (3.0, False), (14.0, True), (25.0, True)])
def test_texture_beyond_noise_is_heterogeneity(sd: float, seen: bool) -> None:
    texture = gaussian_filter(np.random.default_rng(1).standard_normal(SHAPE), 1.5 / SPACING)
    hu = noisy(50 + sd * texture / texture.std())
    organs = LabelMap(np.full(SHAPE, 5, np.uint8), AFFINE, {5: "liver"})
    noise = measure_noise(Volume(np.rint(noisy(np.full(SHAPE, 60.0))).astype(np.int16), AFFINE), organs)
    measured = heterogeneity(hu, FLAT & (RADIUS < 12), SPACING, 24.0, noise)
    assert (measured >= attributes.HETEROGENEOUS_HU) is seen
    assert heterogeneity(hu, FLAT & (RADIUS < 0.5), SPACING, 2.0, noise) is None


def test_density_is_against_the_organ_or_soft_tissue() -> None:
    assert [density_class(hu, 100.0, True) for hu in (80, 105, 125)] == ["hypodense", "isodense", "hyperdense"]
    assert [density_class(hu, None, False) for hu in (5, 45, 300)] == ["hypodense", "isodense", "hyperdense"]


def test_texture_of_a_nodule_is_the_share_that_no_air_is_in() -> None:
    assert texture_class(np.full(100, -600.0)) == "ground-glass"
    assert texture_class(np.repeat([-600.0, 40.0], 50)) == "part-solid"
    assert texture_class(np.full(100, 40.0)) == "solid"


def test_a_vessel_is_encased_as_far_as_the_lesion_goes_round_it() -> None:
    vessel, names = RADIUS <= 5, {52: "aorta"}
    shell = (RADIUS > 5) & (RADIUS <= 9)
    organs = LabelMap(np.where(vessel, 52, 0).astype(np.uint8), AFFINE, names)
    hu = Volume(np.zeros(SHAPE, np.int16), AFFINE)
    for part, degrees in (
        (shell & (POINTS[1] > 0), 180),
        (shell, 360),
        (shell & (POINTS[1] > 0) & (POINTS[0] > 0), 90),
    ):
        case = Case(hu, organs, LabelMap(part.astype(np.uint8), AFFINE, {1: "mass_1"}))
        box = tuple(slice(0, n) for n in SHAPE)
        assert vessel_contacts(case, 1, box, ("aorta",))["aorta"] == pytest.approx(degrees, abs=35)
    assert vessel_contacts(case, 1, box, ("liver",)) == {}


@pytest.mark.parametrize("inner", [10.0, 50.0, 400.0])
def test_zones_are_seen_where_they_are(inner: float) -> None:
    """A rod of 14 mm radius at 60 HU with a core: fluid, tissue, calcium."""
    mask = FLAT & (RADIUS < 14)
    hu = noisy(np.where(RADIUS < 7, inner, np.where(RADIUS < 14, 60.0, 100.0)), 8.0)
    organs = LabelMap(np.full(SHAPE, 5, np.uint8), AFFINE, {5: "liver"})
    noise = measure_noise(Volume(np.rint(noisy(np.full(SHAPE, 60.0), 8.0)).astype(np.int16), AFFINE), organs)
    seen = attributes.measure_attributes(
        hu,
        mask,
        ~mask,
        AFFINE,
        structure="liver",
        organ_hu=100.0,
        enhanced=True,
        long_mm=28.0,
        margin_mm=1.0,
        noise=noise,
    )
    assert (seen.necrotic, seen.calcified, seen.lobulated) == (inner == 10.0, inner == 400.0, False)
    assert seen.heterogeneity == ("homogeneous" if inner == 50.0 else "heterogeneous")
    assert seen.texture is None and seen.shape == "round-like"


@pytest.mark.parametrize("tissue_hu", [-600.0, 5.0, 45.0])
def test_the_density_of_a_lung_nodule_on_coarse_pixels_is_that_of_its_middle(tissue_hu: float) -> None:
    """Most voxels of one that is five pixels across hold air too."""
    radius = np.linalg.norm((np.indices((60, 60, 60)).T - 29.5).T, axis=0)
    fine = np.where(radius <= 7.75, tissue_hu, -850.0)
    coarse = fine.reshape(20, 3, 20, 3, 20, 3).mean(axis=(1, 3, 5))
    mask = coarse > (tissue_hu - 850) / 2
    seen = attributes.measure_attributes(
        coarse,
        mask,
        ~mask,
        np.diag([3.0, 3.0, 3.0, 1.0]),
        structure="lung_upper_lobe_left",
        organ_hu=-850.0,
        enhanced=False,
        long_mm=15.5,
        margin_mm=2.0,
        noise=None,
    )
    assert seen.core_hu == pytest.approx(tissue_hu, abs=15)
