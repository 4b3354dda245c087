"""Which zones of attenuation a lesion has, and their HU."""

from __future__ import annotations

import numpy as np

from prompts.request import FindingRequest
from prompts.vocabulary import Heterogeneity
from synth.errors import InputError
from synth.lesions.lesion_plan import ContrastPhase, Zone
from synth.lesions.lesion_types import LesionType, ZoneModel

FEATURES = {"necrotic": "necrosis", "calcified": "calcification", "rim": "rim"}
"""Attributes of a request and the names of the zones that they ask for or rule out."""
_NECROSIS_BELOW_HU = 18.0  # of the tissue round it, at least
_NECROSIS_LEAST_HU = -5.0


def draw_zones(
    kind: LesionType,
    finding: FindingRequest,
    size_mm: float,
    organ_hu: float,
    phase: ContrastPhase,
    rng: np.random.Generator,
) -> tuple[Zone, ...]:
    """Zones of attenuation from outside in, those that occur.

    Raises InputError where the type has no such appearance.
    """
    zones = kind.appearances[_appearance(kind, finding, rng)]
    occurring = [zone for zone in zones if _occurs(zone, finding, size_mm, rng)]
    drawn: list[Zone] = []
    for zone in occurring:
        drawn.append(_draw_zone(zone, drawn[-1].hu if drawn else None, organ_hu, phase, rng))
    return tuple(drawn)


def draw_feature(
    kind: LesionType, name: str, outer_hu: float, organ_hu: float, phase: ContrastPhase, rng: np.random.Generator
) -> Zone:
    """A zone named `name` ("necrosis") inside a lesion whose tissue is `outer_hu`.

    Raises InputError where the type has none.
    """
    for zones in kind.appearances.values():
        for zone in zones[1:]:
            if zone.name == name:
                return _draw_zone(zone, outer_hu, organ_hu, phase, rng)
    raise InputError(f"{kind.name} with {name}: the type has none; leave it out")


def _appearance(kind: LesionType, finding: FindingRequest, rng: np.random.Generator) -> str:
    """The appearance that was said, else one by weight among those that have the asked features."""
    drawn = float(rng.random())
    wanted = finding.texture or finding.density
    if wanted and wanted.value not in kind.appearances:
        raise InputError(
            f"'{wanted.value}' {finding.organ} {finding.kind}: {kind.name} has no such appearance; "
            f"it has: {', '.join(kind.appearances)}"
        )
    weights = {wanted.value: 1.0} if wanted else dict(kind.usual)
    for field, zone in FEATURES.items():
        asked = getattr(finding, field)
        if asked is None:
            continue
        fits = {name for name, zones in kind.appearances.items() if _can(zones, zone, asked)}
        left = {name: weight for name, weight in weights.items() if name in fits} or (
            {} if wanted else dict.fromkeys(sorted(fits), 1.0)
        )
        if not left:
            which = f"{wanted} " if wanted else ""
            word = "without" if asked is False else "with"
            raise InputError(f"{which}{finding.organ} {finding.kind} {word} {zone}: {kind.name} has none; leave it out")
        weights = left
    shares = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(shares / shares[-1], drawn, side="right").clip(0, len(weights) - 1))]


def _can(zones: tuple[ZoneModel, ...], name: str, asked: bool) -> bool:
    """Whether an appearance can have, or be without, a zone; the outermost zone is always there."""
    return any(zone.name == name for zone in zones) if asked else zones[0].name != name


def _occurs(zone: ZoneModel, finding: FindingRequest, size_mm: float, rng: np.random.Generator) -> bool:
    """As asked; necrosis and calcification never in what is to be homogeneous; else by chance and size."""
    by_chance = rng.random() < zone.chance and size_mm >= zone.above_mm
    asked = next((getattr(finding, field) for field, name in FEATURES.items() if name == zone.name), None)
    if asked is not None:
        return bool(asked) or zone.reach == (1.0, 1.0)
    if zone.name in FEATURES.values() and finding.heterogeneity is Heterogeneity.HOMOGENEOUS:
        return zone.reach == (1.0, 1.0)
    return by_chance


def _draw_zone(
    zone: ZoneModel, outer_hu: float | None, organ_hu: float, phase: ContrastPhase, rng: np.random.Generator
) -> Zone:
    hu = float(rng.uniform(*zone.hu(phase))) + (organ_hu if zone.of == "organ" else 0.0)
    if zone.name == "necrosis" and outer_hu is not None:
        hu = max(min(hu, outer_hu - _NECROSIS_BELOW_HU), _NECROSIS_LEAST_HU)
    return Zone(name=zone.name, reach=float(rng.uniform(*zone.reach)), hu=hu, opacity=float(rng.uniform(*zone.opacity)))
