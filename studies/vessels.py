"""Vessels of lungs by calibre: how many, and how long together, per litre of lung.

    python -m studies.vessels --real CT... --drawn CT... [--out FILE.json]

Every CT (NIfTI, HU) is measured alike, from its grey values alone: brought to one spacing, the lungs found, what is
denser than its surroundings thinned to centre lines (Lee et al. 1994), and parted at branchings. The calibre of a
branch is that of a cylinder of the branch's length with the attenuation that is in excess round it: blur widens none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from synth.volumes import nifti
from synth.volumes.geometry import to_ras, voxel_spacing

MM = 2.0
EDGES_MM = (1.0, 1.5, 2.0, 3.0, 4.5, 8.0)
_AIR_HU, _BODY_HU = -500, -300
_EXCESS_HU = 150.0  # -870 + 150 = -720 HU, above which Matsuoka et al. (2010) count vessels
_CLOSING_MM, _RIM_MM = 10.0, 6.0
_PLAIN_MM = 12.0
_LEAST_MM = 4.0  # of a branch; shorter ones are roughness of the mask
_REACH_MM = 3.0  # from a mask, within which excess belongs to the nearest vessel
_NATIVE_HU = 40.0  # of blood, at least


@dataclass(frozen=True)
class Vessels:
    """count, length_mm: per litre, by the classes of EDGES_MM; litres: of lung that was measured."""

    count: np.ndarray
    length_mm: np.ndarray
    litres: float


def measure(hu: np.ndarray, affine: np.ndarray) -> Vessels:
    """Vessels of the lungs of a CT (X, Y, Z) HU with a RAS affine in mm."""
    hu = resampled(hu.astype(np.float32), voxel_spacing(affine), MM)
    return measure_in(hu, inner_lung(hu), MM)


def measure_in(hu: np.ndarray, lung: np.ndarray, mm: float) -> Vessels:
    """The same on isotropic voxels of `mm`, within a mask (X, Y, Z)."""
    excess = hu - _plain(hu, lung, mm)
    mask = ndimage.binary_propagation(lung & (excess > 1.5 * _EXCESS_HU), mask=lung & (excess > _EXCESS_HU))
    branch, length = branches(mask, mm)
    if not len(length):
        nothing = np.zeros(len(EDGES_MM) - 1)
        return Vessels(nothing, nothing, float(lung.sum()) * mm**3 / 1e6)
    diameter = _diameters(hu, excess, mask, lung, branch, length, mm)
    litres = float(lung.sum()) * mm**3 / 1e6
    long = length >= _LEAST_MM
    count = np.histogram(diameter[long], EDGES_MM)[0] / litres
    return Vessels(count, np.histogram(diameter, EDGES_MM, weights=length)[0] / litres, litres)


def branches(mask: np.ndarray, mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre lines (X, Y, Z) int numbered from 1 by branch, 0 elsewhere; and the length of each in mm."""
    from skimage.morphology import skeletonize

    line = skeletonize(mask) > 0
    neighbours = ndimage.convolve(line.astype(np.uint8), np.ones((3, 3, 3), np.uint8), mode="constant") - 1
    single = line & (neighbours <= 2)
    branch, count = ndimage.label(single, np.ones((3, 3, 3)))
    return branch, _path_lengths(branch, count) * mm


def _path_lengths(branch: np.ndarray, count: int) -> np.ndarray:
    """(count,) voxels: steps between neighbours, and a step for what is cut off at the ends."""
    steps, total = np.zeros(count + 1), np.zeros(count + 1)
    for offset in [o for o in np.ndindex(3, 3, 3) if o > (1, 1, 1)]:
        move = np.array(offset) - 1
        a = branch[tuple(slice(max(0, -m), min(0, -m) or None) for m in move)]
        b = branch[tuple(slice(max(0, m), min(0, m) or None) for m in move)]
        same = (a == b) & (a > 0)
        found = np.bincount(a[same], minlength=count + 1)
        steps += found
        total += found * float(np.linalg.norm(move))
    mean_step = np.where(steps > 0, total / np.maximum(steps, 1), 1.0)
    return (total + mean_step)[1:]


def _diameters(
    hu: np.ndarray,
    excess: np.ndarray,
    mask: np.ndarray,
    lung: np.ndarray,
    branch: np.ndarray,
    length: np.ndarray,
    mm: float,
) -> np.ndarray:
    """(B,) mm of each branch, from the excess that is nearer to it than to any other."""
    distance, nearest = ndimage.distance_transform_edt(branch == 0, return_indices=True)
    near = ndimage.distance_transform_edt(~mask) * mm <= _REACH_MM
    owner = branch[tuple(nearest)]
    own = near & (distance * mm <= _REACH_MM + _thickness(mask, branch, mm)[owner])
    mass = np.bincount(owner[own], excess[own].clip(-_EXCESS_HU), len(length) + 1)[1:] * mm**3
    plain = float(np.median((hu - excess)[lung]))
    return 2 * np.sqrt((mass / ((_blood(hu, mask, mm) - plain) * length)).clip(0) / np.pi)


def _thickness(mask: np.ndarray, branch: np.ndarray, mm: float) -> np.ndarray:
    """(B + 1,) mm: the largest distance from a branch's centre line to the border of the mask."""
    depth = ndimage.distance_transform_edt(mask) * mm
    return np.concatenate([[0.0], ndimage.maximum(depth, branch, np.arange(1, branch.max() + 1))])


def _blood(hu: np.ndarray, mask: np.ndarray, mm: float) -> float:
    """HU of blood: what lies deepest in the thickest vessels."""
    deep = hu[ndimage.distance_transform_edt(mask) * mm >= 4.0]
    return max(_NATIVE_HU, float(np.median(deep))) if len(deep) >= 20 else _NATIVE_HU


def resampled(hu: np.ndarray, spacing: np.ndarray, mm: float) -> np.ndarray:
    """On isotropic voxels, blurred as far as the coarser voxels average."""
    factor = spacing / mm
    sigma = np.sqrt(np.maximum(0.0, 1 / factor**2 - 1) / 12)  # of a box of the new voxel, less that of the old
    return ndimage.zoom(ndimage.gaussian_filter(hu, sigma), factor, order=1, grid_mode=True, mode="nearest")


def inner_lung(hu: np.ndarray) -> np.ndarray:
    """The lungs with their vessels, without a rim along pleura and mediastinum."""
    body = ndimage.binary_opening(hu > _BODY_HU)
    body = np.stack([ndimage.binary_fill_holes(body[..., z]) for z in range(body.shape[2])], axis=-1)
    air, _ = ndimage.label(ndimage.binary_opening((hu < _AIR_HU) & body))
    sizes = np.bincount(air.ravel())
    sizes[0] = 0
    lungs = (sizes >= 0.2 * sizes.max())[air] & (air > 0)
    pad = round(_CLOSING_MM / MM) + 1
    wide = np.pad(lungs, pad)
    grown = ndimage.distance_transform_edt(~wide) * MM <= _CLOSING_MM
    closed = (ndimage.distance_transform_edt(grown) * MM > _CLOSING_MM)[pad:-pad, pad:-pad, pad:-pad]
    return ndimage.distance_transform_edt(closed) * MM > _RIM_MM


def _plain(hu: np.ndarray, lung: np.ndarray, mm: float) -> np.ndarray:
    """The attenuation of lung without vessels: its darker part, smoothed."""
    level = float(np.percentile(hu[lung], 40)) if lung.any() else 0.0
    kept = (lung & (np.abs(hu - level) < _EXCESS_HU)).astype(np.float32)
    weight = ndimage.gaussian_filter(kept, _PLAIN_MM / mm)
    mean = ndimage.gaussian_filter(kept * hu, _PLAIN_MM / mm) / np.maximum(weight, 1e-4)
    return np.where(weight > 1e-3, mean, level)


def table(real: Sequence[Vessels], drawn: Sequence[Vessels]) -> list[dict[str, float]]:
    """A row per class of calibre: means, the range of the real ones, and drawn by real."""
    rows = []
    for k, (low, high) in enumerate(zip(EDGES_MM, EDGES_MM[1:], strict=False)):
        row: dict[str, float] = {"from_mm": low, "to_mm": high}
        for what in ("count", "length_mm"):
            ours, theirs = ([float(getattr(v, what)[k]) for v in side] for side in (drawn, real))
            row |= {f"{what}_real": float(np.mean(theirs)), f"{what}_real_low": min(theirs)}
            row |= {f"{what}_real_high": max(theirs), f"{what}_drawn": float(np.mean(ours))}
            row[f"{what}_ratio"] = row[f"{what}_drawn"] / max(row[f"{what}_real"], 1e-9)
        rows.append(row)
    return rows


def _read(path: Path) -> Vessels:
    volume = nifti.read_volume(path, plausible=False)
    hu, affine = to_ras(volume.hu, volume.affine)
    return measure(hu, affine)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.vessels", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--real", nargs="+", type=Path, required=True, help="chest CT of patients")
    parser.add_argument("--drawn", nargs="+", type=Path, required=True, help="generated chest CT")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args()
    real, drawn = ([_read(path) for path in paths] for paths in (asked.real, asked.drawn))
    rows = table(real, drawn)
    print(
        "| diameter, mm | real, a litre | drawn | ratio | real mm a litre | drawn | ratio |",
        "|---|---|---|---|---|---|---|",
        sep="\n",
    )
    for r in rows:
        cells = [f"{r['from_mm']:g} to {r['to_mm']:g}"]
        for what in ("count", "length_mm"):
            cells += [f"{r[f'{what}_real']:.0f} ({r[f'{what}_real_low']:.0f} to {r[f'{what}_real_high']:.0f})"]
            cells += [f"{r[f'{what}_drawn']:.0f}", f"{r[f'{what}_ratio']:.2f}"]
        print("| " + " | ".join(cells) + " |")
    if asked.out:
        asked.out.write_text(
            json.dumps({"mm": MM, "real": len(real), "drawn": len(drawn), "classes": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
