"""Every kind of finding that is told by its extent, drawn in a real host, measured, checked, and shown on a sheet."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evals.lesions import TRIES, RealHost
from prompts.request import FindingRequest
from prompts.vocabulary import Organ, Pattern
from synth.errors import InputError
from synth.lesions import insert, keep_painted, plan_lesions
from synth.lesions.extent_acceptance import extent_checks
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.extent_types import ONLY, ExtentType, extent_types
from synth.report import write
from synth.report.location import slice_axis
from synth.report.measure import measure
from synth.report.measurements import LesionMeasurement
from synth.volumes.types import Case

_WINDOWS: dict[str, tuple[float, float]] = {
    Organ.LUNG: (-600, 1500),
    Organ.PLEURA: (-600, 1500),
    "calcification": (250, 1100),
    "device": (300, 2000),
    "soft": (50, 420),
}
_COLUMNS, _COLOURS = 3, 64
_SHOWN = 0.8  # of the slice with the most of it: slices with as much are shown


@dataclass(frozen=True)
class Shown:
    """One kind: its request, plan, case, sentence, tries and seconds."""

    kind: ExtentType
    pattern: str
    plan: ExtentPlan
    case: Case
    found: LesionMeasurement
    sentence: str
    tries: int
    seconds: float
    failed: tuple[str, ...]


def kinds(host: RealHost, seed: int, out: Path) -> dict[str, Any]:
    """`kinds.png` and one small picture a kind in `kinds/`; what was drawn, in how many tries and seconds."""
    (out / "kinds").mkdir(parents=True, exist_ok=True)
    rows, panels = [], []
    for shown in _each(host, seed):
        name = shown.kind.name + ("" if shown.pattern == ONLY else f"_{shown.pattern.replace('-', '_')}")
        rows.append(
            {
                "kind": name,
                "sentence": shown.sentence,
                "tries": shown.tries,
                "cpu_seconds": round(shown.seconds, 2),
                "failed": list(shown.failed),
            }
        )
        print(
            f"{name}: {shown.sentence} ({shown.tries} tries, {shown.seconds:.1f} s) {' '.join(shown.failed)}",
            flush=True,
        )
        panels.append((name, shown.kind.sees, shown.sentence, *_pictures(host, shown)))
        _save(out / "kinds" / f"{name}.png", panels[-1])
    _sheet(out / "kinds.png", panels)
    return {"kinds": rows, "accepted": sum(not r["failed"] for r in rows), "of": len(rows), "file": "kinds.png"}


def _each(host: RealHost, seed: int) -> Iterator[Shown]:
    for kind in extent_types().values():
        for pattern in kind.patterns:
            shown = _drawn(host, kind, pattern, seed)
            if shown is not None:
                yield shown


def _drawn(host: RealHost, kind: ExtentType, pattern: str, seed: int) -> Shown | None:
    """The kind in the host, drawn until it is accepted, else as it was drawn last; None where there is no place."""
    request = FindingRequest(
        kind=kind.kinds[0], organ=kind.organ, pattern=None if pattern == ONLY else Pattern(pattern)
    )
    last: Shown | None = None
    for attempt in range(TRIES):
        began = time.process_time()
        try:
            (plan,) = plan_lesions([request], host.ct, host.organs, np.random.default_rng([seed, attempt]))
            assert isinstance(plan, ExtentPlan)
            case = insert(host.ct, host.organs, [plan], keep_painted, host.noise)
        except InputError as error:
            print(f"{kind.name}: {error}", flush=True)
            continue
        seconds = time.process_time() - began
        measured = measure(case)
        (found,) = measured.lesions
        failed = tuple(f"{c.name}={c.value:.3g}" for c in extent_checks(plan, found) if not c.ok)
        text = write(measured).section("findings")[0].text
        last = Shown(kind, pattern, plan, case, found, text, attempt + 1, seconds, failed)
        if not failed:
            break
    return last


def _pictures(host: RealHost, shown: Shown) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Before, after, and the mask, as images of one axial slice or, for what runs up and down, a coronal one."""
    case, axis = shown.case, slice_axis(host.ct.affine)
    mask = case.lesions.ids > 0
    along = 1 if shown.kind.draw in ("central_line", "pacemaker", "port", "chest_tube", "aneurysm") else axis
    amount = mask.sum(axis=tuple(a for a in range(3) if a != along))
    likely = np.flatnonzero(amount >= _SHOWN * amount.max())
    best = int(likely[len(likely) // 2])
    images = [np.take(a, best, along).astype(float) for a in (host.ct.hu, case.ct.hu, mask)]
    if along == 1:  # a thick slab shows a thin line
        slab = slice(max(best - 25, 0), best + 25)
        images = [a[:, slab].max(axis=1).astype(float) for a in (host.ct.hu, case.ct.hu, mask)]
    level, width = _window(shown.kind)
    shown_images = [((i - level) / width + 0.5).clip(0, 1) for i in images[:2]] + [images[2]]
    aspect = float(host.ct.spacing[2 if along == 1 else 1] / host.ct.spacing[0])
    signs = np.sign(np.diag(host.ct.affine[:3, :3]))
    rows = 2 if along == 1 else 1
    before, after, outline = (_upright(i, signs[0] > 0, signs[rows] > 0) for i in shown_images)
    return before, after, outline, aspect


def _window(kind: ExtentType) -> tuple[float, float]:
    if "calcification" in kind.name:
        return _WINDOWS["calcification"]
    if kind.unit == "things":
        return _WINDOWS["device"]
    return _WINDOWS.get(kind.organ, _WINDOWS["soft"])


def _upright(image: np.ndarray, mirror: bool, flip: bool) -> np.ndarray:
    """Rows from front to back or head to foot, the patient's right on the left."""
    turned = image.T
    turned = turned[:, ::-1] if mirror else turned
    return turned[::-1] if flip else turned


def _save(path: Path, panel: tuple[Any, ...]) -> None:
    """A small picture: the slice without and with the finding."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    _, _, _, before, after, _, aspect = panel
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2 * before.shape[0] * aspect / before.shape[1]), dpi=70)
    for axis, image in zip(axes, (before, after), strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1, aspect=aspect)
        axis.axis("off")
    figure.subplots_adjust(0, 0, 1, 1, 0.01, 0)
    _small(figure, path)
    plt.close(figure)


def _small(figure: Any, path: Path) -> None:
    """The figure as PNG of few colours."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer)
    Image.open(buffer).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def _sheet(path: Path, panels: list[tuple[Any, ...]]) -> None:
    """All kinds: without, with, and with its outline; what a reader should see, and what was measured."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = -(-len(panels) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(7.2 * _COLUMNS, 3.6 * rows), dpi=60)
    for axis in np.ravel(axes):
        axis.axis("off")
    for axis, (name, sees, sentence, before, after, outline, aspect) in zip(np.ravel(axes), panels, strict=False):
        axis.imshow(np.concatenate([before, after], axis=1), cmap="gray", vmin=0, vmax=1, aspect=aspect)
        axis.contour(
            np.concatenate([outline, np.zeros_like(outline)], axis=1), [0.5], colors="tab:orange", linewidths=0.6
        )
        axis.set_title(name, fontsize=11)
        text = "\n".join([*textwrap.wrap(f"Should show: {sees}.", 100), *textwrap.wrap(sentence, 100)])
        axis.text(0, -0.03, text, transform=axis.transAxes, fontsize=8, va="top")
    figure.subplots_adjust(left=0.01, right=0.99, top=0.98, bottom=0.03, hspace=0.38, wspace=0.03)
    _small(figure, path)
    plt.close(figure)
