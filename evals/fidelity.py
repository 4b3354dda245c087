"""`synthct evaluate fidelity`: is a set of synthetic volumes like a set of real ones, and as varied?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from evals import diversity, fidelity_plots, measures, sets
from evals.distances import Kernels, frechet, gaussian_kernels, polynomial_kernels
from evals.extract import Features
from evals.protocol import PLANES
from evals.registry import METRICS, metric
from evals.resampling import Distance, estimate
from evals.result import Result, ResultPicture
from evals.sets import Options, VolumeSets
from evals.stamp import Figure, Floor
from synth.errors import InputError
from synth.progress import Progress

REAL, SYNTHETIC = "real", "synthetic"
_THOUSAND = 1000.0
_MOST_FID_RESAMPLES = 100  # a singular value decomposition of all slices each
_RESAMPLES_PER_PLAIN = 5  # kernels and histograms cost nothing, so they get more samples

Maker = Callable[[VolumeSets, Options], list[Figure]]


def metric_names() -> list[str]:
    """Metrics that this evaluation can give."""
    return [m.name for m in METRICS.values() if m.group in ("fidelity", "diversity")]


def evaluate(
    real: Path, synthetic: Path, metrics: Sequence[str], options: Options, progress: Progress | None = None
) -> tuple[Result, list[ResultPicture]]:
    """All metrics asked for (all that there are, if none) and the pictures. Raises InputError."""
    wanted = _wanted(metrics)
    progress = progress or Progress(quiet=True)
    pair = sets.make({REAL: real, SYNTHETIC: synthetic}, wanted, options, progress)
    figures: list[Figure] = []
    with progress.step("metrics", len(_MAKERS)) as step:
        for names, maker in _MAKERS:
            if set(names) & set(wanted):
                figures += [f for f in maker(pair, options) if f.metric in wanted]
            step.advance()
    result = Result(
        kind="fidelity",
        title=f"Fidelity of {synthetic.name} against {real.name}",
        settings={"real": str(real), "synthetic": str(synthetic), "metrics": wanted, **options.settings()},
        figures=figures,
        notes=pair.notes() + _missing(wanted, figures),
        left_out=pair.left_out(),
    )
    return result, fidelity_plots.pictures(figures, pair.measured(REAL), pair.measured(SYNTHETIC))


def _wanted(metrics: Sequence[str]) -> list[str]:
    known = metric_names()
    for name in metrics:
        if metric(name).name not in known:
            raise InputError(f"--metrics {name}: belongs to another evaluation; choose from {', '.join(known)}")
    return list(metrics) or known


def _missing(wanted: Sequence[str], figures: Sequence[Figure]) -> list[str]:
    absent = [name for name in wanted if name not in {f.metric for f in figures}]
    return [f"Not measurable on these volumes: {', '.join(absent)}."] if absent else []


def repeated(features: Sequence[Features], weight: np.ndarray, plane: str) -> list[np.ndarray]:
    """The slices of a plane of each volume, as often as it counts."""
    return [f.slices[plane] for f, n in zip(features, weight, strict=True) for _ in range(int(n))]


def _fid(pair: VolumeSets, options: Options) -> list[Figure]:
    real, synthetic = pair[REAL].features, pair[SYNTHETIC].features

    def between(a: Sequence[Features], b: Sequence[Features]) -> Distance:
        def distance(r: np.ndarray, s: np.ndarray) -> np.ndarray:
            planes = [frechet(repeated(a, r, plane), repeated(b, s, plane)) for plane in PLANES]
            return np.array([*planes, np.mean(planes)])

        return distance

    few = min(options.resamples, _MOST_FID_RESAMPLES)
    return _figures("fid", (*PLANES, "mean"), between(real, synthetic), between(real, real), pair, options, few)


def _kid(pair: VolumeSets, options: Options) -> list[Figure]:
    def kernels(a: str, b: str) -> list[Kernels]:
        return [
            polynomial_kernels(
                [f.slices[plane] for f in pair[a].features],
                [f.slices[plane] for f in pair[b].features],
            )
            for plane in PLANES
        ]

    def of(blocks: Sequence[Kernels]) -> Distance:
        def distance(r: np.ndarray, s: np.ndarray) -> np.ndarray:
            planes = [_THOUSAND * k.mmd2(r, s) for k in blocks]
            return np.array([*planes, np.mean(planes)])

        return distance

    distance, among = of(kernels(REAL, SYNTHETIC)), of(kernels(REAL, REAL))
    return _figures("kid", (*PLANES, "mean"), distance, among, pair, options, options.resamples * _RESAMPLES_PER_PLAIN)


def _mmd(pair: VolumeSets, options: Options) -> list[Figure]:
    real, synthetic = pair[REAL].descriptors, pair[SYNTHETIC].descriptors
    kernels, among = gaussian_kernels(real, synthetic), gaussian_kernels(real, real)
    return _figures(
        "mmd",
        ("",),
        lambda r, s: np.array([_THOUSAND * kernels.mmd2(r, s)]),
        lambda r, s: np.array([_THOUSAND * among.mmd2(r, s)]),
        pair,
        options,
        options.resamples * _RESAMPLES_PER_PLAIN,
    )


def _figures(
    name: str,
    parts: Sequence[str],
    distance: Distance,
    among: Distance,
    pair: VolumeSets,
    options: Options,
    resamples: int,
) -> list[Figure]:
    found = estimate(
        distance,
        among,
        len(pair[REAL].entries),
        len(pair[SYNTHETIC].entries),
        resamples=resamples,
        splits=options.splits,
        seed=options.seed,
        least=0.0 if name == "fid" else -np.inf,  # KID and MMD are unbiased and may be negative
    )
    stamp = pair.stamp(SYNTHETIC)
    return [
        Figure(metric=name, part=part, value=e.value, low=e.low, high=e.high, floor=e.floor, stamp=stamp)
        for part, e in zip(parts, found, strict=True)
    ]


def _measures(pair: VolumeSets, options: Options) -> list[Figure]:
    spacing = {e.spacing for role in (REAL, SYNTHETIC) for e in pair[role].entries}
    stamp = pair.stamp(SYNTHETIC, network=False, preprocessing="RAS, HU and spacing as found")
    found = measures.compare(
        pair.measured(REAL),
        pair.measured(SYNTHETIC),
        spectra=len(spacing) == 1,
        resamples=options.resamples * _RESAMPLES_PER_PLAIN,
        splits=options.splits,
        seed=options.seed,
    )
    return [
        Figure(metric=name, part=part, value=e.value, low=e.low, high=e.high, floor=e.floor, stamp=stamp)
        for (name, part), e in found.items()
    ]


def _manifold(pair: VolumeSets, options: Options) -> list[Figure]:
    real, synthetic = pair[REAL].descriptors, pair[SYNTHETIC].descriptors
    stamp = pair.stamp(SYNTHETIC)
    floors: dict[str, Floor] = diversity.manifold_floors(real, synthetic, splits=options.splits, seed=options.seed)
    return [
        Figure(metric=name, part="", value=i.mean, low=i.low, high=i.high, floor=floors.get(name), stamp=stamp)
        for name, i in diversity.manifold_intervals(real, synthetic, seed=options.seed).items()
    ]


def _ms_ssim(pair: VolumeSets, options: Options) -> list[Figure]:
    a, b = (
        diversity.pair_similarity([f.thumb for f in pair[role].features], seed=options.seed)
        for role in (SYNTHETIC, REAL)
    )
    shape = " x ".join(map(str, pair[REAL].features[0].thumb.shape))
    stamp = pair.stamp(SYNTHETIC, network=False, preprocessing=f"{pair.extractor.protocol.preprocessing}, to {shape}")
    return [
        Figure(
            metric="ms_ssim", part="", value=a.mean, low=a.low, high=a.high,
            real=b.mean, real_low=b.low, real_high=b.high, stamp=stamp,
        )
    ]  # fmt: skip


_MAKERS: tuple[tuple[tuple[str, ...], Maker], ...] = (
    (("fid",), _fid),
    (("kid",), _kid),
    (("mmd",), _mmd),
    (measures.NAMES, _measures),
    (diversity.MANIFOLD_NAMES, _manifold),
    (("ms_ssim",), _ms_ssim),
)
