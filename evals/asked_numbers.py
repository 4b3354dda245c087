"""Numbers that a prompt asks for against the numbers that are measured: do they rise together?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, spearmanr

from prompts.request import CaseRequest
from synth.report.measurements import Measurements

_RESAMPLES = 1000


@dataclass(frozen=True)
class Pair:
    """What was asked and what was measured of one target or lesion; None where none was found."""

    what: str
    asked: float
    measured: float | None


@dataclass(frozen=True)
class Rank:
    """Spearman 1904 over the pairs that were found, with a 95% bootstrap interval, and the median ratio."""

    what: str
    found: int
    missing: int
    rho: float
    low: float
    high: float
    ratio: float


def pairs_of(request: CaseRequest, measured: Measurements) -> list[Pair]:
    """Volumes of targets in mL; long axes of lesions in mm, where one lesion was asked for and one is there."""
    volumes = {t.dose_gy: t.volume_ml for t in measured.targets}
    pairs = [
        Pair("target volume, mL", float(t.volume_ml), volumes.get(int(t.dose_gy)))
        for t in request.targets
        if t.volume_ml is not None
    ]
    if len(request.findings) == 1 and request.findings[0].size_mm is not None:
        alone = measured.lesions[0].long_axis_mm if len(measured.lesions) == 1 else None
        pairs.append(Pair("lesion long axis, mm", float(request.findings[0].size_mm), alone))
    return pairs


def ranks(pairs: Sequence[Pair], least: int = 10, seed: int = 0) -> list[Rank]:
    """One for each kind of number of which at least `least` were found and more than one value was asked."""
    out = []
    for what in dict.fromkeys(p.what for p in pairs):
        mine = [p for p in pairs if p.what == what]
        found = np.array([(p.asked, p.measured) for p in mine if p.measured is not None], float)
        if len(found) < least or np.ptp(found[:, 0]) == 0 or np.ptp(found[:, 1]) == 0:
            continue
        asked, measured = found.T
        spread = bootstrap(
            (asked, measured),
            lambda a, m: spearmanr(a, m).statistic,
            paired=True,
            vectorized=False,
            n_resamples=_RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
        rho, ratio = float(spearmanr(asked, measured).statistic), float(np.median(measured / asked))
        out.append(Rank(what, len(found), len(mine) - len(found), rho, float(spread.low), float(spread.high), ratio))
    return out
