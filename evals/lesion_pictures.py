"""What `evals.lesions` shows beside counts: a sheet of one lesion of every type."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from evals.lesions import RealHost, draw_request, places_in, put
from prompts.request import FindingRequest
from synth.errors import InputError
from synth.lesions import LesionPlan, plan_lesions
from synth.lesions.insertion import Redraw
from synth.report import location, write
from synth.report.measurements import Measurements, VolumeMeasurement
from synth.volumes.types import Case

_TRIES = 10
_SHOWN_MM = 70.0
_WINDOWS = {"lung": (-600, 1500), "bone": (300, 1500), "kidney_stone": (300, 1200), "gallstone": (200, 1000)}
_SOFT_WINDOW = (50, 400)


def sheet(hosts: list[RealHost], seed: int, out: Path, redraw: Redraw) -> dict[str, Any]:
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
            if (result := placed(request, host, seed, redraw)) is not None:
                done.add(kind.name)
                case, lesion, _ = result
                nothing = VolumeMeasurement(spacing_mm=(0, 0, 0), extent_mm=(0, 0, 0), region=None)
                report = write(Measurements(volume=nothing, organs=(), lesions=(lesion,), targets=()))
                yield kind.name, host, case, report.section("findings")[0].text


def placed(request: FindingRequest, host: RealHost, seed: int, redraw: Redraw) -> tuple[Case, Any, LesionPlan] | None:
    """The host with the lesion, what was measured of it and its plan; None where no try fitted."""
    for attempt in range(_TRIES):
        try:
            (plan,) = plan_lesions([request], host.ct, host.organs, np.random.default_rng([seed, attempt]))
            assert isinstance(plan, LesionPlan)
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
