"""Scan: a finished case as a scanner with other settings would have given it. Rays, kernel, then slices, then noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from nibabel.orientations import io_orientation

from synth.scanner.acquisition import Acquisition
from synth.scanner.implants import Implant, place
from synth.scanner.kernels import filtered, noise, noise_power
from synth.scanner.metal import spectrum
from synth.scanner.settings import Kernel, Profile, Scanner, ScannerSettings
from synth.scanner.slices import Slab, Slicing
from synth.seeding import derive, numpy_rng
from synth.threads import one_thread
from synth.volumes.types import HU_MAX, HU_MIN, Case, LabelMap, Volume


def scan(case: Case, scanner: Scanner, seed: int) -> Case:
    """The case with the scanner's kernel, slices and noise; organs and lesions on the grid of its slices.

    Slices run along the voxel axis that is nearest to head-foot. All noise follows from `seed`. Raises InputError as
    `slicing` and `implants.place` do.
    """
    slices = slicing(case.ct, scanner)
    implants = place(scanner.metal, case) if scanner.metal else []
    hu = _scanned(case.ct, slices, scanner, seed, implants)
    organs, lesions = (LabelMap(slices.ids(m.ids), slices.affine, m.names) for m in (case.organs, case.lesions))
    trees = case.trees and LabelMap(slices.ids(case.trees.ids), slices.affine, case.trees.names)
    return Case(Volume(hu, slices.affine), organs, lesions, trees)


@dataclass(frozen=True)
class Scanned:
    """A CT as another scanner would have given it, on its own grid.

    clean: the CT with the implants and none of their artefacts; the CT itself where there are none. metal: share of
    each voxel that an implant fills, (X, Y, Z) float32, or None.
    """

    ct: Volume
    clean: Volume
    metal: np.ndarray | None


def scan_in_place(
    ct: Volume, settings: ScannerSettings, seed: int, organs: LabelMap | None = None, lesions: LabelMap | None = None
) -> Scanned:
    """A CT with the settings of a scanner, slices overlapping so that the grid stays.

    `organs` say where metal goes, `lesions` which devices there are. Raises InputError as `scan` does.
    """
    own = float(ct.spacing[_axis(ct)])
    if settings.slice_mm is not None:
        settings = settings.model_copy(update={"increment_mm": own})
    slices = slicing(ct, settings)
    none = LabelMap(np.zeros(ct.hu.shape, np.uint8), ct.affine, {})
    implants = place(settings.metal, Case(ct, organs or none, lesions or none)) if settings.metal else []
    scanned = Volume(_scanned(ct, slices, settings, seed, implants), ct.affine)
    if not implants:
        return Scanned(scanned, ct, None)
    return Scanned(scanned, _with_implants(ct, implants), _metal(ct, implants))


def slicing(ct: Volume, scanner: ScannerSettings) -> Slicing:
    """The scanner's slices of a volume. Raises InputError where they are thinner than its own."""
    profile = scanner.profile or Profile.box
    return Slicing.of(ct.hu.shape, ct.affine, _axis(ct), scanner.slice_mm, scanner.increment_mm, profile)


def _axis(ct: Volume) -> int:
    """The voxel axis that is nearest to head-foot."""
    return int(np.flatnonzero(io_orientation(ct.affine)[:, 0] == 2)[0])


def _scanned(ct: Volume, slices: Slicing, scanner: ScannerSettings, seed: int, implants: list[Implant]) -> np.ndarray:
    """(X, Y, Z) int16 HU on the grid of the slices."""
    out = np.empty(slices.shape_of(ct.hu.shape), np.int16)
    thick = np.moveaxis(out, slices.axis, -1)
    images = _thick(ct, slices, scanner)
    if scanner.projects:
        images = _projected(images, slices, _Changes(ct, slices.axis, scanner, seed, implants))
    for number, hu in enumerate(_noisy(images, ct, slices, scanner, seed)):
        thick[..., number] = np.rint(hu).clip(HU_MIN, HU_MAX)
    return out


def _thick(ct: Volume, slices: Slicing, scanner: ScannerSettings) -> Iterator[np.ndarray]:
    """Slice after slice, float64 HU: the weighted mean of the thin ones, each with the kernel."""
    thin = np.moveaxis(ct.hu, slices.axis, -1)
    for slab in slices.slabs:
        mean = slab.mean(slab.thin(thin))
        # filtered after the mean, which is the same since both are linear, and less work
        yield mean if scanner.kernel is Kernel.standard else filtered(mean, _in_plane(ct, slices), scanner.kernel)


def _projected(images: Iterator[np.ndarray], slices: Slicing, changes: _Changes) -> Iterator[np.ndarray]:
    """The slices with what the rays change in the thin ones."""
    for hu, slab in zip(images, slices.slabs, strict=True):
        yield hu + changes.mean(slab)


class _Changes:
    """What the rays change in each thin slice, computed when it is first needed and kept while slabs overlap."""

    def __init__(self, ct: Volume, axis: int, scanner: ScannerSettings, seed: int, implants: list[Implant]) -> None:
        axes, signs = io_orientation(ct.affine).T
        self._across, self._along = (int(np.flatnonzero(axes == world)[0]) for world in (0, 1))
        self._against = tuple(n for n, axis in enumerate((self._across, self._along)) if signs[axis] < 0)
        self._hu, self._axis, self._seed, self._implants = ct.hu, axis, seed, implants
        shape = (ct.hu.shape[self._across], ct.hu.shape[self._along])
        spacing = (float(ct.spacing[self._across]), float(ct.spacing[self._along]))
        self._rays = Acquisition(scanner, shape, spacing, float(ct.spacing[axis]))
        self._kept: dict[int, np.ndarray] = {}

    @one_thread()
    def mean(self, slab: Slab) -> np.ndarray:
        """Weighted mean of the changes over a slab, float64 HU."""
        needed = range(slab.first, slab.first + len(slab.weights))
        self._kept = {n: self._kept[n] if n in self._kept else self._change(n) for n in needed}
        return slab.mean(np.stack([self._kept[n] for n in needed], axis=-1))

    def _change(self, number: int) -> np.ndarray:
        hu = torch.from_numpy(self._turned(np.take(self._hu, number, self._axis)).astype(np.float32))
        metal: dict[str, torch.Tensor] = {}
        for implant in self._implants:
            box = implant.box[self._axis]
            if box.start <= number < box.stop:
                share = np.zeros(self._hu.shape[: self._axis] + self._hu.shape[self._axis + 1 :], np.float32)
                in_plane = tuple(s for axis, s in enumerate(implant.box) if axis != self._axis)
                share[in_plane] = np.take(implant.share, number - box.start, self._axis)
                if share.any():
                    metal[implant.material] = torch.from_numpy(self._turned(share))
        change = self._rays.change(hu, metal, derive(self._seed, "rays", number))
        back = np.flip(change.cpu().numpy(), self._against)
        return np.ascontiguousarray(back if self._across < self._along else back.T)

    def _turned(self, plane: np.ndarray) -> np.ndarray:
        """A slice from left to right and from back to front."""
        turned = plane if self._across < self._along else plane.T
        return np.ascontiguousarray(np.flip(turned, self._against))


def _noisy(
    thick: Iterator[np.ndarray], ct: Volume, slices: Slicing, scanner: ScannerSettings, seed: int
) -> Iterator[np.ndarray]:
    """The slices with even noise."""
    if scanner.noise_hu == 0:
        yield from thick
        return
    x, y = (n for axis, n in enumerate(ct.hu.shape) if axis != slices.axis)
    power, rng = noise_power((x, y), _in_plane(ct, slices), scanner.kernel), numpy_rng(seed)
    for hu in thick:
        yield hu + noise(power, (x, y), scanner.noise_hu, rng)


def _in_plane(ct: Volume, slices: Slicing) -> tuple[float, float]:
    """Pixel spacing in mm."""
    x, y = (float(mm) for axis, mm in enumerate(ct.spacing) if axis != slices.axis)
    return x, y


def _metal(ct: Volume, implants: list[Implant]) -> np.ndarray:
    return np.sum([implant.within(ct.hu.shape) for implant in implants], axis=0).clip(0, 1)


def _with_implants(ct: Volume, implants: list[Implant]) -> Volume:
    """The CT with metal in place of tissue, as far as 12 bits go."""
    hu = ct.hu.astype(np.float32)
    for implant in implants:
        hu[implant.box] += implant.share * (spectrum().water_hu(implant.material) - hu[implant.box])
    return Volume(np.rint(hu).clip(HU_MIN, HU_MAX).astype(np.int16), ct.affine)
