"""Pictures of an agreement evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from evals.plotting import PALETTE, canvas, png
from evals.result import ResultPicture, ResultTable

if TYPE_CHECKING:
    from evals.agreement import Rate

_SHOWN = (("prompt", "plan"), ("prompt", "volume"), ("volume", "report"))


def rates(found: Sequence[Rate]) -> ResultPicture:
    """Share of agreement by attribute, with intervals."""
    names = list(dict.fromkeys(r.attribute for r in found if r.link in _SHOWN))
    fig, (ax,) = canvas(1, height=0.42 * len(names) + 1.2)
    for j, link in enumerate(_SHOWN):
        mine = [r for r in found if r.link == link]
        for i, r in enumerate(mine):
            y = names.index(r.attribute) + 0.22 * (j - 1)
            ax.plot(r.interval, [y, y], color=PALETTE[j], lw=2)
            ax.plot(r.percent, y, "o", ms=5, color=PALETTE[j], label=" to ".join(link) if i == 0 else None)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(-2, 102)
    ax.set_xlabel("%")
    ax.grid(axis="x", alpha=0.3)
    fig.legend(loc="outside upper right", ncols=len(_SHOWN), frameon=False, fontsize=8)
    return ResultPicture("Agreement by attribute", png(fig), "95% Wilson intervals.")


def confusion(table: ResultTable) -> ResultPicture:
    """A confusion table as a heat map."""
    counts = np.array([row[1:] for row in table.rows], dtype=float)
    fig, (ax,) = canvas(1, height=0.45 * len(table.rows) + 1.6)
    ax.imshow(counts / counts.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (i, j), n in np.ndenumerate(counts):
        if n:
            share = n / counts[i].sum()
            ax.text(j, i, f"{n:.0f}", ha="center", va="center", fontsize=9, color="white" if share > 0.6 else "black")
    ax.set_xticks(range(counts.shape[1]), table.columns[1:], rotation=20, ha="right", fontsize=8)
    ax.set_yticks(range(counts.shape[0]), [str(row[0]) for row in table.rows], fontsize=8)
    ax.set_xlabel("found in the volume")
    ax.set_ylabel("asked")
    return ResultPicture(table.title, png(fig))
