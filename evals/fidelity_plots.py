"""Pictures of a fidelity evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from evals.plotting import REAL_COLOUR, SYNTHETIC_COLOUR, canvas, png
from evals.result import ResultPicture
from evals.stamp import Figure
from evals.statistics import GRADIENT_EDGES, HU_EDGES, Measured


def pictures(figures: Sequence[Figure], real: Sequence[Measured], synthetic: Sequence[Measured]) -> list[ResultPicture]:
    """All plots that these volumes allow."""
    found = [_floors([f for f in figures if f.metric in ("fid", "kid", "mmd")])]
    found.append(_histogram("HU of the body", real, synthetic, "hu", HU_EDGES, "HU"))
    found.append(_histogram("Gradients", real, synthetic, "gradient", GRADIENT_EDGES, "HU/mm"))
    found.append(_spectra(real, synthetic))
    organs = sorted({n for m in real for n in m.organ_ml} & {n for m in synthetic for n in m.organ_ml})
    if organs:
        found += [_volumes(organs[:24], real, synthetic), _organ_hu(organs[:24], real, synthetic)]
    return [p for p in found if p is not None]


def _floors(figures: Sequence[Figure]) -> ResultPicture | None:
    """At the same N: synthetic against real, and real against real."""
    shown = [f for f in figures if f.floor is not None]
    if not shown:
        return None
    names = sorted({f.metric for f in shown}, key=[f.metric for f in shown].index)
    fig, axes = canvas(len(names), height=3.2)
    for ax, name in zip(axes, names, strict=True):
        group = [f for f in shown if f.metric == name]
        for i, f in enumerate(group):
            assert f.floor is not None
            floor = f.floor
            for at, colour, (mean, low, high) in (
                (i + 0.14, REAL_COLOUR, (floor.mean, floor.low, floor.high)),
                (i - 0.14, SYNTHETIC_COLOUR, (floor.matched, floor.matched_low, floor.matched_high)),
            ):
                ax.plot([low, high], [at, at], color=colour, lw=2)
                ax.plot(mean, at, "o", color=colour, ms=6)
        ax.set_yticks(range(len(group)), [f.part or name for f in group])
        ax.set_ylim(len(group) - 0.5, -0.5)
        ax.set_title(f"{name.upper()} {group[0].unit}", fontsize=10)
        ax.grid(axis="x", alpha=0.3)
    size = shown[0].floor.size if shown[0].floor else 0
    return ResultPicture(
        "Distance at the same N",
        png(fig, legend=True),
        f"{size} synthetic against {size} real volumes, and {size} real against {size} other real ones (the floor). "
        "Mean and 5th to 95th percentile over splits.",
    )


def _histogram(
    title: str, real: Sequence[Measured], synthetic: Sequence[Measured], name: str, edges: np.ndarray, unit: str
) -> ResultPicture:
    fig, (ax,) = canvas(1)
    centres = (edges[1:] + edges[:-1]) / 2
    for group, colour in ((real, REAL_COLOUR), (synthetic, SYNTHETIC_COLOUR)):
        _band(ax, centres, np.stack([getattr(m, name) for m in group]), colour)
    ax.set_yscale("log")
    ax.set_ylim(bottom=1e-6)
    ax.set_xlabel(unit)
    ax.set_ylabel("share of voxels")
    return ResultPicture(title, png(fig, legend=True), "Median and 10th to 90th percentile over volumes.")


def _band(ax: Axes, x: np.ndarray, values: np.ndarray, colour: str) -> None:
    known = np.isfinite(values).any(axis=0)
    low, middle, high = np.nanquantile(values[:, known], [0.1, 0.5, 0.9], axis=0)
    ax.fill_between(x[known], low, high, color=colour, alpha=0.22, lw=0)
    ax.plot(x[known], middle, color=colour, lw=1.6)


def _spectra(real: Sequence[Measured], synthetic: Sequence[Measured]) -> ResultPicture:
    fig, axes = canvas(2)
    for ax, name, unit in zip(axes, ("power", "noise"), ("HU$^2$ mm$^3$", "HU$^2$ mm$^2$"), strict=True):
        for group, colour in ((real, REAL_COLOUR), (synthetic, SYNTHETIC_COLOUR)):
            values = np.stack([getattr(m, name) for m in group])
            if np.isfinite(values).any():
                _band(ax, (np.arange(values.shape[1]) + 0.5) / values.shape[1], values, colour)
        ax.set_yscale("log")
        ax.set_xlabel("frequency, of the Nyquist frequency")
        ax.set_title(f"{'Power spectrum' if name == 'power' else 'Noise power, even soft tissue'}, {unit}", fontsize=10)
    return ResultPicture(
        "Spectra", png(fig, legend=True), "Radial means; median and 10th to 90th percentile over volumes."
    )


def _volumes(organs: Sequence[str], real: Sequence[Measured], synthetic: Sequence[Measured]) -> ResultPicture:
    fig, (ax,) = canvas(1, height=0.34 * len(organs) + 1.3)
    for i, organ in enumerate(organs):
        for group, colour, shift in ((real, REAL_COLOUR, -0.16), (synthetic, SYNTHETIC_COLOUR, 0.16)):
            values = [m.organ_ml[organ] for m in group if organ in m.organ_ml]
            ax.plot(values, [i + shift] * len(values), "|", color=colour, ms=7, alpha=0.6)
            ax.plot(np.median(values), i + shift, "o", color=colour, ms=5)
    ax.set_yticks(range(len(organs)), [o.replace("_", " ") for o in organs])
    ax.set_ylim(len(organs) - 0.5, -0.5)
    ax.set_xscale("log")
    ax.set_xlabel("mL")
    return ResultPicture("Organ volumes", png(fig, legend=True), "Each volume a tick, the median a dot.")


def _organ_hu(organs: Sequence[str], real: Sequence[Measured], synthetic: Sequence[Measured]) -> ResultPicture:
    fig, (ax,) = canvas(1, height=0.34 * len(organs) + 1.3)
    centres = (HU_EDGES[1:] + HU_EDGES[:-1]) / 2
    for i, organ in enumerate(organs):
        for group, colour, shift in ((real, REAL_COLOUR, -0.16), (synthetic, SYNTHETIC_COLOUR, 0.16)):
            mean = np.mean([m.organ_hu[organ] for m in group if organ in m.organ_hu], axis=0).cumsum()
            low, middle, high = np.interp((0.1, 0.5, 0.9), mean, centres)
            ax.plot([low, high], [i + shift] * 2, color=colour, lw=2)
            ax.plot(middle, i + shift, "o", color=colour, ms=5)
    ax.set_yticks(range(len(organs)), [o.replace("_", " ") for o in organs])
    ax.set_ylim(len(organs) - 0.5, -0.5)
    ax.set_xlabel("HU")
    return ResultPicture(
        "HU by organ", png(fig, legend=True), "Median and 10th to 90th percentile of the voxels of all volumes."
    )
