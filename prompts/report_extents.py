"""Sentences of findings that are told by their extent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_IN = 0.02  # of a part: smaller shares are not said


@dataclass(frozen=True)
class ExtentFacts:
    """What is measured of one: median HU of its mask; mL of it in each part of the organ and of the parts; figures."""

    median_hu: float
    affected_ml: Mapping[str, float] = field(default_factory=dict)
    part_ml: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)

    def share(self, side: str | None = None) -> float | None:
        """Share of the organ, or of its side, that is affected."""
        parts = [p for p in self.part_ml if side is None or side in p.split("_")]
        whole = sum(self.part_ml[p] for p in parts)
        return sum(self.affected_ml.get(p, 0.0) for p in parts) / whole if whole else None


def percent(share: float) -> str:
    """A share as it is said: "12%", "0.4%"."""
    value = 100 * share
    return f"{value:.0f}%" if value >= 1 else f"{value:.1f}%"


def spread(facts: ExtentFacts, organ: str) -> str:
    """ "21% of the lungs (right 24%, left 17%)"."""
    whole = facts.share() or 0.0
    name = "lungs" if organ == "lung" else organ
    sides = [(side, facts.share(side)) for side in ("right", "left")]
    told = ", ".join(f"{side} {percent(share)}" for side, share in sides if share)
    return f"{percent(whole)} of the {name}" + (f" ({told})" if told else "")


def extent_sentence(kind: str, organ: str, side: str | None, volume_ml: float, facts: ExtentFacts) -> str:
    """The finding, how much there is of it and where, its attenuation."""
    parts = [extent_line(kind, organ, side, facts).removesuffix("."), f"volume {_ml(volume_ml)} mL"]
    if worst := _most_in(facts):
        parts.append(worst)
    return f"{'; '.join([*parts, f'median attenuation {round(facts.median_hu)} HU'])}."


def extent_line(kind: str, organ: str, side: str | None, facts: ExtentFacts) -> str:
    """The finding in one short sentence."""
    name = kind[0].upper() + kind[1:]
    return f"{name} in {spread(facts, organ)}."


def _most_in(facts: ExtentFacts) -> str:
    """ "most in the right lower lobe (41%)", where there are several parts."""
    shares = {p: facts.affected_ml[p] / ml for p, ml in facts.part_ml.items() if ml and facts.affected_ml.get(p)}
    if len(shares) < 2:
        return ""
    part = max(shares, key=lambda name: shares[name])
    return f"most in the {_readable(part)} ({percent(shares[part])})" if shares[part] >= MOST_IN else ""


def _readable(part: str) -> str:
    """ "lung_lower_lobe_right" -> "right lower lobe"."""
    words = part.split("_")
    side = [w for w in words if w in ("left", "right")]
    rest = [w for w in words if w not in ("left", "right") and not (w == "lung" and "lobe" in words)]
    return " ".join([*side, *rest])


def _ml(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"
