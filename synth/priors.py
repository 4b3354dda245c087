"""What real patients are like: facts to draw from, organ volumes to check against.

`weights/priors.json` holds measurements of the training patients (numbers only, see facts.FACTS), written
by `synthct prepare`. A plan draws a patient's facts that agree with the request, and jitters them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from importlib import resources

import numpy as np

from prompts import CaseRequest
from prompts.vocabulary import Extent, Habitus, Phase, Side
from synth.facts import DOSES_GY, FACTS, mirrored
from synth.wording import extent_of, habitus_of, phase_of, side_of

Wish = Callable[[dict[str, float]], bool]

_JITTER = 0.12  # of a fact's scale: new patients between the measured ones
_OFTEN = 0.5  # share of patients from which on an organ is one that every case has
_MIN_CHOICE = 4  # patients that must agree before a lesser wish is dropped
_TRIES = 30  # jitters of a patient who agrees, until one still does
_FACE_MM = 60.0  # the face is in the field at least this far above the parotids: some planning fields cut it off
_HELD = 1.25  # a target is at least so many times as large as one of a higher dose, which it holds
_ONE_SIDED = 0.85  # the side of a target asked for on one side, where no patient has it


@cache
def table() -> tuple[dict[str, float], ...]:
    """Facts of the training patients."""
    text = resources.files("synth").joinpath("weights/priors.json").read_text()
    return tuple(json.loads(text)["patients"])


def organ_range(organ: str, low: float = 1.0, high: float = 99.0) -> tuple[float, float]:
    """Percentiles of an organ's volume (mL) over the training patients in whom it was annotated."""
    values = [p[f"{organ}_ml"] for p in table() if f"{organ}_ml" in p]
    return float(np.percentile(values, low)), float(np.percentile(values, high))


def annotated_share(organ: str) -> float:
    """Share of the training patients in whom an organ was annotated: rarely shown organs are drawn less surely."""
    return sum(f"{organ}_ml" in p for p in table()) / len(table())


def may_be_missing(organ: str) -> bool:
    """Whether most training patients lack a mask of it, so that a case may lack it too."""
    return annotated_share(organ) < _OFTEN


def is_stump(organ: str, volume_ml: float) -> bool:
    """Whether an organ that may be missing is smaller than patients have it: a case is better off without its mask."""
    return may_be_missing(organ) and volume_ml < organ_range(organ)[0]


def draw(request: CaseRequest, rng: np.random.Generator) -> dict[str, float]:
    """Facts of a new patient who agrees with the request as far as the training patients allow."""
    pool = [*table(), *map(mirrored, table())]
    kept: list[Wish] = []
    for wish in _wishes(request):
        agreeing = [p for p in pool if wish(p)]
        if len(agreeing) >= _MIN_CHOICE:
            pool = agreeing
            kept.append(wish)
    chosen = pool[int(rng.integers(len(pool)))]
    return _as_asked(_new_patient(chosen, kept, rng), request)


def _new_patient(like: dict[str, float], wishes: list[Wish], rng: np.random.Generator) -> dict[str, float]:
    """A patient near a measured one for whom the wishes hold too: jitter may carry a fact over a word's threshold."""
    for _ in range(_TRIES):
        facts = {f.name: _jittered(f.name, like[f.name], f.scale, f.log, rng) for f in FACTS if f.name in like}
        facts = {name: round(value, 3) for name, value in facts.items()}
        if all(wish(facts) for wish in wishes):
            return facts
    return dict(like)


def _wishes(request: CaseRequest) -> list[Wish]:
    """Conditions on a patient, the most important first. A field is complete unless something else is said."""
    extent = request.extent or Extent.COMPLETE
    wishes: list[Wish] = [lambda p: extent_of(p) is extent]
    if extent is Extent.COMPLETE:
        wishes.append(lambda p: p["face_top_mm"] > _FACE_MM)
    for target in request.targets:
        name = f"target_{int(target.dose_gy)}"
        wishes.append(lambda p, n=name: p.get(f"{n}_ml", 0) > 0)  # type: ignore[misc]
        if target.side:
            wishes.append(lambda p, n=name, s=target.side: side_of(p.get(f"{n}_side", math.nan)) is s)  # type: ignore[misc]
    return wishes + [wish for _, wish in _words(request)]


def _words(request: CaseRequest) -> list[tuple[str, Wish]]:
    """Facts that a word speaks of, and whether it holds for a patient."""
    words: list[tuple[str, Wish]] = []
    if request.phase:
        phase = Phase.NON_CONTRAST if request.phase is Phase.NON_CONTRAST else Phase.ENHANCED
        words.append(("neck_vessels_hu", lambda p: phase_of(p.get("neck_vessels_hu", math.nan)) is phase))
    if request.habitus:
        habitus = request.habitus
        words.append(("neck_area_cm2", lambda p: (habitus_of(p["neck_area_cm2"]) or Habitus.AVERAGE) is habitus))
    return words


def _jittered(name: str, value: float, scale: float, log: bool, rng: np.random.Generator) -> float:
    shift = _JITTER * scale * rng.standard_normal()
    if name.endswith("_side"):
        return float(np.clip(value + shift * 0.5, -1, 1))
    return math.expm1(math.log1p(value) + shift) if log and value > 0 else value if log else value + shift


def _nested(facts: dict[str, float], request: CaseRequest) -> dict[str, float]:
    """With the volumes that were said, and what was not said made to fit: a target holds those of higher doses."""
    nested = dict(facts)
    said = {f"target_{int(t.dose_gy)}_ml": float(t.volume_ml) for t in request.targets if t.volume_ml}
    nested |= said
    doses = sorted((int(t.dose_gy) for t in request.targets), reverse=True)
    names = [f"target_{dose}_ml" for dose in doses if nested.get(f"target_{dose}_ml", 0) > 0]
    for i in reversed(range(len(names) - 1)):  # from the widest inwards
        if names[i] not in said:
            nested[names[i]] = min(nested[names[i]], nested[names[i + 1]] / _HELD)
    for inner, outer in zip(names, names[1:], strict=False):
        if outer not in said:
            nested[outer] = max(nested[outer], nested[inner] * _HELD)
    return nested


def _as_asked(facts: dict[str, float], request: CaseRequest) -> dict[str, float]:
    """Put what was said in numbers, on a side or in a word in place of what was drawn, where too few agreed."""
    asked = _nested(facts, request)
    for name, holds in _words(request):
        if not holds(asked):
            asked[name] = float(np.median([p[name] for p in table() if holds(p)]))
    for target in request.targets:
        name = f"target_{int(target.dose_gy)}"
        drawn = asked.get(f"{name}_side", math.nan)
        if target.side and side_of(drawn) is not target.side:
            sign = {Side.LEFT: 1.0, Side.RIGHT: -1.0}.get(target.side, 0.0)
            asked[f"{name}_side"] = sign * _ONE_SIDED
    for dose in DOSES_GY:
        if asked.get(f"target_{dose}_ml", 0) <= 0:
            asked.pop(f"target_{dose}_side", None)
    return asked
