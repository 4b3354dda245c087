"""Laws of the scanner model: identity, world coordinates, known transfer, known noise, masks that agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nibabel.affines import apply_affine

from synth import report
from synth.errors import InputError
from synth.report import check, measure
from synth.scanner import Kernel, Scanner
from synth.scanner.kernels import filtered, noise_power, transfer
from synth.scanner.scan import scan
from synth.volumes.geometry import to_ras
from synth.volumes.types import Case, LabelMap, Volume
from tests import hosts, phantoms

UPRIGHT = np.diag([2.0, 2.0, 3.0, 1.0])
# axes run left, up and back, with spacings and an origin that are not round
TURNED = np.array([[-0.7, 0, 0, 31.0], [0, 0, -1.1, -18.4], [0, 1.25, 0, 402.7], [0, 0, 0, 1.0]])


def scanner(**settings: Any) -> Scanner:
    return Scanner(name="one", **settings)


def case_of(hu: np.ndarray, affine: np.ndarray, ids: np.ndarray | None = None) -> Case:
    ids = np.zeros(hu.shape, np.uint8) if ids is None else ids
    return Case(Volume(hu.astype(np.int16), affine), LabelMap(ids, affine, {5: "liver", 3: "kidney_left"}),
                LabelMap(np.zeros_like(ids), affine, {}))  # fmt: skip


def water(shape: tuple[int, int, int], affine: np.ndarray) -> Case:
    return case_of(np.zeros(shape), affine)


def test_a_scanner_that_is_set_to_nothing_changes_nothing() -> None:
    case = phantoms.case()
    for as_it_is in (scanner(), scanner(slice_mm=3.0)):  # its slices are of 3 mm
        same = scan(case, as_it_is, seed=1)
        np.testing.assert_array_equal(same.ct.hu, case.ct.hu)
        np.testing.assert_array_equal(same.organs.ids, case.organs.ids)
        np.testing.assert_array_equal(same.lesions.ids, case.lesions.ids)
        np.testing.assert_array_equal(same.ct.affine, case.ct.affine)


@pytest.mark.parametrize("affine", [UPRIGHT, TURNED], ids=["upright", "turned"])
@pytest.mark.parametrize("slice_mm", [6.0, 5.0, 7.3])
def test_thick_slices_lie_where_they_did(affine: np.ndarray, slice_mm: float) -> None:
    """A volume whose HU are its own heights and widths in the world, in tenths of a mm, still says where it lies."""
    shape = (20, 30, 24)
    at = apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    for axis in range(3):
        ct = scan(case_of(np.rint(at[..., axis] * 5), affine), scanner(slice_mm=slice_mm), 0).ct
        told = apply_affine(ct.affine, np.moveaxis(np.indices(ct.hu.shape), 0, -1))[..., axis]
        np.testing.assert_allclose(ct.hu / 5, told, atol=0.21)
        spacing = to_ras(ct.hu, ct.affine)[1]
        assert np.linalg.norm(spacing[:3, 2]) == pytest.approx(slice_mm)
        assert np.prod(ct.hu.shape) * ct.voxel_ml <= np.prod(shape) * np.prod(np.linalg.norm(affine[:3, :3], axis=0))


def test_slices_are_the_mean_of_what_they_hold() -> None:
    hu = np.random.default_rng(0).integers(-900, 900, (5, 6, 12))
    thick = scan(case_of(hu, UPRIGHT), scanner(slice_mm=9.0), 0).ct.hu
    np.testing.assert_array_equal(thick, np.rint(hu.reshape(5, 6, 4, 3).mean(axis=-1)))
    partly = scan(case_of(hu, UPRIGHT), scanner(slice_mm=4.5), 0).ct.hu  # 1.5 slices each
    np.testing.assert_allclose(partly[..., 0], (2 * hu[..., 0] + hu[..., 1]) / 3, atol=0.5)
    np.testing.assert_allclose(partly[..., 1], (hu[..., 1] + 2 * hu[..., 2]) / 3, atol=0.5)


def test_masks_go_by_the_share_that_they_fill() -> None:
    ids = np.zeros((1, 5, 4), np.uint8)
    ids[0] = [[5, 5, 0, 0], [0, 0, 5, 5], [5, 3, 3, 0], [0, 3, 0, 0], [5, 3, 3, 3]]
    case = case_of(np.zeros(ids.shape), UPRIGHT, ids)
    assert scan(case, scanner(slice_mm=12.0), 0).organs.ids[0, :, 0].tolist() == [5, 0, 3, 0, 3]


def test_masks_keep_their_volume() -> None:
    ball = ((np.indices((40, 40, 40)) - 19.5) ** 2).sum(axis=0) <= 15**2
    case = case_of(np.zeros(ball.shape), np.eye(4), 5 * ball.astype(np.uint8))
    for slice_mm in (2.0, 3.3, 5.0):
        organs = scan(case, scanner(slice_mm=slice_mm), 0).organs
        assert (organs.ids == 5).sum() * slice_mm == pytest.approx(ball.sum(), rel=0.03)


@pytest.mark.parametrize("kernel", list(Kernel))
@pytest.mark.parametrize("waves", [4, 16, 40])
def test_a_wave_is_passed_as_the_kernel_says(kernel: Kernel, waves: int) -> None:
    n, mm = 96, 0.7
    wave = np.cos(np.pi * waves * (np.arange(n) + 0.5) / n)  # even about both borders
    slice_hu = 50 + 100 * np.repeat(wave[:, None], 8, axis=1)
    passed = filtered(slice_hu, (mm, mm), kernel) - 50
    expected = float(transfer(kernel, np.array(waves / (2 * n * mm))))
    np.testing.assert_allclose(passed, 100 * expected * np.repeat(wave[:, None], 8, axis=1), atol=1e-6)
    assert {"smooth": expected < 1, "standard": expected == 1, "sharp": expected > 1}[kernel]


@pytest.mark.parametrize("kernel", list(Kernel))
@pytest.mark.parametrize("affine", [np.diag([0.7, 0.7, 1.0, 1.0]), np.diag([4.0, 4.0, 4.0, 1.0]), TURNED])
def test_noise_in_water_is_as_strong_as_asked(kernel: Kernel, affine: np.ndarray) -> None:
    hu = scan(water((64, 48, 40), affine), scanner(kernel=kernel, noise_hu=20.0), 3).ct.hu.astype(float)
    assert hu.std() == pytest.approx(20, rel=0.03) and abs(hu.mean()) < 1


def test_noise_has_the_grain_of_its_kernel_and_none_from_slice_to_slice() -> None:
    affine = np.diag([0.7, 0.7, 1.0, 1.0])
    found = {}
    for kernel in Kernel:
        hu = scan(water((64, 64, 60), affine), scanner(kernel=kernel, noise_hu=30.0), 1).ct.hu.astype(float)
        power = (np.abs(np.fft.rfft2(hu, axes=(1, 0))) ** 2).mean(axis=2).T  # (Y // 2 + 1, X), whose first is halved
        expected = noise_power((64, 64), (0.7, 0.7), kernel)
        found[kernel] = float(np.corrcoef(power.ravel(), expected.ravel())[0, 1])
        assert abs(np.corrcoef(hu[..., :-1].ravel(), hu[..., 1:].ravel())[0, 1]) < 0.02
        neighbours = np.corrcoef(hu[:-1].ravel(), hu[1:].ravel())[0, 1]
        found[f"{kernel} neighbours"] = float(neighbours)
    assert min(found[kernel] for kernel in Kernel) > 0.9
    assert found["smooth neighbours"] > found["standard neighbours"] + 0.05 > found["sharp neighbours"] + 0.1


def test_the_seed_alone_decides() -> None:
    case = phantoms.case()
    one, again, other = (scan(case, scanner(noise_hu=9.0), seed).ct.hu for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).mean() > 0.5


def test_what_leaves_the_range_is_clipped_to_it() -> None:
    hu = scan(case_of(np.full((16, 16, 4), -1024), UPRIGHT), scanner(noise_hu=50.0), 0).ct.hu
    assert hu.min() == -1024 and hu.max() > -1024


@pytest.mark.parametrize("slice_mm", [2.0, 17.0])
def test_slices_that_cannot_be_had_are_a_line(slice_mm: float) -> None:
    with pytest.raises(InputError, match=f"slice_mm {slice_mm:g}: the volume has 4 slices of 3 mm; ask for 3 to 12 mm"):
        scan(water((8, 8, 4), UPRIGHT), scanner(slice_mm=slice_mm), 0)


@pytest.mark.parametrize("settings", [{"slice_mm": 6.0}, {"slice_mm": 7.0, "kernel": "sharp", "noise_hu": 15.0}])
def test_a_report_of_the_scanned_case_holds_and_organs_stay_what_they_were(settings: dict[str, Any]) -> None:
    ct, organs = hosts.chest()
    ids = np.zeros(ct.hu.shape, np.uint8)
    ids[14:22, 20:27, 19:24] = 1
    case = Case(ct, organs, LabelMap(ids, ct.affine, {1: "lung_nodule_1"}))
    scanned = scan(case, scanner(**settings), 4)
    before, after = measure(case), measure(scanned)
    assert not list(check(scanned, report.write(after)))
    assert list(check(scanned, report.write(before)))  # of another grid
    assert after.volume.spacing_mm == (2.0, 2.5, settings["slice_mm"])
    for one, other in zip(before.organs, after.organs, strict=True):
        assert one.name == other.name and other.volume_ml == pytest.approx(one.volume_ml, rel=0.2)
        assert other.median_hu == pytest.approx(one.median_hu, abs=3)
