"""Drawn chests beside real axial slices at 2 mm: kernel distance and in-plane power.

python -m studies.chests --slices SLICES DRAWN.nii.gz...

SLICES holds slices_hu.npz (key `hu`, (N, 512, 512) HU) and index.csv with a row each: patient, region, px (mm).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

from evals import networks
from evals.distances import polynomial_kernels
from evals.protocol import windowed
from synth.files.arrays import Wanted, read_arrays
from synth.files.tables import read_csv
from synth.volumes import nifti
from synth.volumes.geometry import to_ras, voxel_spacing

MM = 2.0
SIZE = 208  # pixels of a side
BANDS = ((0.02, 0.05), (0.05, 0.1), (0.1, 0.15))  # cycles a mm
BLURS_MM = (1.5, 2.25, 3.0)  # SD of Gaussians that real slices are blurred with, as a scale
SLICES = 10  # of a drawn chest
_AIR_HU, _BODY_HU, _LUNG_HU = -1000.0, -300.0, -600.0
_LUNG_SHARE = 0.35  # of the most lung that a slice shows


def at_2mm(picture: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """A slice (rows, columns) of HU resampled to MM; what is finer is smoothed first."""
    sd = [0.35 * MM / s if s < MM - 1e-3 else 0.0 for s in spacing]
    smooth = ndimage.gaussian_filter(picture.astype(np.float32), sd)
    zoom = [s / MM for s in spacing]
    return np.asarray(ndimage.zoom(smooth, zoom, order=1 if max(sd) else 3, grid_mode=True, mode="nearest"))


def framed(picture: np.ndarray) -> np.ndarray | None:
    """(SIZE, SIZE) HU of the body alone, in the middle; None where there is none."""
    pieces, count = ndimage.label(ndimage.binary_opening(picture > _BODY_HU, iterations=2))
    if not count:
        return None
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    body = ndimage.binary_dilation(ndimage.binary_fill_holes(pieces == sizes.argmax()), iterations=2)
    rows, columns = np.nonzero(body)
    alone = np.pad(np.where(body, picture, _AIR_HU), SIZE, constant_values=_AIR_HU)
    first = [(int(k.min()) + int(k.max())) // 2 + SIZE - SIZE // 2 for k in (rows, columns)]
    return alone[first[0] : first[0] + SIZE, first[1] : first[1] + SIZE].clip(-1000, 1000).astype(np.float32)


def real_slices(folder: Path) -> list[np.ndarray]:
    """(n, SIZE, SIZE) of each patient's slices of the chest."""
    hu = read_arrays(folder / "slices_hu.npz", {"hu": Wanted(3)})["hu"]
    found: dict[str, list[np.ndarray]] = {}
    for picture, row in zip(hu, read_csv(folder / "index.csv", needs=["patient", "region", "px"]).rows, strict=True):
        if row["region"] == "chest":
            one = framed(at_2mm(picture, (float(row["px"]), float(row["px"]))))
            found.setdefault(row["patient"], []).extend([] if one is None else [one])
    return [np.stack(slices) for slices in found.values() if slices]


def drawn_slices(path: Path) -> np.ndarray:
    """(n, SIZE, SIZE): SLICES of a chest, evenly over the height of its lungs; front up, right on the left."""
    volume = nifti.read_volume(path, plausible=False)
    hu, affine = to_ras(volume.hu, volume.affine)
    spacing = voxel_spacing(affine)
    lung = np.array([_lung_share(hu[::4, ::4, z]) for z in range(hu.shape[2])])
    shown = np.flatnonzero(lung > _LUNG_SHARE * lung.max())
    heights = np.linspace(shown[0], shown[-1], SLICES + 2)[1:-1].round().astype(int)
    pictures = [at_2mm(hu[::-1, ::-1, z].T, (spacing[1], spacing[0])) for z in np.unique(heights)]
    return np.stack([one for picture in pictures if (one := framed(picture)) is not None])


def _lung_share(picture: np.ndarray) -> float:
    return float(((picture < _LUNG_HU) & ndimage.binary_fill_holes(picture > _BODY_HU)).mean())


def power(chests: list[np.ndarray]) -> np.ndarray:
    """(len(BANDS),) power of slices under a Hann window, the geometric mean over chests."""
    window = np.hanning(SIZE)[:, None] * np.hanning(SIZE)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIZE, MM), np.fft.fftfreq(SIZE, MM)))
    bands = [(frequency >= low) & (frequency < high) for low, high in BANDS]
    spectra = [(np.abs(np.fft.fft2((slices - _AIR_HU) * window)) ** 2).mean(axis=0) for slices in chests]
    return np.exp(np.mean(np.log([[s[band].mean() for band in bands] for s in spectra]), axis=0))


def blurred(chests: list[np.ndarray], mm: float) -> list[np.ndarray]:
    """Slices under a Gaussian of that SD."""
    return [ndimage.gaussian_filter(slices, (0, mm / MM, mm / MM)) for slices in chests]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m studies.chests", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("drawn", nargs="+", type=Path, help="ct.nii.gz of two drawn chests or more")
    parser.add_argument("--slices", type=Path, required=True, help="folder of the real slices")
    asked = parser.parse_args()
    network = networks.load()

    def features(chests: list[np.ndarray]) -> list[np.ndarray]:
        return [network(windowed(slices)) for slices in chests]

    real = real_slices(asked.slices)
    of_real, of_power = features(real), power(real)
    half = len(real) // 2
    split = 1000 * polynomial_kernels(of_real[:half], of_real[half:]).mmd2()
    print(f"{sum(map(len, real))} real slices of {len(real)} patients; KID x 1000 of one half to the other {split:.0f}")
    rows = {f"real, blurred by {mm:g} mm": blurred(real, mm) for mm in BLURS_MM}
    for name, chests in (rows | {f"{len(asked.drawn)} drawn": [drawn_slices(path) for path in asked.drawn]}).items():
        distance = 1000 * polynomial_kernels(of_real, features(chests)).mmd2()
        ratios = ", ".join(f"{ratio:.2f}" for ratio in power(chests) / of_power)
        print(f"{name}: KID x 1000 {distance:.0f}, power {ratios}")


if __name__ == "__main__":
    main()
