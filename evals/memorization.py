"""`synthct evaluate memorization`: do synthetic volumes lie nearer to training patients than new patients do?

A held-out real patient is as near to the training set as a new sample of its law is; synthetic volumes that are
nearer still are copies. Plain distances can mislead, since a smooth volume is nearer to everything; so each is also
divided by the mean distance of the next neighbours: a copy has one neighbour that is far nearer than all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu

from evals import memorization_plots, sets
from evals.bootstrap import mean_interval
from evals.result import Result, ResultPicture, ResultTable
from evals.sets import Options, VolumeSet, VolumeSets
from evals.stamp import Figure
from synth.progress import Progress

TRAIN, SYNTHETIC, HELD_OUT = "training", "synthetic", "held-out"
METRICS = ("nearest_pixel", "nearest_feature", "ratio_pixel", "ratio_feature")
NEXT = 4  # neighbours after the nearest
ALPHA = 0.01
_QUANTILE = 0.05
_EVEN = 0.5  # AUC
_PAIRS = 6  # shown
_OVERLAP = 8  # a move is tried along an axis that has so many times as many blocks
_COLUMNS = ["distance", "synthetic median", "held-out median", "synthetic nearer (AUC)", "95% interval", "p, one-sided",
            "below the held-out 5%"]  # fmt: skip


@dataclass(frozen=True)
class Neighbours:
    """Of each volume of a group in the training set: distances (N, 1 + NEXT), rising, and the nearest's number (N,)."""

    distances: np.ndarray
    nearest: np.ndarray

    @property
    def closest(self) -> np.ndarray:
        """(N,)."""
        return self.distances[:, 0]

    @property
    def ratio(self) -> np.ndarray:
        """Nearest over the mean of the next, (N,); 1 = nothing stands out, 0 = a copy."""
        return self.distances[:, 0] / np.maximum(self.distances[:, 1:].mean(axis=1), 1e-12)


@dataclass(frozen=True)
class Comparison:
    """Whether synthetic volumes are nearer than held-out ones.

    `auc`: chance that a synthetic volume is nearer than a held-out one (0.5 = no difference), `low`, `high` its 95%
    bootstrap interval; `p` of the one-sided Mann-Whitney test; `below`: share under the held-out 5th percentile.
    """

    auc: float
    low: float
    high: float
    p: float
    below: float


def evaluate(
    train: Path, synthetic: Path, held_out: Path, options: Options, progress: Progress | None = None
) -> tuple[Result, list[ResultPicture]]:
    """The test in pixel and feature space, and the closest pairs. Raises InputError."""
    folders = {TRAIN: train, SYNTHETIC: synthetic, HELD_OUT: held_out}
    groups = sets.make(folders, METRICS, options, progress)
    found = {
        "pixel": (
            pixel_neighbours(groups[SYNTHETIC], groups[TRAIN]),
            pixel_neighbours(groups[HELD_OUT], groups[TRAIN]),
        ),
        "feature": (
            feature_neighbours(groups[SYNTHETIC].descriptors, groups[TRAIN].descriptors),
            feature_neighbours(groups[HELD_OUT].descriptors, groups[TRAIN].descriptors),
        ),
    }
    values = {f"nearest_{space}": (a.closest, b.closest) for space, (a, b) in found.items()}
    values |= {f"ratio_{space}": (a.ratio, b.ratio) for space, (a, b) in found.items()}
    tests = {name: compare(a, b, seed=options.seed) for name, (a, b) in values.items()}
    result = Result(
        kind="memorization",
        title=f"Memorization: {synthetic.name} against the training set {train.name}",
        settings={
            "training": str(train),
            "synthetic": str(synthetic),
            "held_out": str(held_out),
            **options.settings(),
        },
        figures=[_figure(name, *values[name], groups) for name in METRICS],
        tables=[_tests(values, tests), _closest(found["pixel"][0], found["feature"][0], groups)],
        notes=[
            verdict(tests),
            *below_held_out(values, groups[SYNTHETIC].names),
            *_caveat(*values["nearest_feature"]),
            *groups.notes(),
        ],
        left_out=groups.left_out(),
    )
    pictures = [memorization_plots.distributions(values)]
    pictures += memorization_plots.pairs(groups[SYNTHETIC], groups[TRAIN], found["pixel"][0], _PAIRS, "pixel")
    pictures += memorization_plots.pairs(groups[SYNTHETIC], groups[TRAIN], found["feature"][0], _PAIRS, "feature")
    return result, pictures


def pixel_neighbours(group: VolumeSet, train: VolumeSet) -> Neighbours:
    """By RMS difference in HU of the block means, the nearer of each training volume and its mirror image.

    Volumes are moved against one another by up to two blocks first: a copy that is shifted is a copy.
    """
    ours, theirs, mirrored = (
        np.stack(volumes).astype(np.float64)
        for volumes in (
            [f.thumb for f in group.features],
            [f.thumb for f in train.features],
            [f.thumb[::-1] for f in train.features],
        )
    )
    pairs = [(ours, other, shift) for other in (theirs, mirrored) for shift in _shifts(ours.shape[1:])]
    return _neighbours(np.min([_rms(*pair) for pair in pairs], axis=0))


def _shifts(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Moves in blocks: to all 26 neighbours, and two along each axis, where the volume is large enough."""
    near = product((-1, 0, 1), repeat=3)
    far = [tuple(way * (axis == a) for a in range(3)) for axis in range(3) for way in (-2, 2)]
    return [s for s in [*near, *far] if all(abs(by) * _OVERLAP <= n for by, n in zip(s, shape, strict=True))]


def _rms(ours: np.ndarray, theirs: np.ndarray, shift: tuple[int, ...]) -> np.ndarray:
    """RMS difference (N, M) of volumes (N, x, y, z) and (M, x, y, z), the latter moved, where they overlap."""
    here = tuple(slice(max(by, 0), n + min(by, 0)) for by, n in zip(shift, ours.shape[1:], strict=True))
    there = tuple(slice(max(-by, 0), n + min(-by, 0)) for by, n in zip(shift, ours.shape[1:], strict=True))
    a, b = (v[(slice(None), *part)].reshape(len(v), -1) for v, part in ((ours, here), (theirs, there)))
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(squares.clip(0) / a.shape[1])


def feature_neighbours(group: np.ndarray, train: np.ndarray) -> Neighbours:
    """By 1 - cosine of the volumes' features (N, d), less the mean of the training set."""
    centre = train.mean(axis=0)
    return _neighbours(cdist(group - centre, train - centre, metric="cosine"))


def _neighbours(distance: np.ndarray) -> Neighbours:
    order = np.argsort(distance, axis=1)[:, : 1 + NEXT]
    return Neighbours(np.take_along_axis(distance, order, axis=1), order[:, 0])


def compare(synthetic: np.ndarray, held_out: np.ndarray, seed: int = 0, resamples: int = 2000) -> Comparison:
    """The one-sided test that synthetic values (S,) are smaller than held-out ones (H,)."""
    rng = np.random.default_rng(seed)
    wins = (synthetic[:, None] < held_out[None]) + 0.5 * (synthetic[:, None] == held_out[None])
    draws = [
        wins[np.ix_(rng.integers(len(synthetic), size=len(synthetic)), rng.integers(len(held_out), size=len(held_out)))]
        for _ in range(resamples)
    ]
    low, high = np.quantile([d.mean() for d in draws], [0.025, 0.975])
    p = float(mannwhitneyu(synthetic, held_out, alternative="less").pvalue)
    below = float((synthetic < np.quantile(held_out, _QUANTILE)).mean())
    return Comparison(float(wins.mean()), float(low), float(high), p, below)


def verdict(tests: dict[str, Comparison]) -> str:
    """One sentence; the tests are corrected for their number (Bonferroni)."""
    nearer = [name for name, t in tests.items() if t.p * len(tests) < ALPHA]
    copies = [name for name in nearer if name.startswith("ratio")]
    if copies:
        return (
            f"Signs of memorization: single training patients stand out too near ({', '.join(copies)}); see the pairs."
        )
    if nearer:
        return (
            f"Synthetic volumes are nearer to the training set than held-out patients are ({', '.join(nearer)}), but "
            "no single training patient stands out: they may just be smoother or nearer to the average."
        )
    name, most = max(tests.items(), key=lambda item: item[1].auc)
    return (
        f"Memorization is not shown, nor ruled out. Most suspicious is {name}: a synthetic volume is nearer to a "
        f"training patient than a held-out one is with a chance of {most.auc:.2f} ({most.low:.2f} to {most.high:.2f}); "
        f"0.5 is no difference{', which the interval leaves out' if most.low > _EVEN else ''}."
    )


def below_held_out(values: Mapping[str, tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> list[str]:
    """A note that lists every synthetic volume that is nearer than the nearest held-out patient, with the distances."""
    found: dict[str, list[str]] = {}
    for metric, (synthetic, held_out) in values.items():
        for name, value in zip(names, synthetic, strict=True):
            if value < held_out.min():
                found.setdefault(name, []).append(metric)
    if not found:
        return []
    listed = "; ".join(f"{name} ({', '.join(metrics)})" for name, metrics in found.items())
    return [f"{len(found)} of {len(names)} lie nearer than any held-out patient, look at each: {listed}."]


def _caveat(synthetic: np.ndarray, held_out: np.ndarray) -> list[str]:
    """A generator that draws nothing like a real volume cannot be caught copying in feature space."""
    if np.median(synthetic) <= held_out.max():
        return []
    return [
        "In feature space most synthetic volumes lie farther from all training patients than any held-out patient "
        "does. They are easily told from real ones, and the feature distances say little about copying."
    ]


def _figure(name: str, synthetic: np.ndarray, held_out: np.ndarray, groups: VolumeSets) -> Figure:
    a, b = mean_interval(synthetic), mean_interval(held_out)
    assert a is not None and b is not None
    pixel = name.endswith("pixel")
    return Figure(
        metric=name, part="", value=a.mean, low=a.low, high=a.high, real=b.mean, real_low=b.low, real_high=b.high,
        stamp=groups.stamp(SYNTHETIC, network=not pixel),
    )  # fmt: skip


def _tests(values: dict[str, tuple[np.ndarray, np.ndarray]], tests: dict[str, Comparison]) -> ResultTable:
    rows: list[list[str | int | float | None]] = [
        [
            name.replace("_", " "),
            float(np.median(values[name][0])),
            float(np.median(values[name][1])),
            t.auc,
            f"{t.low:.2f} to {t.high:.2f}",
            t.p,
            f"{100 * t.below:.0f}%",
        ]
        for name, t in tests.items()
    ]
    note = (
        "AUC: chance that a synthetic volume is nearer to the training set than a held-out patient; 0.5 = no "
        "difference. Ratio: nearest over the mean of the next four neighbours."
    )
    return ResultTable(title="Nearer than held-out patients?", columns=_COLUMNS, rows=rows, note=note)


def _closest(pixel: Neighbours, feature: Neighbours, groups: VolumeSets) -> ResultTable:
    """The most suspicious synthetic volumes, by the pixel ratio."""
    names, train = groups[SYNTHETIC].names, groups[TRAIN].names
    rows: list[list[str | int | float | None]] = [
        [names[i], train[pixel.nearest[i]], float(pixel.closest[i]), float(pixel.ratio[i]),
         train[feature.nearest[i]], float(feature.closest[i]), float(feature.ratio[i])]
        for i in suspects(pixel, _PAIRS)
    ]  # fmt: skip
    columns = ["synthetic", "nearest (pixel)", "HU", "ratio", "nearest (feature)", "1 - cosine", "ratio"]
    return ResultTable(title="Closest to one training patient", columns=columns, rows=rows)


def suspects(neighbours: Neighbours, count: int) -> Sequence[int]:
    """Numbers of the volumes with the smallest ratios."""
    return [int(i) for i in np.argsort(neighbours.ratio)[:count]]
