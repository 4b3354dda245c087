"""`synthct train shape` of a region whose scaffold is a patchwork: register placed scans, keep what a draw needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from synth.case.weights_folder import LOOKS
from synth.data.scans import load_scans
from synth.errors import InputError
from synth.files.whole import whole_folder
from synth.regions import Frame, Region
from synth.regions.frame import LOOK_MM
from synth.shape.deformation import exponential
from synth.torso.atlas import abdomen_inside, build_atlas, chest_inside
from synth.torso.looks import Look
from synth.torso.model import VELOCITY_MM, Donor, TorsoModel, fit_modes
from synth.torso.places import Places
from synth.torso.register import ScanGroup, register
from synth.torso.scans import SCAN_SPACING_MM, TorsoScan, blood
from synth.training.log import telling
from synth.training.shape_config import ShapeConfig
from synth.volumes.types import HU_MAX, HU_MIN

_NATIVE = ("no", "non")
_SEEN = 0.9  # share of data from which on a scan has a voxel


def fit_patchwork(config: ShapeConfig, region: Region) -> Path:
    """Fit on every placed scan of the training split; returns the folder of the weights."""
    with telling(config.out) as tell:
        scans = load_scans(config.data, "train", region, tell)
        if config.rank >= len(scans):
            most = len(scans) - 1
            raise InputError(f"rank {config.rank}: {len(scans)} scans have fewer modes; say rank={most} or less")
        if unknown := {*config.unfit, *config.native} - {scan.name for scan in scans}:
            where = f"no such scan in {config.data}"
            raise InputError(f"'{min(unknown)}': {where}; name those of `unfit` and `native` as there")
        group = ScanGroup.of(scans, [blood(scan, region.frame) for scan in scans], region.frame)
        _, velocities = register(group, config.rounds, tell)
        model = build(config, scans, velocities, region.frame, tell)
        with whole_folder(config.out / "weights", lambda: False) as partial:
            model.save(partial / LOOKS)
        tell(f"{LOOKS}: {(config.out / 'weights' / LOOKS).stat().st_size:,} bytes")
    return config.out / "weights"


@torch.no_grad()
def build(
    config: ShapeConfig,
    scans: Sequence[TorsoScan],
    velocities: torch.Tensor,
    frame: Frame,
    tell: Callable[[str], None],
) -> TorsoModel:
    """The model of scans in register."""
    back = [exponential(-v[None], frame) for v in velocities]
    hus, seens = zip(*(_in_mean(scan, b) for scan, b in zip(scans, back, strict=True)), strict=True)
    atlas = build_atlas(scans, back, hus, seens, frame)
    mean_hu = np.sum([h * s for h, s in zip(hus, seens, strict=True)], axis=0) / np.maximum(np.sum(seens, axis=0), 1e-3)
    coarse = F.interpolate(velocities, size=frame.shape_at(VELOCITY_MM), mode="trilinear", align_corners=False)
    seen_of = [_pooled(torch.from_numpy(scan.scanned)[None], VELOCITY_MM) for scan in scans]
    mean, modes, scale, coefficients = fit_modes(coarse.numpy(), np.stack(seen_of), config.rank)
    sizes = _sizes(scans, frame)
    habitus = np.nan_to_num(coefficients.T @ sizes / max(float(sizes @ sizes), 1e-6)).astype(np.float32)
    spread = scale * np.sqrt(np.square(modes.reshape(len(modes), -1).astype(float)).mean(axis=1))
    tell(f"modes: SD {spread.round(1)} mm")
    donors = tuple(
        Donor(
            scan.name,
            scan.contrast not in _NATIVE and scan.name not in config.native,
            scan.whole_outline,
            scan.name not in config.unfit,
            round(float(size), 2),
        )
        for scan, size in zip(scans, sizes, strict=True)
    )
    for donor in donors:
        tell(str(donor))
    base = F.interpolate(velocities, size=frame.shape, mode="trilinear", align_corners=False).numpy()
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
        frame,
    )


def _insides(atlas: np.ndarray, mean_hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chest = chest_inside(atlas)
    return chest, abdomen_inside(atlas, mean_hu, chest)


def _in_mean(scan: TorsoScan, back: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """HU and share of data, (X, Y, Z) float32 at SCAN_SPACING_MM, of a scan carried to the mean torso by `back`, on a
    grid as coarse as velocities were fitted on."""
    grid_mm = SCAN_SPACING_MM * scan.hu.shape[0] / back.shape[2]
    where = Places(back, SCAN_SPACING_MM, grid_mm=grid_mm).all() / SCAN_SPACING_MM - 0.5
    hu = ndimage.map_coordinates(scan.hu, where, order=3, mode="nearest")  # cubic, for linear blurs bone
    seen = ndimage.map_coordinates(scan.scanned.astype(np.float32), where, order=1, mode="constant")
    return hu.clip(HU_MIN, HU_MAX), seen


def _pooled(volume: torch.Tensor, spacing: float) -> np.ndarray:
    return F.avg_pool3d(volume.float()[None], round(spacing / SCAN_SPACING_MM))[0, 0].numpy()


def _sizes(scans: Sequence[TorsoScan], frame: Frame) -> np.ndarray:
    """(N,) log cross-section of the body in the slices about the anchor, in SD over the scans; 0 where not shown."""
    middle = round(-frame.lower_mm[2] / SCAN_SPACING_MM)
    out = []
    for scan in scans:
        whole = scan.scanned.any(axis=(0, 1)) & scan.whole_outline
        near = [z for z in np.flatnonzero(whole) if abs(z - middle) <= 20]
        area = np.mean([(ndimage.binary_fill_holes(scan.hu[..., z] > -300)).sum() for z in near]) if near else np.nan
        out.append(np.log(area))
    sizes = np.array(out)
    return np.nan_to_num((sizes - np.nanmean(sizes)) / max(float(np.nanstd(sizes)), 1e-6))
