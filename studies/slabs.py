"""Slabs of chests in lung window: axial and coronal maximum over 10 mm, and one axial slice, a row a CT.

python -m studies.slabs --out FILE.png CT...
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from studies.vessels import MM, inner_lung, resampled
from synth.volumes import nifti
from synth.volumes.geometry import to_ras, voxel_spacing

_SLAB_MM, _MARGIN_MM = 10.0, 24.0
_WINDOW_HU = (-1000, 200)
_AT = {"lower": 0.35, "coronal": 0.42, "middle": 0.6}  # of the lungs' height, depth, height


def slabs(hu: np.ndarray, spacing: np.ndarray) -> list[np.ndarray]:
    """Axial slab, coronal slab and axial slice of the lungs of a RAS volume (X, Y, Z), as rows from top, patient's
    right on the left; pixels of MM."""
    hu = resampled(hu.astype(np.float32), spacing, MM)
    where = np.argwhere(inner_lung(hu))
    margin = round(_MARGIN_MM / MM)
    low, high = np.maximum(where.min(axis=0) - margin, 0), where.max(axis=0) + margin + 1
    hu = hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    thick = round(_SLAB_MM / MM)
    lower, middle = (int(_AT[k] * hu.shape[2]) for k in ("lower", "middle"))
    front = int(_AT["coronal"] * hu.shape[1])
    planes = (hu[:, :, lower : lower + thick].max(axis=2), hu[:, front : front + thick].max(axis=1), hu[:, :, middle])
    return [plane.T[::-1, ::-1] for plane in planes]


def sheet(rows: Sequence[tuple[str, list[np.ndarray]]], out: Path) -> None:
    """A PNG with a named row of slabs a CT."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 4.4 * len(rows)), dpi=72, layout="constrained")
    axes = figure.subplots(len(rows), 3, squeeze=False)
    for line, (name, planes) in zip(axes, rows, strict=True):
        for ax, plane in zip(line, planes, strict=True):
            ax.imshow(plane, cmap="gray", vmin=_WINDOW_HU[0], vmax=_WINDOW_HU[1], interpolation="bilinear")
            ax.set_axis_off()
        line[0].set_title(name, loc="left", fontsize=11)
    figure.savefig(out)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.slabs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cts", nargs="+", metavar="NAME=CT", help="title of a row and its NIfTI")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    asked = parser.parse_args()
    rows = []
    for name, path in (text.split("=", 1) for text in asked.cts):
        volume = nifti.read_volume(Path(path), plausible=False)
        hu, affine = to_ras(volume.hu, volume.affine)
        rows.append((name, slabs(hu, voxel_spacing(affine))))
    sheet(rows, asked.out)


if __name__ == "__main__":
    main()
