"""python -m studies.scanner.attenuation: make synth/scanner/attenuation.csv anew.

Attenuation of xraylib (Schoonjans et al. 2011, NIST XCOM), in bins of a filtered tungsten spectrum of 120 kV that XCIST
(gecatsim) carries; each energy counts by photons times energy, as in a detector that integrates. Needs the packages
xraylib and gecatsim.
"""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import numpy as np

OUT = Path(__file__).parents[2] / "synth/scanner/attenuation.csv"
EDGES_KEV = (20, 35, 45, 55, 65, 80, 100, 120)
_SPECTRUM = "spectrum/tungsten_tar7.0_120_filt.dat"
# g/cm3, and what xraylib calls it or the mass shares of its elements
MATERIALS: dict[str, tuple[float, str | dict[str, float]]] = {
    "water": (1.0, "Water, Liquid"),
    "bone": (1.85, "Bone, Cortical (ICRP)"),
    "titanium": (4.506, "Ti"),
    "cobalt_chrome": (8.3, {"Co": 0.64, "Cr": 0.30, "Mo": 0.06}),
    "amalgam": (11.0, {"Ag": 0.35, "Sn": 0.15, "Hg": 0.50}),
}


def per_mm(material: str, kev: np.ndarray) -> np.ndarray:
    """Linear attenuation in 1/mm at energies in keV."""
    import xraylib

    density, made_of = MATERIALS[material]
    shares = {made_of: 1.0} if isinstance(made_of, str) else made_of
    of_mass = [sum(share * xraylib.CS_Total_CP(part, float(e)) for part, share in shares.items()) for e in kev]
    return density * np.array(of_mass) / 10


def rows() -> list[list[float]]:
    """One a bin: mean energy in keV, share of the signal, attenuation of each material in 1/mm."""
    spec = find_spec("gecatsim")
    if spec is None or spec.origin is None:
        raise SystemExit("attenuation: needs the package gecatsim")
    kev, photons = np.loadtxt(Path(spec.origin).parent / _SPECTRUM, delimiter=",", skiprows=1).T
    signal = kev * photons
    table = []
    for low, high in zip(EDGES_KEV, EDGES_KEV[1:], strict=False):
        inside = (kev >= low) & (kev < high)
        of_bin = signal[inside] / signal[inside].sum()
        means = [float(of_bin @ per_mm(name, kev[inside])) for name in MATERIALS]
        table.append([float(of_bin @ kev[inside]), float(signal[inside].sum()), *means])
    total = sum(row[1] for row in table)
    return [[row[0], row[1] / total, *row[2:]] for row in table]


if __name__ == "__main__":
    with OUT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kev", "share", *MATERIALS])
        writer.writerows([[f"{value:.5g}" for value in row] for row in rows()])
    print(OUT.read_text(encoding="utf-8"))
