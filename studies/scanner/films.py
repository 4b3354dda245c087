"""python -m studies.scanner.films FOLDER...: films of folders that `synthct xray` wrote, with outlines, together."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

OUT = Path(__file__).parents[2] / "docs/studies/scanner/films.png"
_COLOURS = {"heart": (90, 220, 90), "liver": (240, 220, 60), "lung_upper_lobe_right": (60, 160, 255)}
_LESION = (255, 60, 60)


def shown(folder: Path, view: dict[str, object]) -> Image.Image:
    """A film of 8 bits beside the same with outlines of some organs and all lesions."""
    film = np.asarray(Image.open(folder / str(view["film"])).resize((384, 384)))
    grey = (film >> 8).astype(np.uint8)
    outlined = np.stack([grey] * 3, axis=-1)
    for structure in view["structures"]:  # type: ignore[attr-defined]
        colour = _LESION if structure["lesion"] else _COLOURS.get(structure["name"])
        if colour is not None:
            file = folder / str(view["masks"]) / f"{structure['name']}.png"
            mask = np.asarray(Image.open(file).resize((384, 384), Image.Resampling.NEAREST)) > 0
            outlined[mask ^ ndimage.binary_erosion(mask)] = colour
    return Image.fromarray(np.concatenate([np.stack([grey] * 3, axis=-1), outlined], axis=1))


def main(folders: list[str]) -> None:
    """One row a folder, its views from left to right."""
    rows = []
    for name in folders:
        views = json.loads((Path(name) / "xrays.json").read_text(encoding="utf-8"))["views"]
        rows.append(np.concatenate([np.asarray(shown(Path(name), view)) for view in views], axis=1))
    wide = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, wide - row.shape[1]), (0, 0))) for row in rows]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(padded)).save(OUT, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
