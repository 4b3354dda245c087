"""Beam hardening: what a spectrum makes of water, bone and metal, and what a correction for water leaves.

Joseph & Spital 1978 for bone and De Man et al. 1999 for metal: a ray's signal is the sum over a few energies, and the
scanner turns it into the length of water that would have given the same. Water alone then shows no hardening.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

_REFERENCE_KEV = 70.0  # effective energy of 120 kV: that at which HU are read
_BONE_HU = (100.0, 300.0)  # between these, tissue is more and more taken for bone
_LONGEST = 60.0  # attenuation of a ray, beyond which nothing is told apart


@dataclass(frozen=True)
class Spectrum:
    """Shares of the signal (E,) and attenuation of each material (E,) in 1/mm; synth/scanner/attenuation.csv.

    `relative`: attenuation over that at the reference energy.
    """

    share: np.ndarray
    per_mm: Mapping[str, np.ndarray]
    reference: int

    def relative(self, material: str) -> np.ndarray:
        """(E,), 1 at the reference energy."""
        return self.per_mm[material] / self.per_mm[material][self.reference]

    def at_reference(self, material: str) -> float:
        """Attenuation in 1/mm where HU are read."""
        return float(self.per_mm[material][self.reference])

    def water_hu(self, material: str) -> float:
        """HU of the pure material at the reference energy."""
        return 1000 * (self.at_reference(material) / self.at_reference("water") - 1)

    def attenuation(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Minus log of the signal, given each material's attenuation at the reference energy along every ray."""
        total: list[Tensor] = []
        for energy, share in enumerate(self.share):
            of_energy = sum(float(self.relative(name)[energy]) * part for name, part in parts.items())
            total.append(float(np.log(share)) - torch.as_tensor(of_energy))
        return -torch.logsumexp(torch.stack(total), dim=0)

    def as_water(self, attenuation: Tensor) -> Tensor:
        """The scanner's correction: attenuation at the reference energy of the water that would give this signal."""
        water, signal = self._water()
        found = np.interp(attenuation.cpu().numpy(), signal, water).astype(np.float32)
        return torch.from_numpy(found).to(attenuation.device)

    def _water(self) -> tuple[np.ndarray, np.ndarray]:
        water = np.linspace(-1, _LONGEST, 6101)
        return water, self.attenuation({"water": torch.from_numpy(water)}).numpy()


@cache
def spectrum() -> Spectrum:
    """That of 120 kV (studies/scanner/attenuation.py)."""
    rows = list(csv.DictReader((files("synth.scanner") / "attenuation.csv").read_text(encoding="utf-8").splitlines()))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    reference = int(np.abs(columns.pop("kev") - _REFERENCE_KEV).argmin())
    return Spectrum(columns.pop("share"), columns, reference)


def tissue_parts(hu: Tensor) -> dict[str, Tensor]:
    """Attenuation in 1/mm of water and of bone in each voxel of a CT in HU; together they are the CT's."""
    low, high = _BONE_HU
    mu = to_mu(hu)
    bone = mu * ((hu - low) / (high - low)).clamp(0, 1)
    return {"water": mu - bone, "bone": bone}


def to_mu(hu: Tensor) -> Tensor:
    """HU -> attenuation in 1/mm at the reference energy, 0 at the least."""
    return (spectrum().at_reference("water") * (1 + hu / 1000)).clamp(min=0)


def to_hu(mu_difference: Tensor) -> Tensor:
    """A difference of attenuation in 1/mm -> of HU."""
    return mu_difference * (1000 / spectrum().at_reference("water"))
