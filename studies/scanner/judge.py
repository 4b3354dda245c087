"""python -m studies.scanner.judge: noise beside that of XCIST (gecatsim), a validated simulator, in a water cylinder.

Both have 70 keV and the same photons through air, without a bowtie and with one; XCIST's is a fan beam of a turn,
reconstructed by its own FDK with its kernel `soft`, ours that fan, and a parallel beam of half a turn, with the same
window. XCIST's back-projection interpolates linearly between cells, which is one more window.
"""

from __future__ import annotations

import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from scipy.interpolate import interp1d

from synth.scanner.beams import rays_of
from synth.scanner.dose import missing_noise, through
from synth.scanner.fan import FanGeometry
from synth.scanner.metal import spectrum, to_hu
from synth.scanner.projector import VIEWS, Geometry
from synth.scanner.settings import Bowtie

RADIUS_MM, IMAGE, FIELD_MM = 100.0, 256, 256.0
_TURN = 500  # views of XCIST's turn
_CELLS, _SOURCE_MM, _DETECTOR_MM = 600, 540.0, 950.0
PITCH_MM = _SOURCE_MM / _DETECTOR_MM  # at the isocentre, of cells of 1 mm
_KEV = 70.0
_PHANTOM = """materialList = {{'water'}};
object.center(1,:) = [0.0 0.0 0.0];
object.half_axes(1,:) = [{r:.6f} {r:.6f} 50.000000];
object.euler_angs(1,:) = [90.000000 0.000000 0.000000];
object.density(1) = 1.000000;
object.type(1) = 2;
object.material(1) = 1;
object.axial_lims(1,:) = [0 0];
object.shape(1) = 0;
object.clip{{1}} = [];
"""


@dataclass(frozen=True)
class Noise:
    """Noise images (N, X, Y) in HU, of pixels of 1 mm."""

    images: np.ndarray

    def sd_by_radius(self, edges: np.ndarray) -> np.ndarray:
        """SD in rings between these radii in mm."""
        axis = (np.arange(IMAGE) - (IMAGE - 1) / 2) * FIELD_MM / IMAGE
        r = np.hypot(axis[:, None], axis)
        return np.array([self.images[:, (r >= a) & (r < b)].std() for a, b in zip(edges, edges[1:], strict=False)])

    def power(self, bins: int = 6, side: int = 128) -> tuple[np.ndarray, np.ndarray]:
        """Radial noise power spectrum of the middle: cycles a mm, HU^2 mm^2."""
        low = (IMAGE - side) // 2
        middle = self.images[:, low : low + side, low : low + side]
        taper = np.hanning(side)[:, None] * np.hanning(side)
        middle = (middle - middle.mean(axis=(1, 2), keepdims=True)) * taper
        power = (np.abs(np.fft.fft2(middle)) ** 2).mean(axis=0) / (taper**2).sum()
        f = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
        edges = np.linspace(0.05, 0.5, bins + 1)
        index = np.digitize(f.ravel(), edges)
        means = [power.ravel()[index == i].mean() for i in range(1, bins + 1)]
        return (edges[1:] + edges[:-1]) / 2, np.array(means)


def xcist(number: int = 8, current_ma: float = 100.0, bowtie: bool = False) -> tuple[Noise, float]:
    """Noise of so many scans of XCIST, less their mean, and its photons a view through air to the middle cell.

    bowtie: with its filter `medium`.
    """
    import gecatsim as xc
    from gecatsim.reconstruction.pyfiles import recon

    with (
        TemporaryDirectory() as place,
        chdir(place),
        open(os.devnull, "w") as quiet,
        redirect_stdout(quiet),
        redirect_stderr(quiet),
    ):
        Path("water.ppm").write_text(_PHANTOM.format(r=RADIUS_MM), encoding="utf-8")
        images = []
        for scan in range(number):
            np.random.seed(scan)
            ct = _simulation(xc, current_ma, bowtie)
            ct.resultsName = f"scan{scan}"
            ct.run_all()
            images.append(np.squeeze(recon.recon_direct(ct.get_current_cfg()))[..., None].mean(axis=-1))
        air = xc.rawread("scan0.air", [1, 1, _CELLS], "float").max() / (17.0 * _KEV)
    noise = np.array(images) - np.mean(images, axis=0)
    return Noise(noise * np.sqrt(number / (number - 1))), float(air)


def _simulation(xc: Any, current_ma: float, bowtie: bool) -> Any:
    ct = xc.CatSim()
    ct.phantom.callback, ct.phantom.projectorCallback = "Phantom_Analytic", "C_Projector_Analytic"
    ct.phantom.filename, ct.phantom.centerOffset, ct.phantom.scale = "water.ppm", [0.0, 0.0, 0.0], 1.0
    ct.protocol.viewsPerRotation = ct.protocol.viewCount = _TURN
    ct.protocol.stopViewId, ct.protocol.mA, ct.protocol.bowtie = _TURN - 1, current_ma, "medium.txt" if bowtie else []
    ct.scanner.detectorColCount, ct.scanner.detectorColOffset = _CELLS, 0.25
    ct.scanner.detectorRowsPerMod = ct.scanner.detectorRowCount = 1
    ct.scanner.detectorColFillFraction = ct.scanner.detectorRowFillFraction = 1.0
    ct.physics.monochromatic, ct.physics.energyCount = _KEV, 1
    for name in ("colSampleCount", "rowSampleCount", "srcXSampleCount", "srcYSampleCount", "viewSampleCount"):
        setattr(ct.physics, name, 1)
    ct.recon.fov, ct.recon.imageSize, ct.recon.sliceCount, ct.recon.sliceThickness = FIELD_MM, IMAGE, 1, PITCH_MM
    ct.recon.kernelType, ct.recon.unit, ct.recon.mu = "soft", "HU", spectrum().at_reference("water")
    return ct


PARALLEL = Geometry((IMAGE, IMAGE), (FIELD_MM / IMAGE, FIELD_MM / IMAGE), views=VIEWS, pitch_mm=PITCH_MM)
FAN = FanGeometry(PARALLEL.shape, PARALLEL.spacing, views=_TURN, pitch_mm=PITCH_MM, source_mm=_SOURCE_MM)


def ours(air: float, number: int = 8, geometry: Geometry = PARALLEL, bowtie: Bowtie | None = None) -> Noise:
    """Noise of our scans with XCIST's photons a cell and view; half a turn of parallel rays has the dose of a turn."""
    s = np.abs(geometry.distances())
    line = 2 * np.sqrt(np.clip(RADIUS_MM**2 - s**2, 0, None)) * spectrum().at_reference("water")
    lines = torch.from_numpy(np.tile(line, (geometry.views, 1)).astype(np.float32))
    per_view = air * _TURN / geometry.views * through(bowtie, geometry.distances())
    soft = interp1d([0, 0.25, 0.5, 0.75, 1], [1, 0.815, 0.4564, 0.1636, 0], kind="quadratic", fill_value="extrapolate")

    def window(frequency: np.ndarray) -> np.ndarray:
        return np.clip(soft(frequency * 2 * PITCH_MM), 0, None) * np.sinc(frequency * PITCH_MM) ** 2

    images = []
    for seed in range(number):
        # from the noise of no dose to that of one: a volume without any was taken with photons without end
        had = torch.full_like(lines, -30.0)
        noise = missing_noise(lines, 1.0, per_view, seed, had)
        images.append(to_hu(rays_of(geometry).fbp(noise[None], window))[0].numpy())
    return Noise(np.array(images))


def main() -> None:
    """Print both, ring by ring and band by band."""
    edges = np.array([0, 20, 40, 60, 80, 95])
    rings = [f"SD {x:g}-{y:g} mm" for x, y in zip(edges, edges[1:], strict=False)]
    for filtered, bowtie in ((False, None), (True, Bowtie.body)):
        judge, air = xcist(bowtie=filtered)
        print(f"bowtie {bowtie}, photons through air: {air:.4g} a cell and view of {_TURN}")
        bands = [f"NPS {f:.2f}/mm" for f in judge.power()[0]]
        for name, geometry in (("parallel", PARALLEL), ("fan", FAN)):
            mine = ours(air, geometry=geometry, bowtie=bowtie)
            theirs, found = (np.concatenate([n.sd_by_radius(edges), n.power()[1]]) for n in (judge, mine))
            for what, a, b in zip(rings + bands, theirs, found, strict=True):
                print(f"{name} {what}: XCIST {a:.2f}, ours {b:.2f}, {100 * (b / a - 1):+.1f}%", flush=True)


if __name__ == "__main__":
    main()
