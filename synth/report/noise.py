"""The scanner's noise, measured in the host's own homogeneous tissue and drawn anew.

Patches that lie inside one structure are detrended by a plane; the median of their periodograms at each frequency,
which vessels and edges in some of them do not move, tells the shape of the noise power spectrum (Siewerdsen et al.
2002; ICRU 87), with the lags that a patch holds few of tapered (Blackman & Tukey 1958), and the median patch its
strength. A stationary Gaussian field with that spectrum has the host's noise grain and its correlation across slices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft

from synth.errors import InputError
from synth.report.location import Box
from synth.volumes.types import LabelMap, Volume

# homogeneous structures, the most homogeneous and largest first
TISSUES = (
    "liver",
    "spleen",
    "aorta",
    "heart",
    "autochthon_left",
    "autochthon_right",
    "gluteus_maximus_left",
    "gluteus_maximus_right",
    "brain",
    "kidney_left",
    "kidney_right",
    "urinary_bladder",
    "parotid_gland_left",
    "parotid_gland_right",
)
# voxels: the largest of which there are enough is used; in larger ones there is hardly more noise, and more structure
_PATCHES = ((10, 10, 6), (8, 8, 4), (6, 6, 2))
_MIN_PATCHES = (40, 12)  # enough for a median; enough where there are no more
_MAX_PATCHES = 160
_MEDIAN, _MEDIAN_REAL = 0.6931, 0.4549  # of chi-square over its mean, with two degrees of freedom and with one
_SHIFTS = 6  # points of the table of interpolation losses
_FINE_SHIFTS = 256  # steps of what is looked up between them
_LEVELS = (0.5, 2.0)  # of the host's: how much quieter or noisier a place can be
_LEAST_HERE = 200  # voxels
_SOFT_SHARE = 0.8  # of an organ whose noise can be told from its structure
_UNLABELLED = "soft tissue"
_SOFT_HU = (-30, 250)  # unlabelled soft tissue, taken where no listed structure is large enough
_LUNG = "lung"
_AERATED_HU = -650  # at most; taken where there is nothing else
_FEWEST_OF_LUNG, _MOST_OF_LUNG = 100, 3000  # patches of the smallest size: larger ones hold vessels
_QUIET_SHARES = {_UNLABELLED: 0.5, _LUNG: 0.05}  # of patches: the rest hold borders of tissues, or vessels


@dataclass(frozen=True)
class NoiseModel:
    """Noise of a host.

    autocovariance: (X, Y, Z) in HU^2 on the host's grid, zero shift at index 0.
    sd: HU.
    tissue: where it was measured.
    diagonal_hu: median absolute diagonal detail of slices across each axis.
    """

    autocovariance: np.ndarray
    sd: float
    tissue: str
    diagonal_hu: tuple[float, float, float]

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """A Gaussian field with this autocovariance, (X, Y, Z) float32 in HU."""
        lags = (
            self.autocovariance.shape
        )  # half of them on either side, so that opposite faces know nothing of each other
        padded = tuple(fft.next_fast_len(max(n + p // 2, p), real=True) for n, p in zip(shape, lags, strict=True))
        spectrum = fft.rfftn(_embed(self.autocovariance, padded)).real.clip(0)
        white = fft.rfftn(rng.standard_normal(padded, dtype=np.float32))
        white *= np.sqrt(spectrum) * (self.sd / max(float(np.sqrt(spectrum_variance(spectrum, padded))), 1e-9))
        field: np.ndarray = fft.irfftn(white, s=padded)[tuple(slice(0, n) for n in shape)]
        return field

    def here(self, hu: np.ndarray, organ: np.ndarray, axis: int) -> NoiseModel:
        """The noise at one place: this spectrum, as strong as the detail of a crop (X, Y, Z) says within an organ.

        Its strength is the median absolute diagonal detail of the organ, (X, Y, Z) boolean, in slices across `axis`, as
        Donoho & Johnstone 1994 estimate noise beneath structure. Few voxels leave the strength as it is, and so does an
        organ that is not mostly soft tissue: vessels and septa fill a lung and would pass for noise.
        """
        values = hu[organ]
        if not values.size or ((values > _SOFT_HU[0]) & (values < _SOFT_HU[1])).mean() < _SOFT_SHARE:
            return self
        inside = np.moveaxis(organ, axis, -1)
        inside = inside[:-1, :-1] & inside[1:, :-1] & inside[:-1, 1:] & inside[1:, 1:]
        steps = _diagonal_steps(np.moveaxis(hu, axis, -1), 2)[inside]
        if steps.size < _LEAST_HERE or self.diagonal_hu[axis] == 0:
            return self
        level = float(np.clip(_median_size(steps) / self.diagonal_hu[axis], *_LEVELS))
        x, y, z = (level * hu for hu in self.diagonal_hu)
        return NoiseModel(self.autocovariance * level**2, self.sd * level, self.tissue, (x, y, z))

    def kept_variance(self, positions: np.ndarray) -> np.ndarray:
        """Share of the noise variance that cubic spline interpolation keeps at voxel positions, (3, N) -> (N).

        The loss is even in the shift, so it is interpolated over its square: linear steps from 0 would overstate the
        loss of small shifts, and the noise put back for it would be seen where a displacement ends.
        """
        kept = np.ones(positions.shape[1], np.float32)
        for axis in range(3):
            table = self._kept_along(axis)
            squares = np.linspace(0, 0.5, len(table)) ** 2
            fine = np.interp(np.linspace(0, 0.25, _FINE_SHIFTS + 1), squares, table).astype(np.float32)
            shift = positions[axis] - np.rint(positions[axis])
            at = shift * shift * (4 * _FINE_SHIFTS)
            below = np.minimum(at.astype(np.int32), _FINE_SHIFTS - 1)
            kept *= fine[below] + (at - below) * (fine[below + 1] - fine[below])
        return kept.clip(0, 1)

    def _kept_along(self, axis: int) -> np.ndarray:
        """The same along one axis for shifts of 0 to half a voxel, from the frequency response of the spline."""
        lags = np.moveaxis(self.autocovariance, axis, 0)[:, 0, 0]
        n = len(lags)
        power = np.fft.fft(lags).real.clip(0)
        omega = 2 * np.pi * np.fft.fftfreq(n)
        centred = (4 + 2 * np.cos(omega)) / 6  # the cubic B-spline at 0 and 1: 2/3 and 1/6
        response = [np.abs(_shifted_spline(omega, f) / centred) ** 2 for f in np.linspace(0, 0.5, _SHIFTS)]
        return np.array([(power * r).sum() / max(power.sum(), 1e-12) for r in response])


def _diagonal_steps(hu: np.ndarray, axis: int) -> np.ndarray:
    """Twice the diagonal Haar detail of every 2 x 2 pixels in slices across `axis` of the last three: (.., X, Y, Z).

    Whole numbers where HU are, one less along the other two axes.
    """
    one, two = (a - 3 for a in range(3) if a != axis)
    steps: np.ndarray = np.diff(np.diff(hu, axis=one), axis=two)
    return steps


def _median_size(steps: np.ndarray) -> float:
    """Median absolute detail, HU, of twice the details. Those of whole HU come in steps of 0.5, which would leave the
    power of the noise uncertain by a fifth at 5 HU: the median lies within its step as if they did not."""
    upto = np.bincount(np.abs(np.rint(steps)).astype(np.intp).ravel()).cumsum() / steps.size
    middle = int(np.searchsorted(upto, 0.5))
    below = float(upto[middle - 1]) if middle else 0.0
    low = max(middle - 0.5, 0.0)
    return (low + (middle + 0.5 - low) * (0.5 - below) / (float(upto[middle]) - below)) / 2


def _shifted_spline(omega: np.ndarray, shift: float) -> np.ndarray:
    """Frequency response of the cubic B-spline sampled `shift` voxels off centre."""
    k = np.arange(-2, 3)
    x = np.abs(k + shift)
    weight = np.where(x < 1, 2 / 3 - x**2 + x**3 / 2, np.where(x < 2, (2 - x) ** 3 / 6, 0.0))
    return (weight * np.exp(-1j * np.outer(omega, k))).sum(axis=1)


def spectrum_variance(spectrum: np.ndarray, shape: tuple[int, ...]) -> float:
    """Variance of a field with this half spectrum (of `rfftn`)."""
    weight = np.full(spectrum.shape[-1], 2.0)
    weight[0] = 1.0
    if shape[-1] % 2 == 0:
        weight[-1] = 1.0
    return float(spectrum.sum(axis=(0, 1), dtype=np.float64) @ weight / np.prod(shape))


def _embed(autocovariance: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Wrap an autocovariance, zero shift first, into a larger periodic array, float32."""
    out = np.zeros(shape, np.float32)
    lags = (np.fft.ifftshift(np.arange(n) - n // 2) % size for n, size in zip(autocovariance.shape, shape, strict=True))
    out[np.ix_(*lags)] = autocovariance
    return out


def measure_noise(host: Volume, organs: LabelMap, most_patches: int = _MAX_PATCHES) -> NoiseModel:
    """The noise of a host in its soft tissue, else between the vessels of its lung; from so many patches at most.

    Raises InputError where there is neither.
    """
    labelled = list(_labelled(host, organs))
    soft = (host.hu > _SOFT_HU[0]) & (host.hu < _SOFT_HU[1])
    for regions in (labelled, [(_UNLABELLED, host.hu, soft)]):
        for least in _MIN_PATCHES:
            for size in _PATCHES:
                for tissue, hu, mask in regions:
                    patches = patches_in(hu, mask, size, most_patches)
                    if len(patches) >= min(least, most_patches):
                        return _model(patches, tissue)
    aerated = np.isin(organs.ids, _lungs(organs)) & (host.hu < _AERATED_HU)
    patches = patches_in(host.hu, aerated, _PATCHES[-1], _MOST_OF_LUNG)
    if len(patches) >= _FEWEST_OF_LUNG:
        return _model(patches, _LUNG)
    raise InputError(
        "host: no homogeneous soft tissue or aerated lung to measure the noise in; label one of: "
        + ", ".join((*TISSUES[:6], _LUNG))
    )


def _lungs(organs: LabelMap) -> list[int]:
    """Ids of lungs and their lobes."""
    return [number for number, name in organs.names.items() if name == _LUNG or name.startswith(f"{_LUNG}_")]


def _labelled(host: Volume, organs: LabelMap) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, HU crop, mask crop) of every labelled tissue that is there."""
    number = {name: i for i, name in organs.names.items()}
    for tissue in TISSUES:
        if tissue not in number:
            continue
        mask = organs.ids == number[tissue]
        if (box := _box_of(mask)) is not None:
            yield tissue, host.hu[box], _eroded(mask[box])


def _box_of(mask: np.ndarray) -> Box | None:
    """The bounding box of a mask (X, Y, Z), None where it is empty."""
    axes = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not axes[0].size:
        return None
    i, j, k = (slice(int(at[0]), int(at[-1]) + 1) for at in axes)
    return i, j, k


def _eroded(mask: np.ndarray) -> np.ndarray:
    """A mask (X, Y, Z) less its voxels with a face on its border: `scipy.ndimage.binary_erosion` at less cost."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1, 1:-1] = mask[1:-1, 1:-1, 1:-1]
    for axis in range(3):
        along, inside = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        inside[1:-1] &= along[:-2] & along[2:]
    return inner


def patches_in(hu: np.ndarray, mask: np.ndarray, size: tuple[int, int, int], most: int = _MAX_PATCHES) -> np.ndarray:
    """Patches of HU on a half-overlapping lattice that lie wholly in the mask, (N, *size), N up to `most`."""
    if any(n < p for n, p in zip(mask.shape, size, strict=True)):
        return np.empty((0, *size), hu.dtype)
    step = tuple(max(p // 2, 1) for p in size)
    windows = np.lib.stride_tricks.sliding_window_view
    whole = windows(mask, size)[:: step[0], :: step[1], :: step[2]].all(axis=(-3, -2, -1))
    chosen = np.argwhere(whole)
    chosen = chosen[:: len(chosen) // most + 1]
    views = windows(hu, size)[:: step[0], :: step[1], :: step[2]]
    found: np.ndarray = views[tuple(chosen.T)]
    return found


def spectrum_of(patches: np.ndarray) -> np.ndarray:
    """Mean periodogram of detrended patches (N, X, Y, Z), HU^2; its mean over frequencies is the variance."""
    power = np.abs(fft.fftn(_detrended(patches), axes=(1, 2, 3))) ** 2
    mean: np.ndarray = power.mean(axis=0) / patches[0].size
    return mean


def _model(patches: np.ndarray, tissue: str) -> NoiseModel:
    flat = _detrended(patches)
    variances = flat.var(axis=(1, 2, 3))
    if tissue in _QUIET_SHARES:  # of many tissues, or with vessels in it: the median patch holds borders
        quiet = variances <= np.quantile(variances, _QUIET_SHARES[tissue])
        spectrum, strength = _padded_power(flat[quiet]).mean(axis=0), float(variances[quiet].mean())
    else:
        power = _padded_power(flat)
        spectrum, strength = np.median(power, axis=0) / _median_over_mean(flat.shape[1:]), float(np.median(variances))
    covariance = fft.irfftn(spectrum, s=[2 * n for n in flat.shape[1:]])
    for axis, n in enumerate(flat.shape[1:]):
        covariance *= _of_lags(n).reshape([-1 if a == axis else 1 for a in range(3)])
    covariance *= strength / max(float(covariance[0, 0, 0]), 1e-9)
    # of all patches, as that strength is: a place is not picked for being quiet either
    x, y, z = (_median_size(_diagonal_steps(patches, axis)) for axis in range(3))  # a plane has none
    return NoiseModel(covariance, float(np.sqrt(covariance[0, 0, 0])), tissue, (x, y, z))


def _padded_power(flat: np.ndarray) -> np.ndarray:
    """Power of each patch (N, X, Y, Z) in zeros of twice its size, where opposite faces know nothing of each other:
    half of the frequencies, (N, 2 X, 2 Y, Z + 1)."""
    power: np.ndarray = np.abs(fft.rfftn(flat, s=[2 * n for n in flat.shape[1:]], axes=(1, 2, 3))) ** 2
    return power


def _median_over_mean(shape: tuple[int, ...]) -> np.ndarray:
    """Of Gaussian noise's power at each frequency of `_padded_power`: the transform is real where every axis has none
    or the Nyquist frequency."""
    sizes = (2 * shape[0], 2 * shape[1], shape[2] + 1)
    axes = np.meshgrid(*(np.arange(m) % n == 0 for m, n in zip(sizes, shape, strict=True)), indexing="ij")
    return np.where(np.logical_and.reduce(axes), _MEDIAN_REAL, _MEDIAN)


def _of_lags(n: int) -> np.ndarray:
    """(2 n,) what a product of two voxels so far apart counts for: those of patches of n are few, and of none at n."""
    lag = np.abs(np.fft.fftfreq(2 * n, 1 / (2 * n)))
    taper = 0.5 + 0.5 * np.cos(np.pi * (2 * lag / n - 1).clip(0, 1))
    weight: np.ndarray = taper / (1 - lag / n).clip(1 / n)
    return weight


def _detrended(patches: np.ndarray) -> np.ndarray:
    """Each patch less its least-squares plane, float32."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in patches.shape[1:]], indexing="ij")
    basis = np.stack([np.ones(patches[0].size), *(a.ravel() for a in axes)])
    basis, _ = np.linalg.qr(basis.T)
    basis = basis.astype(np.float32)
    flat = patches.reshape(len(patches), -1).astype(np.float32)
    return (flat - (flat @ basis) @ basis.T).reshape(patches.shape)
