"""Acquisition: what dose, views, hardening and metal change in one slice. Rays are projected, changed, reconstructed.

Only differences are reconstructed and added: with nothing missing a slice stays as it is, to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from synth.scanner.beams import Rays, geometry_of, rays_of
from synth.scanner.dose import air_photons, missing_noise, modulated, through
from synth.scanner.metal import spectrum, tissue_parts, to_hu, to_mu
from synth.scanner.settings import Reconstruction, ScannerSettings
from synth.scanner.views import SIRT_STEPS, few, sirt
from synth.scanner.windows import of_image, of_kernel

Implants = Mapping[str, Tensor]  # material -> share of each voxel


class Acquisition:
    """A scanner's rays through slices (X, Y) of one size; X runs from left to right, Y from back to front.

    slice_mm: thickness of the slices, which photons go by.
    """

    def __init__(
        self,
        settings: ScannerSettings,
        shape: tuple[int, int],
        spacing: tuple[float, float],
        slice_mm: float,
        device: str = "cpu",
    ) -> None:
        self.settings, self.device = settings, device
        whole = geometry_of(settings, shape, spacing)
        self.whole = few(whole, None, None)
        self.taken = few(whole, settings.views, settings.angle_deg)
        self.air = air_photons(self.taken, slice_mm) * through(settings.bowtie, whole.distances()).to(device)
        self.all_there = self.taken == self.whole

    def change(self, hu: Tensor, implants: Implants, seed: int) -> Tensor:
        """What is to be added to a slice (X, Y) in HU of the standard kernel after it was given the scanner's; HU."""
        dose = self.settings.dose or 1.0
        if self.all_there and dose == 1 and not (self.settings.beam_hardening or implants):
            return torch.zeros_like(hu, dtype=torch.float32)
        hu = hu.to(self.device, torch.float32)
        rays = rays_of(self.taken, self.device)
        plain = rays.project(to_mu(hu)[None])
        extra = self._hardened(rays, hu, implants, plain)
        if dose < 1 or implants:
            seen = plain + extra
            air = self.air * modulated(seen[0]) if self.settings.modulation else self.air
            extra = extra + missing_noise(seen, dose, air, seed, plain)
        return to_hu(self._reconstructed(rays, hu, plain, extra)[0])

    def _hardened(self, rays: Rays, hu: Tensor, implants: Implants, plain: Tensor) -> Tensor:
        """What bone and implants add to the rays, after the correction for water."""
        if not (self.settings.beam_hardening or implants):
            return torch.zeros_like(plain)
        tissue = {name: rays.project(part[None]) for name, part in tissue_parts(hu).items()}
        before = plain if self.settings.beam_hardening else spectrum().as_water(spectrum().attenuation(tissue))
        if implants:
            free = 1 - torch.stack([share.to(self.device) for share in implants.values()]).sum(0).clamp(max=1)
            tissue = {name: rays.project((part * free)[None]) for name, part in tissue_parts(hu).items()}
        metal = {name: self._metal(rays, name, share) for name, share in implants.items()}
        return spectrum().as_water(spectrum().attenuation({**tissue, **metal})) - before

    def _metal(self, rays: Rays, material: str, share: Tensor) -> Tensor:
        """Attenuation of an implant at the reference energy along the rays."""
        mm = rays.project(share.to(self.device, torch.float32)[None]).clamp(min=0)
        return mm * spectrum().at_reference(material)

    def _reconstructed(self, rays: Rays, hu: Tensor, plain: Tensor, extra: Tensor) -> Tensor:
        """Change of attenuation: that of the image for its missing views, and of what is no part of the image."""
        kernel = self.settings.kernel
        if self.all_there:
            return rays.fbp(extra, of_kernel(kernel))
        whole = rays_of(self.whole, self.device)
        all_views = whole.fbp(whole.project(to_mu(hu)[None]), of_image(kernel), of_slice=True)
        if self.settings.reconstruction is Reconstruction.sirt:
            # a window on the rays is the same window on the slice
            rows = rays.windowed(plain, of_image(kernel)) + rays.windowed(extra, of_kernel(kernel))
            return sirt(rays, rows, self.settings.sirt_steps or SIRT_STEPS) - all_views
        return rays.fbp(plain, of_image(kernel), of_slice=True) + rays.fbp(extra, of_kernel(kernel)) - all_views
