"""Discs and ellipses whose line integrals are known, and the slices that show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.scanner.projector import Geometry

_FINE = 8  # parts of a pixel along each axis


@dataclass(frozen=True)
class Ellipse:
    """Centre and half-axes in mm, and the angle of the first of them to X in degrees."""

    x: float
    y: float
    a: float
    b: float
    turn_deg: float = 0.0

    def slice(self, geometry: Geometry) -> np.ndarray:
        """Share of each pixel that it fills, (X, Y) float32."""
        axes = [
            (np.arange(n * _FINE) - (n * _FINE - 1) / 2) * mm / _FINE
            for n, mm in zip(geometry.shape, geometry.spacing, strict=True)
        ]
        x, y = axes[0][:, None] - self.x, axes[1] - self.y
        turn = np.deg2rad(self.turn_deg)
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        inside = ((u / self.a) ** 2 + (v / self.b) ** 2 <= 1).astype(np.float32)
        return inside.reshape(geometry.shape[0], _FINE, geometry.shape[1], _FINE).mean(axis=(1, 3))

    def sinogram(self, geometry: Geometry) -> np.ndarray:
        """Length of each ray inside it in mm, (views, cells) float32; Kak & Slaney 1988, eq. 3.6."""
        theta = geometry.directions()
        s = geometry.distances() - (self.x * np.cos(theta) + self.y * np.sin(theta))
        gamma = theta - np.deg2rad(self.turn_deg)
        wide2 = (self.a * np.cos(gamma)) ** 2 + (self.b * np.sin(gamma)) ** 2
        return (2 * self.a * self.b / wide2 * np.sqrt(np.clip(wide2 - s**2, 0, None))).astype(np.float32)


def radius(geometry: Geometry, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """Distance of each pixel from a point in mm, (X, Y)."""
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(geometry.shape, geometry.spacing, strict=True)]
    return np.hypot(axes[0][:, None] - x, axes[1] - y)
