"""Beams: the geometry of a scanner's rays by its settings, and the projector of a geometry."""

from __future__ import annotations

from synth.scanner.fan import SOURCE_MM, FanGeometry, FanProjector, fan_projector
from synth.scanner.projector import Geometry, Projector, projector
from synth.scanner.settings import Beam, Detector, ScannerSettings

Rays = Projector | FanProjector


def geometry_of(settings: ScannerSettings, shape: tuple[int, int], spacing: tuple[float, float]) -> Geometry:
    """All rays of a scanner through slices (X, Y). Raises InputError where they are larger than its fan."""
    if settings.beam is not Beam.fan:
        return Geometry(shape, spacing)
    source_mm = settings.source_mm or SOURCE_MM
    return FanGeometry(shape, spacing, source_mm=source_mm, flat=settings.detector is Detector.flat)


def rays_of(geometry: Geometry, device: str = "cpu") -> Rays:
    """The projector of a geometry."""
    if isinstance(geometry, FanGeometry):
        return fan_projector(geometry, device)
    return projector(geometry, device)
