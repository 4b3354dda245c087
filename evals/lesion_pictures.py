"""What `evals.lesions` shows beside counts: a sheet of every type, noise power inside lesions, seams round them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage, stats

from evals.lesions import RealHost, draw_request, places_in, put
from prompts import parse
from prompts.request import FindingRequest
from synth.errors import InputError
from synth.lesions import LesionPlan, plan_lesions
from synth.lesions.insertion import Redraw
from synth.report import location, write
from synth.report.measurements import Measurements, VolumeMeasurement
from synth.report.noise import patches_in, spectrum_of
from synth.types import Case

_TRIES = 10
_PATCH = (8, 8, 4)  # voxels
_LEAST_PATCHES = 6
_BANDS = 3  # of equal width from 0 to the Nyquist frequency of the slice
_SHOWN_MM = 70.0
_WINDOWS = {"lung": (-600, 1500), "bone": (300, 1500), "kidney_stone": (300, 1200), "gallstone": (200, 1000)}
_SOFT_WINDOW = (50, 400)
_SOLID = ("35 mm homogeneous liver tumour", "30 mm homogeneous liver metastasis", "28 mm homogeneous kidney tumour")
_SEAM = (*_SOLID, "20 mm solid nodule in the lung", "14 mm liver cyst", "18 mm kidney cyst", "16 mm pancreas tumour")


def sheet(hosts: list[RealHost], number: int, seed: int, out: Path, redraw: Redraw) -> dict[str, Any]:
    """`lesions_types.png`: one lesion of every type in the first host that takes it, its measured sentence beneath."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = list(_one_of_each(hosts, seed, redraw))
    columns = 4
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, 5.6 * rows), dpi=70)
    for axis in np.ravel(axes):
        axis.axis("off")
    for axis, (name, host, case, text) in zip(np.ravel(axes), found, strict=False):
        _draw(axis, name, case)
        axis.set_title(f"{name}  ({host.name})", fontsize=10)
        axis.text(0, -0.02, _wrapped(text), transform=axis.transAxes, fontsize=7.5, va="top")
    figure.subplots_adjust(left=0.01, right=0.99, top=0.97, bottom=0.06, hspace=0.42, wspace=0.04)
    figure.savefig(out / "lesions_types.png")
    return {"types": [name for name, *_ in found], "file": "lesions_types.png"}


def _one_of_each(hosts: list[RealHost], seed: int, redraw: Redraw) -> Any:
    rng = random.Random(seed)
    done: set[str] = set()
    for host in hosts:
        for kind, organ, room in places_in(host):
            if kind.name in done:
                continue
            plain = draw_request(kind, organ, host, room, rng)
            request = FindingRequest(kind=plain.kind, organ=organ, size_mm=plain.size_mm)
            if (result := _placed(request, host, seed, redraw)) is not None:
                done.add(kind.name)
                case, lesion, _ = result
                nothing = VolumeMeasurement(spacing_mm=(0, 0, 0), extent_mm=(0, 0, 0), region=None)
                report = write(Measurements(volume=nothing, organs=(), lesions=(lesion,), targets=()))
                yield kind.name, host, case, report.section("findings")[0].text


def _placed(request: FindingRequest, host: RealHost, seed: int, redraw: Redraw) -> tuple[Case, Any, LesionPlan] | None:
    for attempt in range(_TRIES):
        try:
            (plan,) = plan_lesions([request], host.ct, host.organs, np.random.default_rng([seed, attempt]))
            case, lesion = put(host, plan, redraw)
        except InputError:
            continue
        return case, lesion, plan
    return None


def _draw(axis: Any, name: str, case: Case) -> None:
    """The slice with the most lesion, head up or patient's left on the right, with the mask's outline."""
    along = location.slice_axis(case.ct.affine)
    mask = case.lesions.ids > 0
    best = int(mask.sum(axis=tuple(a for a in range(3) if a != along)).argmax())
    hu, inside = (np.take(a, best, along) for a in (case.ct.hu, mask))
    spacing = np.delete(case.ct.spacing, along)
    middle = np.argwhere(inside).mean(axis=0)
    extent = np.ptp(np.argwhere(inside), axis=0).max() * spacing.max()
    half = np.maximum(_SHOWN_MM, 0.75 * extent) / spacing
    low, high = np.maximum(middle - half, 0).astype(int), (middle + half).astype(int)
    cut = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    level, width = next((w for key, w in _WINDOWS.items() if name.startswith(key)), _SOFT_WINDOW)
    signs = np.sign(np.diag(case.ct.affine[:3, :3]))  # axes of the hosts run along the patient's
    image, outline = hu[cut].T, inside[cut].T
    if signs[0] > 0:
        image, outline = image[:, ::-1], outline[:, ::-1]
    if signs[1] > 0:
        image, outline = image[::-1], outline[::-1]
    axis.imshow(image, cmap="gray", vmin=level - width / 2, vmax=level + width / 2, aspect=spacing[1] / spacing[0])
    axis.contour(outline, [0.5], colors="tab:orange", linewidths=0.7)


def _wrapped(text: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, 62))


def noise_and_seams(hosts: list[RealHost], number: int, seed: int, out: Path, redraw: Redraw) -> dict[str, Any]:
    """Noise power inside solid lesions over the host organ's, by frequency; steps at the border of what changed.

    The first needs a few patches inside a lesion, so it uses the large ones alone.
    """
    ratios, steps = [], []
    for i in range(number):
        text = _SEAM[i % len(_SEAM)]
        request = parse(text).findings[0]
        result = _placed(request, hosts[0], seed * 1009 + i, redraw)
        if result is None:
            continue
        case, _, plan = result
        if text in _SOLID and (ratio := noise_ratio(hosts[0], case, plan)) is not None:
            ratios.append(ratio)
        steps.append(border_steps(hosts[0], case))
    before, after, elsewhere = (np.array(column) for column in zip(*steps, strict=True))
    power = np.array(ratios)
    return {
        "lesions": len(steps),
        "noise_power_ratio": {
            "lesions": len(power),
            "all": _mean_and_interval(power[:, 0]),
            **{f"band_{k + 1}_of_{_BANDS}": _mean_and_interval(power[:, k + 1]) for k in range(_BANDS)},
        },
        "border_step_hu": {
            "before": round(float(before.mean()), 3),
            "after": round(float(after.mean()), 3),
            "elsewhere": round(float(elsewhere.mean()), 3),
            "wilcoxon_p_after_against_before": float(f"{stats.wilcoxon(after, before).pvalue:.3g}"),
            "wilcoxon_p_after_against_elsewhere": float(f"{stats.wilcoxon(after, elsewhere).pvalue:.3g}"),
            "higher_after": int((after > before).sum()),
        },
    }


def _mean_and_interval(values: np.ndarray) -> dict[str, float]:
    half = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values))
    return {"mean": round(float(values.mean()), 3), "half_interval_95": round(half, 3)}


def noise_ratio(host: RealHost, case: Case, plan: LesionPlan) -> list[float] | None:
    """Noise power in the lesion over that in the untouched host organ: all, then by band; None where it is small.

    Both from patches of one size, each less its plane. Patches in the host lie in the same organ of the same CT.
    """
    inside = ndimage.binary_erosion(case.lesions.ids == plan.id, iterations=2)
    box = location.boxes(inside.view(np.uint8)).get(1)
    if box is None:
        return None
    lesion = patches_in(case.ct.hu[box], inside[box], _PATCH)
    organ = ndimage.binary_erosion(host.organs.mask(*plan.structures), iterations=2)
    wide = location.boxes(organ.view(np.uint8))[1]
    tissue = patches_in(host.ct.hu[wide], organ[wide], _PATCH)
    if min(len(lesion), len(tissue)) < _LEAST_PATCHES:
        return None
    one, other = (spectrum_of(_quieter_half(patches)) for patches in (lesion, tissue))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_PATCH[0]), np.fft.fftfreq(_PATCH[1]), indexing="ij"))
    band = np.minimum((frequency / 0.5 * _BANDS).astype(int), _BANDS - 1)
    bands = [float(one[band == k].sum() / other[band == k].sum()) for k in range(_BANDS)]
    return [float(one.sum() / other.sum()), *bands]


def _quieter_half(patches: np.ndarray) -> np.ndarray:
    """Patches (N, X, Y, Z) up to their median SD: those that hold vessels or an edge are left out, alike everywhere."""
    sds = patches.std(axis=(1, 2, 3))
    return patches[sds <= np.median(sds)]


def border_steps(host: RealHost, case: Case) -> tuple[float, float, float]:
    """Mean absolute HU step over the faces where what changed ends: in the host before, in the case after; and over
    faces of the same kind 3 to 6 mm further out, where nothing changed."""
    changed = ndimage.binary_fill_holes(ndimage.binary_closing(case.ct.hu != host.ct.hu))
    box = location.grown(location.boxes(changed.view(np.uint8))[1], changed.shape, host.ct.spacing, 10.0)
    changed, before, after = changed[box], host.ct.hu[box].astype(float), case.ct.hu[box].astype(float)
    outside = ndimage.distance_transform_edt(~changed, sampling=host.ct.spacing)
    far = (outside > 3) & (outside < 6)
    steps: list[list[np.ndarray]] = [[], [], []]
    for axis in range(2):
        face = np.diff(changed.astype(np.int8), axis=axis) != 0
        other = np.take(far, range(far.shape[axis] - 1), axis) & np.take(far, range(1, far.shape[axis]), axis)
        jump_before, jump_after = np.abs(np.diff(before, axis=axis)), np.abs(np.diff(after, axis=axis))
        for values, jump, where in zip(steps, (jump_before, jump_after, jump_before), (face, face, other), strict=True):
            values.append(jump[where])
    one, two, three = (float(np.concatenate(part).mean()) for part in steps)
    return one, two, three
