"""What is measured on each volume by itself, at its own spacing: histograms, spectra, organs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from evals.volumes import ReadVolume

VERSION = "statistics 3"  # a part of the cache key: raise it when a number here changes its meaning

HU_EDGES = np.arange(-1024, 2049, 8, dtype=float)
GRADIENT_EDGES = np.linspace(0, 600, 301)  # HU/mm; what is above counts in the last bin
FREQUENCIES = 24  # radial bins up to the Nyquist frequency of the coarsest axis
_BODY_HU = -300
_SOFT = (-150.0, 250.0)  # HU: attenuation of the power spectrum, so that bone and air do not drown the rest
_PATCH = 8  # voxels a side
_QUIET = 0.25  # share of the soft-tissue patches, those of the least SD: the rest hold structure, not noise alone
_MOST_PATCHES = 400


@dataclass(frozen=True)
class Measured:
    """Numbers of one volume. Histograms are shares that add up to 1; spectra are per radial bin (FREQUENCIES,).

    hu (len(HU_EDGES) - 1,) of the body; gradient (len(GRADIENT_EDGES) - 1,) HU/mm in the body; power HU^2 mm^3 and
    noise HU^2 mm^2, NaN where not measurable; organ_hu and organ_ml by name; gap_mm by `a - b`.
    """

    hu: np.ndarray
    gradient: np.ndarray
    power: np.ndarray
    noise: np.ndarray
    organ_hu: dict[str, np.ndarray]
    organ_ml: dict[str, float]
    gap_mm: dict[str, float]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Flat, for the cache."""
        named = {f"organ_hu/{k}": v for k, v in self.organ_hu.items()}
        named |= {f"organ_ml/{k}": np.array(v) for k, v in self.organ_ml.items()}
        named |= {f"gap_mm/{k}": np.array(v) for k, v in self.gap_mm.items()}
        return named | {"hu": self.hu, "gradient": self.gradient, "power": self.power, "noise": self.noise}

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> Measured:
        """Undo `to_arrays`."""

        def below(prefix: str) -> dict[str, np.ndarray]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        return Measured(
            **{name: arrays[name] for name in ("hu", "gradient", "power", "noise")},
            organ_hu=below("organ_hu/"),
            organ_ml={k: float(v) for k, v in below("organ_ml/").items()},
            gap_mm={k: float(v) for k, v in below("gap_mm/").items()},
        )


def measure(subject: ReadVolume) -> Measured:
    """Everything of one volume."""
    hu = subject.hu.astype(np.float32)
    body = _body(subject.hu)
    organ_hu, organ_ml, gap_mm = _organs(subject)
    return Measured(
        hu=_histogram(hu[body], HU_EDGES),
        gradient=_histogram(_gradient(hu, subject.spacing)[body], GRADIENT_EDGES),
        power=power_spectrum(hu.clip(*_SOFT), subject.spacing),
        noise=noise_power(hu, subject.spacing),
        organ_hu=organ_hu,
        organ_ml=organ_ml,
        gap_mm=gap_mm,
    )


def _body(hu: np.ndarray) -> np.ndarray:
    """The largest connected piece above -300 HU, holes filled slice by slice; everything where there is none."""
    pieces, count = ndimage.label(hu > _BODY_HU)
    if not count:
        return np.ones(hu.shape, bool)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    body = pieces == sizes.argmax()
    return np.stack([ndimage.binary_fill_holes(body[..., k]) for k in range(hu.shape[2])], axis=2)


def _histogram(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    counts = np.histogram(values.clip(edges[0], edges[-1] - 1e-3), edges)[0].astype(float)
    return counts / max(counts.sum(), 1.0)


def _gradient(hu: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Magnitude in HU/mm by central differences."""
    return np.sqrt(sum(g**2 for g in np.gradient(hu, *(float(s) for s in spacing))))


def power_spectrum(hu: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Radial mean of the periodogram |F|^2 dV / N (FREQUENCIES,) HU^2 mm^3, Hann-windowed, mean removed."""
    windows = [np.hanning(n).reshape([-1 if i == j else 1 for j in range(3)]) for i, n in enumerate(hu.shape)]
    window = windows[0] * windows[1] * windows[2]
    spectrum = np.abs(np.fft.fftn((hu - hu.mean()) * window)) ** 2 * float(np.prod(spacing)) / (window**2).sum()
    return _radial(spectrum, spacing)


def noise_power(hu: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Noise power spectrum of even soft tissue (FREQUENCIES,) HU^2 mm^2; NaN without such tissue.

    Mean periodogram of axial patches of 8 x 8 voxels less their fitted plane (ICRU Report 87), of the quietest quarter.
    """
    residual = _quiet_patches(hu)
    if not len(residual):
        return np.full(FREQUENCIES, np.nan)
    spectrum = (np.abs(np.fft.fft2(residual)) ** 2).mean(axis=0) * float(spacing[0] * spacing[1]) / _PATCH**2
    found = _radial(spectrum, spacing[:2])
    found[0] = np.nan  # the mean, which was taken off
    return found


def _quiet_patches(hu: np.ndarray) -> np.ndarray:
    """Patches (N, 8, 8) less their planes, of soft tissue throughout; evenly chosen where there are many."""
    x, y = (n // _PATCH for n in hu.shape[:2])
    blocks = hu[: x * _PATCH, : y * _PATCH].reshape(x, _PATCH, y, _PATCH, -1).transpose(0, 2, 4, 1, 3)
    blocks = blocks.reshape(-1, _PATCH, _PATCH)
    low, high = blocks.min(axis=(1, 2)), blocks.max(axis=(1, 2))
    soft = blocks[(low > _SOFT[0]) & (high < _SOFT[1])].astype(np.float64)
    if not len(soft):
        return soft
    residual = soft - _plane_fit(soft)
    spread = residual.std(axis=(1, 2))
    kept = residual[spread <= np.quantile(spread, _QUIET)]
    return kept[:: max(1, len(kept) // _MOST_PATCHES)]


def _plane_fit(patches: np.ndarray) -> np.ndarray:
    """The least-squares plane of each patch (N, 8, 8)."""
    i, j = np.meshgrid(np.arange(_PATCH), np.arange(_PATCH), indexing="ij")
    basis = np.stack([np.ones(_PATCH**2), i.ravel(), j.ravel()], axis=1)
    flat = patches.reshape(len(patches), -1)
    return (flat @ np.linalg.pinv(basis).T @ basis.T).reshape(patches.shape)


def _radial(spectrum: np.ndarray, spacing: Sequence[float] | np.ndarray) -> np.ndarray:
    """Mean over shells of equal frequency in cycles/mm, FREQUENCIES of them up to the coarsest axis's Nyquist."""
    axes = [np.fft.fftfreq(n, d=float(s)) for n, s in zip(spectrum.shape, spacing, strict=True)]
    radius = np.sqrt(sum(f**2 for f in np.meshgrid(*axes, indexing="ij", sparse=True)))
    nyquist = 0.5 / max(float(s) for s in spacing)
    bins = (radius / nyquist * FREQUENCIES).astype(int)
    bins[bins >= FREQUENCIES] = np.where(radius[bins >= FREQUENCIES] <= nyquist * (1 + 1e-9), FREQUENCIES - 1, -1)
    inside = bins >= 0
    counts = np.bincount(bins[inside], minlength=FREQUENCIES).astype(float)
    sums = np.bincount(bins[inside], spectrum[inside], minlength=FREQUENCIES)
    return np.divide(sums, counts, out=np.full(FREQUENCIES, np.nan), where=counts > 0)


def _organs(subject: ReadVolume) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, float]]:
    """HU histogram, volume and gaps between centres of the organs that have a voxel."""
    if subject.organs is None:
        return {}, {}, {}
    ids, voxel_ml = subject.organs.ids, float(np.prod(subject.spacing)) / 1000
    hu, volume, centre = {}, {}, {}
    for number, box in enumerate(ndimage.find_objects(ids.astype(np.int32)), start=1):
        name = subject.organs.names.get(number)
        if box is None or name is None:
            continue
        mask = ids[box] == number
        hu[name] = _histogram(subject.hu[box][mask].astype(np.float32), HU_EDGES)
        volume[name] = float(mask.sum()) * voxel_ml
        centre[name] = (np.argwhere(mask).mean(axis=0) + [s.start for s in box]) * subject.spacing
    gaps = {f"{a} - {b}": float(np.linalg.norm(centre[a] - centre[b])) for a, b in itertools.combinations(centre, 2)}
    return hu, volume, gaps
