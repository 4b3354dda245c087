"""Fan-beam projector, its adjoint and filtered back-projection: slice by slice, batched, on CPU or GPU.

The ray at fan angle g of the source's place b is the parallel ray of direction b - g at R sin g from the isocentre.
Parallel projections are read off there: between cells as the band-limited function through them, between directions as
a trigonometric polynomial over the whole turn. Each is one dense matrix, so the adjoint is exact.
Reconstruction is weighted filtered back-projection (Kak & Slaney 1988, eq. 3.114 for a curved and 3.147 for a flat
detector), and rays that an arc has twice are shared out smoothly between the two (Noo et al. 2002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import fft
from torch import Tensor

from synth.errors import InputError
from synth.scanner.projector import Geometry, Projector, Window, ramp

SOURCE_MM = 570.0  # from the source to the isocentre; body scanners have 540 to 610
TURN_VIEWS, TURN_DEG = 984, 360.0
_OFFSET = 0.25  # of a cell: so rays of opposite places of the source lie between each other
_WIDEST = 0.95  # of the source's distance: what lies beyond is no fan
_TAPER_DEG = 10.0  # over which an arc's ends are shared with the opposite rays
_FINE = 8  # points a cell from which back-projection takes the nearest
_AT_ONCE = 64  # rows that are put on the fine grid


@dataclass(frozen=True)
class FanGeometry(Geometry):
    """A slice and a fan's rays through it, as `Geometry` has them; the source goes round the slice's centre.

    At 0 degrees the source stands behind and its middle ray runs along Y. pitch_mm: of the cells, projected to the
    isocentre. source_mm: from source to isocentre. flat: cells evenly spaced on a line rather than on an arc.
    """

    views: int = TURN_VIEWS
    arc_deg: float = TURN_DEG
    source_mm: float = SOURCE_MM
    flat: bool = False

    def __post_init__(self) -> None:
        if self.reach_mm > _WIDEST * self.source_mm:
            raise InputError(
                f"source_mm {self.source_mm:g}: the slice reaches {self.reach_mm:.0f} mm from its middle; "
                f"ask for {math.ceil(self.reach_mm / _WIDEST)} mm or more"
            )

    @property
    def whole_deg(self) -> float:
        """The arc of all views."""
        return TURN_DEG

    @property
    def whole_views(self) -> int:
        """The number of views over it."""
        return TURN_VIEWS

    @property
    def reach_mm(self) -> float:
        """Half the slice's diagonal."""
        return math.hypot(*(n * mm for n, mm in zip(self.shape, self.spacing, strict=True))) / 2

    @property
    def cells(self) -> int:
        """Number of detector cells: the whole slice, an even number."""
        gamma = math.asin(self.reach_mm / self.source_mm)
        wide = self.source_mm * (math.tan(gamma) if self.flat else gamma)
        return 2 * (math.ceil(wide / self.pitch_mm) + 1)

    def places(self) -> np.ndarray:
        """Distances of the cells from the middle ray along the detector, scaled to the isocentre, mm, (cells,)."""
        return (np.arange(self.cells) - (self.cells - 1) / 2 + _OFFSET) * self.pitch_mm

    def fans(self) -> np.ndarray:
        """Angles of the rays to the middle one in radians, (cells,)."""
        along = self.places() / self.source_mm
        return np.arctan(along) if self.flat else along

    def distances(self) -> np.ndarray:
        """Distances of the rays from the isocentre in mm, (cells,)."""
        return self.source_mm * np.sin(self.fans())

    def directions(self) -> np.ndarray:
        """Of the parallel detector to which each ray belongs, in radians, (views, cells)."""
        return self.angles()[:, None] - self.fans()


class FanProjector:
    """Line integrals of slices (B, X, Y) as sinograms (B, views, cells), in the slice's units times mm; float32."""

    def __init__(self, geometry: FanGeometry, device: torch.device | str = "cpu") -> None:
        self.geometry = g = geometry
        self._device = device
        self._half = max(TURN_VIEWS // 2, math.ceil(g.views * 180 / g.arc_deg))  # parallel directions of half a turn
        parallel = Geometry(g.shape, g.spacing, views=self._half, pitch_mm=g.pitch_mm)
        self._parallel = Projector(parallel, device)
        both = np.concatenate([g.distances(), -g.distances()])  # the other half of the turn sees them from behind
        self._between = self._tensor(_band_limited(parallel.cells, g.pitch_mm, both))
        order = np.arange(self._half)
        weight = np.where(order == 0, 1.0, 2.0)[:, None] / (2 * self._half)
        turns = order[:, None] * g.angles()  # (orders, views)
        self._turned = self._tensor(np.concatenate([weight * np.cos(turns), -weight * np.sin(turns)]).T)
        phase = np.exp(-1j * order[:, None] * g.fans()).astype(np.complex64)
        self._phase = torch.from_numpy(phase).to(device)

    def project(self, slices: Tensor) -> Tensor:
        """(B, X, Y) -> (B, views, cells)."""
        halves = self._parallel.project(slices) @ self._between
        turn = torch.cat(halves.chunk(2, dim=-1), dim=1)
        orders = torch.fft.rfft(turn, dim=1)[:, :-1] * self._phase
        return self._turned @ torch.cat([orders.real, orders.imag], dim=1)

    def adjoint(self, sinograms: Tensor) -> Tensor:
        """The transpose of `project`: (B, views, cells) -> (B, X, Y)."""
        real, imaginary = (self._turned.T @ sinograms).chunk(2, dim=1)
        orders = torch.complex(real, imaginary) * self._phase.conj()
        orders[:, 1:] /= 2  # the inverse transform counts each for its negative too
        turn = torch.fft.irfft(torch.nn.functional.pad(orders, (0, 0, 0, 1)), n=2 * self._half, dim=1, norm="forward")
        return self._parallel.adjoint(torch.cat(turn.chunk(2, dim=1), dim=-1) @ self._between.T)

    def fbp(self, sinograms: Tensor, window: Window, of_slice: bool = False) -> Tensor:
        """Weighted filtered back-projection with a ramp times `window`, (B, X, Y).

        Of an arc under half a turn, views count for more, so that the mean of the slice stays. `of_slice`: as of
        `Projector.fbp`; the work is the same.
        """
        g = self.geometry
        share = self._tensor(_shares(g) * np.cos(g.fans()))
        rows = self._filtered(sinograms * share, window)
        return self._back_projected(rows) * (math.radians(g.arc_deg) / g.views * max(1.0, 180 / g.arc_deg))

    def windowed(self, sinograms: Tensor, window: Window) -> Tensor:
        """Sinograms with a window along the detector and no ramp; exact at the isocentre, nearly so about it."""
        gain = self._tensor(window(fft.rfftfreq(self.geometry.cells, self.geometry.pitch_mm)))
        return torch.fft.irfft(torch.fft.rfft(sinograms) * gain, n=self.geometry.cells)

    def _filtered(self, rows: Tensor, window: Window) -> Tensor:
        g = self.geometry
        kernel = fft.irfft(ramp(g.cells, g.pitch_mm, window).astype(np.float64), 2 * g.cells)
        if not g.flat:
            number = np.arange(2 * g.cells)
            apart = np.minimum(number, 2 * g.cells - number) * g.pitch_mm / g.source_mm
            kernel /= np.sinc(apart / np.pi) ** 2
        gain = self._tensor(fft.rfft(kernel).real)
        return torch.fft.irfft(torch.fft.rfft(rows, n=2 * g.cells) * gain, n=2 * g.cells)[..., : g.cells]

    def _back_projected(self, rows: Tensor) -> Tensor:
        """At each pixel, the sum over the views of what stands on its ray, by the distance from the source."""
        g, device = self.geometry, rows.device
        x, y = (
            torch.from_numpy(((np.arange(n) - (n - 1) / 2) * mm).astype(np.float32)).to(device)
            for n, mm in zip(g.shape, g.spacing, strict=True)
        )
        image = torch.zeros(len(rows), math.prod(g.shape), device=device)
        far, across = (torch.empty(g.shape, device=device) for _ in range(2))
        at, nearest = torch.empty(g.shape, dtype=torch.int32, device=device), torch.empty_like(image)
        step = g.pitch_mm / _FINE
        last = math.ceil(g.source_mm * math.tan(float(np.abs(g.fans()).max())) / step)
        for first in range(0, g.views, _AT_ONCE):
            fine = self._fine(rows[:, first : first + _AT_ONCE], np.arange(-last, last + 1) * step)
            for row, angle in enumerate(g.angles()[first : first + _AT_ONCE]):
                cos, sin = math.cos(angle) / g.source_mm, math.sin(angle) / g.source_mm
                torch.add((1 - x * sin)[:, None], y * cos, out=far).reciprocal_()  # of the source's distance, along Y
                torch.add((x * cos)[:, None], y * sin, out=across).mul_(far).mul_(g.source_mm / step).add_(last + 0.5)
                at.copy_(across).clamp_(0, 2 * last)
                torch.index_select(fine[:, row], 1, at.flatten(), out=nearest)
                image.addcmul_(nearest, far.square_().flatten())
        return image.reshape(-1, *g.shape)

    def _fine(self, rows: Tensor, places: np.ndarray) -> Tensor:
        """Rows (B, V, cells) at places along a flat detector, as the flat formula weighs them; (B, V, places)."""
        g = self.geometry
        gamma = np.arctan(places / g.source_mm)
        along = places if g.flat else g.source_mm * gamma
        number = _FINE * g.cells
        finer = torch.fft.irfft(torch.fft.rfft(rows), n=number) * _FINE
        at = np.clip((along - g.places()[0]) / g.pitch_mm * _FINE, 0, number - _FINE - 1e-3)
        low = np.floor(at)
        part, below = self._tensor(at - low), torch.from_numpy(low.astype(np.int64)).to(rows.device)
        found = torch.lerp(finer[..., below], finer[..., below + 1], part)
        return found if g.flat else found * self._tensor(np.cos(gamma) ** 2)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self._device)


@lru_cache(maxsize=3)
def fan_projector(geometry: FanGeometry, device: str = "cpu") -> FanProjector:
    """The projector of a geometry; the last few are kept."""
    return FanProjector(geometry, device)


def _band_limited(cells: int, pitch: float, at: np.ndarray) -> np.ndarray:
    """Matrix (cells, N) from values at the cells to those at distances (N,), of the band-limited periodic function."""
    order = np.arange(cells // 2)
    distances = (np.arange(cells) - (cells - 1) / 2) * pitch
    weight = np.where(order == 0, 1.0, 2.0) / cells
    apart = 2 * np.pi / (cells * pitch) * order
    from_cells = np.concatenate([np.cos(distances[:, None] * apart), np.sin(distances[:, None] * apart)], axis=1)
    to_places = np.concatenate([np.cos(at[:, None] * apart) * weight, np.sin(at[:, None] * apart) * weight], axis=1)
    inside = np.abs(at) <= cells * pitch / 2
    return np.asarray(from_cells @ to_places.T) * inside


def _shares(geometry: FanGeometry) -> np.ndarray:
    """How much each ray counts, (views, cells): with the opposite one, where the arc has it, 1 in all."""
    own = _within(geometry, geometry.angles()[:, None] + 0 * geometry.fans())
    opposite = _within(geometry, geometry.angles()[:, None] + np.pi - 2 * geometry.fans())
    return own / np.maximum(own + opposite, 1e-9)


def _within(geometry: FanGeometry, places: np.ndarray) -> np.ndarray:
    """1 for places of the source within the arc, falling off to its ends, 0 outside; of a whole turn 1."""
    if geometry.arc_deg >= TURN_DEG:
        return np.ones_like(places)
    step = geometry.arc_deg / geometry.views
    start = np.deg2rad(geometry.first_deg - step / 2)
    after = np.rad2deg((places - start) % (2 * np.pi))
    from_end = np.minimum(after, geometry.arc_deg - after)
    taper = min(_TAPER_DEG, geometry.arc_deg / 2)
    return np.sin(np.pi / 2 * np.clip(from_end / taper, 0, 1)) ** 2
