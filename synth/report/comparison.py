"""Compare lesions with an earlier CT of the same case: how much longer, how much larger, how fast. Measured on both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from prompts import report as language
from synth.report.measurements import LesionMeasurement, Measurements, rounded

_SIZES = ("long_axis_mm", "short_axis_mm", "volume_ml")


@dataclass(frozen=True)
class PriorStudy:
    """The CT that came before: its case, how many days before, and lesion name -> the sizes measured on it."""

    case: str
    days: int
    sizes: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, case: str, days: int, measured: Measurements) -> PriorStudy:
        """From everything that was measured on it."""
        return cls(case, days, {lesion.name: _sizes(lesion) for lesion in measured.lesions})


def _sizes(lesion: LesionMeasurement) -> dict[str, float]:
    return {key: float(getattr(lesion, key)) for key in _SIZES}


def compared(prior: PriorStudy, lesions: tuple[LesionMeasurement, ...]) -> list[tuple[str, str, dict[str, JsonValue]]]:
    """(lesion, sentence, facts) for each lesion of either CT, those of this one first.

    `prior_*` facts are of the earlier CT. Volume doubling time: days * ln 2 / ln(V / V_prior), Schwartz 1961; of
    lesions that grew.
    """
    now = {lesion.name: _sizes(lesion) for lesion in lesions}
    names = [*now, *(name for name in prior.sizes if name not in now)]
    return [(name, _said(prior, name, now.get(name)), _facts(prior, name, now.get(name))) for name in names]


def _said(prior: PriorStudy, name: str, now: Mapping[str, float] | None) -> str:
    before = prior.sizes.get(name)
    return language.comparison_sentence(
        language.ComparisonFacts(
            name=name.replace("_", " "),
            days=prior.days,
            long_axis_mm=(before["long_axis_mm"] if before else None, now["long_axis_mm"] if now else None),
            volume_ml=(before["volume_ml"] if before else None, now["volume_ml"] if now else None),
            doubling_days=_doubling_days(before["volume_ml"], now["volume_ml"], prior.days) if before and now else None,
        )
    )


def _facts(prior: PriorStudy, name: str, now: Mapping[str, float] | None) -> dict[str, JsonValue]:
    before = prior.sizes.get(name)
    facts: dict[str, JsonValue] = {"prior_case": prior.case, "days": prior.days}
    facts |= {f"prior_{key}": before[key] if before else None for key in _SIZES}
    facts |= {key: now[key] if now else None for key in _SIZES}
    if before and now:
        facts |= {
            "long_axis_change_percent": _percent(before["long_axis_mm"], now["long_axis_mm"]),
            "volume_change_percent": _percent(before["volume_ml"], now["volume_ml"]),
            "doubling_days": _doubling_days(before["volume_ml"], now["volume_ml"], prior.days),
        }
    return facts


def _percent(before: float, now: float) -> float | None:
    return rounded(100 * (now / before - 1)) if before > 0 else None


def _doubling_days(before: float, now: float, days: int) -> float | None:
    return rounded(days * math.log(2) / math.log(now / before)) if 0 < before < now else None


def stated_prior(sentences: Mapping[str, Mapping[str, JsonValue]]) -> PriorStudy | None:
    """The prior that comparisons state, lesion name -> facts; None where nothing is compared."""
    sizes: dict[str, dict[str, float]] = {}
    for name, facts in sentences.items():
        stated = {key: facts.get(f"prior_{key}") for key in _SIZES}
        if all(isinstance(value, int | float) for value in stated.values()):
            sizes[name] = {key: float(value) for key, value in stated.items() if isinstance(value, int | float)}
    first = next(iter(sentences.values()), None)
    days = first.get("days") if first else None
    return PriorStudy(str(first["prior_case"]), days, sizes) if first and isinstance(days, int) else None
