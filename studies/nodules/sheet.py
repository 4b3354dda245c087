"""24 real nodules, each beside one that was drawn with its ratings.

    python -m studies.nodules.sheet --data ../shared/data/nodules --out runs/nodules.png

Middle slices of 32 mm, lung window, from solid to ground glass and from large to small; the real one is on the left.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from studies.nodules.crops import Nodule, read_nodules
from studies.nodules.drawn import WINDOW, Sample, drawn_samples, hosts_of, real_sample
from synth.failure import ended

_PAIRS, _COLUMNS = 24, 4
_WINDOW_HU = (-1150, 350)


def pairs_of(nodules: Sequence[Nodule], drawn: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    """A real and a drawn one each, evenly over sizes within each texture."""
    first = {sample.of.name: sample for sample in reversed(drawn)}
    there = [n for n in nodules if n.name in first]
    order = sorted(there, key=lambda n: (-n.ratings["texture"], -n.diameter_mm))
    chosen = [order[i] for i in np.unique(np.linspace(0, len(order) - 1, _PAIRS).round().astype(int))]
    return [(real_sample(n), first[n.name]) for n in chosen]


def draw_sheet(pairs: Sequence[tuple[Sample, Sample]], out: Path) -> None:
    """The picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = -(-len(pairs) // _COLUMNS)
    figure, axes = pyplot.subplots(rows, 2 * _COLUMNS, figsize=(2.2 * 2 * _COLUMNS, 2.45 * rows))
    for axis in axes.ravel():
        axis.axis("off")
    for place, pair in enumerate(pairs):
        row, column = divmod(place, _COLUMNS)
        for sample, axis in zip(pair, axes[row, 2 * column : 2 * column + 2], strict=True):
            depth = int(np.argmax(sample.body.sum(axis=(0, 1)))) if sample.body.any() else WINDOW // 2
            low, high = _WINDOW_HU
            axis.imshow(sample.hu[:, :, depth].T, cmap="gray", vmin=low, vmax=high, interpolation="bicubic")
            rated = sample.of.ratings
            words = f"t{rated['texture']} m{rated['margin']} s{rated['spiculation']} l{rated['lobulation']}"
            axis.set_title(("drawn " if sample.drawn else "real ") + words, fontsize=8)
    figure.tight_layout()
    figure.savefig(out, dpi=60)


def main(arguments: list[str] | None = None) -> int:
    """The command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m studies.nodules.sheet", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the nodules")
    parser.add_argument("--out", type=Path, required=True, help="PNG file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    nodules = read_nodules(options.data)
    drawn = list(drawn_samples(nodules, hosts_of(nodules), 1, options.seed))
    draw_sheet(pairs_of(nodules, drawn), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(ended(main, "studies.nodules.sheet"))
