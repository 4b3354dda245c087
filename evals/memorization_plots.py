"""Pictures of a memorization audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evals.plotting import REAL_COLOUR, SYNTHETIC_COLOUR, canvas, png
from evals.result import ResultPicture

if TYPE_CHECKING:
    from evals.memorization import Neighbours
    from evals.sets import VolumeSet

_WINDOW = (-200, 300)  # HU


def distributions(values: dict[str, tuple[np.ndarray, np.ndarray]]) -> ResultPicture:
    """Cumulative distributions of each distance, synthetic and held-out."""
    fig, axes = canvas(2, 2, height=5.4)
    for ax, (name, sides) in zip(axes, values.items(), strict=True):
        for side, colour in zip(sides, (SYNTHETIC_COLOUR, REAL_COLOUR), strict=True):
            ax.step(np.sort(side), (np.arange(len(side)) + 1) / len(side), where="post", color=colour)
        ax.set_title(name.replace("_", ", "), fontsize=10)
        ax.set_ylim(0, 1.02)
    axes[0].set_ylabel("share of volumes")
    return ResultPicture(
        "Distance to the nearest training patient",
        png(fig, legend=True),
        "Real: held-out patients. A synthetic curve to the left of the real one means nearer to the training set.",
    )


def pairs(group: VolumeSet, train: VolumeSet, neighbours: Neighbours, count: int, space: str) -> list[ResultPicture]:
    """Middle slices of the volumes that stand out most, each beside its nearest training volume."""
    from evals.memorization import suspects

    chosen = suspects(neighbours, count)
    fig, axes = canvas(len(chosen), 4, height=6.2)
    for column, i in enumerate(chosen):
        a, b = group.features[i].thumb, train.features[neighbours.nearest[i]].thumb
        if space == "pixel" and np.abs(a - b[::-1]).mean() < np.abs(a - b).mean():
            b = b[::-1]
        for row, (volume, axis) in enumerate(((a, 2), (b, 2), (a, 0), (b, 0))):
            ax = axes[row * len(chosen) + column]
            middle = np.take(volume, volume.shape[axis] // 2, axis)
            ax.imshow(middle.T, cmap="gray", vmin=_WINDOW[0], vmax=_WINDOW[1], origin="lower", interpolation="nearest")
            ax.axis("off")
        axes[column].set_title(
            f"{group.names[i]}\n{train.names[neighbours.nearest[i]]}\n{neighbours.ratio[i]:.2f}", fontsize=7
        )
    caption = "Rows: synthetic and training, axial; synthetic and training, sagittal. Above: names and the ratio."
    return [ResultPicture(f"Closest pairs, {space} space", png(fig), caption)]
