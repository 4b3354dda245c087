"""What is drawn into one panel of a preview: grey values, organs, findings, letters, a scale."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patheffects import withStroke

from synth.report.extents import extent_kind
from synth.volumes import labels, planes
from synth.volumes.planes import Plane, RasCase

PAPER, INK, FAINT = "#101114", "#e8e8ea", "#8e9199"
FONT = "DejaVu Sans"
_HALO = [withStroke(linewidth=2.5, foreground="black")]  # text and bars stay legible on white and on black
_ORGAN_WIDTH, _ORGAN_ALPHA = 0.7, 0.75
_FILLED = 0.38  # opacity of a finding that has no outline of its own


def draw(ax: Axes, view: Plane, window: planes.Window, named: bool = True) -> None:
    """Grey values in mm coordinates, so that the aspect is true; the caption says plane and window."""
    wide, high = view.size_mm
    ax.imshow(
        view.hu, cmap="gray", vmin=window[0], vmax=window[1], origin="lower", extent=(0, wide, 0, high),
        interpolation="bilinear", aspect="auto",
    )  # fmt: skip
    ax.set_xlim(0, wide)
    ax.set_ylim(0, high)
    caption = f"{view.name}, {planes.WINDOW_NAMES[window]}" if named else f"{view.name}, unmarked"
    _note(ax, 0.015, 0.985, caption, ha="left", va="top", colour=INK)


def outline_organs(ax: Axes, ras: RasCase, view: Plane) -> None:
    """The border of every labelled organ, thin, in the colour of its label."""
    for organ in np.unique(view.organs):
        if name := ras.organ_names.get(int(organ)):
            _outline(ax, view, view.organs == organ, organ_colour(name), _ORGAN_WIDTH, _ORGAN_ALPHA)


def mark_lesions(ax: Axes, ras: RasCase, view: Plane, width: float, only: int | None = None) -> None:
    """The outline of every finding in its colour, or a translucent layer where it is told by its extent; its number.

    What an organ moved as it grew is outlined in dashes. `only` one finding is marked, without its number, where one is
    given.
    """
    for number in np.unique(view.lesions[view.lesions > 0]) if only is None else [only]:
        mask = view.lesions == number
        if not mask.any():
            continue
        colour = lesion_colour(ras, int(number))
        if planes.is_reach(ras, int(number)):
            _outline(ax, view, mask, colour, width, dashed=True)
        elif _is_spread(ras, int(number)):
            _fill(ax, view, mask, colour)
        else:
            _outline(ax, view, mask, colour, width)
        if only is None:
            _number(ax, view, mask, str(number), colour)


def lesion_colour(ras: RasCase, number: int) -> str:
    """Each finding its own, by its place among the ids."""
    ids = sorted(ras.lesion_names)
    return labels.LESION_COLOURS[(ids.index(number) if number in ids else 0) % len(labels.LESION_COLOURS)]


def organ_colour(name: str) -> str:
    """As the label table says."""
    table = labels.ids()
    return labels.structures()[list(table).index(name)].colour if name in table else FAINT


def _is_spread(ras: RasCase, number: int) -> bool:
    words = ras.lesion_names.get(number, "").split("_")
    return extent_kind("_".join(words[:-1] if words[-1].isdigit() else words)) is not None


def _fill(ax: Axes, view: Plane, mask: np.ndarray, colour: str) -> None:
    wide, high = view.size_mm
    layer = np.zeros((*mask.shape, 4), np.float32)
    layer[..., :3] = to_rgb(colour)
    layer[..., 3] = _FILLED * mask
    ax.imshow(layer, origin="lower", extent=(0, wide, 0, high), interpolation="nearest", aspect="auto")


def _outline(
    ax: Axes, view: Plane, mask: np.ndarray, colour: str, width: float, alpha: float = 1.0, dashed: bool = False
) -> None:
    """The border of a mask, in the mm of the picture; padded so that it closes at the edge."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    bottom, left = rows[0], columns[0]
    padded = np.pad(mask[bottom : rows[-1] + 1, left : columns[-1] + 1], 1).astype(float)
    x = (np.arange(padded.shape[1]) + left - 0.5) * view.pixel[0]
    y = (np.arange(padded.shape[0]) + bottom - 0.5) * view.pixel[1]
    ax.contour(
        x,
        y,
        padded,
        levels=[0.5],
        colors=[colour],
        linewidths=width,
        alpha=alpha,
        linestyles="dashed" if dashed else "solid",
    )


def _number(ax: Axes, view: Plane, mask: np.ndarray, text: str, colour: str) -> None:
    """Its number at the upper right of a finding, within the panel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    wide, high = view.size_mm
    x = min((columns[-1] + 1.5) * view.pixel[0] / wide, 0.95)
    y = min((rows[-1] + 1.5) * view.pixel[1] / high, 0.93)
    ax.text(
        x, y, text, transform=ax.transAxes, ha="left", va="bottom", size=11, weight="bold", color=colour, family=FONT,
        path_effects=_HALO,
    )  # fmt: skip


def letters(ax: Axes, view: Plane) -> None:
    """Which side of the patient each edge is."""
    left, right, bottom, top = view.edges
    for x, y, letter in ((0.025, 0.5, left), (0.975, 0.5, right), (0.5, 0.03, bottom), (0.5, 0.97, top)):
        _note(ax, x, y, letter, ha="center", va="center", colour="#ffd60a")


def crossing(ax: Axes, view: Plane) -> None:
    """Short ticks at the edges where the other two planes cut this one."""
    wide, high = view.size_mm
    x, y = (view.crossing[0] + 0.5) * view.pixel[0], (view.crossing[1] + 0.5) * view.pixel[1]
    tick = 0.02 * max(wide, high)
    for xs, ys in (
        ((x, x), (0, tick)),
        ((x, x), (high - tick, high)),
        ((0, tick), (y, y)),
        ((wide - tick, wide), (y, y)),
    ):
        ax.plot(xs, ys, color="#64d2ff", linewidth=1.2)


def scale_bar(ax: Axes, view: Plane) -> None:
    """A length of whole mm at the lower right."""
    wide, high = view.size_mm
    length = max(mm for mm in (5, 10, 20, 50, 100) if mm <= max(5.0, wide / 3))
    right, y = wide * 0.97, high * 0.035
    ax.plot((right - length, right), (y, y), color=INK, linewidth=2, solid_capstyle="butt", path_effects=_HALO)
    _note(ax, (right - length / 2) / wide, 0.05, f"{length} mm", ha="center", va="bottom", colour=INK)


def _note(ax: Axes, x: float, y: float, text: str, *, ha: str, va: str, colour: str) -> None:
    ax.text(x, y, text, transform=ax.transAxes, ha=ha, va=va, size=8, color=colour, family=FONT, path_effects=_HALO)
