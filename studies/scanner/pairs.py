"""python -m studies.scanner.pairs: pairs of the real chest, drawn to docs/studies/scanner/pairs.png."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from studies.scanner.real_chest import chest, levels
from synth.scanner.scan import scan_in_place
from synth.scanner.settings import ScannerSettings
from synth.volumes.types import LabelMap, Volume

OUT = Path(__file__).parents[2] / "docs/studies/scanner/pairs.png"
_SHOULDERS, _HEART = 110, 75  # slices
_WINDOW = (-160, 240)
_SHOWN: list[tuple[str, int, dict[str, Any]]] = [
    ("a quarter of the dose", _SHOULDERS, {"dose": 0.25}),
    ("a twentieth of the dose", _SHOULDERS, {"dose": 0.05}),
    ("90 views", _SHOULDERS, {"views": 90}),
    ("90 views, 40 steps of SIRT", _SHOULDERS, {"views": 90, "reconstruction": "sirt", "sirt_steps": 40}),
    ("120 degrees", _SHOULDERS, {"angle_deg": 120}),
    ("pedicle screws", _HEART, {"metal": "spine"}),
]


def scanned(ct: Volume, organs: LabelMap, level: int, settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The slice without and with what the settings do, (X, Y) HU."""
    reach = 22 if "metal" in settings else 0
    part, labels = levels(ct, organs, level - reach, level + reach + 1)
    both = scan_in_place(part, ScannerSettings.model_validate(settings), 1, labels)
    middle = reach if both.metal is None else int(both.metal.sum(axis=(0, 1)).argmax())
    return both.clean.hu[..., middle], both.ct.hu[..., middle]


def main() -> None:
    """Draw clean, scanned and the difference of each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ct, organs = chest()
    figure, axes = pyplot.subplots(3, len(_SHOWN), figsize=(3.2 * len(_SHOWN), 7.6))
    for column, (title, level, settings) in zip(axes.T, _SHOWN, strict=True):
        clean, degraded = scanned(ct, organs, level, settings)
        difference = degraded.astype(float) - clean
        inside = clean > -300
        print(f"{title}: SD of the difference in the body {difference[inside].std():.1f} HU", flush=True)
        rows = ((clean, _WINDOW), (degraded, _WINDOW), (difference, (-200, 200)))
        for axis, (image, (low, high)) in zip(column, rows, strict=True):
            axis.imshow(image.T, cmap="gray", vmin=low, vmax=high, origin="lower" if ct.affine[1, 1] > 0 else "upper")
            axis.axis("off")
        column[0].set_title(title, fontsize=10)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(OUT, dpi=70)


if __name__ == "__main__":
    main()
