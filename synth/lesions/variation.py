"""The same lesion otherwise: larger or smaller at the same place, or with one attribute changed."""

from __future__ import annotations

import numpy as np

from prompts.request import FindingRequest
from prompts.vocabulary import Heterogeneity, Shape
from synth.errors import InputError
from synth.lesions.appearance import FEATURES, draw_feature, draw_zones
from synth.lesions.extent_types import extent_types
from synth.lesions.lesion_plan import LesionPlan, Zone
from synth.lesions.lesion_types import LesionType, lesion_types
from synth.lesions.planning import ball_of, uniform
from synth.lesions.plans import AnyPlan
from synth.lesions.sibling import Change

_EDGE_REACH = 0.75  # margin widths: how far beyond the surface the edge has a share (`shape._EDGE_FLOOR`)


def later(plan: AnyPlan, growth: float, spacing: np.ndarray) -> AnyPlan:
    """A finding later: a body grows, and of a finding that is told by its extent there is more, a share up to all.

    Devices and what is told by a ratio stay as they are.
    """
    if isinstance(plan, LesionPlan):
        return grown_by(plan, growth, spacing)
    unit = extent_types()[plan.kind].unit
    if unit not in ("share", "mL"):
        return plan
    amount = min(plan.amount * growth, 0.99) if unit == "share" else plan.amount * growth
    said = plan.asked and plan.asked.model_copy(update={"share": None, "volume_ml": None, "severity": None})
    return plan.model_copy(update={"amount": amount, "asked": said})


def grown_by(lesion: LesionPlan, growth: float, spacing: np.ndarray) -> LesionPlan:
    """The lesion with its long axis times `growth`: centre, seed, and with them the field of its surface, are kept.

    What is measured in mm grows too (spicules, thickness of a layer); the width of the edge and the attenuation stay.
    Held of what was asked is what growth leaves as it is: not punctate shape, nor a distance to its surroundings.
    """
    size = lesion.size_mm * growth
    looks = {
        "size_mm": size,
        "spicule_mm": lesion.spicule_mm * growth,
        "attached_mm": lesion.attached_mm * growth,
        "wall_mm": lesion.wall_mm * growth,
        "volume_ml": lesion.volume_ml and lesion.volume_ml * growth**3,
        "asked": _asked_later(lesion.asked, size),
    }
    later = lesion.model_copy(update=looks)
    more = ball_of(later.model_dump(), size, spacing) - ball_of(lesion.model_dump(), lesion.size_mm, spacing)
    return later.model_copy(update={"ball_mm": lesion.ball_mm + more})


def _asked_later(asked: FindingRequest | None, size_mm: float) -> FindingRequest | None:
    if asked is None:
        return None
    shape = None if asked.shape is Shape.PUNCTATE else asked.shape
    said = asked.size_mm and round(size_mm, 3)
    return asked.model_copy(update={"size_mm": said, "shape": shape, "invasion": None, "volume_ml": None})


def changed(
    lesion: LesionPlan, change: Change, organ_hu: float, spacing: np.ndarray, rng: np.random.Generator
) -> LesionPlan:
    """The lesion with one attribute changed; shape, place, seed and what it pushes aside are kept.

    Args:
        lesion: as it is.
        change: the attribute and its value.
        organ_hu: median of the structure that it lies in.
        spacing: of the host, mm, (3,).
        rng: what the attribute leaves open is drawn from it.

    Raises:
        InputError: the type cannot show that, or the new edge does not fit.
    """
    finding = _asked_now(lesion, change)
    kind = lesion_types()[lesion.kind]
    update: dict[str, object] = {"asked": finding}
    if change.attribute == "surface":
        margin = uniform(rng, kind.margin_mm.width(finding.surface))
        update |= {"margin_mm": margin, "ball_mm": _ball_with(lesion, margin, spacing)}
    elif change.attribute == "heterogeneity":
        update |= {"grain_hu": uniform(rng, kind.grain_hu.sd(finding.heterogeneity))}
        if finding.heterogeneity is Heterogeneity.HOMOGENEOUS:
            update |= {"zones": tuple(z for z in lesion.zones if not _is_unasked_feature(z, finding))}
    elif change.attribute in FEATURES:
        update |= {"zones": _with_feature(lesion, kind, change, organ_hu, rng)}
    else:
        update |= {"zones": _zones_anew(lesion, kind, finding, organ_hu, rng)}
    return lesion.model_copy(update=update)


def _asked_now(lesion: LesionPlan, change: Change) -> FindingRequest:
    """What the lesion is to show: as before, but for the attribute. Density and texture replace each other."""
    if lesion.asked is None:
        raise InputError(f"--change {change.attribute}: the plan of {lesion.name} does not say what was asked for")
    said = lesion.asked.model_dump(mode="json")
    value = change.value == "yes" if change.attribute in FEATURES else change.value
    other = {"density": {"texture": None}, "texture": {"density": None}}.get(change.attribute, {})
    try:
        return FindingRequest.model_validate(said | other | {change.attribute: value})
    except ValueError as error:
        where = f"{lesion.asked.organ} {lesion.asked.kind}"
        raise InputError(
            f"--change {change.attribute}={change.value}: not for a {where}; change something else"
        ) from error


def _ball_with(lesion: LesionPlan, margin_mm: float, spacing: np.ndarray) -> float:
    """Radius of the ball with another edge. Where tissue is pushed aside the ball must stay: it says how far."""
    wanted = ball_of(lesion.model_dump() | {"margin_mm": margin_mm}, lesion.size_mm, spacing)
    if lesion.mass_effect == 0:
        return max(wanted, lesion.ball_mm)
    body = 0.5 * lesion.size_mm * (1 + lesion.lobe_depth + 3 * lesion.roughness)
    body += max(lesion.spicule_mm, lesion.attached_mm if lesion.attached else 0.0)
    if body + _EDGE_REACH * margin_mm > lesion.ball_mm:
        raise InputError(
            f"--change surface: an edge of {margin_mm:.1f} mm reaches beyond the tissue that {lesion.name} of "
            f"{lesion.size_mm:g} mm pushes aside; change a larger lesion, or ask for the surface in the prompt"
        )
    return lesion.ball_mm


def _is_unasked_feature(zone: Zone, finding: FindingRequest) -> bool:
    field = next((field for field, name in FEATURES.items() if name == zone.name), None)
    return zone.reach < 1 and field is not None and not getattr(finding, field)


def _with_feature(
    lesion: LesionPlan, kind: LesionType, change: Change, organ_hu: float, rng: np.random.Generator
) -> tuple[Zone, ...]:
    """The zones with a zone of the feature, or without it; the others are kept."""
    name = FEATURES[change.attribute]
    others = [zone for zone in lesion.zones if zone.name != name]
    if change.value == "no":
        if not others or lesion.zones[0].name == name:
            raise InputError(f"--change {change.attribute}=no: {lesion.name} is nothing else; change its density")
        return tuple(others)
    if len(others) < len(lesion.zones):
        return lesion.zones
    new = draw_feature(kind, name, others[0].hu, organ_hu, lesion.phase, rng)
    return tuple(sorted([*others, new], key=lambda zone: -zone.reach))


def _zones_anew(
    lesion: LesionPlan, kind: LesionType, finding: FindingRequest, organ_hu: float, rng: np.random.Generator
) -> tuple[Zone, ...]:
    """Zones of another appearance, which has the features that the lesion has where it can have them."""
    had = {zone.name for zone in lesion.zones}
    zones = kind.appearances.get(str(finding.texture or finding.density), ())
    can = {zone.name for zone in zones if zone.reach != (1.0, 1.0)}
    features = {field: name in had for field, name in FEATURES.items() if name in can}
    return draw_zones(kind, finding.model_copy(update=features), lesion.size_mm, organ_hu, lesion.phase, rng)
