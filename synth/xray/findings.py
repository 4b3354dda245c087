"""What a film shows: a box for each structure, and of a report the sentences that a projection can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from prompts import report as language
from synth.scanner.metal import spectrum
from synth.xray.views import Camera

LEAST_CONTRAST_TO_NOISE = 1.0  # of a lesion against what lies about it, noise and anatomy
_RING = 6  # pixels about a lesion that it is compared with
_HEART, _LUNGS = "heart", "lung_"
_FRONTAL = ("ap", "pa")


def boxes(paths: Mapping[str, np.ndarray], lesions: Sequence[str]) -> list[dict[str, Any]]:
    """Of each structure in view: name, whether a lesion, box (x, y, width, height) and area in pixels, longest path."""
    found = []
    for name, mm in paths.items():
        mask = mm > 0
        if not mask.any():
            continue
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        box = [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
        entry = {"name": name, "lesion": name in lesions, "box": box, "pixels": int(mask.sum())}
        found.append({**entry, "longest_mm": round(float(mm.max()), 2)})
    return found


def sentences(
    report: Mapping[str, Any], attenuation: np.ndarray, paths: Mapping[str, np.ndarray], camera: Camera
) -> list[dict[str, Any]]:
    """Of each lesion that stands out on the film its kind, place and size there; and the cardiothoracic ratio.

    A lesion's contrast is its path times what it attenuates more than its organ, against the spread of the film about
    it. Sizes are in mm at the lesion, so without the magnification of the film.
    """
    found = [s for s in (_lesion(s, attenuation, paths, camera) for s in report["sentences"]) if s]
    ratio = _cardiothoracic(paths) if camera.name in _FRONTAL else None
    if ratio is not None:
        text = f"Cardiothoracic ratio {ratio:.2f}."
        found.append(
            {"id": "cardiothoracic_ratio", "text": text, "masks": [_HEART], "facts": {"ratio": round(ratio, 3)}}
        )
    return found


def _lesion(
    sentence: Mapping[str, Any], attenuation: np.ndarray, paths: Mapping[str, np.ndarray], camera: Camera
) -> dict[str, Any] | None:
    facts, name = sentence["facts"], sentence["id"]
    contrast_hu = facts.get("contrast_hu")
    if sentence["section"] != "findings" or name not in paths or contrast_hu is None or not paths[name].any():
        return None
    ratio = contrast_to_noise(attenuation, paths[name], contrast_hu)
    if ratio < LEAST_CONTRAST_TO_NOISE:
        return None
    size = longest(paths[name] > 0) * camera.pixel_mm / camera.magnification(np.array(facts["centre_mm"]))
    place: dict[str, Any] = {field: facts.get(field) for field in ("id", "kind", "organ", "side", "segment")}
    shown = language.LesionFacts(
        **place, long_axis_mm=size, short_axis_mm=size, volume_ml=0.0, mean_hu=0.0, sd_hu=0.0
    )  # of these only the size is said
    text = _said(shown)
    seen = {"long_axis_mm": round(size, 1), "contrast_to_noise": round(ratio, 2)}
    return {"id": name, "text": text, "masks": [name], "facts": {**place, **seen}}


def _said(facts: language.LesionFacts) -> str:
    """`Nodule of 24 mm in the right upper lobe, in projection.`"""
    kind = facts.kind[0].upper() + facts.kind[1:]
    return f"{kind} of {language.shown_mm(facts.long_axis_mm)} mm {language.place_phrase(facts)}, in projection."


def contrast_to_noise(attenuation: np.ndarray, path_mm: np.ndarray, contrast_hu: float) -> float:
    """Mean contrast of a lesion over its mask, over the SD of the film in a ring about it, less the ring's slope."""
    mask = path_mm > 0
    ring = ndimage.binary_dilation(mask, iterations=_RING + 1) & ~ndimage.binary_dilation(mask, iterations=1)
    if ring.sum() < 8:
        return 0.0
    rows, columns = np.nonzero(ring)
    plane = np.stack([rows, columns, np.ones(len(rows))], axis=1).astype(float)
    values = attenuation[ring].astype(float)
    rest = values - plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
    contrast = path_mm[mask].mean() * spectrum().at_reference("water") * contrast_hu / 1000
    return float(abs(contrast) / max(rest.std(), 1e-6))


def longest(mask: np.ndarray) -> float:
    """Longest distance within a mask, in pixels, from edge to edge."""
    points = np.argwhere(mask ^ ndimage.binary_erosion(mask)).astype(float)
    if len(points) > 3:
        with suppress(QhullError):  # all on a line
            points = points[ConvexHull(points).vertices]
    return float(pdist(points).max(initial=0.0)) + 1


def _cardiothoracic(paths: Mapping[str, np.ndarray]) -> float | None:
    """Width of the heart over that of the lungs; None where either is not labelled or leaves the film."""
    lungs = [mm > 0 for name, mm in paths.items() if name.startswith(_LUNGS) and name != "lung_nodule"]
    heart = paths.get(_HEART)
    if heart is None or len(lungs) < 2:
        return None
    widths = []
    for mask in (heart > 0, np.any(lungs, axis=0)):
        columns = np.flatnonzero(mask.any(axis=0))
        if not len(columns) or columns[0] == 0 or columns[-1] == mask.shape[1] - 1:
            return None
        widths.append(int(np.ptp(columns)) + 1)
    return widths[0] / widths[1]
