"""preview.png: three planes of a case, a row of close-ups a finding, the organs, and the report."""

from __future__ import annotations

import gc
import io
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from synth import __version__
from synth.case import panels
from synth.case.panels import FAINT, FONT, INK, PAPER
from synth.volumes import geometry, nifti, planes
from synth.volumes.planes import LesionBox, Plane, RasCase
from synth.volumes.types import Case

_DPI = 100
_WIDTH, _GAP, _TITLE, _LINE = 1400, 14, 34, 21  # pixels
_TALLEST = 620  # pixels of the row of planes
_MOST_ROWS = 6  # findings that get a row of close-ups; the others are outlined in the planes alone
_TILES = {1: 232, 2: 216, 3: 188, 4: 172, 5: 160, 6: 150}  # rows -> pixels of a close-up
_LEAST_MM, _MOST_MM, _LESIONS, _ROUND_MM = 50.0, 340.0, 2.5, 60.0  # a close-up spans 2.5 findings, or one and 60 mm
_TEXT_COLUMNS, _TEXT_LINES = 168, 40
_LETTER = 7.6  # pixels of one, at most nearly always
_LEGEND_ROWS, _LEGEND_COLUMN = 6, 230  # rows at most, and pixels of a column
_REACH = 0.01  # of what an organ moved as it grew, beside what a finding is
_NAME = 26  # letters of an organ's name that fit its column
_MADE = {
    "generate": "Synthetic CT",
    "insert": "CT of a host with synthetic findings",
    "adopt": "CT of another generator",
    "peer": "Synthetic CT",
}


def render(
    case: Case, report_text_lines: Sequence[str], door: str = "generate", report: Mapping[str, Any] | None = None
) -> bytes:
    """The preview of a case as PNG. The same case and words give the same bytes.

    `door` is that of its plan; `report`, a report.json, puts what is told of each finding beside its close-ups.
    """
    sentences = report["sentences"] if report else ()
    told = {s["id"]: s["text"] for s in sentences if s["section"] == "findings"}
    with _cycles_freed():
        return _drawn(case, report_text_lines, door, told)


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


def _drawn(case: Case, report_text_lines: Sequence[str], door: str, told: Mapping[str, str]) -> bytes:
    ras = planes.ras_case(case)
    lesions = planes.lesions_of(ras)
    at, box = planes.slices_through(ras, lesions), planes.body_box(ras)
    views = [planes.cut(ras, name, at, box) for name in ("axial", "coronal", "sagittal")]

    scale = _pixels_per_mm(views)
    shown = lesions[:_MOST_ROWS]
    tile = _TILES.get(len(shown), 0)
    organs = _entries(ras, views)
    more = len(lesions) - len(shown)
    high = round(max(view.size_mm[1] for view in views) * scale)
    rows = [_TITLE, high, len(shown) * (tile + _GAP) + (_LINE if more > 0 else 0), _legend_height(organs)]
    lines = _wrapped(report_text_lines)
    sheet = _Sheet(sum(rows) + _GAP * 4 + _LINE * (len(lines) + 1))

    _title(sheet, case, door)
    _planes_row(sheet, ras, views, scale, lesions, top=rows[0] + _GAP)
    top = rows[0] + rows[1] + 2 * _GAP
    for number, lesion in enumerate(shown):
        words = told.get(ras.lesion_names[lesion.id], "")
        _close_ups(sheet, ras, lesion, tile, top=top + number * (tile + _GAP), words=words)
    if more > 0:
        names = ", ".join(_name(ras, lesion) for lesion in lesions[_MOST_ROWS:])
        sheet.text(_GAP, top + len(shown) * (tile + _GAP), f"and {textwrap.shorten(names, _TEXT_COLUMNS)}", size=9)
    _legend(sheet, organs, top=top + rows[2])
    _findings(sheet, lines, top=top + rows[2] + rows[3] + _GAP)
    return sheet.png()


class _Sheet:
    """A figure addressed in pixels from its top left corner."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.figure = Figure(figsize=(_WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor=PAPER)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        ax = self.figure.add_axes(
            (left / _WIDTH, bottom / self.height, width / _WIDTH, height / self.height), facecolor="black"
        )
        ax.set_axis_off()
        return ax

    def text(
        self, left: float, top: float, text: str, size: float = 10, colour: str = INK, weight: str = "normal"
    ) -> None:
        x, y = left / _WIDTH, 1 - top / self.height
        self.figure.text(x, y, text, size=size, color=colour, family=FONT, va="top", weight=weight, parse_math=False)

    def png(self) -> bytes:
        buffer = io.BytesIO()
        FigureCanvasAgg(self.figure).print_png(buffer, metadata={"Software": nifti.MARK})
        return buffer.getvalue()


def _pixels_per_mm(views: Sequence[Plane]) -> float:
    """One scale for all planes, so that they can be compared."""
    width = sum(view.size_mm[0] for view in views)
    height = max(view.size_mm[1] for view in views)
    return min((_WIDTH - _GAP * (len(views) + 1)) / width, _TALLEST / height)


def _title(sheet: _Sheet, case: Case, door: str) -> None:
    """What it is, what made it, and its grid."""
    spacing = " x ".join(f"{s:.2f}".rstrip("0").rstrip(".") for s in geometry.voxel_spacing(case.ct.affine))
    size = " x ".join(str(n) for n in case.ct.hu.shape)
    made = _MADE.get(door, _MADE["generate"])
    sheet.text(_GAP, 11, made, size=11, weight="bold")
    by = "measured" if door == "adopt" else "made"
    text = f"{by} by synthct {__version__}, for research; {size} voxels of {spacing} mm"
    sheet.text(_GAP + 24 + 8.4 * len(made), 12, text, size=9, colour=FAINT)


def _planes_row(
    sheet: _Sheet, ras: RasCase, views: Sequence[Plane], scale: float, lesions: Sequence[LesionBox], top: float
) -> None:
    left = (_WIDTH - sum(view.size_mm[0] * scale for view in views) - _GAP * (len(views) - 1)) / 2
    height = max(view.size_mm[1] * scale for view in views)
    for view in views:
        wide, high = (mm * scale for mm in view.size_mm)
        ax = sheet.axes(left, top + (height - high) / 2, wide, high)
        panels.draw(ax, view, _window(ras, view, lesions))
        panels.outline_organs(ax, ras, view)
        panels.mark_lesions(ax, ras, view, width=1.6)
        panels.letters(ax, view)
        panels.crossing(ax, view)
        panels.scale_bar(ax, view)
        left += wide + _GAP


def _window(ras: RasCase, view: Plane, lesions: Sequence[LesionBox]) -> planes.Window:
    """Of the finding that most of a plane shows, else of soft tissue."""
    areas = [
        (view.lesions == lesion.id).sum() * (_REACH if planes.is_reach(ras, lesion.id) else 1) for lesion in lesions
    ]
    if not any(areas):
        return planes.SOFT_TISSUE
    return planes.window_of(ras, lesions[int(np.argmax(areas))])


def _close_ups(sheet: _Sheet, ras: RasCase, lesion: LesionBox, tile: int, top: float, words: str) -> None:
    """A row of one finding in its window: axial as it is, all planes with it marked, its number, name and sentence."""
    extent = lesion.extent_mm(ras.spacing)
    width = min(max(_LEAST_MM, min(_LESIONS * extent, extent + _ROUND_MM)), _MOST_MM)
    box, window = planes.box_around(ras, lesion, width), planes.window_of(ras, lesion)
    left: float = _GAP
    for name, marked in (("axial", False), ("axial", True), ("coronal", True), ("sagittal", True)):
        view = planes.cut(ras, name, planes.middle_of(ras, lesion), box)
        ax = sheet.axes(left, top, tile, tile)
        panels.draw(ax, view, window, named=marked)
        if marked:
            panels.mark_lesions(ax, ras, view, width=1.3, only=lesion.id)
        panels.scale_bar(ax, view)
        left += tile + _GAP / 2
    colour = panels.lesion_colour(ras, lesion.id)
    sheet.text(left + _GAP, top + 4, f"{lesion.id}", size=20, colour=colour, weight="bold")
    sheet.text(left + _GAP + 38, top + 9, _name(ras, lesion), size=12, colour=colour)
    sheet.text(left + _GAP + 38, top + 34, planes.WINDOW_NAMES[window], size=9, colour=FAINT)
    columns = int((_WIDTH - left - 4 * _GAP - 38) / _LETTER)
    for n, line in enumerate(textwrap.wrap(words, columns)[: (tile - 60) // _LINE]):
        sheet.text(left + _GAP + 38, top + 60 + n * _LINE, line, size=10)


def _name(ras: RasCase, lesion: LesionBox) -> str:
    """The name of a finding without the number at its end."""
    words = ras.lesion_names[lesion.id].split("_")
    return " ".join(words[:-1] if words[-1].isdigit() else words)


def _entries(ras: RasCase, views: Sequence[Plane]) -> list[tuple[str, str]]:
    """Name and colour of what is outlined, largest first; ribs and vertebrae count as one each."""
    area: Counter[str] = Counter()
    colours: dict[str, str] = {}
    for view in views:
        for organ, count in zip(*np.unique(view.organs, return_counts=True), strict=True):
            if name := ras.organ_names.get(int(organ)):
                group = "ribs" if name.startswith("rib_") else "vertebrae" if name.startswith("vertebrae_") else name
                area[group] += int(count)
                colours.setdefault(group, panels.organ_colour(name))
    return [(group.replace("_", " "), colours[group]) for group, _ in area.most_common()]


def _legend_height(entries: Sequence[tuple[str, str]]) -> int:
    rows = min(_LEGEND_ROWS, -(-len(entries) // (_WIDTH // _LEGEND_COLUMN)))
    return _GAP + _LINE * (rows + 1) if rows else 0


def _legend(sheet: _Sheet, entries: Sequence[tuple[str, str]], top: float) -> None:
    """Organs that the planes show, in columns; findings are named beside their close-ups."""
    columns = _WIDTH // _LEGEND_COLUMN
    rows = min(_LEGEND_ROWS, -(-len(entries) // columns))
    if entries:
        sheet.text(_GAP, top, "Organs", size=9, colour=FAINT)
    for i, (name, colour) in enumerate(entries[: rows * columns]):
        x, y = _GAP + _LEGEND_COLUMN * (i // rows), top + _LINE * (i % rows + 1)
        sheet.text(x, y - 3, "\N{BLACK SQUARE}", size=12, colour=colour)
        sheet.text(x + 18, y, name if len(name) <= _NAME else f"{name[: _NAME - 1]}\N{HORIZONTAL ELLIPSIS}", size=9)
    if (hidden := len(entries) - rows * columns) > 0:
        sheet.text(_GAP + 60, top, f"and {hidden} more", size=9, colour=FAINT)


def _findings(sheet: _Sheet, lines: Sequence[str], top: float) -> None:
    for i, line in enumerate(lines):
        title = line.isupper()
        sheet.text(_GAP, top + i * _LINE, line, size=9 if title else 10, colour=FAINT if title else INK)


def _wrapped(report_text_lines: Sequence[str]) -> list[str]:
    lines = [part for line in report_text_lines for part in (textwrap.wrap(line, _TEXT_COLUMNS) or [""])]
    return lines if len(lines) <= _TEXT_LINES else [*lines[: _TEXT_LINES - 1], "... (the rest is in report.txt)"]
