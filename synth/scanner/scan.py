"""Scan: a finished case as a scanner with other settings would have given it. Kernel, then slices, then noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from nibabel.orientations import io_orientation

from synth.scanner.kernels import filtered, noise, noise_power
from synth.scanner.settings import Kernel, Scanner
from synth.scanner.slices import Slicing
from synth.seeding import numpy_rng
from synth.types import HU_MAX, HU_MIN, Case, LabelMap, Volume


def scan(case: Case, scanner: Scanner, seed: int) -> Case:
    """The case with the scanner's kernel, slices and noise; organs and lesions on the grid of its slices.

    Slices run along the voxel axis that is nearest to head-foot. Noise follows from `seed` alone, is as strong
    everywhere and independent from slice to slice. Raises InputError as `slicing` does.
    """
    slices = slicing(case.ct, scanner)
    hu = _scanned(case.ct, slices, scanner, seed)
    organs, lesions = (LabelMap(slices.ids(m.ids), slices.affine, m.names) for m in (case.organs, case.lesions))
    return Case(Volume(hu, slices.affine), organs, lesions)


def slicing(ct: Volume, scanner: Scanner) -> Slicing:
    """The scanner's slices of a volume. Raises InputError where they are thinner than its own."""
    axis = int(np.flatnonzero(io_orientation(ct.affine)[:, 0] == 2)[0])
    return Slicing.of(ct.hu.shape, ct.affine, axis, scanner.slice_mm)


def _scanned(ct: Volume, slices: Slicing, scanner: Scanner, seed: int) -> np.ndarray:
    """(X, Y, Z) int16 HU on the grid of the slices."""
    out = np.empty(slices.shape_of(ct.hu.shape), np.int16)
    thick = np.moveaxis(out, slices.axis, -1)
    for number, hu in enumerate(_noisy(_thick(ct, slices, scanner), ct, slices, scanner, seed)):
        thick[..., number] = np.rint(hu).clip(HU_MIN, HU_MAX)
    return out


def _thick(ct: Volume, slices: Slicing, scanner: Scanner) -> Iterator[np.ndarray]:
    """Slice after slice, float64 HU: the weighted mean of the thin ones, each with the kernel."""
    thin = np.moveaxis(ct.hu, slices.axis, -1)
    for slab in slices.slabs:
        mean = slab.mean(slab.thin(thin))
        # filtered after the mean, which is the same since both are linear, and less work
        yield mean if scanner.kernel is Kernel.standard else filtered(mean, _in_plane(ct, slices), scanner.kernel)


def _noisy(
    thick: Iterator[np.ndarray], ct: Volume, slices: Slicing, scanner: Scanner, seed: int
) -> Iterator[np.ndarray]:
    """The slices with noise."""
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
