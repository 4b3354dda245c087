"""Parallel-beam projector, its adjoint and filtered back-projection: slice by slice, batched, on CPU or GPU.

A fan beam's rays, sorted by direction and distance, are those of a parallel beam, which is how scanners reconstruct
them. By the central slice theorem the Fourier transform of a projection is that of the slice along a line. Both are
taken at once: an FFT of the slice on a grid twice as fine, read off at the polar points with a Kaiser-Bessel kernel
(non-uniform FFT: Fessler & Sutton 2003; Beatty et al. 2005). The readings are one sparse matrix, so the adjoint is
exact and the cost of a slice is that of a few FFT. A slice is the band-limited function through its pixels.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from scipy import fft, sparse, special
from torch import Tensor

PITCH_MM = 0.6  # of the detector's cells at the isocentre; about that of body scanners
VIEWS, ARC_DEG = 720, 180.0

_WIDTH = 6  # grid points that the kernel reaches: relative errors of about 1e-5 at twice the grid
_BETA = math.pi * math.sqrt((_WIDTH / 2) ** 2 * 1.5**2 - 0.8)  # Beatty et al. 2005, eq. 5

Window = Callable[[np.ndarray], np.ndarray]  # frequency in cycles a mm -> gain


@dataclass(frozen=True)
class Geometry:
    """A slice and the rays through it; the isocentre is the slice's centre.

    shape, spacing: of the slice (X, Y), mm. views: directions, equally spaced over `arc_deg` from `first_deg` on; at 0
    degrees rays run along Y and the detector along X, at 90 the detector runs along Y. pitch_mm: of its cells.
    """

    shape: tuple[int, int]
    spacing: tuple[float, float]
    views: int = VIEWS
    arc_deg: float = ARC_DEG
    first_deg: float = 0.0
    pitch_mm: float = PITCH_MM

    @property
    def cells(self) -> int:
        """Number of detector cells: the slice's diagonal, an even number that FFT like."""
        diagonal = math.hypot(*(n * mm for n, mm in zip(self.shape, self.spacing, strict=True)))
        return 2 * int(fft.next_fast_len(math.ceil(diagonal / self.pitch_mm / 2) + 1))

    @property
    def whole_deg(self) -> float:
        """The arc of all views."""
        return ARC_DEG

    @property
    def whole_views(self) -> int:
        """The number of views over it."""
        return VIEWS

    def angles(self) -> np.ndarray:
        """Directions of the detector, or places of the source, in radians, (views,)."""
        return np.deg2rad(self.first_deg + self.arc_deg * np.arange(self.views) / self.views)

    def distances(self) -> np.ndarray:
        """Distances of the rays from the isocentre in mm, (cells,)."""
        return (np.arange(self.cells) - (self.cells - 1) / 2) * self.pitch_mm

    def directions(self) -> np.ndarray:
        """Of the detector to which each ray belongs, in radians, (views, 1)."""
        return self.angles()[:, None]


class Projector:
    """Line integrals of slices (B, X, Y) as sinograms (B, views, cells), in the slice's units times mm; float32."""

    def __init__(self, geometry: Geometry, device: torch.device | str = "cpu") -> None:
        self.geometry = g = geometry
        frequency = np.arange(g.cells // 2) / (g.cells * g.pitch_mm)  # cycles a mm; the highest, ambiguous, is left out
        directions = np.stack([np.cos(g.angles()), np.sin(g.angles())])
        at = directions[:, :, None] * frequency * np.array(g.spacing)[:, None, None]  # (2, views, K), cycles a pixel
        self._grid = tuple(2 * int(fft.next_fast_len(n)) for n in g.shape)
        self._at, self._device = at.reshape(2, -1), device
        inside = np.flatnonzero((np.abs(self._at) <= 0.5).all(axis=0))  # what a slice of pixels holds
        readings = _readings(self._at[:, inside], self._grid)
        self._read, self._put = (_tensor(m, device) for m in (readings, readings.T.tocsr()))
        self._inside = torch.from_numpy(inside).to(device)
        off_centre = [0.5 * (n % 2 == 0) for n in g.shape]  # of the pixel that is put at the origin
        turns = frequency * g.distances()[0] - sum(a * o for a, o in zip(at, off_centre, strict=True))
        self._phase = torch.from_numpy(np.exp(2j * np.pi * turns).astype(np.complex64)).to(device)
        levels = [_level(n, m) for n, m in zip(g.shape, self._grid, strict=True)]
        self._level = torch.from_numpy(np.outer(*levels).astype(np.float32)).to(device)
        self._twice = torch.full((g.cells // 2,), 2.0 / g.cells, device=device)
        self._twice[0] /= 2

    def project(self, slices: Tensor) -> Tensor:
        """(B, X, Y) -> (B, views, cells)."""
        g = self.geometry
        spectrum = torch.fft.fft2(self._padded(slices / self._level))
        polar = torch.zeros(len(slices), self._phase.numel(), dtype=self._phase.dtype, device=slices.device)
        polar[:, self._inside] = _times(self._read, spectrum.flatten(1))
        turned = polar.reshape(-1, *self._phase.shape) * self._phase
        return torch.fft.irfft(turned, n=g.cells) * (math.prod(g.spacing) / g.pitch_mm)

    def adjoint(self, sinograms: Tensor) -> Tensor:
        """The transpose of `project`: (B, views, cells) -> (B, X, Y)."""
        return self._held(sinograms) * (math.prod(self.geometry.spacing) / self.geometry.pitch_mm)

    def back_project(self, sinograms: Tensor) -> Tensor:
        """At each pixel, the sum over the views of what stands at its distance; (B, X, Y)."""
        return self._gathered(_times(self._put_all, self._polar(sinograms)))

    def fbp(self, sinograms: Tensor, window: Window, of_slice: bool = False) -> Tensor:
        """Filtered back-projection with a ramp times `window`, (B, X, Y).

        Of an arc that is not whole, views count for more, so that the mean of the slice stays. `of_slice`: what comes
        from `project` holds no more than pixels can, and takes less work where they are coarse.
        """
        rows = self.filtered(sinograms, window)
        return (self._held(rows) if of_slice else self.back_project(rows)) * math.radians(ARC_DEG)

    def filtered(self, sinograms: Tensor, window: Window) -> Tensor:
        """Sinograms after the ramp and `window`, divided by the number of views."""
        g = self.geometry
        gain = torch.from_numpy(ramp(g.cells, g.pitch_mm, window)).to(sinograms.device)
        padded = torch.fft.rfft(sinograms, n=2 * g.cells)
        return torch.fft.irfft(padded * (gain / g.views), n=2 * g.cells)[..., : g.cells]

    def windowed(self, sinograms: Tensor, window: Window) -> Tensor:
        """Sinograms with a window along the detector and no ramp; the slice then has it in all directions."""
        g = self.geometry
        gain = torch.from_numpy(window(fft.rfftfreq(g.cells, g.pitch_mm)).astype(np.float32)).to(sinograms.device)
        return torch.fft.irfft(torch.fft.rfft(sinograms) * gain, n=g.cells)

    @cached_property
    def _put_all(self) -> Tensor:
        """The transpose of the readings at all polar points, those beyond the pixels' own frequencies too."""
        if len(self._inside) == self._at.shape[1]:
            return self._put
        return _tensor(_readings(self._at, self._grid).T.tocsr(), self._device)

    def _polar(self, sinograms: Tensor) -> Tensor:
        """Spectra of the projections at the polar points, (B, views * K), each counting for its negative too."""
        return (torch.fft.rfft(sinograms)[..., :-1] * self._phase.conj() * self._twice).flatten(1)

    def _held(self, sinograms: Tensor) -> Tensor:
        """Back-projection of what a slice of pixels holds."""
        return self._gathered(_times(self._put, self._polar(sinograms)[:, self._inside]))

    def _gathered(self, grid: Tensor) -> Tensor:
        x, y = self.geometry.shape
        image = torch.fft.ifft2(grid.reshape(-1, *self._grid), norm="forward").real.roll((x // 2, y // 2), dims=(1, 2))
        return image[:, :x, :y] / self._level

    def _padded(self, slices: Tensor) -> Tensor:
        """On the fine grid, with the centre at its origin."""
        (x, y), (m, n) = self.geometry.shape, self._grid
        padded = torch.nn.functional.pad(slices, (0, n - y, 0, m - x))
        return padded.roll((-(x // 2), -(y // 2)), dims=(1, 2))


@lru_cache(maxsize=3)
def projector(geometry: Geometry, device: str = "cpu") -> Projector:
    """The projector of a geometry; the last few are kept, about 0.4 kB a view and cell."""
    return Projector(geometry, device)


def _readings(at: np.ndarray, grid: tuple[int, ...]) -> sparse.csr_matrix:
    """Rows: the kernel's weights (N, points of the grid) that read a spectrum at frequencies (2, N), cycles a pixel."""
    (i, u), (j, v) = (_kernel(a * m, m) for a, m in zip(at, grid, strict=True))
    columns = (i[:, :, None] * grid[1] + j[:, None, :]).astype(np.int32)
    weights = u[:, :, None] * v[:, None, :]
    rows = np.arange(0, columns.size + 1, _WIDTH**2, dtype=np.int32)
    return sparse.csr_matrix((weights.ravel(), columns.ravel(), rows), shape=(at.shape[1], math.prod(grid)))


def _kernel(position: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Grid points that are within reach of each position (N,), on a grid that repeats, and their weights; (N, W)."""
    near = np.floor(position - _WIDTH / 2).astype(np.int64)[:, None] + 1 + np.arange(_WIDTH)
    inside = np.clip(1 - ((position[:, None] - near) * 2 / _WIDTH) ** 2, 0, None)
    return near % size, special.i0(_BETA * np.sqrt(inside)).astype(np.float32)


def _level(number: int, size: int) -> np.ndarray:
    """Fourier transform of the kernel at the pixels (number,), which the kernel's reading multiplies them with."""
    x = (np.arange(number) - number // 2) / size
    root = np.sqrt(_BETA**2 - (np.pi * _WIDTH * x) ** 2)
    return _WIDTH * np.sinh(root) / root


def ramp(cells: int, pitch: float, window: Window) -> np.ndarray:
    """Gain at the frequencies of a sinogram that is padded to twice its length; float32.

    The ramp of a band-limited kernel in space (Kak & Slaney 1988, eq. 3.61), so that the mean stays right.
    """
    number = np.arange(2 * cells)
    number = np.minimum(number, 2 * cells - number)
    odd = number % 2 == 1
    kernel = np.zeros(2 * cells)
    kernel[0], kernel[odd] = 0.25, -1 / (np.pi * number[odd]) ** 2
    frequency = np.arange(cells + 1) / (2 * cells * pitch)
    return (fft.rfft(kernel).real / pitch * window(frequency)).astype(np.float32)


def _tensor(matrix: sparse.csr_matrix, device: torch.device | str) -> Tensor:
    rows, columns, values = map(torch.from_numpy, (matrix.indptr.astype(np.int32), matrix.indices, matrix.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse")  # "in beta", "invariants are not checked"
        return torch.sparse_csr_tensor(rows, columns, values, size=matrix.shape).to(device)


def _times(matrix: Tensor, columns: Tensor) -> Tensor:
    """Real sparse (R, C) times complex (B, C) -> (B, R)."""
    number = len(columns)
    real = torch.view_as_real(columns.T.contiguous()).flatten(1)
    return torch.view_as_complex((matrix @ real).reshape(-1, number, 2)).T
