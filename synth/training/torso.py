"""`synthct train torso`: place and register scans of chest and abdomen, and keep what a draw needs of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from scipy import ndimage

from synth.case.weights_folder import TORSO_FILE
from synth.errors import InputError
from synth.regions.frame import LOOK_MM
from synth.settings import read_settings
from synth.shape.deformation import exponential
from synth.shape.register import Round
from synth.torso.atlas import abdomen_inside, build_atlas, chest_inside
from synth.torso.looks import Look
from synth.torso.model import FRAME, VELOCITY_MM, Donor, TorsoModel, fit_modes
from synth.torso.places import Places
from synth.torso.register import ScanGroup, register
from synth.torso.scans import SCAN_SPACING_MM, TorsoScan, blood, placed, read_scans
from synth.training.log import telling
from synth.volumes.types import HU_MAX, HU_MIN

_NATIVE = ("no", "non")
_SEEN = 0.9  # share of data from which on a scan has a voxel
_LEAST_MM = 60.0  # a thinner slab has no place of its own


class TorsoConfig(BaseModel):
    """A fit; YAML holds differences from these.

    scans: folders of CASE/ct.nii.gz with an index.csv; leave_out: scans that are in another already, or that no place
    was found for; diseased: whose chest is not lent; native: without contrast, where the index does not say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    scans: tuple[Path, ...] = (Path("../shared/data/torso"), Path("../shared/data/native"))
    out: Path = Path("runs/torso")
    leave_out: tuple[str, ...] = ()
    diseased: tuple[str, ...] = ()
    native: tuple[str, ...] = ()
    rank: int = 8
    rounds: tuple[Round, ...] = (
        Round(pool=2, sigma=3.0, iterations=14),
        Round(pool=2, sigma=2.0),
        Round(pool=2, sigma=1.3),
        Round(pool=1, sigma=1.1, iterations=12, step_mm=2.5),
        Round(pool=1, sigma=1.3, grid_mm=8, iterations=10, step_mm=2.0),
    )


def fit_torso(config: TorsoConfig) -> Path:
    """Fit on every scan of the folders; returns the file of the model."""
    with telling(config.out) as tell:
        found = [s for s in read_scans(config.scans) if s.name not in config.leave_out]
        scans = placed([s for s in found if s.hu.shape[2] * SCAN_SPACING_MM >= _LEAST_MM], tell)
        _, velocities = register(ScanGroup.of(scans, [blood(scan) for scan in scans]), config.rounds, tell)
        model = build(config, scans, velocities, tell)
        model.save(config.out / TORSO_FILE)
        tell(f"{TORSO_FILE}: {(config.out / TORSO_FILE).stat().st_size:,} bytes")
    return config.out / TORSO_FILE


@torch.no_grad()
def build(
    config: TorsoConfig, scans: Sequence[TorsoScan], velocities: torch.Tensor, tell: Callable[[str], None]
) -> TorsoModel:
    """The model of scans in register."""
    back = [exponential(-v[None], FRAME) for v in velocities]
    hus, seens = zip(*(_in_mean(scan, b) for scan, b in zip(scans, back, strict=True)), strict=True)
    atlas = build_atlas(scans, back, hus, seens)
    mean_hu = np.sum([h * s for h, s in zip(hus, seens, strict=True)], axis=0) / np.maximum(np.sum(seens, axis=0), 1e-3)
    coarse = F.interpolate(velocities, size=FRAME.shape_at(VELOCITY_MM), mode="trilinear", align_corners=False)
    seen_of = [_pooled(torch.from_numpy(scan.scanned)[None], VELOCITY_MM) for scan in scans]
    mean, modes, scale, coefficients = fit_modes(coarse.numpy(), np.stack(seen_of), config.rank)
    sizes = _sizes(scans)
    habitus = np.nan_to_num(coefficients.T @ sizes / (sizes @ sizes)).astype(np.float32)
    spread = scale * np.sqrt(np.square(modes.reshape(len(modes), -1).astype(float)).mean(axis=1))
    tell(f"modes: SD {spread.round(1)} mm")
    donors = tuple(
        Donor(
            scan.name,
            scan.contrast not in _NATIVE and scan.name not in config.native,
            scan.whole_outline,
            scan.name not in config.diseased,
            round(float(size), 2),
        )
        for scan, size in zip(scans, sizes, strict=True)
    )
    for donor in donors:
        tell(str(donor))
    base = F.interpolate(velocities, size=FRAME.shape, mode="trilinear", align_corners=False).numpy()
    looks = tuple(Look.of(s.fine, s.corner_mm, s.whole_outline, v) for s, v in zip(scans, base, strict=True))
    chest, abdomen = (
        _pooled(torch.from_numpy(255 * m)[None], LOOK_MM).astype(np.uint8) for m in _insides(atlas, mean_hu)
    )
    return TorsoModel(
        donors,
        looks,
        np.stack([_pooled(torch.from_numpy(s)[None], LOOK_MM) > _SEEN for s in seens]),
        chest,
        abdomen,
        atlas,
        mean,
        modes,
        scale,
        habitus,
    )


def _insides(atlas: np.ndarray, mean_hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chest = chest_inside(atlas)
    return chest, abdomen_inside(atlas, mean_hu, chest)


def _in_mean(scan: TorsoScan, back: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """HU and share of data, (X, Y, Z) float32 at SCAN_SPACING_MM, of a scan carried to the mean torso."""
    where = Places(back, SCAN_SPACING_MM).all() / SCAN_SPACING_MM - 0.5
    hu = ndimage.map_coordinates(scan.hu, where, order=3, mode="nearest")  # cubic, for linear blurs bone
    seen = ndimage.map_coordinates(scan.scanned.astype(np.float32), where, order=1, mode="constant")
    return hu.clip(HU_MIN, HU_MAX), seen


def _pooled(volume: torch.Tensor, spacing: float) -> np.ndarray:
    return F.avg_pool3d(volume.float()[None], round(spacing / SCAN_SPACING_MM))[0, 0].numpy()


def _sizes(scans: Sequence[TorsoScan]) -> np.ndarray:
    """(N,) log cross-section of the body in the slices about the anchor, in SD over the scans; 0 where not shown."""
    middle = round(-FRAME.lower_mm[2] / SCAN_SPACING_MM)
    out = []
    for scan in scans:
        whole = scan.scanned.any(axis=(0, 1)) & scan.whole_outline
        near = [z for z in np.flatnonzero(whole) if abs(z - middle) <= 20]
        area = np.mean([(ndimage.binary_fill_holes(scan.hu[..., z] > -300)).sum() for z in near]) if near else np.nan
        out.append(np.log(area))
    sizes = np.array(out)
    return np.nan_to_num((sizes - np.nanmean(sizes)) / max(float(np.nanstd(sizes)), 1e-6))


def load_torso_config(path: Path, overrides: dict[str, Any]) -> TorsoConfig:
    """Read a YAML of differences; InputError names an unknown key or a bad value."""
    config = read_settings(TorsoConfig, path, see="configs/train/ and synth/training/torso.py", overrides=overrides)
    for folder in config.scans:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of scans; name yours with scans=[FOLDER] or in {path}")
    return config
