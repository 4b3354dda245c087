"""The look of all plots."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

REAL_COLOUR, SYNTHETIC_COLOUR = "#20639b", "#e4572e"
PALETTE = ("#20639b", "#e4572e", "#3caea3", "#8e5ea2", "#b8860b", "#6b7280", "#c2185b")
_WIDTH, _HEIGHT, _DPI = 7.2, 3.4, 110


def canvas(columns: int, rows: int = 1, height: float = _HEIGHT) -> tuple[Figure, Sequence[Axes]]:
    """A figure and its axes, row by row; `height` in inches."""
    fig = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8)
    return fig, list(axes)


def png(fig: Figure, legend: bool = False) -> bytes:
    """The figure as PNG; `legend`: say which colour is real and which synthetic."""
    if legend:
        handles = [
            Line2D([], [], color=colour, marker="o", label=label)
            for colour, label in ((REAL_COLOUR, "real"), (SYNTHETIC_COLOUR, "synthetic"))
        ]
        fig.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=8)
    buffer = io.BytesIO()
    FigureCanvasAgg(fig).print_png(buffer)
    return buffer.getvalue()
