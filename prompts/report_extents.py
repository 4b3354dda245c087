"""Sentences of findings that are told by their extent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from prompts.vocabulary import FindingKind

ONE_PLACE = 0.97  # of a finding: so much of it is all of it


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
    """ "21% of the right lung", "80% of the left lower lobe", "30% of both lungs"."""
    if organ != "lung":
        return f"{percent(facts.share() or 0.0)} of the {organ}"
    whole = sum(facts.affected_ml.values())
    part = max(facts.affected_ml, key=lambda name: facts.affected_ml[name], default="")
    if whole and "_lobe_" in part and facts.affected_ml[part] >= ONE_PLACE * whole:
        return f"{percent(facts.affected_ml[part] / facts.part_ml[part])} of the {_readable(part)}"
    for side in ("right", "left"):
        of_side = sum(ml for name, ml in facts.affected_ml.items() if side in name.split("_"))
        if whole and of_side >= ONE_PLACE * whole:
            return f"{percent(facts.share(side) or 0.0)} of the {side} lung"
    return f"{percent(facts.share() or 0.0)} of both lungs"


def _by_side(facts: ExtentFacts) -> str:
    """ " Of the right lung 26%, of the left 35%.", of what is in both."""
    right, left = facts.share("right"), facts.share("left")
    if right is None or left is None:
        return ""
    return f" Of the right lung {percent(right)}, of the left {percent(left)}."


def extent_sentence(kind: str, organ: str, side: str | None, volume_ml: float, facts: ExtentFacts) -> str:
    """The finding, how much there is of it and where."""
    line = _told(kind, organ, side, volume_ml, facts)
    return f"{line}.{_by_side(facts) if line.endswith('of both lungs') else ''}"


def extent_line(kind: str, organ: str, side: str | None, volume_ml: float, facts: ExtentFacts) -> str:
    """The finding in one short sentence, without what stands behind a colon or in brackets."""
    return f"{_told(kind, organ, side, volume_ml, facts).split(' (')[0].split(':')[0]}."


def _told(kind: str, organ: str, side: str | None, volume_ml: float, facts: ExtentFacts) -> str:
    one_side = f"{side} " if side in ("left", "right") else ""
    if kind in _BY_FIGURE:
        text = _BY_FIGURE[kind](facts.figures, facts.median_hu, one_side)
    elif kind == FindingKind.FRACTURE:
        text = _fracture(facts)
    elif kind == FindingKind.PULMONARY_EMBOLISM:
        text = _embolism(facts, side)
    elif kind in _BY_VOLUME:
        text = f"{one_side if organ in ('pleura', 'kidney') else ''}{kind} of {_ml(volume_ml)} mL"
    elif kind in _BANDS:
        text = f"{kind} in the {_listed(_lobes(facts) or [organ])}"
    else:
        text = f"{kind} in {spread(facts, organ)}"
    return text[0].upper() + text[1:]


def _lobes(facts: ExtentFacts) -> list[str]:
    """The parts of the lungs that hold some of it, most first."""
    parts = {p: ml for p, ml in facts.affected_ml.items() if p.startswith("lung")}
    least = _PART_OF_IT * sum(parts.values())
    return [_readable(p) for p in sorted(parts, key=lambda p: -parts[p]) if parts[p] > least]


def _ratio(figures: Mapping[str, float], hu: float, side: str) -> str:
    ratio, heart = figures.get("cardiothoracic_ratio"), figures.get("heart_ml")
    if ratio is None or heart is None:
        return "cardiomegaly"
    return f"cardiomegaly: cardiothoracic ratio {ratio:.2f}, heart {heart:.0f} mL"


def _spleen(figures: Mapping[str, float], hu: float, side: str) -> str:
    return (
        f"splenomegaly: {figures.get('spleen_ml', 0):.0f} mL, {figures.get('length_mm', 0):.0f} mm from top to bottom"
    )


def _aorta(figures: Mapping[str, float], hu: float, side: str) -> str:
    return f"aneurysm of the aorta, {figures.get('width_mm', 0):.0f} mm wide"


def _steatosis(figures: Mapping[str, float], hu: float, side: str) -> str:
    return f"hepatic steatosis (liver {round(hu)} HU)"


def _calcium(where: str) -> Callable[[Mapping[str, float], float, str], str]:
    def said(figures: Mapping[str, float], hu: float, side: str) -> str:
        volume, peak = figures.get("volume_mm3", 0.0), figures.get("peak_hu", 0.0)
        return f"{where} calcification: {_ml(volume / 1000)} mL, up to {peak:.0f} HU"

    return said


def _duct(figures: Mapping[str, float], hu: float, side: str) -> str:
    return f"dilated pancreatic duct, up to {figures.get('width_mm', 0):.0f} mm wide"


def _thing(name: str, sided: bool = False) -> Callable[[Mapping[str, float], float, str], str]:
    """A device; of one that ends in the heart no side is told, for the heart has none."""
    return lambda figures, hu, side: f"{side if sided else ''}{name}"


def _dissection(figures: Mapping[str, float], hu: float, side: str) -> str:
    return f"dissection of the descending aorta over {figures.get('length_mm', 0):.0f} mm"


def _fracture(facts: ExtentFacts) -> str:
    """ "Compression fracture of vertebra T12, 34% of its height lost", "fracture of the left rib 6"."""
    part = max(facts.affected_ml, key=lambda name: facts.affected_ml[name], default="bone")
    words = part.split("_")
    if words[0] == "vertebrae":
        lost = facts.figures.get("height_lost")
        height = "" if lost is None else f", {percent(lost)} of its height lost in front"
        return f"compression fracture of vertebra {words[1]}{height}"
    return f"fracture of the {_readable(part)}"


def _embolism(facts: ExtentFacts, side: str | None) -> str:
    """ "Pulmonary embolism in arteries of the right lower lobe, in 3 places"."""
    lobes = _lobes(facts)
    where = lobes[0] if len(lobes) == 1 else f"{side} lung" if side in ("left", "right") else "both lungs"
    of = where if where == "both lungs" else f"the {where}"
    count = round(facts.figures.get("defects", 1))
    return f"pulmonary embolism in arteries of {of}, in {'one place' if count == 1 else f'{count} places'}"


_BY_FIGURE: dict[str, Callable[[Mapping[str, float], float, str], str]] = {
    FindingKind.CARDIOMEGALY: _ratio,
    FindingKind.SPLENOMEGALY: _spleen,
    FindingKind.ANEURYSM: _aorta,
    FindingKind.STEATOSIS: _steatosis,
    FindingKind.CORONARY_CALCIFICATION: _calcium("coronary"),
    FindingKind.ARTERIAL_CALCIFICATION: _calcium("arterial wall"),
    FindingKind.DILATED_DUCT: _duct,
    FindingKind.DISSECTION: _dissection,
    FindingKind.PACEMAKER: _thing("pacemaker with its leads"),
    FindingKind.CENTRAL_LINE: _thing("central venous line"),
    FindingKind.PORT: _thing("port with its catheter"),
    FindingKind.CHEST_TUBE: _thing("chest tube", sided=True),
}
_BY_VOLUME = (
    *(FindingKind.PERICARDIAL_EFFUSION, FindingKind.PNEUMOTHORAX, FindingKind.HYDRONEPHROSIS),
    FindingKind.HIATAL_HERNIA,
)
_BANDS = (
    *(FindingKind.ATELECTASIS, FindingKind.FIBROTIC_SEQUELA, FindingKind.BRONCHIECTASIS),
    FindingKind.PERIBRONCHIAL_THICKENING,
)
_PART_OF_IT = 0.05  # of a finding: less in a part is not said


def _readable(part: str) -> str:
    """ "lung_lower_lobe_right" -> "right lower lobe"."""
    words = part.split("_")
    side = [w for w in words if w in ("left", "right")]
    rest = [w for w in words if w not in ("left", "right") and not (w == "lung" and "lobe" in words)]
    return " ".join([*side, *rest])


def _ml(value: float) -> str:
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
