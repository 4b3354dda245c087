"""Scene: what is measured of a case once and needed for each lesion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from synth.report import location
from synth.report.location import Box
from synth.report.measurements import OrganMeasurement
from synth.report.noise import NoiseModel
from synth.volumes.types import Case


@dataclass(frozen=True)
class Scene:
    """What is measured once and needed for each lesion. `midline_x` is RAS mm."""

    case: Case
    present: Mapping[str, tuple[int, Box]]
    organs: Mapping[str, OrganMeasurement]
    midline_x: float
    noise: NoiseModel | None

    def enhanced(self) -> bool:
        """Whether the CT shows contrast."""
        known = {name: o.median_hu for name, o in self.organs.items() if o.median_hu is not None}
        return bool(location.is_enhanced(known))
