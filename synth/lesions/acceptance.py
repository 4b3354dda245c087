"""Whether a lesion shows what was asked for: each asked attribute against what was measured on CT and mask.

Only what was asked is held: the rest may come out as it likes, and the report says how it did. Planning and painting
are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from prompts.request import FindingRequest
from prompts.vocabulary import Heterogeneity, Organ, Shape, Side, Surface, structures_of
from synth.provenance import Check
from synth.report import attributes
from synth.report.lesions import SHARP_MM
from synth.report.measurements import LesionMeasurement

_INF = 1e9  # JSON has no infinity
_YES, _NO = (1.0, 1.0), (0.0, 0.0)
_FLAGS = ("necrotic", "calcified", "rim")
_ROUND = (Shape.ROUND.value, Shape.PUNCTATE.value)


def attribute_checks(asked: FindingRequest, found: LesionMeasurement) -> list[Check]:
    """A check for every attribute that the finding asks for; -1 stands for what could not be measured."""
    return [Check(name, _number(value), low, high) for name, value, (low, high) in _rules(asked, found)]


def _number(value: float | bool | None) -> float:
    return -1.0 if value is None else float(value)


def _rules(
    asked: FindingRequest, found: LesionMeasurement
) -> Iterator[tuple[str, float | bool | None, tuple[float, float]]]:
    """(name, measured value, limits) of each asked attribute."""
    seen = found.attributes
    if asked.surface:
        sharp = asked.surface is Surface.WELL_DEFINED
        yield "margin_mm", found.margin_mm, (0.0, SHARP_MM) if sharp else (SHARP_MM, _INF)
        if sharp and seen.ragged is not None:
            yield "ragged", seen.ragged, (0.0, attributes.RAGGED)
    if asked.heterogeneity:
        even = asked.heterogeneity is Heterogeneity.HOMOGENEOUS
        limit = attributes.HETEROGENEOUS_HU
        yield "heterogeneity_hu", seen.heterogeneity_hu, (0.0, limit) if even else (limit, _INF)
    if asked.spiculated is not None:
        limit = attributes.SPICULATED
        yield "strands", seen.strands, (limit, _INF) if asked.spiculated else (0.0, limit)
    if asked.lobulated is not None:
        lung = asked.organ is Organ.LUNG
        limit = attributes.LOBULATED if lung else attributes.IRREGULAR
        yield (
            "concavity" if lung else "outline",
            seen.concavity if lung else seen.outline,
            (limit, _INF) if asked.lobulated else (0.0, limit),
        )
    if asked.density and asked.texture is None:
        yield f"is_{asked.density.value}", seen.density == asked.density.value, _YES
    if asked.texture:
        yield f"is_{asked.texture.value}", seen.texture == asked.texture.value, _YES
    if asked.shape:
        yield f"is_{asked.shape.value}", _has_shape(asked.shape, seen.shape), _YES
    if asked.invasion:
        yield f"has_{asked.invasion.value}", found.invasion == asked.invasion.value, _YES
    for flag in _FLAGS:
        if (wanted := getattr(asked, flag)) is not None:
            yield flag, getattr(seen, flag), _YES if wanted else _NO
    yield from _place(asked, found)


def _has_shape(asked: Shape, found: str) -> bool:
    """A small round lesion is round too."""
    return found in _ROUND if asked is Shape.ROUND else found == asked.value


def _place(asked: FindingRequest, found: LesionMeasurement) -> Iterator[tuple[str, bool, tuple[float, float]]]:
    if asked.side in (Side.LEFT, Side.RIGHT):
        yield f"is_{asked.side.value}", found.side == asked.side.value, _YES
    if asked.segment and asked.organ in (Organ.BONE, Organ.MUSCLE):
        named = structures_of(asked.organ, asked.side, asked.segment)
        yield f"is_{asked.segment.value}", found.structure in named, _YES
    elif asked.segment and asked.organ in (Organ.LUNG, Organ.KIDNEY, Organ.LIVER, Organ.MEDIASTINUM):
        yield f"is_{asked.segment.value}", found.segment == asked.segment.value, _YES
