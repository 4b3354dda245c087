"""Plan findings that are told by their extent: how much, which pattern, every number of the drawing."""

from __future__ import annotations

import numpy as np

from prompts.request import FindingRequest
from prompts.vocabulary import Organ, Pattern, Severity
from synth.errors import InputError
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.extent_types import ExtentType
from synth.lesions.lesion_plan import ContrastPhase
from synth.lesions.placement import PlacementHost, structures_for
from synth.report.extent_figures import has

_ONE_SIDED = (Organ.PLEURA, Organ.KIDNEY)
_AT_LEAST = 1.08  # of what the host has, where no figure was said
_FIELD = {
    "share": "share",
    "height": "share",
    "mL": "volume_ml",
    "ratio": "ratio",
    "mm": "size_mm",
    "organ mL": "volume_ml",
    "axis mm": "size_mm",
}
"""Unit of a type -> the field of a request that says it."""


def plan_extent(
    number: int,
    kind: ExtentType,
    finding: FindingRequest,
    host: PlacementHost,
    phase: ContrastPhase,
    rng: np.random.Generator,
) -> ExtentPlan:
    """One finding with every choice drawn. Raises InputError for an amount that its kind does not have."""
    structures = structures_for(finding, host, finding.side)
    pattern = _pattern(kind, finding, rng)
    if finding.organ in _ONE_SIDED and finding.side is None:
        side = str(rng.choice(("left", "right")))
        structures = tuple(s for s in structures if side in s.split("_")) or structures
    if pattern == Pattern.LOBAR and finding.share is None:
        structures = (str(rng.choice(structures)),)
    numbers = {name: float(rng.uniform(*n.of(phase))) for name, n in kind.numbers_of(pattern).items()}
    return ExtentPlan(
        id=number,
        kind=kind.name,
        organ=finding.organ.value,
        structures=structures,
        pattern=pattern,
        phase=phase,
        amount=_amount(kind, finding, pattern, host, rng),
        numbers=numbers,
        seed=int(rng.integers(2**31)),
        asked=finding,
    )


def _pattern(kind: ExtentType, finding: FindingRequest, rng: np.random.Generator) -> str:
    drawn = str(rng.choice(list(kind.usual), p=list(kind.usual.values())))
    return finding.pattern.value if finding.pattern else drawn


def _amount(
    kind: ExtentType, finding: FindingRequest, pattern: str, host: PlacementHost, rng: np.random.Generator
) -> float:
    """What was said, else drawn from the range of the severity; of an organ that grows, more than the host has."""
    drawn = Severity(str(rng.choice([str(s) for s in kind.typical], p=list(kind.typical.values()))))
    amount = float(rng.uniform(*kind.amount_of.get(pattern, kind.amount)[finding.severity or drawn]))
    between = float(rng.random())
    for field in dict.fromkeys(_FIELD.values()):
        said = getattr(finding, field)
        if said is None:
            continue
        if field != _FIELD.get(kind.unit):
            raise InputError(
                f"{finding.organ} {finding.kind} with {field}={said:g}: it is measured in {kind.unit}; leave that out, "
                f"or say {', '.join(Severity)}"
            )
        return float(said)
    if finding.size_range_mm and _FIELD.get(kind.unit) == "size_mm":
        low, high = finding.size_range_mm
        return low + between * (high - low)
    return max(amount, _AT_LEAST * (has(finding.kind, host.ct, host.organs) or 0.0))
