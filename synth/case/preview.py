"""preview.png: three planes of a case with the outlines of its masks, the lesion near by, and the findings."""

from __future__ import annotations

import gc
import io
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from synth.volumes import geometry, labels, nifti, planes
from synth.volumes.planes import LesionBox, Plane, RasCase
from synth.volumes.types import Case

_SOFT_TISSUE = (-160, 240)  # HU: level 40, width 400
_LUNG = (-1350, 150)  # HU: level -600, width 1500
_LESION_COLOUR = "#ff2d55"
_PAPER, _INK, _FAINT = "#101114", "#e8e8ea", "#8e9199"
_FONT = "DejaVu Sans"
_HALO = [withStroke(linewidth=2.5, foreground="black")]  # text and bars stay legible on white and on black

_DPI = 100
_WIDTH, _GAP, _TITLE, _LINE = 1400, 14, 34, 21  # pixels
_TALLEST = 620  # pixels of the row of planes
_ZOOM = 232  # pixels of one close-up
_ZOOM_LEAST_MM, _ZOOM_LESIONS = 50.0, 2.5  # a close-up spans this, or so many times the lesion
_CLOSER = 1.3  # a close-up that enlarges by less shows nothing new and is left out
_TEXT_COLUMNS, _TEXT_LINES = 168, 40
_LEGEND_ROWS, _LEGEND_COLUMN = 9, 200  # rows at most, and pixels of a column
_NAME, _LESIONS = 26, 3  # letters of a name that fit one, and lesions that are named


def render(case: Case, report_text_lines: Sequence[str]) -> bytes:
    """The preview of a case as PNG. The same case and lines give the same bytes."""
    with _cycles_freed():
        return _drawn(case, report_text_lines)


@contextmanager
def _cycles_freed() -> Iterator[None]:
    """A figure points to itself: 5 MB that Python frees only once 100,000 further objects are there, 20 figures on.

    Held back meanwhile, the collector finds all of it among the youngest objects, in milliseconds.
    """
    at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)
        if at_work:
            gc.enable()


def _drawn(case: Case, report_text_lines: Sequence[str]) -> bytes:
    ras = planes.ras_case(case)
    lesion = planes.largest_lesion(ras)
    at, box = planes.slices_through(ras, lesion), planes.body_box(ras)
    views = [planes.cut(ras, name, at, box) for name in ("axial", "coronal", "sagittal")]
    window = _LUNG if lesion is not None and planes.in_lung(ras, lesion) else _SOFT_TISSUE

    scale = _pixels_per_mm(views)
    close = lesion is not None and _ZOOM / _close_up_mm(ras, lesion) > _CLOSER * scale
    rows = [_TITLE, round(max(view.size_mm[1] for view in views) * scale)]
    rows.append(_ZOOM if close else _legend_height(ras, views))
    lines = _wrapped(report_text_lines)
    sheet = _Sheet(sum(rows) + _GAP * 4 + _LINE * (len(lines) + 1))

    _title(sheet, case, views)
    _planes_row(sheet, ras, views, scale, window, top=rows[0] + _GAP)
    below = rows[0] + rows[1] + 2 * _GAP
    left = _close_ups(sheet, ras, lesion, at, window, top=below) if lesion is not None and close else _GAP
    _legend(sheet, ras, views, left, top=below, rows=_LEGEND_ROWS if close else None)
    _findings(sheet, lines, top=below + rows[2] + _GAP)
    return sheet.png()


class _Sheet:
    """A figure addressed in pixels from its top left corner."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.figure = Figure(figsize=(_WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor=_PAPER)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        ax = self.figure.add_axes(
            (left / _WIDTH, bottom / self.height, width / _WIDTH, height / self.height), facecolor="black"
        )
        ax.set_axis_off()
        return ax

    def text(self, left: float, top: float, text: str, size: float = 10, colour: str = _INK) -> None:
        x, y = left / _WIDTH, 1 - top / self.height
        self.figure.text(x, y, text, size=size, color=colour, family=_FONT, va="top", parse_math=False)

    def png(self) -> bytes:
        buffer = io.BytesIO()
        FigureCanvasAgg(self.figure).print_png(buffer, metadata={"Software": nifti.MARK})
        return buffer.getvalue()


def _pixels_per_mm(views: Sequence[Plane]) -> float:
    """One scale for all planes, so that they can be compared."""
    width = sum(view.size_mm[0] for view in views)
    height = max(view.size_mm[1] for view in views)
    return min((_WIDTH - _GAP * (len(views) + 1)) / width, _TALLEST / height)


def _title(sheet: _Sheet, case: Case, views: Sequence[Plane]) -> None:
    spacing = " x ".join(f"{s:.2f}" for s in geometry.voxel_spacing(case.ct.affine))
    size = " x ".join(str(n) for n in case.ct.hu.shape)
    sheet.text(_GAP, 11, "Synthetic CT", size=11)
    sheet.text(_GAP + 112, 12, f"{nifti.MARK}   {size} voxels of {spacing} mm", size=9, colour=_FAINT)


def _planes_row(
    sheet: _Sheet, ras: RasCase, views: Sequence[Plane], scale: float, window: tuple[int, int], top: float
) -> None:
    left = (_WIDTH - sum(view.size_mm[0] * scale for view in views) - _GAP * (len(views) - 1)) / 2
    height = max(view.size_mm[1] * scale for view in views)
    for view in views:
        wide, high = (mm * scale for mm in view.size_mm)
        ax = sheet.axes(left, top + (height - high) / 2, wide, high)
        _draw(ax, view, window)
        _outline_organs(ax, ras, view)
        _outline_lesions(ax, view, width=1.6)
        _letters(ax, view)
        _crossing(ax, view)
        _scale_bar(ax, view)
        left += wide + _GAP


def _close_ups(
    sheet: _Sheet, ras: RasCase, lesion: LesionBox, at: tuple[int, int, int], window: tuple[int, int], top: float
) -> float:
    """Four close-ups: axial without outline, then all planes in soft-tissue window with it. Returns their right end."""
    box = planes.box_around(ras, lesion, _close_up_mm(ras, lesion))
    left: float = _GAP
    for name, outlined in (("axial", False), ("axial", True), ("coronal", True), ("sagittal", True)):
        view = planes.cut(ras, name, at, box)
        ax = sheet.axes(left, top, _ZOOM, _ZOOM)
        _draw(ax, view, _SOFT_TISSUE if outlined else window)
        if outlined:
            _outline_lesions(ax, view, width=1.3)
        _scale_bar(ax, view)
        left += _ZOOM + _GAP / 2
    return left + _GAP


def _close_up_mm(ras: RasCase, lesion: LesionBox) -> float:
    return max(_ZOOM_LEAST_MM, _ZOOM_LESIONS * lesion.extent_mm(ras.spacing))


def _draw(ax: Axes, view: Plane, window: tuple[int, int]) -> None:
    """Grey values in mm coordinates, so that the aspect is true; the caption says plane and window."""
    wide, high = view.size_mm
    ax.imshow(
        view.hu, cmap="gray", vmin=window[0], vmax=window[1], origin="lower", extent=(0, wide, 0, high),
        interpolation="bilinear", aspect="auto",
    )  # fmt: skip
    ax.set_xlim(0, wide)
    ax.set_ylim(0, high)
    kind = "lung window" if window == _LUNG else "soft tissue"
    _note(ax, 0.015, 0.985, f"{view.name}, {kind}", ha="left", va="top", colour=_INK)


def _outline_organs(ax: Axes, ras: RasCase, view: Plane) -> None:
    for organ in np.unique(view.organs):
        if int(organ) in ras.organ_names:
            _outline(ax, view, view.organs == organ, _colour(ras.organ_names[int(organ)]), width=0.7)


def _outline_lesions(ax: Axes, view: Plane, width: float) -> None:
    for lesion in np.unique(view.lesions[view.lesions > 0]):
        _outline(ax, view, view.lesions == lesion, _LESION_COLOUR, width)


def _outline(ax: Axes, view: Plane, mask: np.ndarray, colour: str, width: float) -> None:
    """The border of a mask, in the mm of the picture; padded so that it closes at the edge."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    bottom, left = rows[0], columns[0]
    padded = np.pad(mask[bottom : rows[-1] + 1, left : columns[-1] + 1], 1).astype(float)
    x = (np.arange(padded.shape[1]) + left - 0.5) * view.pixel[0]
    y = (np.arange(padded.shape[0]) + bottom - 0.5) * view.pixel[1]
    ax.contour(x, y, padded, levels=[0.5], colors=[colour], linewidths=width)


def _letters(ax: Axes, view: Plane) -> None:
    left, right, bottom, top = view.edges
    for x, y, letter in ((0.025, 0.5, left), (0.975, 0.5, right), (0.5, 0.03, bottom), (0.5, 0.97, top)):
        _note(ax, x, y, letter, ha="center", va="center", colour="#ffd60a")


def _crossing(ax: Axes, view: Plane) -> None:
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


def _scale_bar(ax: Axes, view: Plane) -> None:
    wide, high = view.size_mm
    length = max(mm for mm in (5, 10, 20, 50, 100) if mm <= max(5.0, wide / 3))
    right, y = wide * 0.97, high * 0.035
    ax.plot((right - length, right), (y, y), color=_INK, linewidth=2, solid_capstyle="butt", path_effects=_HALO)
    _note(ax, (right - length / 2) / wide, 0.05, f"{length} mm", ha="center", va="bottom", colour=_INK)


def _note(ax: Axes, x: float, y: float, text: str, *, ha: str, va: str, colour: str) -> None:
    ax.text(x, y, text, transform=ax.transAxes, ha=ha, va=va, size=8, color=colour, family=_FONT, path_effects=_HALO)


def _entries(ras: RasCase, views: Sequence[Plane]) -> list[tuple[str, str]]:
    """Name and colour of what is outlined, largest first; ribs and vertebrae count as one each."""
    area: Counter[str] = Counter()
    colours: dict[str, str] = {}
    for view in views:
        for organ, count in zip(*np.unique(view.organs, return_counts=True), strict=True):
            if name := ras.organ_names.get(int(organ)):
                group = "ribs" if name.startswith("rib_") else "vertebrae" if name.startswith("vertebrae_") else name
                area[group] += int(count)
                colours.setdefault(group, _colour(name))
    return [(group.replace("_", " "), colours[group]) for group, _ in area.most_common()]


def _legend_height(ras: RasCase, views: Sequence[Plane]) -> int:
    entries = len(_entries(ras, views)) + len(_lesion_entries(ras))
    return _GAP + (_LINE + 3) * min(_LEGEND_ROWS, -(-entries // (_WIDTH // _LEGEND_COLUMN)))


def _legend(sheet: _Sheet, ras: RasCase, views: Sequence[Plane], left: float, top: float, rows: int | None) -> None:
    """Names and colours in columns of `rows`; None: as few rows as the width allows."""
    entries = [*_lesion_entries(ras), *_entries(ras, views)]
    columns = max(1, int((_WIDTH - left) // _LEGEND_COLUMN))
    rows = rows or max(1, min(_LEGEND_ROWS, -(-len(entries) // columns)))
    for i, (name, colour) in enumerate(entries[: rows * columns]):
        x, y = left + _LEGEND_COLUMN * (i // rows), top + (_LINE + 3) * (i % rows)
        sheet.text(x, y - 3, "\N{BLACK SQUARE}", size=12, colour=colour)
        sheet.text(x + 18, y, name if len(name) <= _NAME else f"{name[: _NAME - 1]}\N{HORIZONTAL ELLIPSIS}", size=9)
    if (hidden := len(entries) - rows * columns) > 0:
        sheet.text(left, top + (_LINE + 3) * rows, f"and {hidden} more", size=9, colour=_FAINT)


def _lesion_entries(ras: RasCase) -> list[tuple[str, str]]:
    """The first lesions by number and name, each an entry of its own, and how many more there are."""
    lesions = sorted(ras.lesion_names.items())
    entries = [(f"{i} {name.replace('_', ' ')}", _LESION_COLOUR) for i, name in lesions[:_LESIONS]]
    more = len(lesions) - _LESIONS
    return [*entries, (f"{more} more of them", _LESION_COLOUR)] if more > 0 else entries


def _findings(sheet: _Sheet, lines: Sequence[str], top: float) -> None:
    for i, line in enumerate(lines):
        sheet.text(_GAP, top + i * _LINE, line, size=10)


def _wrapped(report_text_lines: Sequence[str]) -> list[str]:
    lines = [part for line in report_text_lines for part in (textwrap.wrap(line, _TEXT_COLUMNS) or [""])]
    return lines if len(lines) <= _TEXT_LINES else [*lines[: _TEXT_LINES - 1], "... (the rest is in report.txt)"]


def _colour(name: str) -> str:
    table = labels.ids()
    return labels.structures()[list(table).index(name)].colour if name in table else _FAINT
