"""Noise power inside lesions over the host's, and the gradient where a lesion's reach ends, pixel by pixel.

Everything happens on a crop round the lesion, whose host is the same crop before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import ndimage, stats

from evals.lesions import RealHost
from prompts import parse
from synth.errors import InputError
from synth.lesions import LesionPlan, insert, plan_lesions
from synth.lesions.insertion import Redraw
from synth.lesions.mass_effect import displace
from synth.lesions.shape import ball_box, grow
from synth.report import location
from synth.report.noise import patches_in, spectrum_of
from synth.volumes.types import Case, LabelMap, Volume

_PATCH = (8, 8, 4)  # voxels
_LEAST_PATCHES = 6
_STRUCTURED = 2.0  # times the noise: an organ whose patches vary more shows its structure, an enhanced kidney's cortex
_BANDS = 3  # of equal width from 0 to the Nyquist frequency of the slice
_CONTEXT = 12  # voxels round the ball
_DEPTHS = tuple(range(-3, 6))  # pixels: faces between depth d and d + 1; 0 is the surface, -1 the first outside
_TRIES = 5
SOLID = ("35 mm homogeneous liver tumour", "30 mm homogeneous liver metastasis", "40 mm homogeneous liver tumour")
SEAM = ("14 mm solid nodule in the lung", "12 mm liver cyst", "14 mm kidney cyst", "14 mm pancreas tumour")


def noise_and_seams(host: RealHost, number: int, seed: int, redraw: Redraw) -> dict[str, Any]:
    """Insert `number` lesions, one at a time, and count. Every other one is large and solid, for the noise power."""
    powers, profiles = [], []
    for text, case, before, plan in _lesions(host, number, seed, redraw):
        if text in SOLID and (power := noise_ratio(before, case, host.noise.sd)) is not None:
            powers.append(power)
        profiles.append(profile(before, case, plan))
        print(f"{len(profiles)} {text}", flush=True)
    return {
        "lesions": len(profiles),
        "noise_power_ratio": _power_summary(powers) if len(powers) > 1 else None,
        "gradient": gradient_summary(np.array(profiles)),
    }


def _lesions(host: RealHost, number: int, seed: int, redraw: Redraw) -> Iterator[tuple[str, Case, Case, LesionPlan]]:
    """(words, case, the host before, plan) on a crop of the host, for the lesions that found a place."""
    for i in range(number):
        text = SOLID[i // 2 % len(SOLID)] if i % 2 == 0 else SEAM[i // 2 % len(SEAM)]
        for attempt in range(_TRIES):
            try:
                rng = np.random.default_rng([seed * 1009 + i, attempt])
                (plan,) = plan_lesions([parse(text).findings[0]], host.ct, host.organs, rng)
                assert isinstance(plan, LesionPlan)
                before, plan = cropped(host, plan)
                case = insert(before.ct, before.organs, [plan], redraw, host.noise)
            except InputError:
                continue
            yield text, case, before, plan
            break


def cropped(host: RealHost, plan: LesionPlan) -> tuple[Case, LesionPlan]:
    """The part of a host that a lesion reaches and `_CONTEXT` voxels round it, and its plan there."""
    ball = ball_box(plan, host.ct)
    low = np.maximum([s.start - _CONTEXT for s in ball], 0) // 2 * 2  # as Haar blocks lie in the host
    i, j, k = (slice(int(a), s.stop + _CONTEXT) for a, s in zip(low, ball, strict=True))
    affine = host.ct.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    ct = Volume(host.ct.hu[i, j, k], affine)
    organs = LabelMap(host.organs.ids[i, j, k], affine, host.organs.names)
    x, y, z = (int(c - a) for c, a in zip(plan.centre, low, strict=True))
    nothing = LabelMap(np.zeros(ct.hu.shape, np.uint8), affine, {})
    return Case(ct, organs, nothing), plan.model_copy(update={"centre": (x, y, z)})


def noise_ratio(before: Case, case: Case, noise_sd: float) -> dict[str, float] | None:
    """Noise power in the lesion over that of the host's organ within the same crop, in all and by band.

    Both are medians over patches of one size, each less its plane: a median leaves out patches with a vessel or an edge
    and does not lean, however much patches differ among themselves, as their quieter half would. `null` is the same of
    the host before: what a lesion that changes nothing reads. `paired` is the mean ratio, in logarithms, of patches
    after and before in the same places; what makes the place differ from its organ drops out, and vessels that were
    there do not. None where the lesion is small, and where the organ's structure hides its noise: patches beyond
    `_STRUCTURED` times the host's `noise_sd`, HU.
    """
    inner = ndimage.binary_erosion(case.lesions.ids > 0, iterations=2)
    held = before.organs.ids[(case.lesions.ids > 0) & (before.organs.ids > 0)]
    organ = before.organs.ids == (np.bincount(held).argmax() if held.size else -1)
    tissue = patches_in(before.ct.hu, ndimage.binary_erosion(organ), _PATCH)
    lesion, place = (patches_in(ct.hu, inner, _PATCH) for ct in (case.ct, before.ct))
    if min(len(lesion), len(tissue)) < _LEAST_PATCHES:
        return None
    after, was, around = (_band_powers(patches) for patches in (lesion, place, tissue))
    if float(np.median(around[:, 0])) > (_STRUCTURED * noise_sd) ** 2:
        return None
    ratio, null = (np.median(powers, axis=0) / np.median(around, axis=0) for powers in (after, was))
    names = ("all", *(f"band_{k + 1}_of_{_BANDS}" for k in range(_BANDS)))
    paired = float(np.exp(np.log(after[:, 0] / was[:, 0]).mean()))
    return {**dict(zip(names, map(float, ratio), strict=True)), "null": float(null[0]), "paired": paired}


def _band_powers(patches: np.ndarray) -> np.ndarray:
    """Mean power of each patch (N, X, Y, Z) less its plane, in all and by band: (N, 1 + _BANDS) HU^2."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_PATCH[0]), np.fft.fftfreq(_PATCH[1]), indexing="ij"))
    band = np.minimum((frequency / 0.5 * _BANDS).astype(int), _BANDS - 1)
    spectra = np.stack([spectrum_of(patch[None]) for patch in patches])
    return np.stack(
        [spectra.mean(axis=(1, 2, 3)), *(spectra[:, band == k].mean(axis=(1, 2)) for k in range(_BANDS))], 1
    )


def _power_summary(powers: list[dict[str, float]]) -> dict[str, Any]:
    """Over lesions, the geometric mean of each ratio and its 95% interval."""
    out: dict[str, Any] = {"lesions": len(powers)}
    for name in powers[0]:
        logs = np.log([power[name] for power in powers])
        half = float(stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs)))
        low, mean, high = (round(float(np.exp(logs.mean() + d)), 3) for d in (-half, 0.0, half))
        out[name] = {"mean": mean, "interval_95": [low, high]}
    return out


def profile(before: Case, case: Case, plan: LesionPlan) -> list[tuple[float, float]]:
    """Mean absolute HU step across the faces of slices at each depth of `_DEPTHS`: in the host, and with the lesion.

    Depth counts pixels from the surface of all that the lesion reaches or pushes, inwards. The surface is the plan's,
    not where voxels happen to differ: those are picked for having changed.
    """
    axis = location.slice_axis(before.ct.affine)
    depth = _depth(_reach(before, plan), before.ct.spacing, axis)
    rows = []
    for level in _DEPTHS:
        steps: list[list[np.ndarray]] = [[], []]
        for along in (a for a in range(3) if a != axis):
            one = np.take(depth, range(depth.shape[along] - 1), along)
            other = np.take(depth, range(1, depth.shape[along]), along)
            face = (np.minimum(one, other) == level) & (np.maximum(one, other) == level + 1)
            for values, ct in zip(steps, (before.ct, case.ct), strict=True):
                values.append(np.abs(np.diff(ct.hu.astype(np.float32), axis=along))[face])
        was, now = (np.concatenate(part) for part in steps)
        rows.append((float(was.mean()), float(now.mean())) if was.size else (np.nan, np.nan))
    return rows


def _reach(before: Case, plan: LesionPlan) -> np.ndarray:
    grown = grow(plan, before.ct, before.organs)
    reach = np.zeros(before.ct.hu.shape, bool)
    reach[grown.box] = grown.share > 0
    if (displacement := displace(plan, grown, before.ct, before.organs)) is not None:
        reach[grown.box] |= displacement.moved
    return reach


def _depth(reach: np.ndarray, spacing: np.ndarray, axis: int) -> np.ndarray:
    """Whole pixels from the surface within each slice: 1, 2, .. inside, 0, -1, .. outside; far away where it is not."""
    apart = spacing.copy()
    apart[axis] = 1e6
    pixel = float(np.delete(spacing, axis).max())
    inside, outside = (ndimage.distance_transform_edt(part, sampling=apart) / pixel for part in (reach, ~reach))
    depth: np.ndarray = np.where(reach, np.ceil(inside - 1e-6), 1 - np.ceil(outside - 1e-6))
    return depth


def gradient_summary(profiles: np.ndarray) -> dict[str, Any]:
    """Of (lesions, depths, 2) steps: their ratio by depth, and whether the surface stands out from what is beside it.

    `excess` is the ratio at the surface less the mean of its neighbours': above 0 an edge, whose p is one-sided.
    `surface_p` compares the surface's own steps with those before, two-sided: any difference at all.
    """
    ratio = profiles[:, :, 1] / profiles[:, :, 0]
    at = _DEPTHS.index(0)
    excess = ratio[:, at] - (ratio[:, at - 1] + ratio[:, at + 1]) / 2
    change = profiles[:, at, 1] - profiles[:, at, 0]
    return {
        "surface_hu": {"before": _rounded(profiles[:, at, 0].mean()), "after": _rounded(profiles[:, at, 1].mean())},
        "ratio_by_depth": {
            str(depth): _rounded(value) for depth, value in zip(_DEPTHS, ratio.mean(axis=0), strict=True)
        },
        "excess": _rounded(excess.mean()),
        "excess_p_one_sided": _p(excess, "greater"),
        "surface_p": _p(change, "two-sided"),
        "higher_after": int((change > 0).sum()),
    }


def _rounded(value: float) -> float:
    return round(float(value), 4)


def _p(values: np.ndarray, alternative: str) -> float:
    """Wilcoxon's signed-rank p; 1 where nothing differs."""
    return float(f"{stats.wilcoxon(values, alternative=alternative).pvalue:.3g}") if np.any(values) else 1.0
